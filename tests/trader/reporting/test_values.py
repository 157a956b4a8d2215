"""What an account was worth on many days is what `positions --as-of` each of them says."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import NOW, AccountFactory, FxRateFactory, InstrumentFactory, PriceBarFactory
from tests.trader.book import open_account, take_in
from tests.trader.operations.books import FIRST, Book, currency, fee, on_day
from tests.trader.operations.test_positions import RandomHistory
from tests.trader.reporting.conftest import AddRate
from trader.booking.numbers import exact, total
from trader.models import Account, Instrument
from trader.operations.ledger import record_cash, reverse
from trader.reporting.holdings import Question
from trader.reporting.positions import report_positions
from trader.reporting.valuation import Given
from trader.reporting.values import DayValue, values

pytestmark = pytest.mark.django_db

METHODS = ["FIFO", "LIFO", "HIFO", "AVERAGE", "SPECIFIC"]


def day(number: int) -> date:
    """Of the tests' first month."""
    return date(2026, 1, number)


def bar(instrument: Instrument, on: date, close: str, **more: object) -> None:
    price = Decimal(close)
    at = datetime(on.year, on.month, on.day, tzinfo=UTC)
    PriceBarFactory.create(
        instrument=instrument, **{"ts": at, "open": price, "high": price, "low": price, "close": price, **more}
    )


def as_positions_say(account: Account, on: date, given: Given) -> Decimal | None:
    totals = report_positions(Question(account=account, as_of=on), given).totals
    with exact():
        return total(totals.market_value, totals.cash)


def assert_as_positions_say(account: Account, start: date, end: date) -> list[Decimal | None]:
    """On each day; returns the values."""
    found = values(account, start, end, Given())

    said = {each.date: each.value for each in found.days}
    assert [*said] == [start + timedelta(days=each) for each in range((end - start).days + 1)]
    assert said == {each: as_positions_say(account, each, Given()) for each in said}
    assert found.initial == as_positions_say(account, start - timedelta(days=1), Given())
    return [*said.values()]


@pytest.mark.parametrize("method", METHODS)
def test_in_a_random_history_each_day_is_worth_what_positions_say(method: str) -> None:
    random = Random(method)
    account = AccountFactory.create(cost_basis_method=method, allow_short=True)
    book = Book(account, InstrumentFactory.create(currency=currency("USD")))
    histories = [RandomHistory(each, random) for each in (book, book.beside(InstrumentFactory.create()))]
    for _ in range(20):
        random.choice(histories).goes_on()
    end = FIRST.date() + timedelta(days=int(max(history.day for history in histories)) + 3)
    for history in histories:
        add_bars(history.book.instrument, end, random)
    move_money(account, end, random)

    found = assert_as_positions_say(account, FIRST.date() - timedelta(days=2), end)

    assert len({*found}) > 5
    assert found[-1] is not None


def add_bars(instrument: Instrument, end: date, random: Random) -> None:
    """Of two sources, with gaps, some at odd times of their day and some restated after splits."""
    days = (end - FIRST.date()).days
    for number in range(-20, days + 1):
        for source in ("a source", "Another", "manual"):
            if random.random() < (0.6 if number > -5 else 0.1):
                at = datetime.combine(FIRST.date(), FIRST.min.time(), UTC) + timedelta(days=number)
                bar(
                    instrument,
                    at.date(),
                    f"{random.randint(50_000, 150_000) / 1000:.3f}",
                    source=source,
                    ts=at + random.choice([timedelta(0), timedelta(0), timedelta(hours=random.randint(1, 23))]),
                    split_adjusted=random.random() < 0.3,
                )


def move_money(account: Account, end: date, random: Random) -> None:
    FxRateFactory.create(base=currency("USD"), quote=currency("CHF"), at=on_day(-5), rate=Decimal("0.9123"))
    FxRateFactory.create(base=currency("CHF"), quote=currency("EUR"), at=on_day(-5), rate=Decimal("1.07"))
    for _ in range(6):
        entry = record_cash(
            account=account,
            kind=random.choice(["DEPOSIT", "WITHDRAWAL", "DIVIDEND", "FEE"]),
            currency=currency(random.choice(["USD", "CHF", "EUR"])),
            amount=Decimal(random.randint(1, 100_000)) / 100,
            value_date=FIRST.date() + timedelta(days=random.randint(0, (end - FIRST.date()).days)),
            actor="a trader",
            now=NOW,
        )
        if entry and random.random() < 0.3:
            reverse(entry, actor="a trader", now=NOW)


@pytest.mark.parametrize("method", METHODS)
def test_a_split_rounds_as_in_the_lots(method: str) -> None:
    """Lots that thirds are made of, in part sold, and split again, until some are of the smallest quantity."""
    instrument = InstrumentFactory.create(qty_increment=Decimal("1e-18"))
    book = Book(AccountFactory.create(cost_basis_method=method), instrument)
    for number in (1, 2, 3):
        book.buy("1.000000000000000001", day=number)
    book.split(4, 1, 3)
    book.sell("0.000000000000000001", day=5)
    book.buy("0.000000000000000007", day=5)
    book.split(6, 3, 2)
    book.split(8, 1, 1000)
    bar(instrument, day(7), "100000", split_adjusted=method == "FIFO")
    bar(instrument, day(11), "333333.333333333333")

    assert None not in assert_as_positions_say(book.account, day(7), day(13))


def test_what_is_under_half_of_an_increment_is_gone() -> None:
    book = Book(AccountFactory.create(allow_short=True), InstrumentFactory.create(qty_increment=Decimal(1)))
    book.buy("10.3", day=1)
    book.sell("10", day=2)
    book.sell("5", day=3)
    book.buy("5.4", day=4)
    book.buy("2", day=5, fees=[fee("0.001", "")])
    bar(book.instrument, day(5), "100")

    found = assert_as_positions_say(book.account, day(5), day(10))

    # Ten of 10.3 are sold, and all are gone; 5.4 close what was short, and more is not opened.
    assert found == [0, -30, -30, -70, Decimal("-70.1"), Decimal("-70.1")]


def test_trades_that_were_corrected_or_taken_back_count_as_they_do_now() -> None:
    book = Book()
    first, second = book.buy("10", "90", day=1), book.buy("5", "80", day=2)
    book.correct(first, "8", "85")
    book.bust(second)
    bar(book.instrument, day(1), "100")

    # Bought are 8 for 680.
    assert assert_as_positions_say(book.account, day(4), day(7)) == [0, 120, 120, 120]


def test_pence_contracts_shorts_and_other_currencies_count(tmp_path: Path, add_rate: AddRate) -> None:
    open_account("A", "CHF", allow_short=True)
    for rate, on in (("0.9", 1), ("0.8", 7)):
        add_rate("USD", "CHF", rate, day(on))
    add_rate("CHF", "GBP", "0.8", day(2))
    currency("GBP")
    for symbol, code, more in (
        ("VOD", "GBP", {"price_quotation_factor": Decimal("0.01")}),
        ("FUT", "USD", {"multiplier": Decimal(50)}),
    ):
        InstrumentFactory.create(symbol=symbol, currency=currency(code), **more)
    columns = "transact_time,type,symbol,mic,side,quantity,price,amount,currency,settl_currency,settl_amount"
    rows = """2026-01-05T12:00:00Z,DEPOSIT,,,,,,10000,CHF,,
              2026-01-06T12:00:00Z,TRADE,VOD,XSWX,BUY,1000,200,,GBP,CHF,2500
              2026-01-06T12:00:00Z,TRADE,FUT,XSWX,SELL_SHORT,2,100,,USD,,"""
    assert not take_in(tmp_path, "A", rows, columns=columns)["errors"]
    vod, fut = (Instrument.objects.get(symbol=symbol) for symbol in ("VOD", "FUT"))
    for instrument, on, close in ((vod, 6, "200"), (fut, 6, "101"), (fut, 8, "98")):
        bar(instrument, day(on), close)

    found = assert_as_positions_say(Account.objects.get(), day(5), day(8))

    # CHF 7,500 and USD 10,000 in cash, 1,000 x GBP 2 at 1.25, less 2 x 50 contracts at 101 and at 98.
    assert found == [10_000, 7_500 + 9_000 + 2_500 - 9_090, 10_000 - 80, 10_000 + 160]


class TestOpenFigures:
    @pytest.fixture
    def book(self) -> Book:
        """Ten units, from the second day to the fourth, of an instrument in USD in an account in CHF."""
        book = Book(instrument=InstrumentFactory.create(symbol="AAA", currency=currency("USD")))
        book.buy("10", "100", day=2)
        book.sell("10", "100", day=5)
        FxRateFactory.create(base=currency("USD"), quote=currency("CHF"), at=on_day(3), rate=Decimal("0.9"))
        return book

    def test_a_day_without_a_price_is_open_and_names_what_has_none(self, book: Book) -> None:
        bar(book.instrument, day(8), "110")

        found = values(book.account, day(5), day(10), Given())

        # The rate is of the 7th; USD 1,000 are missing in cash from the 6th to the 8th.
        assert [each.value for each in found.days] == [0, None, None, 90, 0, 0]
        assert (found.missing_prices, found.missing_rates) == (["AAA.XSWX"], ["USD/CHF"])
        assert_as_positions_say(book.account, day(5), day(10))

    def test_what_is_not_held_on_any_of_the_days_needs_no_price(self, book: Book) -> None:
        found = values(book.account, day(10), day(12), Given())

        assert [each.value for each in found.days] == [0, 0, 0]
        assert (found.missing_prices, found.missing_rates) == ([], [])

    def test_what_is_given_stands_in_on_all_days_where_the_book_knows_nothing(self, book: Book) -> None:
        given = Given({book.instrument.pk: Decimal(120)}, {("CHF", "EUR"): Decimal(2)})
        record_cash(
            account=book.account,
            kind="DEPOSIT",
            currency=currency("EUR"),
            amount=Decimal(50),
            value_date=day(7),
            actor="a trader",
            now=NOW,
        )

        found = values(book.account, day(7), day(8), given)

        # 10 x (120 - 100) at 0.9, and EUR 50 at a half.
        assert [each.value for each in found.days] == [205, 205]
        assert [each.transfers for each in found.days] == [25, 0]

    def test_what_is_given_stands_in_on_the_last_day_where_the_book_knows_others(self, book: Book) -> None:
        bar(book.instrument, day(6), "110")
        given = Given({book.instrument.pk: Decimal(120)}, {("USD", "CHF"): Decimal(2)})

        found = values(book.account, day(7), day(8), given)

        assert [each.value for each in found.days] == [90, 400]
        assert found.days[-1].value == as_positions_say(book.account, day(8), given)


def test_a_price_of_long_ago_is_still_the_last_one() -> None:
    book = Book()
    book.buy("1", "100", day=1)
    other = book.beside(InstrumentFactory.create())
    other.buy("1", "100", day=3)
    for on, close in ((date(2019, 5, 5), "80"), (date(2019, 5, 6), "90")):
        bar(book.instrument, on, close)
    bar(other.instrument, day(7), "105")

    assert assert_as_positions_say(book.account, day(5), day(8)) == [-10, -10, -5, -5]


def test_transfers_are_deposits_less_withdrawals_at_their_own_rates(add_rate: AddRate) -> None:
    account = AccountFactory.create()
    add_rate("USD", "CHF", "0.9", day(1))
    moves: list[tuple[str, str, str, int, str | None]] = [
        ("DEPOSIT", "1000", "CHF", 5, None),
        ("DEPOSIT", "100", "USD", 5, "0.95"),
        ("WITHDRAWAL", "50", "USD", 7, None),
        ("DIVIDEND", "5", "CHF", 7, None),
        ("DEPOSIT", "77", "CHF", 8, None),
    ]
    for kind, amount, code, on, rate in moves:
        entry = record_cash(
            account=account,
            kind=kind,
            currency=currency(code),
            amount=Decimal(amount),
            value_date=day(on),
            fx_rate=Decimal(rate) if rate else None,
            actor="a trader",
            now=NOW,
        )
    assert entry
    reverse(entry, actor="a trader", now=NOW)

    found = values(account, None, day(8), Given())

    assert found.start == day(5)
    assert found.initial == 0
    assert [each.transfers for each in found.days] == [1095, 0, -45, 0]
    assert [each.value for each in found.days] == [1090, 1090, 1050, 1050]


def test_a_sample_has_its_values_from_the_same_days_and_all_transfers() -> None:
    book = Book()
    for number, amount in ((1, "500"), (4, "70"), (9, "-30")):
        deposit(book.account, day(4 + number), amount)
    book.buy("2", "100", day=3)
    for number in range(5, 15):
        bar(book.instrument, day(number), f"{90 + number}")

    daily = values(book.account, None, day(14), Given()).days
    sampled = values(book.account, None, day(14), Given(), most=4).days

    assert [each.date for each in sampled] == [day(5), day(8), day(11), day(14)]
    assert [each.value for each in sampled] == [each.value for each in daily if each.date in map(day, (5, 8, 11, 14))]
    assert [each.transfers for each in sampled] == [500, 70, 0, -30]


def deposit(account: Account, on: date, amount: str) -> None:
    record_cash(
        account=account,
        kind="DEPOSIT",
        currency=account.base_currency,
        amount=Decimal(amount),
        value_date=on,
        actor="a trader",
        now=NOW,
    )


def test_an_account_to_which_nothing_happened_is_worth_nothing() -> None:
    account = AccountFactory.create()

    found = values(account, None, day(5), Given())

    assert found.initial == 0
    assert found.days == [DayValue(day(5), Decimal(0), Decimal(0))]


def test_the_number_of_queries_grows_with_neither_days_nor_instruments() -> None:
    book = Book(instrument=InstrumentFactory.create(currency=currency("USD")))
    FxRateFactory.create(base=currency("USD"), quote=currency("CHF"), at=on_day(0))

    def queries(until: int) -> int:
        with CaptureQueriesContext(connection) as counted:
            values(book.account, day(5), day(until), Given())
        return len(counted)

    trade_and_price(book)
    book.split(3)
    trade_and_price(book.beside(InstrumentFactory.create()))
    few = queries(8)
    for _ in range(4):
        trade_and_price(book.beside(InstrumentFactory.create(currency=currency("USD"))))

    assert queries(8) == queries(31) == few <= 9


def trade_and_price(book: Book) -> None:
    book.buy("10", "100", day=1)
    bar(book.instrument, date(2020, 1, 1), "100")
