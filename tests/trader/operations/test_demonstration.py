import json
import logging
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, connection
from django.db.models import Sum
from factory.django import DjangoModelFactory
from pytest_django import DjangoAssertNumQueries

from tests.factories import (
    AccountFactory,
    CorporateActionFactory,
    CurrencyFactory,
    ExecutionFactory,
    FxRateFactory,
    InstrumentFactory,
    OrderFactory,
    PriceBarFactory,
    VenueFactory,
)
from tests.trader.demonstration import FIXTURES, FOLDER, Count, counted, history_until
from trader.models import (
    Account,
    Execution,
    FxRate,
    Instrument,
    JournalEntry,
    LoadedFixture,
    Order,
    Position,
    Posting,
    PriceBar,
)
from trader.operations.demonstration import deliver_demonstration
from trader.operations.fixtures import deliver_fixtures
from trader.operations.ledger import record_cash
from trader.operations.rebuilding import check
from trader.reporting.holdings import Question
from trader.reporting.positions import report_positions
from trader.reporting.valuation import Given

pytestmark = pytest.mark.django_db

ZURICH, NEW_YORK = ZoneInfo("Europe/Zurich"), ZoneInfo("America/New_York")
# A Wednesday, 13:00 in Zurich and 07:00 in New York.
NOW = datetime(2026, 6, 17, 11, tzinfo=UTC)
BOOK = {
    "instruments.csv": """
        symbol,mic,currency,opens
        NESN,XSWX,CHF,09:00:00
        AAPL,XNAS,USD,09:30:00
    """,
    "bars.csv": """
        symbol,session,open,high,low,close,volume
        NESN,2026-01-01,99,101,98,100,5000
        NESN,2026-01-07,100,101,99,100,5000
        NESN,2026-01-08,100,101,99,100,5000
        AAPL,2026-01-06,200,202,198,201,9000
        AAPL,2026-01-07,200,202,198,201,9000
    """,
    "rates.csv": """
        at,USD/CHF
        2026-01-01,0.90
        2026-01-07,0.91
        2026-01-09,0.92
    """,
    "history.jsonl": """
        {"at":"2026-01-01T08:30:00","do":"cash","kind":"DEPOSIT","currency":"CHF","amount":"5000"}
        {"at":"2026-01-02T10:00:00","do":"place","instrument":"NESN","order":"D1","side":"BUY","ord_type":"MARKET","order_qty":"10","time_in_force":"DAY"}
        {"at":"2026-01-02T10:01:00","do":"fill","instrument":"NESN","order":"D1","exec_id":"E1","quantity":"10","price":"100","fees":[]}
        {"at":"2026-01-08T10:01:00","do":"cash","kind":"FEE","currency":"CHF","amount":"5"}
    """,
}
UNTIL_WEDNESDAY = 3
AN_ORDER = {"side": "BUY", "ord_type": "MARKET", "order_qty": "1"}

Deliver = Callable[..., int]


@pytest.fixture
def ground() -> None:
    """What the book stands on."""
    AccountFactory.create(code="DEMO", owner=None)
    InstrumentFactory.create(symbol="NESN")
    nasdaq = VenueFactory.create(mic="XNAS", name="Nasdaq", time_zone="America/New_York")
    InstrumentFactory.create(symbol="AAPL", venue=nasdaq, currency=CurrencyFactory.create(code="USD"))


@pytest.fixture
def deliver(ground: None, tmp_path: Path) -> Deliver:
    """Deliver a small book that ends on a Friday, with further lines of its history."""

    def deliver(*lines: str, now: datetime = NOW) -> int:
        for name, text in BOOK.items():
            content = [line.strip() for line in text.strip().splitlines()]
            (tmp_path / name).write_text("\n".join(content + (list(lines) if name == "history.jsonl" else [])) + "\n")
        return deliver_demonstration(folder=tmp_path, now=now)

    return deliver


def line(**told: Any) -> str:
    return json.dumps(told)


def is_recorded() -> bool:
    return LoadedFixture.objects.filter(model="trader.demonstration", natural_key=["book"]).exists()


def is_empty() -> bool:
    return not any(model._default_manager.exists() for model in (Order, Execution, JournalEntry, FxRate, PriceBar))


def test_what_has_happened_by_now_is_replayed_and_recorded_as_one_delivery(deliver: Deliver) -> None:
    events = deliver()

    assert events == UNTIL_WEDNESDAY
    assert list(LoadedFixture.objects.values_list("model", "natural_key", "loaded_at")) == [
        ("trader.demonstration", ["book"], NOW)
    ]
    assert Position.objects.get().quantity == 10
    assert Order.objects.get().ord_status == "2"
    assert set(JournalEntry.objects.values_list("kind", flat=True)) == {"DEPOSIT", "TRADE"}


def test_it_is_delivered_once_whatever_was_deleted_since(
    deliver: Deliver, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    deliver()
    PriceBar.objects.all().delete()
    FxRate.objects.all().delete()

    # Two of them are the savepoint.
    with django_assert_num_queries(3):
        assert deliver(now=NOW + timedelta(weeks=4)) == 0

    assert not PriceBar.objects.exists()
    assert Execution.objects.count() == 1


@pytest.mark.parametrize(
    "now",
    [
        NOW,
        datetime(2026, 6, 21, 12, tzinfo=UTC),
        datetime(2028, 2, 29, 12, tzinfo=UTC),
        datetime(2027, 1, 1, 12, tzinfo=UTC),
        # Monday in Zurich.
        datetime(2026, 6, 21, 22, 30, tzinfo=UTC),
    ],
    ids=["Wednesday", "Sunday", "leap day", "New Year", "half past midnight on Monday"],
)
def test_days_are_moved_by_whole_weeks_until_the_last_week_is_the_current_one(deliver: Deliver, now: datetime) -> None:
    deliver(now=now)

    today = now.astimezone(ZURICH).date()
    monday = today - timedelta(days=today.weekday())
    execution = Execution.objects.get()
    assert execution.trade_date == monday - timedelta(days=3)
    assert execution.transact_time.astimezone(ZURICH).strftime("%a %H:%M") == "Fri 10:01"
    assert set(PriceBar.objects.values_list("ts", flat=True)) <= {
        datetime.combine(monday + timedelta(days=days), datetime.min.time(), UTC) for days in (-4, 1, 2, 3)
    }
    last = JournalEntry.objects.order_by("value_date").last()
    assert last is not None
    assert last.value_date <= today
    assert all(at <= now for at in FxRate.objects.values_list("at", flat=True))


def test_a_session_has_its_bar_once_it_has_begun(deliver: Deliver) -> None:
    deliver()

    bars = PriceBar.objects.order_by("instrument__symbol", "ts").values_list("instrument__symbol", "ts__date")
    assert list(bars) == [
        ("AAPL", date(2026, 6, 16)),
        ("NESN", date(2026, 6, 11)),
        ("NESN", date(2026, 6, 17)),
    ]


def test_the_hours_of_venues_are_kept_in_summer_and_in_winter(deliver: Deliver) -> None:
    """A week in March, in which New York has summer time and Zurich has not."""
    orders = [
        line(at="2026-01-05T15:45:00", do="place", instrument="NESN", order="Z", **AN_ORDER),
        line(at="2026-01-05T10:00:00", do="place", instrument="AAPL", order="N", **AN_ORDER),
    ]

    deliver(*orders, now=datetime(2026, 3, 11, tzinfo=UTC))

    zurich, new_york = (Order.objects.get(cl_ord_id=name).transact_time for name in ("Z", "N"))
    assert zurich.astimezone(ZURICH) == datetime(2026, 3, 9, 15, 45, tzinfo=ZURICH)
    assert new_york.astimezone(NEW_YORK) == datetime(2026, 3, 9, 10, tzinfo=NEW_YORK)
    # As it was written, New York's came later.
    assert new_york < zurich
    by_key = Order.objects.filter(cl_ord_id__in="NZ").order_by("pk").values_list("cl_ord_id", flat=True)
    assert list(by_key) == ["N", "Z"]


def test_a_real_rate_or_price_of_the_same_day_comes_before_an_invented_one(deliver: Deliver) -> None:
    deliver()
    dollar, nestle = CurrencyFactory.create(code="USD"), Instrument.objects.get(symbol="NESN")
    FxRateFactory.create(base=dollar, source="import", at=datetime(2026, 6, 17, tzinfo=UTC), rate=Decimal("0.8"))
    PriceBarFactory.create(instrument=nestle, source="manual", ts=datetime(2026, 6, 17, tzinfo=UTC), close=Decimal(103))

    question = Question(account=Account.objects.get(), as_of=NOW.date())
    (position,) = report_positions(question, Given()).positions

    assert position.market_value == 1030


@pytest.mark.parametrize(
    "factory",
    [AccountFactory, CorporateActionFactory, ExecutionFactory, FxRateFactory, OrderFactory, PriceBarFactory],
)
def test_a_book_that_somebody_has_used_stays_as_it_is(deliver: Deliver, factory: type[DjangoModelFactory[Any]]) -> None:
    factory.create()
    orders, bars = Order.objects.count(), PriceBar.objects.count()

    assert deliver() == 0

    assert (Order.objects.count(), PriceBar.objects.count()) == (orders, bars)
    assert not JournalEntry.objects.exists()
    assert is_recorded()
    assert deliver() == 0


def test_money_in_the_demonstration_account_is_a_use_of_the_book(deliver: Deliver) -> None:
    record_cash(
        account=Account.objects.get(),
        kind=JournalEntry.Kind.DEPOSIT,
        currency=CurrencyFactory.create(),
        amount=Decimal(100),
        value_date=NOW.date(),
        actor="a trader",
        now=NOW,
    )

    assert deliver() == 0

    assert not PriceBar.objects.exists()
    assert is_recorded()


def test_it_waits_until_what_it_stands_on_is_back(deliver: Deliver, caplog: pytest.LogCaptureFixture) -> None:
    Instrument.objects.filter(symbol="AAPL").update(symbol="APPLE")

    assert deliver() == 0

    assert "demonstration skipped: AAPL is not there" in caplog.text
    assert is_empty()
    assert not is_recorded()

    Instrument.objects.filter(symbol="APPLE").update(symbol="AAPL")
    assert deliver() == UNTIL_WEDNESDAY


def test_without_its_account_it_waits_too(deliver: Deliver, caplog: pytest.LogCaptureFixture) -> None:
    Account.objects.all().delete()

    assert deliver() == 0

    assert "demonstration skipped: DEMO is not there" in caplog.text
    assert is_empty()
    assert not is_recorded()


def test_an_account_of_another_name_is_somebodys_own(deliver: Deliver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Account.objects.update(code="MINE")

    assert deliver() == 0

    assert "demonstration left out: somebody has used this book" in caplog.text
    assert is_empty()
    assert is_recorded()


def test_what_fails_in_the_middle_leaves_nothing(deliver: Deliver) -> None:
    again = {"exec_id": "E1", "quantity": "1", "price": "100", "fees": []}

    with pytest.raises(IntegrityError, match="trader_execution_account_source_exec_id_unique"):
        deliver(line(at="2026-01-05T10:00:00", do="fill", instrument="NESN", order="D1", **again))

    assert is_empty()
    assert not is_recorded()
    assert deliver() == UNTIL_WEDNESDAY


@pytest.mark.endurance
@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 11, 29, 23, tzinfo=UTC),
        datetime(2028, 2, 29, 20, tzinfo=UTC),
        datetime(2027, 1, 1, 0, 30, tzinfo=UTC),
        datetime(2026, 3, 9, 6, tzinfo=UTC),
    ],
    ids=["Sunday night", "leap day", "New Year", "before the first session of a week"],
)
def test_the_book_is_a_credible_one_whenever_it_is_delivered(now: datetime) -> None:
    deliver_fixtures(folders=[FIXTURES / "reference", FIXTURES / "demo"], now=now)
    expected = counted(history_until(now))

    assert deliver_demonstration(folder=FOLDER, now=now) == len(history_until(now))

    account = Account.objects.get(code="DEMO")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert check(account.pk).findings == []
    _assert_is_as_counted(account, now, expected)
    _assert_no_day_ended_in_debt()
    _assert_prices_reach_today(now)
    assert Order.objects.filter(leaves_qty__gt=0).count() >= 3
    statuses = set(Order.objects.values_list("ord_status", flat=True))
    assert statuses >= {Order.OrdStatus(status) for status in "0245C8"}
    assert Order.objects.filter(cum_qty__gt=0, ord_status__in="45C").exists()
    assert Execution.objects.filter(exec_type="H").count() == Execution.objects.filter(exec_type="G").count() == 1
    assert Execution.objects.latest("transact_time").transact_time <= now


def _assert_is_as_counted(account: Account, now: datetime, expected: Count) -> None:
    """The reports say what the files say, added up by hand."""
    today = now.astimezone(ZURICH).date()
    report = report_positions(Question(account=account, as_of=today), Given(), closed=True)
    assert report.missing_rates == []
    assert {cash.currency: cash.amount for cash in report.cash} == expected.cash
    assert {each.symbol for each in report.positions} == expected.held.keys()
    for each in report.positions:
        holding = expected.held[each.symbol]
        assert each.quantity == holding.quantity >= 0
        assert each.cost == pytest.approx(holding.cost, rel=Decimal("1e-12"))
        assert each.realized_pnl == pytest.approx(holding.realized, rel=Decimal("1e-12"))
        assert each.market_value is not None


def _assert_no_day_ended_in_debt() -> None:
    cash = Posting.objects.filter(ledger_account__kind="CASH").values("currency__code", "value_date")
    daily = cash.annotate(moved=Sum("amount")).order_by("value_date")
    standing: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in daily:
        standing[row["currency__code"]] += row["moved"]
        assert standing[row["currency__code"]] >= 0


def _assert_prices_reach_today(now: datetime) -> None:
    """Each instrument has a bar of the last weekday whose session has begun, or of the one before."""
    for instrument in Instrument.objects.filter(position__isnull=False).select_related("venue"):
        last = PriceBar.objects.filter(instrument=instrument).latest("ts").ts.date()
        here = instrument.venue.date_of(now)
        weekdays = [day for days in range(5) if (day := here - timedelta(days=days)).weekday() < 5]
        assert last <= here
        assert last >= weekdays[1]
