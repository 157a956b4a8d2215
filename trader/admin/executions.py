from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from trader.admin.pages import BookForm, RecordedAdmin, RecordedInline, ViewedAdmin, ViewedInline, actor_of
from trader.admin.steps import SucceededAdmin, SucceedingForm, TakenBackAdmin, former_of
from trader.models import Execution, ExecutionFee, JournalEntry, LotSelection
from trader.models.keys import uuid7
from trader.operations.executions import Fee, Terms, bust, correct, record_trade

MANUAL = "manual"
GENERATED = "Empty: one is made."
WHAT = ("order", "account", "instrument", "side")
TERMS = ("last_qty", "last_px", "gross_trade_amt", "last_mkt")
SETTLEMENT = ("settl_date", "settl_currency", "settl_amount", "fx_rate")
NEW = (
    (None, {"fields": (*WHAT, *TERMS, "transact_time", "exec_id")}),
    ("Settlement", {"fields": SETTLEMENT}),
)


class ExecutionForm(BookForm):
    class Meta:
        labels = {
            "exec_ref": "Corrects or cancels",
            "successor": "Corrected or cancelled by",
            "settl_currency": "Settlement currency",
        }


class TermsForm(BookForm):
    """At what a trade was done; `terms` gathers it, with what the inlines say."""

    class Meta:
        labels = {"settl_currency": "Settlement currency"}
        help_texts = {
            "gross_trade_amt": "Empty: quantity x price x multiplier x price quotation factor.",
            "last_mkt": "The MIC of the venue, where it is another one than the listing's.",
            "exec_id": GENERATED,
            "settl_currency": "Where it is another one than the instrument's.",
            "settl_amount": "Unsigned. Empty: by the rate.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "exec_id" in self.fields:
            self.fields["exec_id"].required = False

    def clean_exec_id(self) -> str:
        return self.cleaned_data["exec_id"] or str(uuid7())

    def terms(self, fees: list[ExecutionFee], selections: list[LotSelection]) -> Terms:
        given = self.cleaned_data
        return Terms(
            quantity=given["last_qty"],
            price=given["last_px"],
            gross=given["gross_trade_amt"],
            fees=[Fee(amount=fee.amount, currency=fee.currency, type=fee.type) for fee in fees],
            lots=[(selection.opening_execution, selection.quantity) for selection in selections],
            settl_currency=given["settl_currency"],
            settl_amount=given["settl_amount"],
            settl_date=given["settl_date"],
            fx_rate=given["fx_rate"],
            last_mkt=given["last_mkt"],
        )


class CorrectionForm(SucceedingForm, TermsForm):
    def begun(self) -> Execution:
        kept = (*WHAT, "transact_time", *TERMS, *SETTLEMENT)
        return Execution(exec_ref=self.former, **{name: getattr(self.former, name) for name in kept})


class BustForm(forms.Form):
    exec_id = forms.CharField(label="ExecID", max_length=128, required=False, help_text=GENERATED)


class PartInline(RecordedInline):
    """What comes with an execution, or not at all."""

    fk_name: str
    fields: ClassVar[Any]
    ordering = ("pk",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_add_permission(request, obj)

    def begun(self, former: Execution | None) -> list[dict[str, Any]]:
        """What of it the execution had whose place is taken, if any."""
        rows = self.model._default_manager.filter(**{self.fk_name: former}).order_by("pk") if former else ()
        return [{name: getattr(row, name) for name in self.fields} for row in rows]

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        return self.extra + len(self.begun(former_of(request)))


class FeeInline(PartInline):
    model = ExecutionFee
    fk_name = "execution"
    fields = ("type", "amount", "currency")
    autocomplete_fields = ("currency",)
    extra = 1


class SelectionInline(PartInline):
    model = LotSelection
    fk_name = "closing_execution"
    fields = ("opening_execution", "quantity")
    related = ("opening_execution",)
    raw_id_fields = ("opening_execution",)
    verbose_name_plural = "lots that it closes"


class ReportFilter(admin.ChoicesFieldListFilter):
    """What corrects or cancels is found by its reference to what it does so to, which has an index."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Execution]) -> QuerySet[Execution] | None:
        rows = super().queryset(request, queryset)
        refers = self.lookup_val and Execution.ExecType.TRADE not in self.lookup_val
        return rows.filter(exec_ref__isnull=False) if rows is not None and refers else rows


class EntryInline(ViewedInline):
    model = JournalEntry
    fields = ("value_date", "kind", "recorded_at")
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[JournalEntry]:
        """Under the condition of their index."""
        return super().get_queryset(request).filter(kind=JournalEntry.Kind.TRADE)


@admin.register(Execution)
class ExecutionAdmin(SucceededAdmin, TakenBackAdmin, RecordedAdmin):
    """Recorded, corrected and busted; with its fees and selections, or not at all."""

    form = ExecutionForm
    add_form = TermsForm
    list_display = (
        "transact_time",
        "account",
        "instrument",
        "side",
        "last_qty",
        "last_px",
        "exec_type",
        "exec_id",
    )
    list_filter = ("account", ("exec_type", ReportFilter))
    related = ("account", "instrument__venue", "instrument__currency")
    search_fields = (
        "exec_id__exact",
        "instrument__symbol__exact",
        "account__code__exact",
        "order__cl_ord_id__exact",
    )
    search_help_text = "The whole ExecID, symbol, account's code or ClOrdID"
    autocomplete_fields = ("account", "instrument", "settl_currency")
    raw_id_fields = ("order",)
    inlines = (FeeInline, SelectionInline, EntryInline)
    add_inlines = (FeeInline, SelectionInline)
    fieldsets = (
        (None, {"fields": (*WHAT, *TERMS, "transact_time", "trade_date")}),
        ("Report", {"fields": ("exec_type", "exec_id", "source", "exec_ref", "successor")}),
        ("Settlement", {"fields": SETTLEMENT}),
        ("Recorded", {"fields": ("actor", "recorded_at", "import_row")}),
    )
    add_fieldsets = NEW
    succeeding = "correct"
    succeeding_form = CorrectionForm
    succeeding_fieldsets = NEW
    succeeding_readonly = (*WHAT, "transact_time")
    taking_back = "bust"
    taking_back_form = BustForm
    question = "Take the trade back, as if it had never been? Its entry is reversed and its position counted anew."
    ended = "Execution {} was corrected or cancelled already."

    def is_open(self, obj: Execution) -> bool:
        cancelled = obj.exec_type == Execution.ExecType.TRADE_CANCEL
        return not cancelled and not Execution.objects.filter(exec_ref=obj).exists()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"transact_time": timezone.now(), **super().get_changeform_initial_data(request)}

    def get_formset_kwargs(self, request: HttpRequest, obj: Execution, inline: Any, prefix: str) -> dict[str, Any]:
        kwargs = super().get_formset_kwargs(request, obj, inline, prefix)
        former = former_of(request)
        return {**kwargs, "initial": inline.begun(former)} if former and request.method == "GET" else kwargs

    def save_model(self, request: HttpRequest, obj: Execution, form: Any, change: Any) -> None:
        """It is recorded in `save_related`, with what belongs to it."""

    def save_related(self, request: HttpRequest, form: Any, formsets: list[Any], change: Any) -> None:
        parts = {formset.model: formset.save(commit=False) for formset in formsets}
        terms = form.terms(parts.get(ExecutionFee, []), parts.get(LotSelection, []))
        exec_id, actor, now = form.cleaned_data["exec_id"], actor_of(request), timezone.now()
        former = former_of(request)
        if former:
            recorded = correct(former, terms=terms, exec_id=exec_id, actor=actor, now=now)
        else:
            what = {name: form.cleaned_data[name] for name in (*WHAT, "transact_time")}
            recorded = record_trade(**what, terms=terms, exec_id=exec_id, source=MANUAL, actor=actor, now=now)
        form.instance.pk = recorded.pk
        connection.check_constraints()

    def take_back(self, request: HttpRequest, obj: Execution, answers: dict[str, Any]) -> Execution:
        exec_id = answers["exec_id"] or str(uuid7())
        return bust(obj, exec_id=exec_id, actor=actor_of(request), now=timezone.now())


@admin.register(ExecutionFee)
class ExecutionFeeAdmin(ViewedAdmin):
    fields = ("execution", "type", "amount", "currency")
    list_display = ("execution", "type", "amount", "currency")
    related = ("execution", "currency")
    search_fields = ("execution__exec_id__exact",)
    search_help_text = "The execution's whole ExecID"


@admin.register(LotSelection)
class LotSelectionAdmin(ViewedAdmin):
    fields = ("closing_execution", "opening_execution", "quantity")
    list_display = fields
    related = ("closing_execution", "opening_execution")
    search_fields = ("closing_execution__exec_id__exact", "opening_execution__exec_id__exact")
    search_help_text = "The whole ExecID of either execution"
