import io
from datetime import datetime
from decimal import Decimal

import pytest

from tests.trader.importing.intake import HERE
from tests.trader.importing.sheets import Row, cancel, cash, correction, exchange, sheet, split, trade
from trader.importing import activities, generic
from trader.importing.activities import (
    Cancellation,
    Cash,
    Correction,
    Exchange,
    Fee,
    InstrumentName,
    Settlement,
    Split,
    Trade,
)
from trader.importing.problems import Problem, Problems
from trader.importing.values import Moment, Ratio, Selection, Selections

MORNING = Moment(datetime.fromisoformat("2026-01-05T09:00:00+00:00"), is_date=False)
DAY = Moment(datetime.fromisoformat("2026-01-05"), is_date=True)
AAA = InstrumentName("AAA", "", "", "CHF")
TRADE = Trade(MORNING, AAA, "BUY", Decimal(10), Decimal(100), None, (), None, None, Selections())
KINDS = [
    "TRADE",
    "CORRECT",
    "CANCEL",
    "DEPOSIT",
    "WITHDRAWAL",
    "DIVIDEND",
    "WITHHOLDING_TAX",
    "FEE",
    "INTEREST",
    "FX",
    "SPLIT",
]


def read(data: bytes) -> tuple[list[activities.Row | None], list[Problem]]:
    problems = Problems()
    return list(generic.read(io.BytesIO(data), problems, HERE)), problems.kept


def only(row: Row) -> activities.Row:
    (found,), problems = read(sheet(row))
    assert problems == []
    assert found is not None
    return found


def refusals(row: Row) -> dict[str, tuple[str, str]]:
    """What is refused of the one row, by its columns."""
    found, problems = read(sheet(row))
    assert found == [None]
    assert {problem.line for problem in problems} == {2}
    return {problem.column: (problem.value, problem.expected) for problem in problems}


@pytest.mark.parametrize(
    ("row", "activity"),
    [
        (trade(), TRADE),
        (
            trade("SELL_SHORT", price="", amount="1000"),
            TRADE._replace(side="SELL_SHORT", price=None, amount=Decimal(1000)),
        ),
        (trade(amount="1000.5"), TRADE._replace(amount=Decimal("1000.5"))),
        (
            trade(mic="XSWX", isin="CH0038863350"),
            TRADE._replace(instrument=InstrumentName("AAA", "XSWX", "CH0038863350", "CHF")),
        ),
        (
            trade(symbol="", isin="CH0038863350"),
            TRADE._replace(instrument=InstrumentName("", "", "CH0038863350", "CHF")),
        ),
        (trade(fee="1.5"), TRADE._replace(fees=(Fee(Decimal("1.5"), "CHF"),))),
        (trade(fee="-1.5", fee_currency="EUR"), TRADE._replace(fees=(Fee(Decimal("-1.5"), "EUR"),))),
        (trade(fee="0.1", fee_currency="AAA"), TRADE._replace(fees=(Fee(Decimal("0.1"), ""),))),
        (trade(fee="0"), TRADE),
        (trade(fee_currency="EUR"), TRADE),
        (trade(fx_rate="0.9"), TRADE._replace(fx_rate=Decimal("0.9"))),
        (trade(settl_currency="EUR"), TRADE._replace(settlement=Settlement("EUR", None))),
        (trade(settl_currency="EUR", settl_amount="0"), TRADE._replace(settlement=Settlement("EUR", Decimal(0)))),
        (trade(settl_currency="CHF"), TRADE),
        (
            trade("SELL", lots="T1:4;T2:6"),
            TRADE._replace(
                side="SELL", selections=Selections([Selection("T1", Decimal(4)), Selection("T2", Decimal(6))])
            ),
        ),
        (correction("T1", quantity="9"), Correction(MORNING, TRADE._replace(quantity=Decimal(9)), "T1")),
        (cancel("T1"), Cancellation(DAY, "T1")),
        (
            cancel("T1", symbol="AAA", mic="XSWX", isin="", currency="CHF", side="BUY", quantity="1", price="2"),
            (Cancellation(DAY, "T1")),
        ),
        *(
            (cash(kind), Cash(DAY, kind, None, "CHF", Decimal(100), None))
            for kind in ("DEPOSIT", "WITHDRAWAL", "FEE", "INTEREST")
        ),
        *(
            (
                cash(kind, "-2.5", symbol="AAA", fx_rate="0.9"),
                Cash(DAY, kind, AAA, "CHF", Decimal("-2.5"), Decimal("0.9")),
            )
            for kind in ("DIVIDEND", "WITHHOLDING_TAX", "FEE", "INTEREST")
        ),
        (exchange(), Exchange(DAY, "USD", Decimal(1000), "CHF", Decimal(910))),
        (split(), Split(DAY, InstrumentName("AAA", "", "", ""), Ratio(4, 1))),
        (split("1:20", currency="CHF"), Split(DAY, AAA, Ratio(1, 20))),
    ],
)
def test_a_row_is_read_as_the_activity_that_it_says(row: Row, activity: activities.Activity) -> None:
    assert only(row).activity == activity


def test_columns_come_in_any_order_and_what_a_file_has_no_use_for_is_left_out() -> None:
    columns = ["note", "currency", "price", "quantity", "side", "symbol", "type", "transact_time"]

    (found,), problems = read(sheet(trade(note="hello"), columns=columns))

    assert (found and found.activity, problems) == (TRADE, [])


def test_a_row_says_where_it_stands() -> None:
    rows, _ = read(sheet(trade(external_id="T1"), {}, trade(note="a\nb"), trade()))

    assert [row and (row.line, row.external_id) for row in rows] == [(2, "T1"), None, (4, ""), (6, "")]
    assert rows[0] is not None
    assert rows[0].raw == "2026-01-05T09:00:00Z,TRADE,AAA,,,BUY,10,100,,CHF,,,,,,,T1,,"


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        (trade(transact_time=""), "transact_time", "a value: TRADE needs one"),
        (trade(transact_time="2026-02-30"), "transact_time", "a date and time that exist"),
        (trade(type=""), "type", "a value: every row needs one"),
        (trade(type="BUY"), "type", f"one of {', '.join(KINDS)}"),
        (trade(type="trade"), "type", f"one of {', '.join(KINDS)}"),
        (trade(symbol=""), "symbol", "a symbol or an ISIN"),
        (trade(currency=""), "currency", "a value: TRADE needs one"),
        (trade(side="buy"), "side", "one of BUY, SELL, SELL_SHORT"),
        (trade(side=""), "side", "a value: TRADE needs one"),
        (trade(quantity=""), "quantity", "a value: TRADE needs one"),
        (trade(quantity="-10"), "quantity", "a number over 0"),
        (trade(price=""), "price", "a price, or a gross amount in its column"),
        (trade(price="NaN"), "price", "a number such as -1234.56, without thousands separators"),
        (trade(amount="-1000"), "amount", "a number without a sign: the side gives it its own"),
        (trade(fee="x"), "fee", "a number such as -1234.56, without thousands separators"),
        (trade(fee="10", fee_currency="AAA"), "fee", "fewer than the 10 units that were traded"),
        (trade("SELL", fee="-10", fee_currency="AAA"), "fee", "fewer than the 10 units that were traded"),
        (
            trade(fee="1", fee_currency="aaa"),
            "fee_currency",
            "a code of capital letters and digits, such as CHF or BTC",
        ),
        (trade(settl_amount="5"), "settl_currency", "the currency of settl_amount"),
        (
            trade(settl_currency="CHF", settl_amount="5"),
            "settl_amount",
            "nothing: the trade is settled in its own currency",
        ),
        (trade("SELL", lots="T1:4;T2:6.1"), "lots", "lots of at most 10 units together"),
        (trade("BUY", lots="T1:10", fee="1", fee_currency="AAA"), "lots", "lots of at most 9 units together"),
        (
            trade("SELL", f"{'9' * 18}.{'0' * 17}1", lots=f"T1:{'9' * 18};T2:0.{'0' * 17}2"),
            "lots",
            f"lots of at most {'9' * 18}.{'0' * 17}1 units together",
        ),
        (trade("SELL", lots="T1"), "lots", "lots such as T1:10;T2:5"),
        (trade(external_id="x" * 129), "external_id", "at most 128 printable characters"),
        (correction(""), "exec_ref", "a value: CORRECT needs one"),
        (cancel(""), "exec_ref", "a value: CANCEL needs one"),
        (cancel("T1", price="x"), "price", "a number such as -1234.56, without thousands separators"),
        (cash("DEPOSIT", "-1"), "amount", "a number over 0"),
        (cash("WITHDRAWAL", "0"), "amount", "a number over 0"),
        (cash("FEE", "0"), "amount", "an amount other than 0"),
        (cash("INTEREST", ""), "amount", "a value: INTEREST needs one"),
        (cash("FEE", currency=""), "currency", "a value: FEE needs one"),
        (cash("FEE", mic="XSWX"), "symbol", "a symbol or an ISIN"),
        (cash("DIVIDEND"), "symbol", "a symbol or an ISIN"),
        (cash("WITHHOLDING_TAX"), "symbol", "a symbol or an ISIN"),
        (exchange(amount="-1"), "amount", "a number over 0"),
        (exchange(settl_amount="0"), "settl_amount", "a number over 0"),
        (exchange(settl_currency=""), "settl_currency", "a value: FX needs one"),
        (exchange(settl_currency="USD"), "settl_currency", "another currency than USD"),
        (split(""), "quantity", "a value: SPLIT needs one"),
        (split("4"), "quantity", "new units for old ones, such as 4:1"),
        (split(symbol=""), "symbol", "a symbol or an ISIN"),
    ],
)
def test_a_refusal_names_column_value_and_what_is_expected(row: Row, column: str, expected: str) -> None:
    assert refusals(row) == {column: (row.get(column, ""), expected)}


def test_every_cell_that_is_wrong_is_named() -> None:
    row = trade("LONG", "ten", "-1", symbol="", currency="fr", transact_time="soon", fee="?", exec_ref="T1")

    assert sorted(refusals(row)) == [
        "currency",
        "exec_ref",
        "fee",
        "price",
        "quantity",
        "side",
        "symbol",
        "transact_time",
    ]


FILLED = {
    "symbol": "AAA",
    "mic": "XSWX",
    "isin": "CH0038863350",
    "side": "BUY",
    "quantity": "1",
    "price": "1",
    "amount": "1",
    "currency": "CHF",
    "fee": "1",
    "fee_currency": "CHF",
    "fx_rate": "1",
    "settl_currency": "EUR",
    "settl_amount": "1",
    "lots": "T1:1",
    "exec_ref": "T1",
}
TERMS = {"symbol", "mic", "isin", "currency"}
CASH = TERMS | {"amount", "fx_rate"}


@pytest.mark.parametrize(
    ("row", "taken"),
    [
        (trade(), FILLED.keys() - {"exec_ref"}),
        (correction("T1"), FILLED.keys()),
        (cancel("T1"), TERMS | {"exec_ref", "side", "quantity", "price"}),
        *((cash(kind, symbol="AAA"), CASH) for kind in KINDS[3:9]),
        (exchange(), {"amount", "currency", "settl_currency", "settl_amount"}),
        (split(), TERMS | {"quantity"}),
    ],
    ids=KINDS,
)
def test_a_type_leaves_empty_what_it_does_not_take(row: Row, taken: set[str]) -> None:
    for column in FILLED.keys() - taken:
        assert list(refusals({**row, column: FILLED[column]})) == [column]
    for column in taken - {"settl_amount", "lots"}:
        assert only({**row, column: row.get(column) or FILLED[column]})


@pytest.mark.parametrize(
    ("row", "hint"),
    [
        (cash("WITHDRAWAL", fee="1"), "nothing in a WITHDRAWAL row: book the fee as a FEE row"),
        (split(fee="1"), "nothing in a SPLIT row"),
    ],
)
def test_a_fee_where_none_is_taken_has_a_row_of_its_own(row: Row, hint: str) -> None:
    assert refusals(row) == {"fee": ("1", hint)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (trade(), trade(note="seen at the bank")),
        (trade(quantity="10", price="100"), trade(quantity="+10.000", price="1e2")),
        (trade(price="0.1", fee="0"), trade(price=".10", fee="-0.00")),
        (trade(), trade(transact_time="2026-01-05T10:00:00+01:00")),
        (trade(), trade(transact_time="2026-01-05 09:00:00.000Z")),
        (trade(), {f" {column}": f"{value} " for column, value in trade().items()}),
        (trade(), dict(reversed(list(trade().items())))),
        (trade("SELL", lots="T1:4;T2:6"), trade("SELL", lots=" T1 :4.0; T2:6;")),
        (split("4:1"), split("04:1")),
    ],
)
def test_rows_of_equal_content_have_equal_digests(one: Row, other: Row) -> None:
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    "other",
    [
        trade(transact_time="2026-01-05T09:00:00"),
        trade(transact_time="2026-01-05T09:00:00.000001Z"),
        trade(symbol="AAB"),
        trade(mic="XSWX"),
        trade(isin="CH0038863350"),
        trade("SELL"),
        trade(quantity="11"),
        trade(price="100.000000000001"),
        trade(price="", amount="100"),
        trade(amount="1000"),
        trade(currency="EUR"),
        trade(fee="1"),
        trade(fee="1", fee_currency="EUR"),
        trade(fx_rate="1"),
        trade(settl_currency="EUR"),
        trade(settl_currency="EUR", settl_amount="1"),
        trade(lots="T1:1"),
        trade(lots="T1:2"),
        trade(external_id="T1"),
        correction("T1"),
        correction("T2"),
    ],
)
def test_rows_of_other_content_have_other_digests(other: Row) -> None:
    assert digest(other) != digest(trade())


def digest(row: Row) -> bytes:
    (found,), problems = read(sheet(row, columns=list(row)))
    assert problems == []
    assert found is not None
    return found.digest
