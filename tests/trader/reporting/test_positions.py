from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.factories import InstrumentIdentifierFactory, PriceBarFactory
from tests.trader.book import COLUMNS, only_position, open_account, positions, take_in
from tests.trader.reporting.conftest import AddRate
from trader.models import Execution, Instrument, Position, TaxLot
from trader.operations.instruments import create_instrument

pytestmark = pytest.mark.django_db

BOUGHT = "2026-01-05,TRADE,AAA,BUY,10,100,,USD,5,USD,T1"
SOLD = "2026-01-12,TRADE,AAA,SELL,4,110,,USD,2,USD,T2"
MARK = ("--mark", "AAA.XXXX=120")


def test_what_is_held_is_worth_its_price(tmp_path: Path) -> None:
    open_account("A")
    take_in(tmp_path, "A", f"{BOUGHT}\n{SOLD}")

    position = only_position("A", *MARK)

    assert position == {
        "symbol": "AAA",
        "mic": "XXXX",
        "isin": "",
        "currency": "USD",
        "quantity": "6",
        "avg_px": "100",
        "cost": "600",
        "realized_pnl": "40",
        "unrealized_pnl": "120",
        "market_value": "720",
        "fees": "7",
        "fees_expensed": "7",
        "net_pnl": "153",
        "dividends": "0",
        "taxes": "0",
        "cost_base": "600",
        "realized_pnl_base": "40",
        "unrealized_pnl_base": "120",
        "market_value_base": "720",
    }


def test_the_report_says_whose_figures_and_by_which_rules(tmp_path: Path) -> None:
    open_account("A", cost_basis_method="LIFO", fee_policy="IN_COST")
    take_in(tmp_path, "A", BOUGHT)

    own, other = positions("A", as_of="2026-02-01"), positions("A", "--method", "HIFO", "--fees", "BUY_IN_COST")

    assert (own["account"], own["as_of"], own["base_currency"]) == ("A", "2026-02-01", "USD")
    assert (own["method"], own["fee_policy"]) == ("LIFO", "IN_COST")
    assert (other["method"], other["fee_policy"]) == ("HIFO", "BUY_IN_COST")


def test_without_a_price_worth_is_left_open(tmp_path: Path) -> None:
    open_account("A")
    take_in(tmp_path, "A", BOUGHT)

    report = positions("A")

    (position,) = report["positions"]
    assert [position[name] for name in ("market_value", "unrealized_pnl", "net_pnl", "market_value_base")] == [None] * 4
    assert [report["totals"][name] for name in ("market_value", "unrealized_pnl", "net_pnl")] == [None] * 3
    assert report["totals"]["cost"] == "1000"


def test_what_is_short_is_negative(tmp_path: Path) -> None:
    open_account("A", allow_short=True)
    rows = """2026-01-05,TRADE,AAA,SELL_SHORT,10,100,,USD,,,
              2026-01-06,TRADE,AAA,BUY,4,90,,USD,,,"""
    take_in(tmp_path, "A", rows)

    position = only_position("A", "--mark", "AAA.XXXX=95", "--lots")

    assert [position[name] for name in ("quantity", "avg_px", "cost")] == ["-6", "100", "-600"]
    assert [position[name] for name in ("market_value", "unrealized_pnl", "realized_pnl")] == ["-570", "30", "40"]
    assert [(lot["quantity"], lot["unit_cost"]) for lot in position["lots"]] == [("-6", "100")]
    (match,) = position["matches"]
    assert [match[name] for name in ("quantity", "proceeds", "cost", "realized_pnl")] == ["4", "400", "360", "40"]


def test_lots_and_matches_carry_the_venue_s_times(tmp_path: Path) -> None:
    open_account("A")
    columns = f"{COLUMNS},mic"
    rows = """2026-01-05T15:30:00Z,TRADE,AAA,BUY,10,100,,CHF,,,,XSWX
              2026-07-06,TRADE,AAA,SELL,4,110,,CHF,,,,XSWX"""
    take_in(tmp_path, "A", rows, columns=columns)
    venue = Instrument.objects.get().venue
    venue.time_zone = "Europe/Zurich"
    venue.save()

    position = only_position("A", "--lots")

    (match,) = position["matches"]
    assert match["acquired_at"] == "2026-01-05T16:30:00+01:00"
    assert position["lots"] == [{"quantity": "6", "unit_cost": "100", "acquired_at": "2026-01-05T16:30:00+01:00"}]


def test_the_lots_of_an_average_cost_what_the_pool_does(tmp_path: Path) -> None:
    open_account("A", cost_basis_method="AVERAGE")
    rows = """2026-01-05,TRADE,AAA,BUY,10,100,,USD,,,
              2026-01-06,TRADE,AAA,BUY,10,200,,USD,,,
              2026-01-07,TRADE,AAA,SELL,15,300,,USD,,,"""
    take_in(tmp_path, "A", rows)

    position = only_position("A", "--lots")

    assert [(lot["quantity"], lot["unit_cost"], lot["acquired_at"][:10]) for lot in position["lots"]] == [
        ("5", "150", "2026-01-06")
    ]


def test_what_is_flat_is_shown_when_asked_for_and_counts_always(tmp_path: Path) -> None:
    open_account("A")
    take_in(tmp_path, "A", f"{BOUGHT}\n2026-01-12,TRADE,AAA,SELL,10,110,,USD,,,")

    shown, hidden = positions("A", "--closed"), positions("A")

    (flat,) = shown["positions"]
    assert [flat[name] for name in ("quantity", "cost", "avg_px", "market_value", "unrealized_pnl")] == ["0"] * 5
    assert hidden["positions"] == []
    assert hidden["totals"] == shown["totals"]
    assert shown["totals"]["realized_pnl"] == "100"


@pytest.mark.parametrize(("as_of", "quantity"), [("2026-01-05", "10"), ("2026-01-11", "10"), ("2026-01-12", "6")])
def test_as_of_includes_its_day(as_of: str, quantity: str, tmp_path: Path) -> None:
    open_account("A")
    take_in(tmp_path, "A", f"{BOUGHT}\n{SOLD}")

    assert only_position("A", as_of=as_of)["quantity"] == quantity


def test_before_the_first_trade_there_is_nothing(tmp_path: Path) -> None:
    open_account("A")
    take_in(tmp_path, "A", BOUGHT)

    report = positions("A", "--closed", as_of="2026-01-04")

    assert (report["positions"], report["cash"], report["totals"]["cost"]) == ([], [], "0")


@pytest.mark.parametrize("method", ["FIFO", "AVERAGE"])
@pytest.mark.parametrize(("as_of", "quantity"), [("2026-02-01", "10"), ("2026-02-02", "40"), ("2026-03-01", "40")])
def test_a_split_after_the_last_trade_counts_from_its_day_on(
    method: str, as_of: str, quantity: str, tmp_path: Path
) -> None:
    open_account("A", cost_basis_method=method)
    take_in(tmp_path, "A", f"{BOUGHT}\n2026-02-02,SPLIT,AAA,,4:1,,,USD,,,")

    position = only_position("A", "--lots", as_of=as_of)

    assert (position["quantity"], position["cost"]) == (quantity, "1000")
    assert [lot["quantity"] for lot in position["lots"]] == [quantity]
    assert Decimal(position["avg_px"]) * Decimal(quantity) == 1000


@pytest.mark.parametrize("method", ["FIFO", "LIFO", "HIFO", "AVERAGE", "SPECIFIC"])
@pytest.mark.parametrize("policy", ["EXPENSED", "IN_COST", "BUY_IN_COST"])
def test_other_rules_say_what_an_account_of_those_rules_would(method: str, policy: str, tmp_path: Path) -> None:
    rows = """2026-01-05,TRADE,AAA,BUY,10,100,,USD,3,USD,
              2026-01-06,TRADE,AAA,BUY,7,130,,USD,1,USD,
              2026-01-07,TRADE,AAA,BUY,5,90,,USD,2,USD,
              2026-01-08,TRADE,AAA,SELL,9,120,,USD,4,USD,
              2026-01-09,SPLIT,AAA,,3:2,,,USD,,,
              2026-01-12,TRADE,AAA,SELL,3,85,,USD,1,USD,"""
    open_account("A", cost_basis_method="FIFO" if method != "FIFO" else "LIFO")
    open_account("B", cost_basis_method=method, fee_policy=policy)
    take_in(tmp_path, "A", rows)
    take_in(tmp_path, "B", rows)
    before = list(Position.objects.order_by("pk").values()), list(TaxLot.objects.order_by("pk").values())

    asked = only_position("A", "--method", method, "--fees", policy, "--lots", "--mark", "AAA.XXXX=80")
    kept = only_position("B", "--lots", "--mark", "AAA.XXXX=80")

    assert asked == kept
    assert (list(Position.objects.order_by("pk").values()), list(TaxLot.objects.order_by("pk").values())) == before


def test_a_price_is_the_last_close_of_a_daily_bar(tmp_path: Path) -> None:
    open_account("A")
    take_in(tmp_path, "A", BOUGHT)
    instrument = Instrument.objects.get(symbol="AAA")
    for day, close in ((6, 111), (7, 112), (9, 113)):
        bar = {"open": close, "high": close, "low": close, "close": close}
        PriceBarFactory.create(instrument=instrument, ts=datetime(2026, 1, day, tzinfo=UTC), **bar)
    PriceBarFactory.create(instrument=instrument, timeframe="1h", ts=datetime(2026, 1, 8, tzinfo=UTC))

    assert only_position("A", as_of="2026-01-05")["market_value"] is None
    assert only_position("A", as_of="2026-01-08")["market_value"] == "1120"
    assert only_position("A", as_of="2026-01-09")["market_value"] == "1130"
    assert only_position("A", "--mark", "AAA.XXXX=5", as_of="2026-01-09")["market_value"] == "50"


@pytest.mark.parametrize("as_of", ["2026-01-09", "2026-01-17", "2026-01-18", "2026-01-19", "2036-01-09"])
def test_of_several_sources_the_first_counts_at_any_distance(as_of: str, tmp_path: Path) -> None:
    open_account("A")
    take_in(tmp_path, "A", BOUGHT)
    instrument = Instrument.objects.get(symbol="AAA")
    for source, day, close in (("b", 8, 111), ("a", 7, 112), ("b", 7, 113), ("a", 8, 114)):
        bar = {"open": close, "high": close, "low": close, "close": close}
        PriceBarFactory.create(instrument=instrument, source=source, ts=datetime(2026, 1, day, tzinfo=UTC), **bar)

    assert only_position("A", as_of=as_of)["market_value"] == "1140"


@pytest.mark.parametrize(("adjusted", "before", "after"), [(False, "1000", "1000"), (True, "4000", "4000")])
def test_a_price_is_carried_through_splits(adjusted: bool, before: str, after: str, tmp_path: Path) -> None:
    """A close of 100 on the 6th, as it was or restated; four for one on the 8th."""
    open_account("A")
    take_in(tmp_path, "A", f"{BOUGHT}\n2026-01-08,SPLIT,AAA,,4:1,,,USD,,,")
    PriceBarFactory.create(
        instrument=Instrument.objects.get(symbol="AAA"),
        ts=datetime(2026, 1, 6, tzinfo=UTC),
        close=Decimal(100),
        split_adjusted=adjusted,
    )

    assert only_position("A", as_of="2026-01-07")["market_value"] == before
    assert only_position("A", as_of="2026-01-08")["market_value"] == after


def test_the_isin_is_that_of_the_day(tmp_path: Path) -> None:
    open_account("A")
    take_in(tmp_path, "A", BOUGHT)
    instrument = Instrument.objects.get(symbol="AAA")
    for isin, first, end in (
        ("CH0038863350", None, date(2026, 2, 1)),
        ("US0378331005", date(2026, 2, 1), None),
    ):
        InstrumentIdentifierFactory.create(instrument=instrument, source="ISIN", value=isin, valid=(first, end))

    assert only_position("A", as_of="2026-01-31")["isin"] == "CH0038863350"
    assert only_position("A", as_of="2026-02-01")["isin"] == "US0378331005"


def test_pence_are_worth_a_hundredth(tmp_path: Path) -> None:
    open_account("A", "GBP")
    take_in(tmp_path, "A", "2026-01-05,DEPOSIT,,,,,1,GBP,,,")
    create_instrument(symbol="VOD", mic="", currency="GBP", price_quotation_factor=Decimal("0.01"))
    take_in(tmp_path, "A", "2026-01-05,TRADE,VOD,BUY,100,250.5,,GBP,,,")

    position = only_position("A", "--mark", "VOD.XXXX=260")

    assert [position[name] for name in ("avg_px", "cost", "market_value")] == ["250.5", "250.5", "260"]


def test_small_and_large_numbers_keep_all_their_digits(tmp_path: Path) -> None:
    open_account("A", "EUR")
    rows = """2026-01-05,TRADE,DUST,BUY,0.0000000001,0.0000126,,EUR,,,
              2026-01-05,TRADE,SHIB,BUY,100000000000000000,0.0000126,,EUR,,,
              2026-01-06,TRADE,SHIB,SELL,33333333333333333.333333333333333333,0.0000127,,EUR,,,"""
    create_instrument(symbol="DUST", mic="", currency="EUR", qty_increment=Decimal("1e-18"))
    take_in(tmp_path, "A", rows)

    report = positions("A", "--mark", "SHIB.XXXX=0.0000128", "--mark", "DUST.XXXX=0.0000126")

    dust, shib = report["positions"]
    assert (dust["quantity"], dust["cost"]) == ("0.0000000001", "0.00000000000000126")
    assert shib["quantity"] == "66666666666666666.666666666666666667"
    assert Decimal(shib["cost"]) + Decimal("419999999999.9999999999999999958") == Decimal("1260000000000")


class TestInBaseCurrency:
    """An account in CHF that trades in USD."""

    @pytest.fixture(autouse=True)
    def account(self, db: None) -> None:
        open_account("A", "CHF")

    def test_each_trade_counts_at_the_rate_of_its_day_and_worth_at_that_of_the_report(
        self, tmp_path: Path, add_rate: AddRate
    ) -> None:
        for rate, day in (("0.9", 5), ("0.8", 12), ("0.7", 20)):
            add_rate("USD", "CHF", rate, date(2026, 1, day))
        take_in(tmp_path, "A", f"{BOUGHT}\n{SOLD}")

        report = positions("A", *MARK)

        (position,) = report["positions"]
        assert position["cost_base"] == "540"
        assert position["realized_pnl_base"] == str(4 * 88 - 4 * 90)
        assert position["market_value_base"] == "504"
        assert position["unrealized_pnl_base"] == "-36"
        assert report["totals"]["fees"] == "6.1"
        assert report["totals"]["net_pnl"] == "-50.1"
        assert report["missing_rates"] == []

    def test_a_rate_that_comes_late_is_taken_in(self, tmp_path: Path, add_rate: AddRate) -> None:
        take_in(tmp_path, "A", BOUGHT)
        before = positions("A")

        add_rate("CHF", "USD", "1.25", date(2026, 1, 1))

        assert before["positions"][0]["cost_base"] is None
        assert before["missing_rates"] == ["USD/CHF"]
        assert only_position("A")["cost_base"] == "800"

    def test_a_rate_that_is_given_is_for_worth_alone(self, tmp_path: Path) -> None:
        take_in(tmp_path, "A", BOUGHT)

        report = positions("A", *MARK, "--fx", "USD/CHF=0.91")
        inverse = positions("A", *MARK, "--fx", "CHF/USD=1.25")

        (position,) = report["positions"]
        assert (position["market_value_base"], position["cost_base"]) == ("1092", None)
        assert (report["cash"][0]["amount_base"], report["totals"]["cash"]) == ("-914.55", "-914.55")
        assert inverse["positions"][0]["market_value_base"] == "960"
        assert report["missing_rates"] == ["USD/CHF"]

    def test_the_row_s_own_rate_goes_before_the_book_s(self, tmp_path: Path, add_rate: AddRate) -> None:
        add_rate("USD", "CHF", "0.9", date(2026, 1, 1))
        take_in(tmp_path, "A", f"{BOUGHT},0.5", columns=f"{COLUMNS},fx_rate")

        assert only_position("A")["cost_base"] == "500"

    def test_missing_rates_are_named_for_kept_and_replayed_figures_alike(self, tmp_path: Path) -> None:
        rows = """2026-01-05,TRADE,AAA,BUY,10,100,,USD,5,EUR,
                  2026-01-06,TRADE,BBB,BUY,1,100,,CHF,5,GBP,
                  2026-01-07,DIVIDEND,BBB,,,,3,SEK,,,"""
        take_in(tmp_path, "A", rows)

        kept, replayed = positions("A"), positions("A", "--method", "LIFO")

        assert kept["missing_rates"] == ["EUR/CHF", "GBP/CHF", "SEK/CHF", "USD/CHF"]
        assert replayed == kept | {"method": "LIFO"}
        assert kept["totals"]["dividends"] is None

    def test_what_comes_to_nothing_needs_no_rate(self, tmp_path: Path) -> None:
        rows = """2026-01-05,DEPOSIT,,,,,10,USD,,,
                  2026-01-06,WITHDRAWAL,,,,,10,USD,,,"""
        take_in(tmp_path, "A", rows)

        report = positions("A")

        assert report["cash"] == [{"currency": "USD", "amount": "0", "amount_base": "0"}]
        assert (report["totals"]["cash"], report["missing_rates"]) == ("0", [])


def test_dividends_taxes_and_fees_are_told_by_instrument_and_in_all(tmp_path: Path) -> None:
    open_account("A")
    rows = f"""{BOUGHT}
              2026-01-06,DIVIDEND,AAA,,,,30,USD,,,D1
              2026-01-06,WITHHOLDING_TAX,AAA,,,,4.5,USD,,,
              2026-01-07,DIVIDEND,AAA,,,,-5,USD,,,
              2026-01-08,FEE,,,,,12,USD,,,
              2026-01-09,INTEREST,,,,,1,USD,,,
              2026-01-10,DIVIDEND,BBB,,,,7,USD,,,"""
    take_in(tmp_path, "A", rows)

    report = positions("A", *MARK)

    (position,) = report["positions"]
    assert (position["dividends"], position["taxes"], position["fees"]) == ("25", "4.5", "5")
    totals = report["totals"]
    assert (totals["dividends"], totals["taxes"], totals["fees"]) == ("32", "4.5", "17")
    assert (totals["net_pnl"], totals["cash"]) == ("183", "-988.5")


def test_an_account_without_anything_has_totals_of_nothing(db: None) -> None:
    open_account("A")

    report = positions("A")

    assert (report["positions"], report["cash"], report["missing_rates"]) == ([], [], [])
    assert set(report["totals"].values()) == {"0"}


def test_a_busted_trade_never_was(tmp_path: Path) -> None:
    open_account("A")
    take_in(tmp_path, "A", f"{BOUGHT},\n2026-01-06,CANCEL,,,,,,,,,,T1", columns=f"{COLUMNS},exec_ref")

    report = positions("A", "--closed")

    assert Execution.objects.count() == 2
    assert (report["positions"], report["cash"][0]["amount"]) == ([], "0")
