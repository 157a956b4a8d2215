"""What the database and the operations refuse, said on the page that asked for it."""

from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any

import psycopg
from django import forms
from django.apps import apps
from django.contrib import admin, messages
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import DataError, IntegrityError, connection, models
from django.db.models import PROTECT, QuerySet
from django.db.models.deletion import get_candidate_relations_to_delete
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.text import capfirst

from trader.booking.fees import UnitsExceedPurchase
from trader.booking.holding import LotsExceeded, Oversold
from trader.booking.postings import SettlementUnknown
from trader.operations.orders import TransitionRefused
from trader.operations.retrying import in_one_transaction


class Refused(Exception):
    """What is asked for on a page has an effect."""


REFUSALS = (
    IntegrityError,
    DataError,
    LotsExceeded,
    Oversold,
    Refused,
    SettlementUnknown,
    TransitionRefused,
    UnitsExceedPurchase,
)


def message_of(refusal: Exception) -> str:
    """The rule's own words: those of the model's constraint where it has some, else those of the database."""
    cause = refusal.__cause__
    if not isinstance(cause, psycopg.Error):
        return str(refusal.args[0])
    words = _words_of_constraint(cause.diag.constraint_name or "")
    if words or isinstance(cause, psycopg.errors.CheckViolation):
        # The detail of a violated check is the whole row.
        return words or cause.diag.message_primary or ""
    return " ".join(filter(None, [cause.diag.message_primary, cause.diag.message_detail]))


def _words_of_constraint(name: str) -> str:
    model, constraint = _constraints().get(name, (None, None))
    if model is None or constraint is None:
        return ""
    if constraint.violation_error_message != constraint.default_violation_error_message:
        return str(constraint.get_violation_error_message())
    if isinstance(constraint, models.UniqueConstraint):
        return str(model().unique_error_message(model, constraint.fields).messages[0])
    return ""


@cache
def _constraints() -> dict[str, tuple[type[models.Model], models.BaseConstraint]]:
    return {
        constraint.name: (model, constraint)
        for model in apps.get_app_config("trader").get_models()
        for constraint in model._meta.constraints
    }


class RefusableForm(forms.ModelForm):
    """Says beside a field, not above the form, what a constraint has against that field alone.

    `refusal` is what became of the same form when it was saved.
    """

    refusal: Exception | None = None

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.refusal and not self.errors:
            self.add_error(None, ValidationError({NON_FIELD_ERRORS: [message_of(self.refusal)]}))

    def add_error(self, field: str | None, error: Any) -> None:
        if field is None and isinstance(error, ValidationError) and hasattr(error, "error_dict"):
            error = self._by_field(error)
        super().add_error(field, error)

    def _by_field(self, error: ValidationError) -> ValidationError:
        by_field: dict[str, list[ValidationError]] = {}
        for name, found in error.error_dict.items():
            for each in found:
                place = self._field_of(each.message) if name == NON_FIELD_ERRORS else name
                by_field.setdefault(place, []).append(each)
        return ValidationError(by_field)

    def _field_of(self, message: object) -> str:
        for constraint in self.instance._meta.constraints:
            names = _fields_of(constraint)
            if constraint.get_violation_error_message() == message and len(names) == 1 and names <= self.fields.keys():
                return names.pop()
        return NON_FIELD_ERRORS


def _fields_of(constraint: models.BaseConstraint) -> set[str]:
    if isinstance(constraint, models.CheckConstraint):
        return set(models.Q(constraint.condition).referenced_base_fields)
    return set(getattr(constraint, "fields", ()))


class RefusalsShown(admin.ModelAdmin):
    """A page that writes does so in one transaction, and shows why it was refused; its form is a RefusableForm.

    What the database checks at COMMIT is checked before success is reported.
    """

    def get_form(self, request: HttpRequest, obj: Any = None, *args: Any, **kwargs: Any) -> type[forms.ModelForm]:
        form = super().get_form(request, obj, *args, **kwargs)
        form.refusal = getattr(request, "refusal", None)  # type: ignore[attr-defined]
        return form

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        view = partial(super().changeform_view, request, object_id, form_url, extra_context)

        def shown_again(refusal: Exception) -> HttpResponse:
            request.refusal = refusal  # type: ignore[attr-defined]
            return view()

        return _written(request, view, shown_again)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        view = partial(super().delete_view, request, object_id, extra_context)
        page = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[object_id])
        return _written(request, view, partial(self._back, request, page))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        view = partial(super().changelist_view, request, extra_context)
        return _written(request, view, partial(self._back, request, request.get_full_path()))

    def _back(self, request: HttpRequest, page: str, refusal: Exception) -> HttpResponse:
        self.message_user(request, message_of(refusal), messages.ERROR)
        return HttpResponseRedirect(page)

    def save_related(self, request: HttpRequest, form: forms.ModelForm, formsets: list[Any], change: Any) -> None:
        super().save_related(request, form, formsets, change)
        connection.check_constraints()

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        super().delete_model(request, obj)
        connection.check_constraints()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        super().delete_queryset(request, queryset)
        connection.check_constraints()

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Looks first what kinds of rows stand in the way: Django would gather each of them, a million it may be."""
        in_the_way = [
            str(capfirst(model._meta.verbose_name_plural))
            for model, column in _protecting(self.opts)
            if model._default_manager.filter(**{f"{column}__in": objs}).exists()
        ]
        return ([], {}, set(), in_the_way) if in_the_way else super().get_deleted_objects(objs, request)


def _protecting(opts: Any) -> list[tuple[type[models.Model], str]]:
    """Which columns of which models keep a row from being deleted."""
    relations: Iterable[Any] = get_candidate_relations_to_delete(opts)
    return [(each.related_model, each.field.name) for each in relations if each.on_delete is PROTECT]


def _written(
    request: HttpRequest, view: Callable[[], HttpResponse], refused: Callable[[Exception], HttpResponse]
) -> HttpResponse:
    if request.method != "POST":
        return view()
    try:
        return in_one_transaction(view)()
    except REFUSALS as refusal:
        return refused(refusal)
