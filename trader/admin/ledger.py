from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from trader.admin.filtering import LedgerCurrency
from trader.admin.pages import (
    BookForm,
    DecimalFormField,
    RecordedAdmin,
    Tool,
    ViewedAdmin,
    ViewedInline,
    actor_of,
)
from trader.admin.refusals import Refused
from trader.admin.showing import list_of
from trader.admin.steps import TakenBackAdmin
from trader.booking.postings import CASH_EVENTS
from trader.models import Currency, JournalEntry, LedgerAccount, Posting
from trader.operations.ledger import record_cash, record_exchange, reverse

Kind = JournalEntry.Kind

ALWAYS_POSITIVE = (Kind.DEPOSIT, Kind.WITHDRAWAL, Kind.FX)
PAID = ("paid_currency", "paid_amount")
ENTERED = [(kind.value, kind.label) for kind in Kind if kind in CASH_EVENTS or kind == Kind.FX]


def currency_field(**options: Any) -> forms.ModelChoiceField:
    widget = AutocompleteSelect(Posting._meta.get_field("currency"), admin.site)
    return forms.ModelChoiceField(Currency.objects, widget=widget, **options)


def amount_field(**options: Any) -> DecimalFormField:
    return DecimalFormField(max_digits=38, decimal_places=18, **options)


class MoneyForm(BookForm):
    """Of money that came, went, or was changed into another currency."""

    kind = forms.ChoiceField(choices=[("", "---------"), *ENTERED])
    currency = currency_field(help_text="Of an exchange: what was bought.")
    amount = amount_field(help_text="Gross; negative where a dividend, interest, tax or fee is taken back.")
    paid_currency = currency_field(required=False)
    paid_amount = amount_field(required=False)

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        exchanged = given.get("kind") == Kind.FX
        for name in PAID:
            if name in given and exchanged == (given[name] is None):
                self.add_error(name, "An exchange says what was paid, and nothing else does.")
        for name in ("instrument", "fx_rate"):
            if exchanged and given.get(name) is not None:
                self.add_error(name, "An exchange has none.")
        for name in ("amount", "paid_amount"):
            amount = given.get(name)
            if given.get("kind") in ALWAYS_POSITIVE and amount is not None and amount <= 0:
                self.add_error(name, "Of a deposit, a withdrawal or an exchange it is positive.")
        return given


class EntryForm(BookForm):
    class Meta:
        labels = {"reversal": "Reversed by"}


class PostingInline(ViewedInline):
    model = Posting
    fields = ("ledger_account", "amount")
    related = ("ledger_account__account", "ledger_account__currency", "currency")
    ordering = ("pk",)


@admin.register(JournalEntry)
class JournalEntryAdmin(TakenBackAdmin, RecordedAdmin):
    """Money is recorded and reversed; trades post themselves."""

    form = EntryForm
    add_form = MoneyForm
    list_display = ("value_date", "kind", "account", "instrument", "recorded_at", "actor")
    list_filter = ("account", "kind")
    related = ("account", "instrument__venue", "instrument__currency")
    search_fields = ("account__code__exact", "instrument__symbol__exact", "execution__exec_id__exact")
    # Each under the condition of its index: of trades none leads by the instrument.
    searched_in = {"execution": Q(kind=Kind.TRADE), "instrument": ~Q(kind=Kind.TRADE)}
    search_help_text = "The account's whole code, ExecID, or the symbol of what is no trade"
    autocomplete_fields = ("account", "instrument")
    inlines = (PostingInline,)
    fieldsets = (
        (None, {"fields": ("account", "kind", "value_date", "instrument", "fx_rate")}),
        ("Origin", {"fields": ("execution", "reverses", "reversal")}),
        ("Recorded", {"fields": ("actor", "recorded_at", "import_row")}),
    )
    add_fieldsets = (
        (None, {"fields": ("account", "kind", "value_date", "currency", "amount", "instrument", "fx_rate")}),
        ("Currency exchange", {"fields": PAID}),
    )
    taking_back = "reverse"
    question = "Reverse the entry by its exact negative, on its own value date?"
    ended = "{} was reversed already, or is a reversal itself."

    def is_open(self, obj: JournalEntry) -> bool:
        return obj.kind != Kind.REVERSAL and not JournalEntry.objects.filter(reverses=obj).exists()

    def save_model(self, request: HttpRequest, obj: JournalEntry, form: forms.ModelForm, change: Any) -> None:
        entry = _recorded(form.cleaned_data, actor_of(request), timezone.now())
        if entry is None:
            raise Refused("It rounds to nothing: less than half of the currency's smallest amount.")
        obj.pk = entry.pk

    def take_back(self, request: HttpRequest, obj: JournalEntry, answers: dict[str, Any]) -> JournalEntry:
        return reverse(obj, actor=actor_of(request), now=timezone.now())


def _recorded(given: dict[str, Any], actor: str, now: datetime) -> JournalEntry | None:
    common = {"account": given["account"], "value_date": given["value_date"], "actor": actor, "now": now}
    if given["kind"] == Kind.FX:
        bought, sold = (given["currency"], given["amount"]), (given["paid_currency"], given["paid_amount"])
        return record_exchange(bought=bought, sold=sold, **common)
    names = ("kind", "currency", "amount", "instrument", "fx_rate")
    return record_cash(**{name: given[name] for name in names}, **common)


@admin.register(Posting)
class PostingAdmin(ViewedAdmin):
    fields = ("entry", "ledger_account", "amount", "currency", "value_date")
    list_display = ("value_date", "entry", "ledger_account", "amount", "currency")
    list_filter = (("currency", LedgerCurrency),)
    related = ("entry", "ledger_account__account", "ledger_account__currency", "currency")
    search_fields = ("ledger_account__account__code__exact",)
    search_help_text = "The account's whole code"


@admin.register(LedgerAccount)
class LedgerAccountAdmin(ViewedAdmin):
    """Made when something is first posted to it."""

    fields = ("account", "kind", "currency")
    list_display = ("__str__", *fields)
    list_filter = ("account", "kind")
    related = ("account", "currency")
    search_fields = ("account__code", "currency__code")
    search_help_text = "The account's code, or the currency's"
    ordering = ("account__code", "kind", "pk")

    def tools(self, request: HttpRequest, obj: LedgerAccount) -> list[Tool]:
        return [Tool("Postings", list_of(Posting, ledger_account=obj.pk))]
