"""The ledger: money in double entry. Entries and postings are facts; what was wrong is reversed, never changed."""

from django.db import models
from django.db.models import Q

from trader.booking.numbers import plain
from trader.models.accounts import Account
from trader.models.dates import OUT_OF_BOUNDS, dates_within_bounds, times_within_bounds
from trader.models.imports import ImportRow
from trader.models.keys import uuid7
from trader.models.numbers import a_number, positive
from trader.models.orders import Execution
from trader.models.reference import Currency, Instrument


class LedgerAccount(models.Model):
    class Kind(models.TextChoices):
        CASH = "CASH", "Cash"
        SECURITIES = "SECURITIES", "Securities"
        FX_TRADING = "FX_TRADING", "Currency trading"
        INCOME = "INCOME", "Income"
        EXPENSE = "EXPENSE", "Expense"
        EQUITY = "EQUITY", "Equity"

    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False)
    kind = models.CharField(max_length=10, choices=Kind)
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "kind", "currency"], name="trader_ledgeraccount_account_kind_currency_unique"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["CASH", "SECURITIES", "FX_TRADING", "INCOME", "EXPENSE", "EQUITY"]),
                name="trader_ledgeraccount_kind_check",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.kind} {self.currency}"


class JournalEntry(models.Model):
    """One event in money; its postings sum to zero in each currency."""

    class Kind(models.TextChoices):
        TRADE = "TRADE", "Trade"
        DEPOSIT = "DEPOSIT", "Deposit"
        WITHDRAWAL = "WITHDRAWAL", "Withdrawal"
        DIVIDEND = "DIVIDEND", "Dividend"
        WITHHOLDING_TAX = "WITHHOLDING_TAX", "Withholding tax"
        FEE = "FEE", "Fee"
        INTEREST = "INTEREST", "Interest"
        FX = "FX", "Currency exchange"
        REVERSAL = "REVERSAL", "Reversal"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_constraint=False)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, db_index=False, null=True, blank=True)
    value_date = models.DateField()
    kind = models.CharField(max_length=15, choices=Kind)
    execution = models.ForeignKey(
        Execution,
        on_delete=models.PROTECT,
        db_constraint=False,
        db_index=False,
        null=True,
        blank=True,
        related_name="entries",
    )
    reverses = models.OneToOneField("self", on_delete=models.PROTECT, null=True, blank=True, related_name="reversal")
    fx_rate = models.DecimalField(
        "FX rate",
        max_digits=24,
        decimal_places=12,
        null=True,
        blank=True,
        help_text="Units of the account's base currency per unit of the entry's.",
    )
    actor = models.CharField(max_length=254)
    recorded_at = models.DateTimeField()
    # Filled in by the database: the transaction that wrote the row, in which its postings join it.
    posted_xid = models.BigIntegerField(default=0, editable=False)
    import_row = models.ForeignKey(ImportRow, on_delete=models.PROTECT, db_index=False, null=True, blank=True)

    class Meta:
        verbose_name_plural = "journal entries"
        constraints = [
            models.UniqueConstraint(
                fields=["execution"], condition=Q(kind="TRADE"), name="trader_journalentry_execution_trade_unique"
            ),
            models.CheckConstraint(
                condition=Q(
                    kind__in=[
                        "TRADE",
                        "DEPOSIT",
                        "WITHDRAWAL",
                        "DIVIDEND",
                        "WITHHOLDING_TAX",
                        "FEE",
                        "INTEREST",
                        "FX",
                        "REVERSAL",
                    ]
                ),
                name="trader_journalentry_kind_check",
            ),
            models.CheckConstraint(
                condition=Q(kind="REVERSAL", reverses__isnull=False) | Q(~Q(kind="REVERSAL"), reverses__isnull=True),
                name="trader_journalentry_kind_reverses_check",
                violation_error_message="A reversal, and nothing else, names the entry that it takes back.",
            ),
            models.CheckConstraint(
                condition=Q(kind="TRADE", execution__isnull=False) | Q(~Q(kind="TRADE"), execution__isnull=True),
                name="trader_journalentry_kind_execution_check",
                violation_error_message="A trade's entry, and nothing else, names its execution.",
            ),
            models.CheckConstraint(
                condition=positive("fx_rate"),
                name="trader_journalentry_fx_rate_check",
                violation_error_message="A rate is positive.",
            ),
            models.CheckConstraint(
                condition=times_within_bounds("recorded_at") & dates_within_bounds("value_date"),
                name="trader_journalentry_dates_check",
                violation_error_message=OUT_OF_BOUNDS,
            ),
        ]
        indexes = [
            models.Index(fields=["kind", "id"], condition=~Q(kind="TRADE"), name="trader_journalentry_kind_index"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.value_date}"


class Posting(models.Model):
    """One leg of an entry: positive is debit. It has no foreign keys, for the reason that an execution has few."""

    entry = models.ForeignKey(JournalEntry, on_delete=models.PROTECT, db_constraint=False, related_name="postings")
    ledger_account = models.ForeignKey(LedgerAccount, on_delete=models.PROTECT, db_constraint=False, db_index=False)
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, db_constraint=False, db_index=False)
    amount = models.DecimalField(max_digits=38, decimal_places=18)
    value_date = models.DateField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(amount=0) & a_number("amount"),
                name="trader_posting_amount_check",
                violation_error_message="A posting moves an amount.",
            ),
        ]
        # Balances are sums of it, by ledger account and day, and read nothing else.
        indexes = [
            models.Index(
                fields=["ledger_account", "value_date"], include=["amount"], name="trader_posting_balance_index"
            ),
        ]

    def __str__(self) -> str:
        return f"{plain(self.amount)} {self.currency}"
