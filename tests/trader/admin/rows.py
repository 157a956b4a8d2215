"""A row of each model, and the paths of its pages."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from operator import attrgetter

from django.contrib.auth.models import Permission
from django.db import models
from django.test import Client
from django.urls import reverse

from tests.factories import (
    DAY,
    AccountFactory,
    CorporateActionFactory,
    CurrencyFactory,
    FxRateFactory,
    InstrumentFactory,
    InstrumentIdentifierFactory,
    LedgerAccountFactory,
    OrderEventFactory,
    OrderFactory,
    PriceBarFactory,
    UserFactory,
    VenueFactory,
)
from tests.trader.operations.books import Book, fee
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
    LoadedFixture,
    LotMatch,
    LotSelection,
    Order,
    OrderEvent,
    Position,
    Posting,
    PriceBar,
    TaxLot,
    User,
    Venue,
)
from trader.operations.ledger import record_cash, record_exchange
from trader.operations.ledger import reverse as reverse_entry
from trader.operations.orders import move_order, replace_order
from trader.operations.splits import record_split

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)

numbers = count()


def new_currency() -> Currency:
    return CurrencyFactory.create(code=f"Q{next(numbers):05}")


def new_venue() -> Venue:
    return VenueFactory.create(mic=f"{next(numbers):04}")


def new_instrument() -> Instrument:
    return InstrumentFactory.create(venue=new_venue(), currency=new_currency())


def new_account() -> Account:
    return AccountFactory.create(base_currency=new_currency())


def new_order() -> Order:
    return OrderFactory.create(account=new_account(), instrument=new_instrument())


def new_trade() -> Execution:
    """A purchase, of which half is sold again by choice of its lot; each with a fee."""
    book = Book(new_account(), new_instrument())
    bought = book.buy("10", exec_id=f"B{next(numbers)}", fees=[fee("1")])
    book.sell("5", exec_id=f"S{next(numbers)}", lots=[(bought, Decimal(5))])
    return bought


def new_deposit() -> JournalEntry:
    account, currency = new_account(), new_currency()
    entry = record_cash(
        account=account, kind="DEPOSIT", currency=currency, amount=Decimal(1), value_date=DAY, actor="a trader", now=NOW
    )
    assert entry is not None
    return entry


def small_book() -> None:
    """Each kind of fact, referring to others of the same account and instrument."""
    book = Book(new_account(), new_instrument())
    order = move_order(book.order("100"), Order.Lifecycle.NEW, actor="a broker", now=NOW)
    bought = book.correct(book.fill(order, "40", fees=[fee("1"), fee("0.1", "")]), "50", fees=[fee("2")])
    book.bust(book.fill(order, "10"))
    replace_order(order, cl_ord_id="REPLACED", order_qty=Decimal(80), actor="a trader", now=NOW)
    book.sell("20", lots=[(bought, Decimal(20))])
    record_split(instrument=book.instrument, ex_date=DAY, numerator=4, denominator=1)
    exchange = record_exchange(
        account=book.account,
        bought=(new_currency(), Decimal(10)),
        sold=(new_currency(), Decimal(11)),
        value_date=DAY,
        actor="a trader",
        now=NOW,
    )
    assert exchange is not None
    reverse_entry(exchange, actor="a trader", now=NOW)
    FxRateFactory.create(base=book.instrument.currency, quote=book.account.base_currency)
    InstrumentIdentifierFactory.create(instrument=book.instrument)
    PriceBarFactory.create(instrument=book.instrument)


def new_batch() -> ImportBatch:
    number = next(numbers)
    return ImportBatch.objects.create(
        account=new_account(),
        source="generic",
        file_name=f"trades-{number}.csv",
        sha256=f"{number:064x}",
        actor="a trader",
        imported_at=NOW,
    )


def new_import_row() -> ImportRow:
    batch, number = new_batch(), next(numbers)
    return ImportRow.objects.create(
        batch=batch,
        account=batch.account,
        source=batch.source,
        row_number=2,
        raw="a,b",
        external_id=f"E{number}",
        row_hash=f"{number:032x}",
    )


# Each with references of its own, so that a query for each row of a list shows.
NEW_ROW: dict[type[models.Model], Callable[[], models.Model]] = {
    User: UserFactory.create,
    Currency: new_currency,
    Venue: new_venue,
    Instrument: new_instrument,
    InstrumentIdentifier: lambda: InstrumentIdentifierFactory.create(instrument=new_instrument()),
    Account: new_account,
    Order: new_order,
    OrderEvent: lambda: OrderEventFactory.create(order=new_order()),
    Execution: new_trade,
    ExecutionFee: lambda: ExecutionFee.objects.get(execution=new_trade()),
    LotSelection: lambda: LotSelection.objects.get(opening_execution=new_trade()),
    LedgerAccount: lambda: LedgerAccountFactory.create(account=new_account(), currency=new_currency()),
    JournalEntry: new_deposit,
    Posting: lambda: Posting.objects.get(entry=new_deposit(), amount__gt=0),
    Position: lambda: Position.objects.get(account=new_trade().account),
    TaxLot: lambda: TaxLot.objects.get(trade=new_trade()),
    LotMatch: lambda: LotMatch.objects.get(opening_trade=new_trade()),
    CorporateAction: lambda: CorporateActionFactory.create(instrument=new_instrument()),
    FxRate: lambda: FxRateFactory.create(base=new_currency(), quote=new_currency()),
    PriceBar: lambda: PriceBarFactory.create(instrument=new_instrument()),
    ImportBatch: new_batch,
    ImportRow: new_import_row,
    LoadedFixture: lambda: LoadedFixture.objects.create(
        model="trader.currency", natural_key=[f"Q{next(numbers):05}"], loaded_at=NOW
    ),
}
# What a list is searched for to find that row alone.
SEARCHED: dict[type[models.Model], Callable[[models.Model], str]] = {
    User: attrgetter("email"),
    Currency: attrgetter("code"),
    Venue: attrgetter("mic"),
    Instrument: attrgetter("symbol"),
    InstrumentIdentifier: attrgetter("value"),
    Account: attrgetter("code"),
    Order: attrgetter("cl_ord_id"),
    OrderEvent: attrgetter("order.cl_ord_id"),
    Execution: attrgetter("exec_id"),
    ExecutionFee: attrgetter("execution.exec_id"),
    LotSelection: attrgetter("opening_execution.exec_id"),
    LedgerAccount: attrgetter("account.code"),
    JournalEntry: attrgetter("account.code"),
    Posting: attrgetter("ledger_account.account.code"),
    Position: attrgetter("account.code"),
    TaxLot: attrgetter("position.account.code"),
    LotMatch: attrgetter("position.account.code"),
    CorporateAction: attrgetter("instrument.symbol"),
    FxRate: attrgetter("base.code"),
    PriceBar: attrgetter("instrument.symbol"),
    ImportBatch: attrgetter("file_name"),
    ImportRow: attrgetter("external_id"),
    LoadedFixture: lambda row: str(row).split()[1],
}
# What the database keeps for ever: nobody can add or delete it here, or can add it alone.
VIEWED = (
    OrderEvent,
    ExecutionFee,
    LotSelection,
    LedgerAccount,
    Posting,
    Position,
    TaxLot,
    LotMatch,
    ImportBatch,
    ImportRow,
)
ADDED = (Order, Execution, JournalEntry)


def url(model: type[models.Model], page: str, *arguments: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


def staff(*permissions: str) -> Client:
    """A browser in which a member of the staff with these permissions is logged in."""
    user = UserFactory.create(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client
