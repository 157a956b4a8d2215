"""Whole files of brokers: what they come to, that nothing comes twice, and that their order does not matter."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import pytest

from tests.factories import AccountFactory, CurrencyFactory, InstrumentFactory, VenueFactory
from tests.trader.importing.exports import (
    BINANCE,
    DEGIRO,
    TEMPLETON,
    degiro,
    degiro_file,
    flex,
    flex_cancel,
    flex_file,
    written,
)
from tests.trader.importing.intake import facts_of, imported, refused, take_in
from tests.trader.operations.books import assert_as_replayed, ledger, state_of
from trader.models import Account, Execution, ExecutionFee, ImportRow, Instrument, Position

pytestmark = pytest.mark.django_db

FLEX = [
    flex("100", "56.11", IBExecID="E1", TradeID="1", DateTime="20230403;095853", IBCommission="-2.8055", Taxes="-1"),
    flex("50", "57", IBExecID="E2", TradeID="2", DateTime="20230403;103000", IBCommissionCurrency="CHF"),
    flex("-120", "60.5", IBExecID="E3", TradeID="3", DateTime="20230404;110000", TradeDate="20230404"),
    flex("7", "12", IBExecID="E4", TradeID="4", Symbol="T", ISIN="", CUSIP="", DateTime="20230404;120000"),
    flex_cancel("4", "-7", "12", Symbol="T", ISIN="", CUSIP="", DateTime="20230404;120000", IBCommission="1"),
    flex(
        "1000",
        "1.0875",
        IBExecID="E5",
        AssetClass="CASH",
        Symbol="EUR.USD",
        ListingExchange="",
        IBCommission="-2",
        IBCommissionCurrency="CHF",
        DateTime="20230405;120000",
        TradeDate="20230405",
    ),
]


class Export(NamedTuple):
    """A file, the currency of the account, where a part of it ends, and how often its rows come into the book."""

    file_format: str
    data: bytes
    base: str
    half: int


EXPORTS = [
    Export("degiro", DEGIRO, "EUR", 80),
    Export("binance", BINANCE, "EUR", 8),
    Export("ibkr", flex_file(*FLEX), "CHF", 3),
]
every_export = pytest.mark.parametrize("export", EXPORTS, ids=[export.file_format for export in EXPORTS])


@pytest.fixture(autouse=True)
def reference_data(db: None) -> None:
    for code in ("EUR", "USD", "GBP", "CHF"):
        CurrencyFactory.create(code=code)
    for mic, zone in (("XNYS", "America/New_York"), ("XNAS", "America/New_York"), ("XLON", "Europe/London")):
        VenueFactory.create(mic=mic, time_zone=zone)


def account(base: str) -> Account:
    return AccountFactory.create(base_currency__code=base)


def lines(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode())))


def ascending(data: bytes) -> bytes:
    """The other way round: of Binance's, the two rows of a fill too."""
    header, *rows = lines(data)
    return written([header, *reversed(rows)])


def sums(rows: Iterator[tuple[str, str]]) -> dict[str, Decimal]:
    found: defaultdict[str, Decimal] = defaultdict(Decimal)
    for key, amount in rows:
        found[key] += Decimal(amount or 0)
    return {key: amount for key, amount in found.items() if amount}


def held(account: Account) -> dict[str, Decimal]:
    rows = Position.objects.filter(account=account).values_list("instrument__symbol", "quantity")
    return {symbol: quantity for symbol, quantity in rows if quantity}


def cash(account: Account) -> dict[str, Decimal]:
    return {code: amount for (kind, code), amount in ledger(account).items() if kind == "CASH"}


def test_degiros_columns_sum_up_to_positions_cash_and_costs() -> None:
    _, *rows = lines(DEGIRO)
    mine = account("EUR")

    assert imported(mine, data=DEGIRO, file_format="degiro") == (159, 0)

    assert held(mine) == sums((row[3], row[6]) for row in rows)
    assert cash(mine) == {"EUR": sum(Decimal(row[16]) for row in rows)}
    assert ledger(mine)["EXPENSE", "EUR"] == -sum(Decimal(row[14] or 0) for row in rows)
    for code, quoted_in, factor in (("USD", "USD", 1), ("GBP", "GBX", 100)):
        local = sum(Decimal(row[9]) for row in rows if row[8] == quoted_in)
        assert ledger(mine)["FX_TRADING", code] == local / factor
    assert_as_replayed(mine)


def test_degiros_instruments_are_known_by_their_isins() -> None:
    imported(account("EUR"), data=DEGIRO, file_format="degiro")

    templeton = Instrument.objects.get(symbol=TEMPLETON)
    assert (str(templeton), templeton.name) == ("GB0008829292.XLON:GBP", "TEMPLETON EMRG.")
    assert (templeton.price_quotation_factor, templeton.security_type) == (Decimal("0.01"), "NONE")
    assert list(templeton.identifiers.values_list("source", "value")) == [("ISIN", TEMPLETON)]


def test_binances_changes_sum_up_to_positions_and_cash() -> None:
    _, *rows = lines(BINANCE)
    mine = account("EUR")

    assert imported(mine, data=BINANCE, file_format="binance") == (20, 0)

    coins = sums((row[4], row[5]) for row in rows)
    assert held(mine) == {coin: amount for coin, amount in coins.items() if coin != "EUR"}
    assert cash(mine) == {"EUR": coins["EUR"]}
    assert ImportRow.objects.filter(account=mine).count() == 12
    assert Instrument.objects.get(symbol="DOT").security_type == "CRYPTO"


def test_ibkrs_columns_sum_up_to_positions_and_cash() -> None:
    mine = account("CHF")

    imported(mine, data=flex_file(*FLEX), file_format="ibkr")

    counted = [row for row in FLEX if row["Symbol"] != "T"]
    spent = sums((row["CurrencyPrimary"], row[column]) for row in counted for column in ("Proceeds", "Taxes"))
    costs = sums((row["IBCommissionCurrency"], row["IBCommission"]) for row in counted)
    assert held(mine) == {"AAPL": Decimal(30)}
    assert cash(mine) == {
        "USD": Decimal("-5611") - 2850 + 7260 - Decimal("1087.5") - 1 - Decimal("2.81") - 1,
        "CHF": Decimal(-3),
        "EUR": Decimal(1000),
    }
    # Legs are rounded one by one: 2.8055 is 2.81.
    assert spent["USD"] + costs["USD"] == cash(mine)["USD"] + Decimal("0.0045")
    assert_as_replayed(mine)


def test_ibkrs_fill_is_kept_with_all_that_it_says() -> None:
    imported(account("CHF"), data=flex_file(*FLEX), file_format="ibkr")

    fill = Execution.objects.get(exec_id="E1")
    assert list(fill.fees.order_by("pk").values_list("type", "amount", "currency__code")) == [
        (ExecutionFee.Type.COMMISSION, Decimal("2.8055"), "USD"),
        (ExecutionFee.Type.TAX, Decimal(1), "USD"),
    ]
    assert (fill.last_mkt, str(fill.trade_date), str(fill.settl_date)) == ("ARCX", "2023-04-03", "2023-04-05")
    assert fill.fx_rate == Decimal("0.91")
    assert sorted(fill.instrument.identifiers.values_list("source", "value")) == [
        ("CUSIP", "037833100"),
        ("ISIN", "US0378331005"),
    ]


@every_export
def test_the_same_file_twice_adds_nothing(export: Export) -> None:
    mine = account(export.base)
    rows = len(lines(export.data)) - 1

    first = imported(mine, data=export.data, file_format=export.file_format)
    before = facts_of(mine), state_of(mine)
    second = imported(mine, data=export.data, file_format=export.file_format)

    assert (first, second) == ((rows, 0), (0, rows))
    assert (facts_of(mine), state_of(mine)) == before


@every_export
def test_of_overlapping_files_only_new_rows_come_in(export: Export) -> None:
    header, *rows = lines(export.data)
    whole, parts = account(export.base), account(export.base)
    overlap = 3 if export.file_format == "degiro" else 2

    imported(whole, data=export.data, file_format=export.file_format)
    later = imported(parts, data=written([header, *rows[export.half :]]), file_format=export.file_format)
    earlier = imported(parts, data=written([header, *rows[: export.half + overlap]]), file_format=export.file_format)

    assert later == (len(rows) - export.half, 0)
    assert earlier == (export.half, overlap)
    assert state_of(parts) == state_of(whole)


@every_export
def test_rows_may_ascend_or_descend(export: Export) -> None:
    if export.file_format == "ibkr":
        export = export._replace(data=flex_file(*FLEX[:3], FLEX[-1]))
    one, other = account(export.base), account(export.base)

    imported(one, data=export.data, file_format=export.file_format)
    imported(other, data=ascending(export.data), file_format=export.file_format)

    assert state_of(other) == state_of(one)


@every_export
def test_a_file_of_semicolons_and_decimal_commas_is_the_same_file(export: Export) -> None:
    mine, excel = account(export.base), io.StringIO()
    header, *rows = lines(export.data)
    csv.writer(excel, delimiter=";").writerows([header, *([_with_comma(cell) for cell in row] for row in rows)])

    imported(mine, data=export.data, file_format=export.file_format)
    again = imported(mine, data=b"\xef\xbb\xbf" + excel.getvalue().encode(), file_format=export.file_format)

    assert again == (0, len(rows))


def _with_comma(cell: str) -> str:
    try:
        return f"{Decimal(cell):f}".replace(".", ",") if "." in cell else cell
    except ArithmeticError:
        return cell


@every_export
@pytest.mark.parametrize("cut", [1, 3, 60, 200])
def test_a_file_that_was_cut_is_refused_or_says_nothing_else(export: Export, cut: int) -> None:
    mine, whole = account(export.base), account(export.base)

    outcome = take_in(mine, data=export.data[:-cut], file_format=export.file_format)
    kept = ImportRow.objects.count()
    imported(mine, data=export.data, file_format=export.file_format)
    imported(whole, data=export.data, file_format=export.file_format)

    assert bool(kept) != bool(outcome.problems)
    assert state_of(mine) == state_of(whole)


def test_two_equal_rows_of_an_order_both_count() -> None:
    mine = account("EUR")
    data = degiro_file(degiro(), degiro())

    assert imported(mine, data=data, file_format="degiro") == (2, 0)
    assert held(mine) == {"US2546871060": Decimal(32)}


def test_pence_are_the_instruments_own_pounds() -> None:
    InstrumentFactory.create(symbol=TEMPLETON, venue__mic="XLON", currency__code="GBP")
    row = degiro(
        "2", "1070.0000", "-2140.00", "-24.63", "-0.01", "-24.64", currency="GBX", isin=TEMPLETON, reference="LSE"
    )

    imported(account("EUR"), data=degiro_file(row), file_format="degiro")

    fill = Execution.objects.get()
    assert (fill.last_px, fill.gross_trade_amt) == (Decimal("10.7"), Decimal("21.4"))


def test_pounds_are_the_instruments_own_pence() -> None:
    InstrumentFactory.create(
        symbol="TEM", venue__mic="XLON", currency__code="GBP", price_quotation_factor=Decimal("0.01")
    )
    row = flex("2", "10.7", Symbol="TEM", ListingExchange="LSE", CurrencyPrimary="GBP", ISIN="", CUSIP="")

    imported(account("CHF"), data=flex_file(row), file_format="ibkr")

    assert (Execution.objects.get().last_px, Execution.objects.get().gross_trade_amt) == (
        Decimal(1070),
        Decimal("21.4"),
    )


@pytest.mark.parametrize(
    ("file_format", "base", "data", "line", "column", "expected"),
    [
        (
            "degiro",
            "CHF",
            degiro_file(degiro()),
            2,
            "Value",
            "an amount in CHF, the account's base currency, not in EUR",
        ),
        ("degiro", "EUR", degiro_file(degiro(isin="US2546871061")), 2, "ISIN", "an ISIN. "),
        (
            "degiro",
            "EUR",
            degiro_file(degiro("-16", "188.1200", "3009.92", "2533.39", "-0.55", "2532.84")),
            2,
            "Quantity",
            "no more than",
        ),
        ("ibkr", "CHF", flex_file(flex(CUSIP="037833101")), 2, "CUSIP", "a CUSIP. "),
        (
            "ibkr",
            "CHF",
            flex_file(flex(), flex(Multiplier="100", AssetClass="OPT")),
            3,
            "Multiplier",
            "1, the multiplier of AAPL.XNAS:USD",
        ),
        (
            "ibkr",
            "CHF",
            flex_file(flex(IBExecID="E1"), flex("11", IBExecID="E1")),
            3,
            "IBExecID",
            "another ID: line 2 has this one, with other content",
        ),
    ],
    ids=["another base", "ISIN", "oversold", "CUSIP", "multiplier", "an ID twice"],
)
def test_what_the_book_refuses_is_named_by_the_files_own_column(
    file_format: str, base: str, data: bytes, line: int, column: str, expected: str
) -> None:
    problem = refused(account(base), data=data, file_format=file_format)[0]

    assert (problem.line, problem.column) == (line, column)
    assert problem.expected.startswith(expected)


def test_a_multiplier_comes_with_a_new_instrument() -> None:
    row = flex("2", "3.5", Symbol="AAPL  230616C00150000", AssetClass="OPT", Multiplier="100", ListingExchange="CBOE")

    imported(account("CHF"), data=flex_file({**row, "ISIN": "", "CUSIP": ""}), file_format="ibkr")

    option = Instrument.objects.get()
    assert (option.multiplier, option.security_type, str(option.venue)) == (Decimal(100), "OPT", "XCBO")
    assert Execution.objects.get().gross_trade_amt == 700


def test_rows_passed_over_are_skipped_and_counted() -> None:
    mine = account("CHF")
    data = flex_file(flex(LevelOfDetail="ORDER"), flex(IBExecID="E1"))

    first, again = (take_in(mine, data=data, file_format="ibkr") for _ in range(2))

    assert (first.rows, first.imported, first.skipped, first.passed) == (2, 1, 1, 1)
    assert (again.imported, again.skipped, again.passed) == (0, 2, 1)
