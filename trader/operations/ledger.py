"""The ledger: posting events, and taking entries back."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal

from trader.booking.postings import Leg, cash_legs, exchange_legs
from trader.models import Account, Currency, Instrument, JournalEntry, LedgerAccount, Posting
from trader.operations.retrying import in_one_transaction

LedgerKey = tuple[str, str]


@in_one_transaction
def record_cash(
    *,
    account: Account,
    kind: str,
    currency: Currency,
    amount: Decimal,
    value_date: date,
    actor: str,
    now: datetime,
    instrument: Instrument | None = None,
    fx_rate: Decimal | None = None,
) -> JournalEntry | None:
    """Post a DEPOSIT, WITHDRAWAL, DIVIDEND, INTEREST, WITHHOLDING_TAX or FEE; None when it rounds to nothing.

    The amount is gross and positive, negative for what is taken back; `fx_rate` is in base currency per unit.
    """
    entry = JournalEntry(
        account=account,
        instrument=instrument,
        kind=kind,
        value_date=value_date,
        fx_rate=fx_rate,
        actor=actor,
        recorded_at=now,
    )
    return post(entry, cash_legs(kind, currency.code, amount, {currency.code: currency.minor_unit}))


@in_one_transaction
def record_exchange(
    *,
    account: Account,
    bought: tuple[Currency, Decimal],
    sold: tuple[Currency, Decimal],
    value_date: date,
    actor: str,
    now: datetime,
) -> JournalEntry | None:
    """Post a currency exchange; None when it rounds to nothing."""
    entry = JournalEntry(
        account=account, kind=JournalEntry.Kind.FX, value_date=value_date, actor=actor, recorded_at=now
    )
    (buying, incoming), (selling, outgoing) = bought, sold
    minor_units = {currency.code: currency.minor_unit for currency in (buying, selling)}
    return post(entry, exchange_legs((buying.code, incoming), (selling.code, outgoing), minor_units))


@in_one_transaction
def reverse(entry: JournalEntry, *, actor: str, now: datetime) -> JournalEntry:
    """Take an entry back by its exact negative, on its own value date.

    IntegrityError for an entry that is reversed already, or is a reversal itself.
    """
    reversal = JournalEntry.objects.create(
        account_id=entry.account_id,
        instrument_id=entry.instrument_id,
        kind=JournalEntry.Kind.REVERSAL,
        reverses=entry,
        value_date=entry.value_date,
        fx_rate=entry.fx_rate,
        actor=actor,
        recorded_at=now,
    )
    Posting.objects.bulk_create(
        Posting(
            entry=reversal,
            ledger_account_id=posting.ledger_account_id,
            currency_id=posting.currency_id,
            amount=posting.amount.copy_negate(),
            value_date=posting.value_date,
        )
        for posting in entry.postings.all()
    )
    return reversal


def post(entry: JournalEntry, legs: Iterable[Leg]) -> JournalEntry | None:
    """Save the entry with its legs; without any, nothing is saved."""
    legs = list(legs)
    if not legs:
        return None
    ledger = ledger_accounts(entry.account_id, {(leg.kind, leg.currency) for leg in legs})
    entry.save(force_insert=True)
    Posting.objects.bulk_create(
        Posting(
            entry=entry,
            ledger_account=ledger[leg.kind, leg.currency],
            currency_id=ledger[leg.kind, leg.currency].currency_id,
            amount=leg.amount,
            value_date=entry.value_date,
        )
        for leg in legs
    )
    return entry


def ledger_accounts(account: int, wanted: Iterable[LedgerKey]) -> Mapping[LedgerKey, LedgerAccount]:
    """The account's ledger accounts by kind and currency code, made where there are none."""
    wanted = sorted(set(wanted))
    known = _known(account)
    missing = [key for key in wanted if key not in known]
    if missing:
        ids = dict(Currency.objects.filter(code__in={code for _, code in missing}).values_list("code", "pk"))
        LedgerAccount.objects.bulk_create(
            [LedgerAccount(account_id=account, kind=kind, currency_id=ids[code]) for kind, code in missing],
            ignore_conflicts=True,
        )
        known = _known(account)
    return {key: known[key] for key in wanted}


def _known(account: int) -> dict[LedgerKey, LedgerAccount]:
    rows = LedgerAccount.objects.filter(account=account).select_related("currency")
    return {(row.kind, row.currency.code): row for row in rows}
