"""IBKR's columns, one by one; what comes of whole files is in test_broker_files.py."""

import io
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from tests.trader.importing.exports import APPLE, FLEX_HEADER, Row, flex, flex_cancel, flex_file
from trader.importing.activities import (
    Cancellation,
    Destination,
    Details,
    Exchange,
    Fee,
    InstrumentName,
    Passed,
    Trade,
)
from trader.importing.activities import Row as Found
from trader.importing.ibkr import read
from trader.importing.ibkr_columns import REQUIRED
from trader.importing.problems import Problem, Problems
from trader.importing.values import Moment, Selections

HERE = Destination("CHF", ZoneInfo("America/New_York"))
AT = Moment(datetime(2023, 4, 3, 13, 58, 53, tzinfo=UTC), is_date=False, day=date(2023, 4, 3))
DETAILS = Details("APPLE INC", "CS", Decimal(1), Decimal(1), "037833100")
BOUGHT = Trade(
    at=AT,
    instrument=InstrumentName("AAPL", "XNAS", APPLE, "USD", DETAILS),
    side="BUY",
    quantity=Decimal(10),
    price=Decimal(100),
    amount=Decimal(1000),
    fees=(Fee(Decimal(1), "USD"),),
    fx_rate=Decimal("0.91"),
    settlement=None,
    selections=Selections(),
    last_mkt="ARCX",
    settl_date=date(2023, 4, 5),
)
DOLLARS = {"AssetClass": "CASH", "Symbol": "EUR.USD", "ListingExchange": "", "ISIN": "", "Multiplier": "1"}
# As IBKR books a trade again to settle it on another day: with its old IDs.
BOOKED_AGAIN: list[Row] = [
    flex("100", "56.11", TradeID="3571384109", IBExecID="0000d349.60409e83.01.01", IBCommission="-2.8055"),
    flex_cancel("3571384109", "-100", "56.11"),
    flex("100", "56.11", TradeID="3571384109", IBExecID="0000d349.60409e83.01.01", IBCommission="0"),
]


def rows(*cells: Row, header: tuple[str, ...] = FLEX_HEADER) -> tuple[list[Found | Passed | None], list[Problem]]:
    return read_data(flex_file(*cells, header=header))


def read_data(data: bytes) -> tuple[list[Found | Passed | None], list[Problem]]:
    problems = Problems()
    return list(read(io.BytesIO(data), problems, HERE)), problems.kept


def only(row: Row, header: tuple[str, ...] = FLEX_HEADER) -> Found:
    (found,), problems = rows(row, header=header)
    assert problems == []
    assert isinstance(found, Found)
    return found


def trade(row: Row) -> Trade:
    activity = only(row).activity
    assert isinstance(activity, Trade)
    return activity


def refusals(*cells: Row, line: int = 2) -> dict[str, tuple[str, str]]:
    found, problems = rows(*cells)
    assert found[line - 2] is None
    assert {problem.line for problem in problems} == {line}
    return {problem.column: (problem.value, problem.expected) for problem in problems}


def test_a_purchase() -> None:
    row = only(flex(IBExecID="0000d349.1.01"))

    assert row.activity == BOUGHT
    assert (row.line, row.external_id) == (2, "0000d349.1.01")


def test_a_sale_of_what_is_held_and_a_short_one() -> None:
    closing, opening = trade(flex("-10")), trade(flex("-10", **{"Open/CloseIndicator": "O"}))

    assert (closing.side, opening.side, closing.quantity) == ("SELL", "SELL_SHORT", Decimal(10))


def test_taxes_are_a_fee_of_their_own_and_a_rebate_is_negative() -> None:
    bought = trade(flex(IBCommission="0.25", IBCommissionCurrency="CHF", Taxes="-5"))

    assert bought.fees == (Fee(Decimal("-0.25"), "CHF"), Fee(Decimal(5), "USD", "TAX"))


def test_the_trade_date_is_the_brokers() -> None:
    overnight = trade(flex(DateTime="20230403;203000", TradeDate="20230404"))

    assert overnight.at == Moment(datetime(2023, 4, 4, 0, 30, tzinfo=UTC), is_date=False, day=date(2023, 4, 4))
    assert overnight.at.placed(ZoneInfo("America/Los_Angeles"))[1] == date(2023, 4, 4)


@pytest.mark.parametrize(
    "written",
    ["20230403;095853", "2023-04-03;09:58:53", "2023-04-03,09:58:53", "2023-04-03, 09:58:53", "20230403 095853"],
)
def test_a_time_may_be_written_as_flex_queries_offer(written: str) -> None:
    assert trade(flex(DateTime=written, TradeDate="2023-04-03")).at == AT


@pytest.mark.parametrize(
    ("asset", "more", "kind"),
    [
        ("STK", {"SubCategory": "COMMON"}, "CS"),
        ("STK", {"SubCategory": "ETF"}, "ETF"),
        ("ETF", {}, "ETF"),
        ("FUND", {}, "MF"),
        ("OPT", {"Multiplier": "100"}, "OPT"),
        ("WAR", {}, "WAR"),
    ],
)
def test_an_asset_class_is_a_security_type(asset: str, more: dict[str, str], kind: str) -> None:
    bought = trade(flex(AssetClass=asset, **more))

    assert bought.instrument.details.security_type == kind
    assert bought.amount == 1000 * Decimal(more.get("Multiplier", 1))


def test_a_market_of_execution_that_is_not_known_is_left_out() -> None:
    assert trade(flex(Exchange="IEX")).last_mkt == ""


@pytest.mark.parametrize(
    ("quantity", "exchange"),
    [
        ("1000", Exchange(AT, "EUR", Decimal(1000), "USD", Decimal("1087.5"), Fee(Decimal(2), "CHF"))),
        ("-1000", Exchange(AT, "USD", Decimal("1087.5"), "EUR", Decimal(1000), Fee(Decimal(2), "CHF"))),
    ],
    ids=["bought", "sold"],
)
def test_a_pair_of_currencies_is_exchanged(quantity: str, exchange: Exchange) -> None:
    row = flex(quantity, "1.0875", **DOLLARS, IBCommission="-2", IBCommissionCurrency="CHF")

    assert only(row).activity == exchange


def test_columns_that_are_none_of_its_own_are_ignored_and_most_may_be_missing() -> None:
    row = flex(IBExecID="E1", Weight="()", Issuer="=1+1")

    few = only(row, header=REQUIRED).activity

    assert isinstance(few, Trade)
    assert only(row).activity == BOUGHT
    assert (few.amount, few.fx_rate, few.instrument.isin) == (None, None, "")


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (FLEX_HEADER[1:], Problem(1, "ClientAccountID", "", "a column ClientAccountID")),
        (
            tuple("IBExecutionID" if title == "IBExecID" else title for title in FLEX_HEADER),
            Problem(1, "IBExecID", "IBExecutionID", "a column IBExecID"),
        ),
        (
            tuple("tradePrice" if title == "TradePrice" else title for title in FLEX_HEADER),
            Problem(1, "TradePrice", "tradePrice", "a column TradePrice"),
        ),
    ],
    ids=["missing", "renamed", "another case"],
)
def test_a_column_that_is_missing_is_named_with_what_may_be_meant(header: tuple[str, ...], problem: Problem) -> None:
    found, problems = rows(flex(), header=header)

    assert (found, problems) == ([], [problem])


def test_rows_that_sum_fills_up_are_passed_over() -> None:
    found, problems = rows(flex(LevelOfDetail="ORDER"), flex(), flex(LevelOfDetail="CLOSED_LOT", DateTime=""))

    assert problems == []
    assert [row.why if isinstance(row, Passed) else "" for row in found] == [
        "ORDER: the executions of an order, summed up",
        "",
        "CLOSED_LOT: a lot that an execution closed",
    ]


def test_a_header_that_comes_again_is_no_row() -> None:
    data = flex_file(flex(IBExecID="E1")) + flex_file(flex(IBExecID="E2"))

    found, problems = read_data(data)

    assert problems == []
    assert [(row.line, row.external_id) for row in found if isinstance(row, Found)] == [(2, "E1"), (4, "E2")]


def test_the_header_of_another_section_is_refused() -> None:
    _, problems = read_data(flex_file(flex()) + b'"ClientAccountID","Amount"\n"U1234567","5"\n')

    assert [(problem.line, problem.column) for problem in problems] == [(3, "Model"), (4, "Model")]


def test_a_second_account_is_refused() -> None:
    assert refusals(flex(), flex(ClientAccountID="U7654321"), line=3) == {
        "ClientAccountID": ("U7654321", "U1234567, as a file is of one account")
    }


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        (flex(LevelOfDetail="LOT"), "LevelOfDetail", "EXECUTION, or one of ORDER, CLOSED_LOT"),
        (flex(AssetClass="FUT"), "AssetClass", "one of STK, ETF, FUND, OPT, WAR, CASH: take the row out"),
        (flex(DateTime="20230403;095853 EST"), "DateTime", "a time of the account's zone such as 20230403;095853"),
        (flex(DateTime="20230403"), "DateTime", "a time of the account's zone"),
        (flex(DateTime="04/03/2023;095853"), "DateTime", "a time of the account's zone"),
        (flex(DateTime="20230431;095853"), "DateTime", "a date and time that exist"),
        (flex(DateTime="20230403;250000"), "DateTime", "a date and time that exist"),
        (flex(DateTime="20230312;023000"), "DateTime", "a time that the clocks of America/New_York show"),
        (flex(DateTime=""), "DateTime", "a value: an execution needs one"),
        (flex(TradeDate="3/4/2023"), "TradeDate", "a date such as 20230403"),
        (flex(ListingExchange="MOON"), "ListingExchange", "a market whose MIC is known"),
        (flex(ListingExchange=""), "ListingExchange", "a value: an execution needs one"),
        (flex(**{"Buy/Sell": "SELL"}), "Quantity", "a number under 0 in this row"),
        (flex("-1", **{"Buy/Sell": "BUY"}), "Quantity", "a number over 0 in this row"),
        (flex(**{"Buy/Sell": "LEND"}), "Buy/Sell", "one of BUY, SELL, BUY (Ca.), SELL (Ca.)"),
        (flex("0"), "Quantity", "an amount other than 0"),
        (flex(Quantity="1,000"), "Quantity", "a number such as -1234.56, without thousands separators"),
        (flex(Proceeds="-1100"), "Proceeds", "1000, quantity x price x multiplier"),
        (flex(Symbol="=AAPL"), "Symbol", "what the formula stands for, not the formula"),
        (flex(IBCommission="free"), "IBCommission", "a number such as -1234.56"),
        (flex("5", "1.1", **DOLLARS | {"Symbol": "EUR"}), "Symbol", "a pair of currencies, the second one USD"),
        (flex("5", "1.1", **DOLLARS, Taxes="-1"), "Taxes", "nothing of an exchange of currencies"),
    ],
)
def test_a_cell_that_says_something_else_is_refused(row: Row, column: str, expected: str) -> None:
    assert refusals(row)[column][1].startswith(expected)


def test_what_may_be_told_otherwise_later_is_not_of_the_content() -> None:
    first = only(flex(IBExecID="E1"))
    later = flex(IBExecID="E1", Description="APPLE", FXRateToBase="0.92", ListingExchange="NYSE", CUSIP="", ISIN="")

    assert only(later).digest == first.digest
    assert only(flex(IBExecID="E1", IBCommission="-2")).digest != first.digest


def test_a_trade_without_an_exec_id_is_told_apart_by_its_trade_id() -> None:
    first, second = only(flex(TradeID="1")), only(flex(TradeID="2"))

    assert first.external_id == second.external_id == ""
    assert first.digest != second.digest


def test_a_cancel_takes_back_the_trade_of_its_id() -> None:
    found, problems = rows(flex(TradeID="7", IBExecID="E7"), flex_cancel("7", IBCommission="1"))

    assert problems == []
    assert [row.activity for row in found if isinstance(row, Found)][1] == Cancellation(AT, "E7")


def test_a_trade_that_is_booked_again_as_it_was_counts_once() -> None:
    found, problems = rows(*BOOKED_AGAIN)

    assert problems == []
    assert [row.why if isinstance(row, Passed) else "" for row in found] == [
        "",
        "a cancel of line 2, which is booked again as it was",
        "line 2, booked again as it was",
    ]


ABOVE = "the TradeID of one execution, above in this file: take the row out, import the file, and bust it by hand"


@pytest.mark.parametrize(
    ("cells", "line", "column", "expected"),
    [
        ([flex_cancel("7")], 2, "OrigTradeID", ABOVE),
        ([flex_cancel("")], 2, "OrigTradeID", "a value: an execution needs one"),
        ([flex(TradeID="7"), flex_cancel("7", IBCommission="1")], 3, "OrigTradeID", ABOVE),
        ([flex_cancel("7", IBCommission="1"), flex(TradeID="7", IBExecID="E7")], 2, "OrigTradeID", ABOVE),
        ([flex(TradeID="7", IBExecID="E7"), flex_cancel("7", "-5")], 3, "Quantity", "-10 at 100, the whole of line 2"),
        (
            [flex(TradeID="7", IBExecID="E7"), flex_cancel("7")],
            3,
            "IBCommission",
            "1 with the taxes, all that line 2 cost: take the row out, import the file, and bust that trade by hand",
        ),
        ([*BOOKED_AGAIN[:2], flex("100", "57", TradeID="3571384109")], 3, "OrigTradeID", ABOVE),
    ],
    ids=["of no trade", "of none", "without an ID", "below", "in part", "costs kept", "booked at another price"],
)
def test_a_cancel_that_cannot_be_done_is_refused(cells: list[Row], line: int, column: str, expected: str) -> None:
    assert refusals(*cells, line=line)[column][1].startswith(expected)
