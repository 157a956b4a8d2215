from datetime import UTC, date, datetime

import pytest

from tests.factories import AccountFactory, CorporateActionFactory, CurrencyFactory, InstrumentFactory, VenueFactory
from tests.trader.importing.intake import imported, refused
from tests.trader.importing.sheets import Row, cash, exchange, split, trade
from tests.trader.operations.books import Book
from trader.importing.problems import Problem
from trader.models import Account, CorporateAction, Execution, ImportRow, Instrument, JournalEntry

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    CurrencyFactory.create(code="USD")
    return AccountFactory.create(time_zone="Europe/Zurich")


@pytest.fixture
def tokyo() -> Instrument:
    venue = VenueFactory.create(mic="XTKS", time_zone="Asia/Tokyo")
    return InstrumentFactory.create(symbol="7203", venue=venue)


@pytest.mark.parametrize(
    ("text", "instant", "day"),
    [
        ("2026-01-05", datetime(2026, 1, 4, 15, tzinfo=UTC), date(2026, 1, 5)),
        ("2026-01-05T09:00:00", datetime(2026, 1, 5, 0, tzinfo=UTC), date(2026, 1, 5)),
        ("2026-01-05T23:30:00Z", datetime(2026, 1, 5, 23, 30, tzinfo=UTC), date(2026, 1, 6)),
    ],
)
def test_times_of_an_instrument_are_its_venue_s(
    account: Account, tokyo: Instrument, text: str, instant: datetime, day: date
) -> None:
    listed = {"symbol": "7203", "mic": "XTKS", "transact_time": text}

    imported(account, trade(**listed), cash("DIVIDEND", **listed), split(**listed))

    execution = Execution.objects.get()
    assert (execution.transact_time, execution.trade_date) == (instant, day)
    assert set(JournalEntry.objects.values_list("value_date", flat=True)) == {day}
    assert CorporateAction.objects.get().ex_date == day


def test_times_of_no_instrument_are_the_account_s(account: Account) -> None:
    imported(account, cash(transact_time="2026-01-05T23:30:00Z"), exchange(transact_time="2026-01-06"))

    assert set(JournalEntry.objects.values_list("value_date", flat=True)) == {date(2026, 1, 6)}


@pytest.mark.parametrize(
    ("row", "zone"),
    [
        (cash(transact_time="2026-03-29T02:30:00"), "Europe/Zurich"),
        (trade(mic="XNAS", transact_time="2026-03-08T02:30:00"), "America/New_York"),
    ],
)
def test_a_time_that_the_clocks_skip_is_refused(account: Account, row: Row, zone: str) -> None:
    VenueFactory.create(mic="XNAS", time_zone="America/New_York")

    (problem,) = refused(account, row)

    expected = f"a time that the clocks of {zone} show"
    assert problem == Problem(2, "transact_time", row["transact_time"], expected)


BIG = "9" * 15


@pytest.mark.parametrize(
    ("cells", "column", "value", "expected"),
    [
        (
            {"quantity": "0.000000001"},
            "quantity",
            "0.000000001",
            "at least 0.00000001, the quantity increment of AAA.XXXX:CHF",
        ),
        (
            {"price": "0.0000000000001", "quantity": "0.000001"},
            "price",
            "0.0000000000001",
            "at most 12 decimal places, or",
        ),
        ({"price": "1." + "1" * 20}, "price", "1." + "1" * 20, "at most 12 decimal places, or the gross amount in its"),
        ({"price": BIG, "quantity": BIG}, "quantity", BIG, "a gross amount under 1e20"),
        (
            {"price": "", "amount": "1000000000000", "quantity": "0.0001"},
            "amount",
            "1000000000000",
            "a price under 1e16",
        ),
        ({"settl_currency": "USD"}, "settl_amount", "", "an amount, for no rate CHF/USD is known on 2026-01-05"),
        ({"settl_currency": "USD", "fx_rate": "2"}, "settl_amount", "", "an amount, for no rate CHF/USD is known on"),
    ],
)
def test_figures_that_the_book_cannot_keep_are_refused(
    account: Account, cells: dict[str, str], column: str, value: str, expected: str
) -> None:
    (problem,) = refused(account, trade(**cells))

    assert problem[:3] == (2, column, value)
    assert problem.expected.startswith(expected)


def test_every_row_with_a_problem_is_named(account: Account) -> None:
    found = refused(
        account,
        trade(price="?"),
        trade(currency="GBX"),
        cash(),
        trade(quantity="0.000000001"),
        cash(transact_time="2026-03-29T02:30:00"),
        trade("SELL", quantity="1e6"),
    )

    assert [(problem.line, problem.column) for problem in found] == [
        (2, "price"),
        (3, "currency"),
        (5, "quantity"),
        (6, "transact_time"),
    ]


def test_what_is_sold_beyond_what_is_held_is_refused(account: Account) -> None:
    (problem,) = refused(
        account,
        trade(quantity="10"),
        trade("SELL", "10.5", transact_time="2026-01-06"),
        trade("BUY", "5", transact_time="2026-01-07"),
    )

    assert problem[:3] == (3, "quantity", "10.5")
    assert problem.expected == (
        f"no more than {account} holds of AAA.XXXX:CHF on 2026-01-06: "
        "A sale of 10.5 is 0.5 more than the account holds."
    )


def test_a_sale_of_an_earlier_file_that_a_new_one_oversells_is_named(account: Account) -> None:
    imported(account, trade(), trade("SELL", external_id="T2", transact_time="2026-01-07"))

    (problem,) = refused(account, trade("SELL", "1", transact_time="2026-01-06"))

    assert problem[:3] == (None, "", "T2")


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([trade(external_id="T1"), trade("SELL", lots="T9:1", transact_time="2026-01-06")], (3, "lots", "T9")),
        ([cash(external_id="D1"), trade("SELL", lots="D1:1")], (3, "lots", "D1")),
        ([trade("SELL", lots="T1:1", external_id="T1")], (2, "", "trader_lotselection_opening_execution_rule")),
        (
            [trade(external_id="T1"), cash(), trade(lots="T1:1", transact_time="2026-01-06")],
            (4, "", "trader_lotselection_opening_execution_rule"),
        ),
        (
            [trade(external_id="T1", transact_time="2026-01-07"), trade("SELL", lots="T1:1")],
            (3, "", "trader_lotselection_opening_execution_rule"),
        ),
        (
            [trade(external_id="T1"), trade("SELL", symbol="BBB", lots="T1:1", transact_time="2026-01-06")],
            (3, "", "trader_lotselection_opening_execution_rule"),
        ),
        (
            [trade(external_id="T1"), trade(), trade("SELL", "11", lots="T1:11", transact_time="2026-01-06")],
            (4, "", "trader_lotselection_quantity_rule"),
        ),
    ],
    ids=["unknown", "no trade", "itself", "of its own side", "of later", "of another instrument", "more than it holds"],
)
def test_lots_that_a_trade_cannot_close_are_refused(
    account: Account, rows: list[Row], line: tuple[int, str, str]
) -> None:
    account.cost_basis_method = Account.CostBasisMethod.SPECIFIC
    account.save()

    (problem,) = refused(account, *rows)

    assert problem[:3] == line


def test_lots_that_others_used_up_are_refused(account: Account) -> None:
    account.cost_basis_method = Account.CostBasisMethod.SPECIFIC
    account.save()

    (problem,) = refused(
        account,
        trade(external_id="T1"),
        trade(external_id="T2"),
        trade("SELL", "5", transact_time="2026-01-06"),
        trade("SELL", "8", lots="T1:6", external_id="T4", transact_time="2026-01-07"),
    )

    assert problem.expected.endswith("6 units are selected of a lot that holds 5.")


def test_a_split_that_the_book_has_is_known(account: Account) -> None:
    instrument = InstrumentFactory.create(symbol="AAA", venue=VenueFactory.create(mic="XXXX", time_zone="UTC"))
    CorporateActionFactory.create(instrument=instrument)

    known = imported(account, cash(), split("4:1"), split("4:1"))

    assert known == (1, 2)
    assert CorporateAction.objects.count() == 1
    assert sorted(ImportRow.objects.values_list("state", flat=True)) == ["IMPORTED", "KNOWN", "KNOWN"]


def test_a_split_that_the_book_has_otherwise_is_refused(account: Account) -> None:
    instrument = InstrumentFactory.create(symbol="AAA", venue=VenueFactory.create(mic="XXXX", time_zone="UTC"))
    CorporateActionFactory.create(instrument=instrument)

    found = refused(account, split("8:2"))

    assert found == [Problem(2, "quantity", "8:2", "4:1, as AAA.XXXX:CHF was split on 2026-01-05")]


def test_a_split_that_oversells_another_account_is_refused(account: Account) -> None:
    book = Book(instrument=InstrumentFactory.create(symbol="AAA"))
    book.buy("10", day=1)
    book.sell("10", day=3, exec_id="THEIRS")

    (problem,) = refused(account, split("1:2", mic="XSWX", transact_time="2026-01-06"))

    assert problem[:3] == (None, "", "THEIRS")
    assert str(book.account) in problem.expected


def test_a_quantity_that_splits_make_too_large_is_refused(account: Account) -> None:
    growth = [split("999999999:1", currency="CHF", transact_time=f"2026-01-{day:02}") for day in range(6, 20)]

    (problem,) = refused(account, trade(transact_time="2026-01-05"), *growth, trade(transact_time="2026-02-01"))

    assert problem == Problem(None, "", "", "quantities and amounts that the book has room for")


@pytest.mark.parametrize(
    "row",
    [
        trade(quantity="11111", price="9e15", fee="9e17"),
        trade("SELL", "0.00000001", "1e15", fee="9e17", fee_currency="AAA"),
    ],
    ids=["a leg", "a fee in units"],
)
def test_what_the_database_has_no_room_for_is_refused_with_its_line(account: Account, row: Row) -> None:
    (problem,) = refused(account, cash(), row, cash())

    assert problem == Problem(3, "", "", "numeric field overflow")
