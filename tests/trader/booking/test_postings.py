from decimal import Decimal

import pytest

from tests.trader.booking.postings import MINOR_UNITS, Amounts, booked, traded
from trader.booking.postings import Settlement, SettlementUnknown, cash_legs, exchange_legs


def test_a_purchase() -> None:
    assert traded(1, "1000", fees=[("USD", "5")]) == {
        ("SECURITIES", "USD"): Decimal(1000),
        ("EXPENSE", "USD"): Decimal(5),
        ("CASH", "USD"): Decimal(-1005),
    }


def test_a_sale() -> None:
    assert traded(-1, "1000", fees=[("USD", "5")]) == {
        ("SECURITIES", "USD"): Decimal(-1000),
        ("EXPENSE", "USD"): Decimal(5),
        ("CASH", "USD"): Decimal(995),
    }


def test_a_rebate_is_money_that_comes_in() -> None:
    assert traded(1, "1000", fees=[("USD", "-5")]) == {
        ("SECURITIES", "USD"): Decimal(1000),
        ("EXPENSE", "USD"): Decimal(-5),
        ("CASH", "USD"): Decimal(-995),
    }


def test_a_fee_in_another_currency_is_paid_in_it() -> None:
    assert traded(1, "1000", fees=[("CHF", "5")]) == {
        ("SECURITIES", "USD"): Decimal(1000),
        ("CASH", "USD"): Decimal(-1000),
        ("EXPENSE", "CHF"): Decimal(5),
        ("CASH", "CHF"): Decimal(-5),
    }


def test_fees_of_one_currency_are_rounded_as_one() -> None:
    legs = traded(1, "1000", fees=[("USD", "0.004"), ("USD", "0.004")])

    assert legs["EXPENSE", "USD"] == Decimal("0.01")


@pytest.mark.parametrize(("sign", "securities"), [(1, 1998), (-1, -2002)])
def test_a_fee_in_units_of_the_instrument_is_an_expense_in_securities(sign: int, securities: int) -> None:
    assert traded(sign, "2000", units_value="2") == {
        ("SECURITIES", "USD"): Decimal(securities),
        ("EXPENSE", "USD"): Decimal(2),
        ("CASH", "USD"): Decimal(-2000 * sign),
    }


@pytest.mark.parametrize(
    ("sign", "amount", "rate", "traded_cash", "settled"),
    [
        (1, "904.5", None, -1005, "-904.50"),
        (1, None, "0.9", -1005, "-904.50"),
        (-1, "895.5", None, 995, "895.50"),
        (-1, None, "0.9", 995, "895.50"),
        (1, "904.5", "0.7", -1005, "-904.50"),
    ],
)
def test_settlement_in_another_currency_goes_through_fx_trading(
    sign: int, amount: str | None, rate: str | None, traded_cash: int, settled: str
) -> None:
    settlement = Settlement("CHF", Decimal(amount) if amount else None, Decimal(rate) if rate else None)

    assert traded(sign, "1000", fees=[("USD", "5")], settlement=settlement) == {
        ("SECURITIES", "USD"): Decimal(1000 * sign),
        ("EXPENSE", "USD"): Decimal(5),
        ("FX_TRADING", "USD"): Decimal(traded_cash),
        ("CASH", "CHF"): Decimal(settled),
        ("FX_TRADING", "CHF"): -Decimal(settled),
    }


def test_a_fee_in_the_settlement_currency_joins_the_cash() -> None:
    settlement = Settlement("CHF", Decimal(900), None)

    legs = traded(1, "1000", fees=[("CHF", "5")], settlement=settlement)

    assert legs["CASH", "CHF"] == -905
    assert legs["FX_TRADING", "CHF"] == 900
    assert legs["FX_TRADING", "USD"] == -1000


def test_what_is_settled_is_rounded_once() -> None:
    settlement = Settlement("JPY", None, Decimal("150.123"))

    legs = traded(1, "10.004", settlement=settlement)

    assert legs["CASH", "JPY"] == -1502
    assert legs["FX_TRADING", "USD"] == Decimal("-10.00")


@pytest.mark.parametrize(
    "settlement", [Settlement("CHF", Decimal("0.9"), None), Settlement("CHF", None, Decimal("0.9"))]
)
def test_a_sale_whose_fees_exceed_it_is_settled_by_paying(settlement: Settlement) -> None:
    legs = traded(-1, "1", fees=[("USD", "2")], settlement=settlement)

    assert legs["CASH", "CHF"] == Decimal("-0.9")
    assert legs["FX_TRADING", "USD"] == -1


def test_settlement_without_an_amount_or_a_rate_is_refused() -> None:
    with pytest.raises(SettlementUnknown, match="settled in CHF"):
        traded(1, "1000", settlement=Settlement("CHF", None, None))


@pytest.mark.parametrize(
    ("currency", "gross", "fee", "expected"),
    [
        ("JPY", "1000.5", "0.5", ("1001", "1", "-1002")),
        ("JPY", "1000.4", "0.4", ("1000", None, "-1000")),
        ("KWD", "1.0005", "0.0005", ("1.001", "0.001", "-1.002")),
        ("USD", "0.005", "0.004", ("0.01", None, "-0.01")),
    ],
)
def test_each_leg_is_rounded_half_up_to_the_minor_unit(
    currency: str, gross: str, fee: str, expected: tuple[str | None, ...]
) -> None:
    legs = traded(1, gross, currency=currency, fees=[(currency, fee)])

    kinds = ("SECURITIES", "EXPENSE", "CASH")
    assert legs == {
        (kind, currency): Decimal(amount) for kind, amount in zip(kinds, expected, strict=True) if amount is not None
    }


def test_a_sale_is_rounded_as_far_from_zero_as_a_purchase() -> None:
    assert traded(-1, "1000.5", currency="JPY") == {
        ("SECURITIES", "JPY"): Decimal(-1001),
        ("CASH", "JPY"): Decimal(1001),
    }


def test_a_trade_that_rounds_to_nothing_posts_nothing() -> None:
    assert traded(1, "0.0049", fees=[("USD", "0.0049"), ("CHF", "0.001")]) == {}


def test_a_leg_of_nothing_is_left_out() -> None:
    assert traded(-1, "5", fees=[("USD", "5")]) == {("SECURITIES", "USD"): Decimal(-5), ("EXPENSE", "USD"): Decimal(5)}


@pytest.mark.parametrize(
    ("kind", "cash", "against"),
    [
        ("DEPOSIT", 100, "EQUITY"),
        ("WITHDRAWAL", -100, "EQUITY"),
        ("DIVIDEND", 100, "INCOME"),
        ("INTEREST", 100, "INCOME"),
        ("WITHHOLDING_TAX", -100, "EXPENSE"),
        ("FEE", -100, "EXPENSE"),
    ],
)
@pytest.mark.parametrize("taken_back", [False, True])
def test_money_comes_and_goes(kind: str, cash: int, against: str, *, taken_back: bool) -> None:
    sign = -1 if taken_back else 1

    legs = cash_legs(kind, "USD", Decimal(100 * sign), MINOR_UNITS)

    assert booked(legs) == {("CASH", "USD"): Decimal(cash * sign), (against, "USD"): Decimal(-cash * sign)}


def test_money_that_rounds_to_nothing_posts_nothing() -> None:
    assert cash_legs("INTEREST", "JPY", Decimal("0.49"), MINOR_UNITS) == []


def test_a_currency_exchange() -> None:
    legs = exchange_legs(("CHF", Decimal(90)), ("USD", Decimal(100)), MINOR_UNITS)

    expected: Amounts = {
        ("CASH", "CHF"): Decimal(90),
        ("FX_TRADING", "CHF"): Decimal(-90),
        ("CASH", "USD"): Decimal(-100),
        ("FX_TRADING", "USD"): Decimal(100),
    }
    assert booked(legs) == expected


def test_a_coin_keeps_all_its_places() -> None:
    amount = Decimal("12345678901234567.123456789012345678")

    deposit = booked(cash_legs("DEPOSIT", "ETH", amount, MINOR_UNITS))
    exchange = booked(exchange_legs(("ETH", amount), ("USD", Decimal(100)), MINOR_UNITS))
    trade = traded(1, str(amount), currency="ETH")

    assert deposit["CASH", "ETH"] == exchange["CASH", "ETH"] == trade["SECURITIES", "ETH"] == amount
