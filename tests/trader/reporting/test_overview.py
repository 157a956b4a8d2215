"""What the overview says of a day must be what the positions report says of that day and of the one before."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import AccountFactory, InstrumentFactory, PriceBarFactory
from tests.trader.operations.books import Book, currency, fee, on_day
from tests.trader.reporting.conftest import AddRate
from trader.models import Account, Instrument, JournalEntry, Order
from trader.operations.ledger import record_cash, reverse
from trader.operations.orders import move_order
from trader.reporting.holdings import Question
from trader.reporting.overview import AccountFigures, Overview
from trader.reporting.performance import report_performance
from trader.reporting.positions import report_positions
from trader.reporting.valuation import Given

pytestmark = pytest.mark.django_db

TODAY = 10
NOW = on_day(TODAY)
CLOSES = {1: "100", TODAY - 1: "110", TODAY: "121"}


def price(instrument: Instrument, closes: dict[int, str] = CLOSES) -> None:
    for day, close in closes.items():
        number = Decimal(close)
        PriceBarFactory.create(
            instrument=instrument,
            ts=datetime.combine(on_day(day).date(), datetime.min.time(), UTC),
            **dict.fromkeys(("open", "high", "low", "close"), number),
        )


def cash(book: Book, kind: str, amount: str, day: int = TODAY, code: str = "CHF") -> JournalEntry:
    entry = record_cash(
        account=book.account,
        kind=kind,
        currency=currency(code),
        amount=Decimal(amount),
        value_date=on_day(day).date(),
        actor="a trader",
        now=NOW,
    )
    assert entry is not None
    return entry


def split_and_buy(book: Book) -> None:
    book.split(TODAY)
    book.buy("8", "30", day=TODAY)


def transfer(book: Book) -> None:
    cash(book, "DEPOSIT", "1000")
    cash(book, "WITHDRAWAL", "300")
    reverse(cash(book, "DEPOSIT", "50"), actor="a trader", now=NOW)
    cash(book, "DEPOSIT", "70", day=TODAY - 1)
    cash(book, "DEPOSIT", "90", day=TODAY + 1)


# What happens today in a book that bought ten the day before yesterday, and by how much it then is up.
DAYS: dict[str, tuple[Callable[[Book], object], str]] = {
    "nothing": (lambda book: None, "110"),
    "a purchase": (lambda book: book.buy("5", "120", day=TODAY, fees=[fee("2")]), "113"),
    "all is sold": (lambda book: book.sell("10", "115", day=TODAY), "50"),
    "a fee in units": (lambda book: book.buy("5", "120", day=TODAY, fees=[fee("1", "")]), "-6"),
    "sold short": (lambda book: book.sell("30", "115", day=TODAY), "-70"),
    "a split and a purchase": (split_and_buy, "4468"),
    "a correction": (lambda book: book.correct(book.buy("5", "120", day=TODAY), "4", "120"), "114"),
    "a bust": (lambda book: book.bust(book.buy("5", "120", day=TODAY)), "110"),
    "transfers": (transfer, "110"),
    "a dividend": (lambda book: cash(book, "DIVIDEND", "12.5"), "122.5"),
}


@pytest.fixture
def book() -> Book:
    chf = currency("CHF")
    book = Book(AccountFactory.create(base_currency=chf, allow_short=True), InstrumentFactory.create(currency=chf))
    price(book.instrument)
    book.buy("10", day=TODAY - 2)
    return book


def figures(account: Account) -> AccountFigures:
    (found,) = Overview([account], NOW).accounts()
    return found


def reported(account: Account, day: int) -> Decimal | None:
    """What the account is worth at the end of the day."""
    totals = report_positions(Question(account=account, as_of=on_day(day).date()), Given()).totals
    return None if totals.market_value is None or totals.cash is None else totals.market_value + totals.cash


@pytest.mark.parametrize("day", DAYS)
def test_worth_and_gain_are_those_of_the_positions_report(book: Book, day: str) -> None:
    happens, gain = DAYS[day]

    happens(book)
    found = figures(book.account)

    before, now = reported(book.account, TODAY - 1), reported(book.account, TODAY)
    assert before is not None
    assert now is not None
    assert found.value == now
    assert found.pnl_today == now - before - (700 if day == "transfers" else 0) == Decimal(gain)


def test_money_in_another_currency_gains_with_its_rate(book: Book, add_rate: AddRate) -> None:
    add_rate("USD", "CHF", "0.90", on_day(1).date())
    add_rate("USD", "CHF", "0.95", on_day(TODAY).date())
    cash(book, "DEPOSIT", "200", day=1, code="USD")

    found = figures(book.account)

    assert found.cash == Decimal(-1000) + 190
    assert found.pnl_today == Decimal(110) + 10


def test_a_transfer_counts_at_the_rate_of_its_entry(book: Book, add_rate: AddRate) -> None:
    add_rate("USD", "CHF", "0.95", on_day(1).date())
    record_cash(
        account=book.account,
        kind="DEPOSIT",
        currency=currency("USD"),
        amount=Decimal(100),
        value_date=on_day(TODAY).date(),
        fx_rate=Decimal("0.90"),
        actor="a trader",
        now=NOW,
    )

    report = report_performance(book.account, on_day(TODAY).date(), on_day(TODAY).date(), Given())

    assert figures(book.account).pnl_today == report.earnings == Decimal(110) + 5


def test_what_has_no_price_or_rate_is_left_open(book: Book) -> None:
    book.buy("1", day=1, instrument=InstrumentFactory.create(currency=currency("CHF")))
    other = AccountFactory.create(base_currency=currency("CHF"))
    cash(Book(other), "DEPOSIT", "1", code="JPY")

    unpriced, unrated = Overview([book.account, other], NOW).accounts()

    assert (unpriced.value, unpriced.cash, unpriced.pnl_today) == (None, Decimal(-1100), None)
    assert (unrated.value, unrated.cash, unrated.pnl_today) == (None, None, None)


def test_open_orders_are_counted_by_account(book: Book) -> None:
    other = Book()
    for _ in range(3):
        other.order()
    move_order(other.order(), Order.Lifecycle.REJECTED, actor="a broker", now=NOW)

    found = Overview([book.account, other.account], NOW).accounts()

    assert [each.open_orders for each in found] == [0, 3]


def test_holdings_are_ordered_by_their_worth(book: Book) -> None:
    small, unpriced = (InstrumentFactory.create(currency=currency("CHF")) for _ in range(2))
    price(small, {TODAY - 1: "8", TODAY: "10"})
    for instrument in (unpriced, small):
        book.buy("2", day=3, instrument=instrument)

    held = Overview([book.account], NOW).holdings()

    assert [(each.instrument, each.value, each.change) for each in held] == [
        (book.instrument, Decimal(1210), Decimal("0.1")),
        (small, Decimal(20), Decimal("0.25")),
        (unpriced, None, None),
    ]


def test_many_accounts_cost_as_many_queries_as_one(book: Book) -> None:
    with CaptureQueriesContext(connection) as for_one:
        figures(book.account)
    for _ in range(5):
        another = Book(AccountFactory.create(base_currency=book.account.base_currency), book.instrument)
        another.buy("1", day=1)
        another.order()

    with CaptureQueriesContext(connection) as for_many:
        Overview(list(Account.objects.select_related("base_currency")), NOW).accounts()

    assert len(for_many) == len(for_one) + 1


def test_a_book_without_accounts_has_nothing_to_show() -> None:
    book = Overview([], NOW)

    assert (book.accounts(), book.holdings()) == ([], [])
