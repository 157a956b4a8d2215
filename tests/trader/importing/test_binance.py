"""Binance's rows, and what those of one second make; what comes of whole files is in test_broker_files.py."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.trader.importing.exports import BINANCE_HEADER, binance_file, change, written
from tests.trader.importing.intake import HERE
from trader.importing.activities import Activity, Cash, Details, Exchange, Fee, InstrumentName, Passed, Row, Trade
from trader.importing.binance import BY_HAND, read
from trader.importing.problems import Problem, Problems
from trader.importing.values import Moment, Selections

AT = Moment(datetime(2021, 11, 29, 9, 56, 38, tzinfo=UTC), is_date=False)
LATER = "2021-11-29 09:56:39"
CRYPTO = Details(security_type="CRYPTO")
BOUGHT = Trade(
    at=AT,
    instrument=InstrumentName("DOT", "", "", "EUR", CRYPTO),
    side="BUY",
    quantity=Decimal("2.53024468"),
    price=None,
    amount=Decimal(80),
    fees=(),
    fx_rate=None,
    settlement=None,
    selections=Selections(),
)
DOT, EUR = change("Transaction Related", "DOT", "2.53024468"), change("Transaction Related", "EUR", "-80")


def rows(*changes: Sequence[str]) -> tuple[list[Row | Passed | None], list[Problem]]:
    problems = Problems()
    return list(read(io.BytesIO(binance_file(*changes)), problems, HERE)), problems.kept


def only(*changes: Sequence[str]) -> Row:
    (found,), problems = rows(*changes)
    assert problems == []
    assert isinstance(found, Row)
    return found


def activities(*changes: Sequence[str]) -> list[Activity]:
    found, problems = rows(*changes)
    assert problems == []
    return [row.activity for row in found if isinstance(row, Row)]


def refusal(*changes: Sequence[str]) -> Problem:
    found, (problem,) = rows(*changes)
    assert not any(isinstance(row, Row) for row in found)
    assert sum(row.rows if row else 1 for row in found) == len(changes)
    return problem


def test_the_rows_of_a_second_make_a_fill() -> None:
    row = only(DOT, EUR)

    assert row.activity == BOUGHT
    assert (row.line, row.rows, row.external_id) == (2, 2, "")
    assert row.raw == (
        "139221274,2021-11-29 09:56:38,Spot,Transaction Related,DOT,2.53024468,\n"
        "139221274,2021-11-29 09:56:38,Spot,Transaction Related,EUR,-80,"
    )


def test_their_order_and_their_operations_are_not_of_the_content() -> None:
    renamed = change("Transaction Buy", "DOT", "2.53024468"), change("Transaction Spend", "EUR", "-80.00")

    assert only(EUR, DOT).digest == only(DOT, EUR).digest == only(*renamed).digest
    assert only(DOT, change("Buy", "EUR", "-81")).digest != only(DOT, EUR).digest


def test_fills_of_one_second_are_one_of_their_sums() -> None:
    (fill,) = activities(DOT, EUR, change("Buy", "DOT", "1"), change("Buy", "EUR", "-30"))

    assert fill == BOUGHT._replace(quantity=Decimal("3.53024468"), amount=Decimal(110))


def test_a_sale() -> None:
    (fill,) = activities(change("Sell", "DOT", "-2"), change("Sell", "EUR", "60"))

    assert fill == BOUGHT._replace(side="SELL", quantity=Decimal(2), amount=Decimal(60))


@pytest.mark.parametrize(
    ("coin", "amount", "fee"),
    [
        ("EUR", "-0.08", Fee(Decimal("0.08"), "EUR")),
        ("DOT", "-0.0025", Fee(Decimal("0.0025"), "")),
        ("BNB", "-0.0001", Fee(Decimal("0.0001"), "BNB")),
        ("BNB", "0.0001", Fee(Decimal("-0.0001"), "BNB")),
    ],
    ids=["in the quote", "in units", "in a third coin", "paid back"],
)
def test_a_fee_belongs_to_the_fill_of_its_second(coin: str, amount: str, fee: Fee) -> None:
    (fill,) = activities(DOT, change("Fee", coin, amount), EUR)

    assert fill == BOUGHT._replace(fees=(fee,))


@pytest.mark.parametrize(
    ("coins", "symbol", "currency"),
    [
        (("BTC", "EUR"), "BTC", "EUR"),
        (("BTC", "USDT"), "BTC", "USDT"),
        (("ETH", "BTC"), "ETH", "BTC"),
        (("ETH", "BNB"), "BNB", "ETH"),
        (("1INCH", "BNB"), "1INCH", "BNB"),
    ],
)
def test_the_quote_is_fiat_then_a_stablecoin_then_a_coin_that_others_are_quoted_in(
    coins: tuple[str, str], symbol: str, currency: str
) -> None:
    for bought, paid in (coins, coins[::-1]):
        (fill,) = activities(change("Buy", bought, "1"), change("Buy", paid, "-2"))

        assert isinstance(fill, Trade)
        assert (fill.instrument.symbol, fill.instrument.currency) == (symbol, currency)
        assert fill.side == ("BUY" if bought == symbol else "SELL")


def test_a_stablecoin_bought_for_fiat_is_an_exchange() -> None:
    (exchange,) = activities(change("Buy", "USDT", "112"), change("Buy", "EUR", "-100"), change("Fee", "USDT", "-0.1"))

    assert exchange == Exchange(AT, "USDT", Decimal(112), "EUR", Decimal(100), Fee(Decimal("0.1"), "USDT"))


@pytest.mark.parametrize(
    ("operation", "coin", "amount", "kind", "booked"),
    [
        ("Deposit", "EUR", "196.4", "DEPOSIT", "196.4"),
        ("Deposit", "USDT", "10", "DEPOSIT", "10"),
        ("Withdrawal", "EUR", "-100", "WITHDRAWAL", "100"),
        ("Withdraw", "USDC", "-5", "WITHDRAWAL", "5"),
        ("Simple Earn Flexible Interest", "DOT", "0.001", "INTEREST", "0.001"),
        ("Savings Interest", "USDT", "0.02", "INTEREST", "0.02"),
        ("Commission History", "BNB", "0.003", "FEE", "-0.003"),
    ],
)
def test_what_is_no_fill_is_money(operation: str, coin: str, amount: str, kind: str, booked: str) -> None:
    assert activities(change(operation, coin, amount)) == [Cash(AT, kind, None, coin, Decimal(booked), None)]


def test_money_between_the_rows_of_a_fill_does_not_part_them() -> None:
    assert activities(DOT, change("Deposit", "EUR", "5"), EUR) == [
        Cash(AT, "DEPOSIT", None, "EUR", Decimal(5), None),
        BOUGHT,
    ]


def test_a_move_within_binance_is_passed_over() -> None:
    found, problems = rows(change("Simple Earn Flexible Subscription", "USDT", "-50"))

    assert problems == []
    assert found == [Passed(2, 1, "Simple Earn Flexible Subscription: a move within Binance")]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            [DOT],
            Problem(
                2, "Coin", "2.53024468 DOT", f"at one second one coin that comes and another one that goes: {BY_HAND}"
            ),
        ),
        (
            [DOT, EUR, change("Buy", "ETH", "1")],
            Problem(
                2,
                "Coin",
                "2.53024468 DOT, -80 EUR, 1 ETH",
                f"at one second one coin that comes and another one that goes: {BY_HAND}",
            ),
        ),
        (
            [change("Buy", "ADA", "1"), change("Buy", "SOL", "-2")],
            Problem(2, "Coin", "1 ADA, -2 SOL", f"a fill for fiat, a stablecoin, BTC, ETH or BNB: {BY_HAND}"),
        ),
        (
            [DOT, EUR, change("Sell", "DOT", "-1"), change("Sell", "EUR", "31")],
            Problem(2, "Coin", "DOT", f"purchases or sales in one second, not both: {BY_HAND}"),
        ),
        (
            [change("Fee", "BNB", "-0.1")],
            Problem(2, "Operation", "Fee", f"a fill at that second, which the fee is of: {BY_HAND}"),
        ),
    ],
    ids=["one side", "three coins", "no quote", "bought and sold", "a fee alone"],
)
def test_rows_of_a_second_that_are_no_fill_are_refused_together(changes: list[Sequence[str]], problem: Problem) -> None:
    assert refusal(*changes) == problem


def test_fills_of_one_second_that_stand_apart_are_refused() -> None:
    elsewhere = change("Deposit", "EUR", "5", LATER)

    found, problems = rows(DOT, EUR, elsewhere, change("Buy", "DOT", "1"), change("Buy", "EUR", "-30"))

    assert [row.rows for row in found if row] == [2, 1, 2]
    assert problems == [
        Problem(
            5,
            "UTC_Time",
            "2021-11-29 09:56:38",
            "the rows of a second together: line 2 is of this one. Sort the file by UTC_Time",
        )
    ]


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        (change("Deposit", "BTC", "1"), "Coin", "fiat or a stablecoin: a coin comes with what it cost"),
        (change("Withdrawal", "BTC", "-1"), "Coin", "fiat or a stablecoin: a coin comes with what it cost"),
        (change("Deposit", "EUR", "-1"), "Change", "a number of the other sign of a Deposit"),
        (change("Withdrawal", "EUR", "1"), "Change", "a number of the other sign of a Withdrawal"),
        (change("Distribution", "LUNA", "1"), "Operation", "an operation that is read: take the line out"),
        (change("", "EUR", "1"), "Operation", "a value: every row needs one"),
        (change("Buy", "eur", "1"), "Coin", "a coin, in capital letters and digits"),
        (change("Buy", "EUR", "0"), "Change", "an amount other than 0"),
        (change("Buy", "EUR", "1,5"), "Change", "a number such as -1234.56"),
        (change("Buy", "EUR", "1", "23-08-06 02:34:03"), "UTC_Time", "a date or time such as"),
        (change("Buy", "EUR", "1", "2021-11-29"), "UTC_Time", "a time of UTC such as 2021-11-29 09:56:38"),
        (change("Buy", "EUR", "1", "2021-11-29 09:56:38+01:00"), "UTC_Time", "a time of UTC such as"),
        (change("Buy", "EUR", "1", user=""), "User_ID", "a user, as a file is of one user"),
    ],
)
def test_a_cell_that_says_something_else_is_refused(row: Sequence[str], column: str, expected: str) -> None:
    problem = refusal(row)

    assert (problem.line, problem.column) == (2, column)
    assert problem.expected.startswith(expected)


def test_a_second_user_is_refused() -> None:
    found, problems = rows(DOT, EUR, change("Deposit", "EUR", "5", LATER, user="2"))

    assert len(found) == 2
    assert problems == [Problem(4, "User_ID", "2", "139221274, as a file is of one user")]


def test_a_fill_of_which_a_row_cannot_be_read_is_refused_for_that_alone() -> None:
    assert refusal(DOT, change("Buy", "EUR", "?")).value == "?"


def test_the_headers_of_other_exports_are_refused() -> None:
    problems = Problems()
    header = ["User ID", "Time", *BINANCE_HEADER[2:]]

    found = list(read(io.BytesIO(written([header, DOT])), problems, HERE))

    assert found == []
    assert [(problem.value, problem.expected) for problem in problems.kept] == [
        ("User ID", "User_ID, or no such column"),
        ("Time", "UTC_Time, or no such column"),
        ("", "a column User_ID"),
        ("", "a column UTC_Time"),
    ]
