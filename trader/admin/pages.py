"""What the pages of the book's models have in common."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextInputWidget, RelatedFieldWidgetWrapper
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models
from django.http import HttpRequest


class DecimalFormField(forms.DecimalField):
    """Shows a number without the zeros that fill up its column, and never with an exponent; the value is the same.

    A text input, because a browser's number input counts in floats.
    """

    widget = AdminTextInputWidget(attrs={"inputmode": "decimal"})

    def prepare_value(self, value: Any) -> Any:
        return plain(value) if isinstance(value, Decimal) else value


def plain(number: Decimal) -> str:
    """1 for 1.000000000000, 0.00000001 for 1E-8; exact, whatever the precision of the context."""
    digits = f"{number:f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


class BookForm(forms.ModelForm):
    """Says beside a field, not above the form, what a constraint has against that field alone."""

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


class BookModelAdmin(admin.ModelAdmin):
    """Decimals are shown plainly; a form can look up what it refers to and add it, but not change or delete it."""

    form = BookForm
    formfield_overrides = {models.DecimalField: {"form_class": DecimalFormField}}

    def formfield_for_dbfield(
        self, db_field: "models.Field[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget.can_change_related = field.widget.can_delete_related = False
        return field
