"""factory-boy factories: each makes a valid row; a test names only what it is about."""

from datetime import UTC, date, datetime
from decimal import Decimal

import factory
from django.db.backends.postgresql.psycopg_any import DateRange
from factory.django import DjangoModelFactory

from trader.models import (
    Account,
    CorporateAction,
    Currency,
    Execution,
    ExecutionFee,
    FxRate,
    ImportBatch,
    ImportRow,
    Instrument,
    InstrumentIdentifier,
    JournalEntry,
    LedgerAccount,
    LotSelection,
    Order,
    OrderEvent,
    Position,
    Posting,
    PriceBar,
    Side,
    User,
    Venue,
)

DAY = date(2026, 1, 5)
NOW = datetime(2026, 1, 5, 15, 30, tzinfo=UTC)


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"user{n}@example.com")
    full_name = factory.Faker("name")


class CurrencyFactory(DjangoModelFactory[Currency]):
    class Meta:
        model = Currency
        django_get_or_create = ("code",)

    code = "CHF"
    minor_unit = 2


class VenueFactory(DjangoModelFactory[Venue]):
    class Meta:
        model = Venue
        django_get_or_create = ("mic",)

    mic = "XSWX"
    name = "SIX Swiss Exchange"
    time_zone = "Europe/Zurich"
    calendar = "XSWX"


class InstrumentFactory(DjangoModelFactory[Instrument]):
    class Meta:
        model = Instrument

    venue = factory.SubFactory(VenueFactory)
    symbol = factory.Sequence(lambda n: f"SYM{n}")
    name = factory.Sequence(lambda n: f"Instrument {n}")
    currency = factory.SubFactory(CurrencyFactory)
    security_type = Instrument.SecurityType.COMMON_STOCK


class AccountFactory(DjangoModelFactory[Account]):
    class Meta:
        model = Account

    code = factory.Sequence(lambda n: f"ACC{n}")
    name = factory.Sequence(lambda n: f"Account {n}")
    owner = factory.SubFactory(UserFactory)
    base_currency = factory.SubFactory(CurrencyFactory)
    time_zone = "Europe/Zurich"


class InstrumentIdentifierFactory(DjangoModelFactory[InstrumentIdentifier]):
    class Meta:
        model = InstrumentIdentifier

    instrument = factory.SubFactory(InstrumentFactory)
    source = InstrumentIdentifier.Source.TICKER
    value = factory.Sequence(lambda n: f"TICK{n}")
    valid = DateRange(DAY, None)


class OrderFactory(DjangoModelFactory[Order]):
    class Meta:
        model = Order

    account = factory.SubFactory(AccountFactory)
    instrument = factory.SubFactory(InstrumentFactory)
    cl_ord_id = factory.Sequence(lambda n: f"ORD{n}")
    side = Side.BUY
    ord_type = Order.OrdType.MARKET
    order_qty = Decimal(100)
    transact_time = NOW


class OrderEventFactory(DjangoModelFactory[OrderEvent]):
    class Meta:
        model = OrderEvent

    order = factory.SubFactory(OrderFactory)
    exec_type = OrderEvent.ExecType.NEW
    actor = "a trader"
    at = NOW


class ExecutionFactory(DjangoModelFactory[Execution]):
    """A trade; its `trade`, which the database fills in, is there after refresh_from_db()."""

    class Meta:
        model = Execution

    account = factory.SubFactory(AccountFactory)
    instrument = factory.SubFactory(InstrumentFactory)
    source = "manual"
    exec_id = factory.Sequence(lambda n: f"EXEC{n}")
    side = Side.BUY
    last_qty = Decimal(10)
    last_px = Decimal(100)
    transact_time = NOW
    trade_date = DAY
    actor = "a trader"
    recorded_at = NOW


class ExecutionFeeFactory(DjangoModelFactory[ExecutionFee]):
    class Meta:
        model = ExecutionFee

    execution = factory.SubFactory(ExecutionFactory)
    amount = Decimal("1.5")
    currency = factory.SubFactory(CurrencyFactory)


class LotSelectionFactory(DjangoModelFactory[LotSelection]):
    """Half of a lot, by a sale of as much as all of it."""

    class Meta:
        model = LotSelection

    opening_execution = factory.SubFactory(ExecutionFactory)
    closing_execution = factory.SubFactory(
        ExecutionFactory,
        account=factory.SelfAttribute("..opening_execution.account"),
        instrument=factory.SelfAttribute("..opening_execution.instrument"),
        side=Side.SELL,
    )
    quantity = Decimal(5)


class LedgerAccountFactory(DjangoModelFactory[LedgerAccount]):
    class Meta:
        model = LedgerAccount

    account = factory.SubFactory(AccountFactory)
    kind = LedgerAccount.Kind.CASH
    currency = factory.SubFactory(CurrencyFactory)


class JournalEntryFactory(DjangoModelFactory[JournalEntry]):
    """A deposit; it needs its postings before the transaction ends."""

    class Meta:
        model = JournalEntry

    account = factory.SubFactory(AccountFactory)
    value_date = DAY
    kind = JournalEntry.Kind.DEPOSIT
    actor = "a trader"
    recorded_at = NOW


class PostingFactory(DjangoModelFactory[Posting]):
    """One leg, through its entry's cash account."""

    class Meta:
        model = Posting

    entry = factory.SubFactory(JournalEntryFactory)
    ledger_account = factory.SubFactory(LedgerAccountFactory, account=factory.SelfAttribute("..entry.account"))
    currency = factory.SelfAttribute("ledger_account.currency")
    amount = Decimal(100)
    value_date = DAY


class CorporateActionFactory(DjangoModelFactory[CorporateAction]):
    """A split, four for one."""

    class Meta:
        model = CorporateAction

    instrument = factory.SubFactory(InstrumentFactory)
    type = CorporateAction.Type.SPLIT
    ex_date = DAY
    numerator = 4
    denominator = 1


class FxRateFactory(DjangoModelFactory[FxRate]):
    class Meta:
        model = FxRate

    base = factory.SubFactory(CurrencyFactory, code="USD")
    quote = factory.SubFactory(CurrencyFactory)
    source = "manual"
    at = NOW
    rate = Decimal("0.91")


class ImportBatchFactory(DjangoModelFactory[ImportBatch]):
    class Meta:
        model = ImportBatch

    account = factory.SubFactory(AccountFactory)
    source = "generic"
    file_name = "trades.csv"
    sha256 = "0" * 64
    actor = "a trader"
    imported_at = NOW


class ImportRowFactory(DjangoModelFactory[ImportRow]):
    class Meta:
        model = ImportRow

    batch = factory.SubFactory(ImportBatchFactory)
    account = factory.SelfAttribute("batch.account")
    source = factory.SelfAttribute("batch.source")
    row_number = factory.Sequence(lambda n: n + 2)
    raw = "a,b"
    row_hash = factory.Sequence(lambda n: f"{n:032x}")


class PositionFactory(DjangoModelFactory[Position]):
    """Flat."""

    class Meta:
        model = Position

    account = factory.SubFactory(AccountFactory)
    instrument = factory.SubFactory(InstrumentFactory)


class PriceBarFactory(DjangoModelFactory[PriceBar]):
    class Meta:
        model = PriceBar

    instrument = factory.SubFactory(InstrumentFactory)
    source = "manual"
    timeframe = "1d"
    ts = datetime(2026, 1, 5, tzinfo=UTC)
    open = Decimal(100)
    high = Decimal(110)
    low = Decimal(90)
    close = Decimal(105)
