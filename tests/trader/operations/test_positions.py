"""Positions, lots and matches stay what the trades that count make of them, in whatever order these come."""

from decimal import Decimal
from random import Random
from typing import Any

import pytest

from tests.factories import AccountFactory, FxRateFactory, InstrumentFactory
from tests.trader.operations.books import (
    Book,
    assert_as_if_entered_so,
    assert_as_replayed,
    currency,
    fee,
    figures,
    on_day,
)
from trader.booking.holding import LotsExceeded, Oversold
from trader.booking.numbers import exact, quantized
from trader.models import Account, Execution, LotMatch, Position, Side, TaxLot
from trader.operations.executions import Fee
from trader.operations.positions import project
from trader.operations.rate_entry import record_rates

pytestmark = pytest.mark.django_db

METHODS = ["FIFO", "LIFO", "HIFO", "AVERAGE", "SPECIFIC"]
PRICE = Decimal("0.0000126")
POLICIES = ["EXPENSED", "IN_COST", "BUY_IN_COST"]


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=POLICIES)
def policy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Traded:
    """A book that is long, is split, crosses zero, is short and crosses it again; and what is done to it later."""

    def __init__(self, **rules: Any) -> None:
        FxRateFactory.create(base=currency("USD"), quote=currency("CHF"), rate=Decimal("0.91"), at=on_day(2))
        FxRateFactory.create(base=currency("EUR"), quote=currency("CHF"), rate=Decimal("0.94"), at=on_day(0))
        self.book = Book(
            AccountFactory.create(allow_short=True, **rules), InstrumentFactory.create(currency=currency("USD"))
        )
        buy, sell = self.book.buy, self.book.sell
        self.first = buy("10", "100", day=1, fees=[fee("5", "USD")])
        self.second = buy("10", "120.123456", day=2, fees=[fee("1", "EUR")])
        self.third = sell("7", "130", day=3, lots=[(self.second, Decimal(4))], fees=[fee("0.003", "")])
        self.book.split(4, 3, 2)
        self.crossing = sell("40", "90.07", day=5, fees=[fee("3.33", "USD")])
        buy("5", "80", day=6, fees=[fee("-0.1", "USD")])
        sell("3", "95", day=7, fees=[fee("0.7", "CHF")])
        buy("60", "71.3", day=8, fees=[fee("2", "USD")])
        self.last = sell("11", "75", day=9)

    def back_dated_purchase(self) -> None:
        self.book.buy("3.7", "140", day=1.5, fees=[fee("1.1", "USD")])

    def back_dated_short_sale_before_all(self) -> None:
        self.book.sell("4", "99", day=0.5)

    def back_dated_crossing(self) -> None:
        self.book.sell("90", "77.7", day=8.5, fees=[fee("9", "USD")])

    def correction_of_the_first(self) -> None:
        self.first = self.book.correct(self.first, "12", "101.5", fees=[fee("4", "USD"), fee("0.001", "")])

    def correction_of_the_crossing(self) -> None:
        self.crossing = self.book.correct(self.crossing, "25", "91", fees=[fee("3", "EUR")])

    def correction_of_the_last(self) -> None:
        self.last = self.book.correct(self.last, "200", "74")

    def bust_of_the_crossing(self) -> None:
        self.book.bust(self.crossing)

    def bust_of_the_last(self) -> None:
        self.book.bust(self.last)

    def bust_of_the_first(self) -> None:
        self.book.bust(self.first)

    def late_split(self) -> None:
        self.book.split(7, 1, 3)


def test_late_reports_count_as_if_they_had_been_there_from_the_start(method: str, policy: str) -> None:
    traded = Traded(cost_basis_method=method, fee_policy=policy)
    reports = [
        [traded.back_dated_purchase, traded.back_dated_short_sale_before_all, traded.back_dated_crossing],
        [traded.correction_of_the_first, traded.correction_of_the_crossing, traded.correction_of_the_last],
        [traded.late_split, traded.bust_of_the_crossing, traded.bust_of_the_last, traded.bust_of_the_first],
    ]

    for kind in reports:
        for report in kind:
            before = traded.book.state
            report()
            assert traded.book.state != before
            assert_as_replayed(traded.book.account)
        assert_as_if_entered_so(traded.book.account)


class RandomHistory:
    """A book of one instrument to which anything happens at any time."""

    def __init__(self, book: Book, random: Random) -> None:
        self.book = book
        self.random = random
        self.day = 1.0
        self.reports: list[Execution] = []
        self.split_days: set[int] = set()

    def goes_on(self) -> None:
        """One thing more happens, or is refused and changes nothing."""
        step = self.random.choices(
            [self.trades, self.trades_late, self.restates, self.takes_back, self.splits, self.learns_a_rate],
            [12, 3, 2, 2, 1, 1],
        )[0]
        before = self.book.state
        try:
            step()
        except (Oversold, LotsExceeded):
            assert self.book.state == before

    def trades(self) -> None:
        self.day += self.random.choice([0, 0.25, 1])
        self._trade(self.day, self._lots())

    def trades_late(self) -> None:
        self._trade(self.random.uniform(0, self.day), [])

    def restates(self) -> None:
        if self.reports:
            report = self._takes_one()
            self.reports.append(self.book.correct(report, self._quantity(), self._price(), fees=self._fees()))

    def takes_back(self) -> None:
        if self.reports:
            self.book.bust(self._takes_one())

    def splits(self) -> None:
        day = self.random.randint(1, int(self.day) + 1)
        if day not in self.split_days:
            self.book.split(day, *self.random.choice([(2, 1), (1, 2), (7, 3)]))
            self.split_days.add(day)

    def learns_a_rate(self) -> None:
        code = self.random.choice(["USD", "EUR"])
        at = on_day(self.random.uniform(0, self.day))
        record_rates(
            [FxRateFactory.build(base=currency(code), quote=currency("CHF"), at=at, rate=self._decimal(0.5, 2))]
        )

    def _trade(self, day: float, lots: list[tuple[Execution, Decimal]]) -> None:
        side = self.random.choices([Side.BUY, Side.SELL], [3, 2])[0]
        quantity = self._quantity()
        if lots:
            side = Side.SELL if self.book.position.quantity > 0 else Side.BUY
            quantity = f"{sum(part for _, part in lots):f}"
        self.reports.append(self.book.trade(side, quantity, self._price(), day=day, lots=lots, fees=self._fees()))

    def _takes_one(self) -> Execution:
        """Of the reports that count; what is refused is not tried again."""
        return self.reports.pop(self.random.randrange(len(self.reports)))

    def _lots(self) -> list[tuple[Execution, Decimal]]:
        """Two open lots to choose, now and then."""
        owned = {"position__account": self.book.account, "position__instrument": self.book.instrument}
        lots = list(TaxLot.objects.filter(**owned, remaining__gt=0).order_by("trade"))
        if self.book.account.cost_basis_method != "SPECIFIC" or len(lots) < 2 or self.random.random() < 0.5:
            return []
        return [(lot.trade, quantized(lot.remaining / 2)) for lot in self.random.sample(lots, 2)]

    def _fees(self) -> list[Fee]:
        code = self.random.choice(["CHF", "USD", "EUR", "", "none"])
        return [] if code == "none" else [fee(f"{self._decimal(-0.01, 0.3):f}", code)]

    def _quantity(self) -> str:
        return f"{self._decimal(0.5, 20):f}"

    def _price(self) -> str:
        return f"{self._decimal(50, 150):f}"

    def _decimal(self, low: float, high: float) -> Decimal:
        return Decimal(self.random.randint(int(low * 1000), int(high * 1000))) / 1000


def test_a_random_history_counts_as_if_entered_so_from_the_start(method: str, policy: str) -> None:
    account = AccountFactory.create(
        cost_basis_method=method, fee_policy=policy, allow_short=policy != Account.FeePolicy.EXPENSED
    )
    book = Book(account, InstrumentFactory.create(currency=currency("USD")))
    history = RandomHistory(book, Random(f"{method} {policy}"))

    for _ in range(3):
        for _ in range(8):
            history.goes_on()
        assert_as_replayed(account)

    assert_as_if_entered_so(account)


def test_a_late_purchase_is_sold_first() -> None:
    book = Book()
    first = book.buy("10", "100", day=2)
    sale = book.sell("8", "130", day=4)

    late = book.buy("5", "90", day=1)

    matches = LotMatch.objects.filter(closing_trade=sale).order_by("pk")
    assert [figures(match, "opening_trade", "quantity", "realized_pnl") for match in matches] == [
        (late, 5, 200),
        (first, 3, 90),
    ]
    assert figures(book.position, "quantity", "cost", "realized_pnl", "as_of_execution") == (7, 700, 290, sale)


def test_of_trades_at_one_time_the_one_entered_first_counts_first(method: str) -> None:
    book = Book(cost_basis_method=method)
    book.buy("10", "100", day=1)
    book.buy("10", "110", day=1)

    with pytest.raises(Oversold):
        book.sell("30", "120", day=1)
    book.sell("15", "120", day=1)

    assert_as_if_entered_so(book.account)


def test_a_lot_is_chosen_by_any_report_of_its_trade() -> None:
    book = Book(cost_basis_method="SPECIFIC")
    book.buy("10", "100")
    second = book.buy("10", "110")
    correction = book.correct(second, "9", "111")

    book.sell("6", "120", lots=[(second, Decimal(2)), (correction, Decimal(4))])

    assert [figures(match, "opening_trade", "quantity", "cost") for match in LotMatch.objects.order_by("quantity")] == [
        (second, 2, 222),
        (second, 4, 444),
    ]
    assert_as_replayed(book.account)


@pytest.mark.parametrize("sold", ["9.996", "10.004"])
def test_a_sale_that_leaves_less_than_can_be_traded_closes_the_position(method: str, sold: str) -> None:
    book = Book(
        AccountFactory.create(cost_basis_method=method), InstrumentFactory.create(qty_increment=Decimal("0.01"))
    )
    book.buy("4", "100")
    book.buy("6", "110")

    book.sell(sold, "120")

    proceeds = 120 * Decimal(sold)
    assert figures(book.position, "quantity", "cost", "realized_pnl") == (0, 0, proceeds - 1060)
    assert not TaxLot.objects.filter(remaining__gt=0).exists()
    assert_as_if_entered_so(book.account)


def test_a_rest_of_another_lot_that_cannot_be_traded_is_closed_too() -> None:
    book = Book(
        AccountFactory.create(cost_basis_method="SPECIFIC"), InstrumentFactory.create(qty_increment=Decimal("0.01"))
    )
    book.buy("5", "100")
    second = book.buy("5", "100")
    book.sell("4.996", "120", lots=[(second, Decimal("4.996"))])

    book.sell("5", "120")

    assert figures(book.position, "quantity", "cost") == (0, 0)
    assert not TaxLot.objects.filter(remaining__gt=0).exists()
    assert_as_if_entered_so(book.account)


@pytest.mark.parametrize(
    "quantities",
    [
        ["100000000000000000", "0.000000000000000001"],
        ["99999999999999999.999999999999999999", "0.000000000000000002"],
        ["12345678901234567.123456789012345678", "23456789012345678.234567890123456789"],
    ],
)
def test_the_largest_and_the_smallest_quantities_are_kept_exactly(method: str, quantities: list[str]) -> None:
    coin = InstrumentFactory.create(currency=currency("USD"), qty_increment=Decimal("1e-18"))
    book = Book(AccountFactory.create(cost_basis_method=method, allow_short=True), coin)
    FxRateFactory.create(base=currency("USD"), quote=currency("CHF"), rate=Decimal("0.912345678901"), at=on_day(0))
    with exact():
        whole = sum(map(Decimal, quantities), Decimal(0))
        cost = sum((quantized(Decimal(each) * PRICE) for each in quantities), Decimal(0))

    for quantity in quantities:
        book.buy(quantity, str(PRICE))
    held = figures(book.position, "quantity", "cost")
    book.sell(f"{whole:f}", str(PRICE))

    assert held == (whole, cost)
    assert figures(book.position, "quantity", "cost", "unrated_lots") == (0, 0, 0)
    assert_as_if_entered_so(book.account)


def test_a_replay_mends_what_was_tampered_with() -> None:
    book = Traded(cost_basis_method="AVERAGE").book
    before = book.state
    Position.objects.update(quantity=1, cost=2, as_of_execution=None)
    TaxLot.objects.update(remaining=0)
    LotMatch.objects.all().delete()

    counted = project(book.account)

    assert counted == 8
    assert book.state == before


def test_a_replay_of_some_instruments_leaves_the_others() -> None:
    book = Book()
    other = InstrumentFactory.create()
    book.buy("10")
    book.buy("10", instrument=other)
    Position.objects.update(quantity=1)

    counted = project(book.account, [other.pk])

    assert counted == 1
    assert list(Position.objects.order_by("pk").values_list("quantity", flat=True)) == [1, 10]
