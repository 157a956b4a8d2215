from typing import Any, NamedTuple
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from trader.admin.pages import BookForm, Tool, ViewedAdmin, ViewedInline, actor_of
from trader.admin.showing import list_of, plainly
from trader.admin.steps import SucceededAdmin, SucceedingForm, former_of
from trader.booking.numbers import plain
from trader.models import Execution, Order, OrderEvent
from trader.operations.orders import move_order, place_order, replace_order

CONDITIONS = ("time_in_force", "price", "stop_px", "expire_time")
State = Order.Lifecycle
VERBS = {
    State.NEW: "Acknowledge",
    State.PENDING_CANCEL: "Request cancel",
    State.PENDING_REPLACE: "Request replace",
    State.SUSPENDED: "Suspend",
    State.DONE_FOR_DAY: "Done for day",
    State.CANCELED: "Cancel",
    State.EXPIRED: "Expire",
    State.REJECTED: "Reject",
}
BACK_TO_NEW = {
    State.PENDING_CANCEL: "Refuse cancel",
    State.PENDING_REPLACE: "Refuse replace",
    State.SUSPENDED: "Resume",
    State.DONE_FOR_DAY: "Resume",
}
STANDING = ("status", "cum_qty", "leaves_qty", "avg_px", "lifecycle", "transact_time", "orig_order")
ORDER = ("account", "instrument", "cl_ord_id", "side", "ord_type", "order_qty")
CONDITIONED: Any = ("Conditions", {"fields": CONDITIONS})
NEW: Any = ((None, {"fields": ORDER}), CONDITIONED)
BELONGING = {"events": OrderEvent, "executions": Execution}


class Move(NamedTuple):
    """A step that the order's page has a button for; one that replaces the order has a page of its own."""

    to: str
    verb: str
    ends: bool


def moves_of(order: Order) -> list[Move]:
    possible = set(order.next_states)
    verbs = VERBS | {State.NEW: BACK_TO_NEW.get(State(order.lifecycle), VERBS[State.NEW])}
    return [Move(to.value, verb, to not in Order.STEPS) for to, verb in verbs.items() if to in possible]


class NextStateField(forms.ChoiceField):
    """Offers what the order may become; of anything else the operation says why it is none of them."""

    def valid_value(self, value: Any) -> bool:
        return value in Order.Lifecycle.values


class OrderForm(BookForm):
    class Meta:
        labels = {"orig_order": "Replaces"}


class StepForm(OrderForm):
    """Of a step of an order's life."""

    to = NextStateField(label="Next state")
    text = forms.CharField(max_length=200, required=False, help_text="What was said, by the broker or to it.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["to"].choices = [(move.to, move.verb) for move in moves_of(self.instance)]  # type: ignore[attr-defined]


class ReplacementForm(SucceedingForm):
    class Meta:
        help_texts = {
            "order_qty": "The total of the whole chain; what is filled of it already is taken off.",
        }

    def begun(self) -> Order:
        kept = ("account", "instrument", "side", "ord_type", *CONDITIONS)
        return Order(orig_order=self.former, **{name: getattr(self.former, name) for name in kept})


class OrderEventInline(ViewedInline):
    model = OrderEvent
    fields = ("at", "exec_type", "actor", "payload")


class ExecutionInline(ViewedInline):
    model = Execution
    fields = ("transact_time", "exec_type", "exec_id", "last_qty", "last_px", "actor")
    show_change_link = True


class StatusFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "ord_status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), *((status.value, status.label) for status in Order.OrdStatus)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        if self.value() == "open":
            return queryset.filter(leaves_qty__gt=0)
        return queryset.filter(ord_status=self.value()) if self.value() else queryset


@admin.register(Order)
class OrderAdmin(SucceededAdmin):
    """Placed, moved and replaced; never changed otherwise, and never deleted."""

    form = OrderForm
    list_display = (
        "cl_ord_id",
        "account",
        "instrument",
        "side",
        "order_qty",
        "price",
        "status",
        "cum_qty",
        "leaves_qty",
        "transact_time",
    )
    list_filter = (StatusFilter, "account", "side")
    sortable_by = ()
    related = ("account", "instrument__venue", "instrument__currency")
    search_fields = ("cl_ord_id__exact", "instrument__symbol__exact", "account__code__exact")
    search_help_text = "The whole ClOrdID, symbol or account's code"
    ordering = ("-pk",)
    autocomplete_fields = ("account", "instrument")
    inlines = (OrderEventInline, ExecutionInline)
    readonly_fields = ("status",)
    fieldsets = (("Standing", {"fields": STANDING}), ("Order", {"fields": ORDER}), CONDITIONED)
    add_fieldsets = NEW
    succeeding = "replace"
    succeeding_form = ReplacementForm
    succeeding_fieldsets = NEW
    succeeding_readonly = ("account", "instrument", "side", "ord_type")
    ended = "Order {} cannot be replaced any more."

    @admin.display(description="status")
    def status(self, obj: Order) -> str:
        return Order.OrdStatus(obj.ord_status).label

    def has_change_permission(self, request: HttpRequest, obj: Order | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or bool(obj.next_states))

    def has_delete_permission(self, request: HttpRequest, obj: Order | None = None) -> bool:
        return False

    def may_step(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request) and self.has_change_permission(request)

    def is_open(self, obj: Order) -> bool:
        return Order.Lifecycle.PENDING_REPLACE in (obj.lifecycle, *obj.next_states)

    def tools(self, request: HttpRequest, obj: Order) -> list[Tool]:
        fill = [Tool("Fill", _filling(obj))] if request.user.has_perm("trader.add_execution") else []
        lists = [Tool(f"All {name}", list_of(model, order=obj.pk)) for name, model in BELONGING.items()]
        return [*fill, *super().tools(request, obj), *lists]

    def beside(self, request: HttpRequest, obj: Order) -> dict[str, Any]:
        return {"moves": moves_of(obj) if self.has_change_permission(request, obj) else []}

    def get_readonly_fields(self, request: HttpRequest, obj: Order | None = None) -> list[Any]:
        readonly = super().get_readonly_fields(request, obj)
        return [*readonly, *plainly(Order, flatten_fieldsets(self.fieldsets))] if obj else readonly

    def get_form(self, request: HttpRequest, obj: Any = None, *args: Any, **kwargs: Any) -> type[forms.ModelForm]:
        moves = {"form": StepForm} if obj and self.has_change_permission(request, obj) else {}
        return super().get_form(request, obj, *args, **moves, **kwargs)

    def response_post_save_change(self, request: HttpRequest, obj: Order) -> HttpResponseRedirect:
        return HttpResponseRedirect(self.page_of(obj, "change"))

    def save_model(self, request: HttpRequest, obj: Order, form: forms.ModelForm, change: Any) -> None:
        actor, now = actor_of(request), timezone.now()
        given = form.cleaned_data
        if change:
            said = {"text": given["text"]} if given["text"] else {}
            move_order(obj, Order.Lifecycle(given["to"]), actor=actor, now=now, **said)
        elif former_of(request):
            obj.pk = replace_order(former_of(request), **given, actor=actor, now=now).pk
        else:
            obj.pk = place_order(**given, actor=actor, now=now).pk


def _filling(order: Order) -> str:
    """The page of a new execution, with what is open of the order."""
    fields = {
        "order": order.pk,
        "account": order.account_id,
        "instrument": order.instrument_id,
        "side": order.side,
        "last_qty": plain(order.leaves_qty),
    }
    return f"{reverse('admin:trader_execution_add')}?{urlencode(fields)}"


@admin.register(OrderEvent)
class OrderEventAdmin(ViewedAdmin):
    fields = ("order", "exec_type", "actor", "at", "payload")
    list_display = ("order", "exec_type", "actor", "at")
    related = ("order",)
    search_fields = ("order__cl_ord_id__exact",)
    search_help_text = "The order's whole ClOrdID"
