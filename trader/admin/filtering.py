"""Filters beside a list, where the list or what it refers to may be long."""

from typing import Any

from django.contrib.admin import RelatedFieldListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from trader.models import Currency, LedgerAccount

# Where there is more to choose from, the list is searched.
MOST_CHOICES = 100


class FewRelated(RelatedFieldListFilter):
    """Offers the rows that a column may refer to, unless they are many: then only the one that is chosen already."""

    def has_output(self) -> bool:
        return bool(self.used_parameters) or super().has_output()

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[Any]:
        offered = self.offered(field)
        if offered[: MOST_CHOICES + 1].count() > MOST_CHOICES:
            offered = self._chosen(offered)
        ordering = self.field_admin_ordering(field, request, model_admin)
        return [(row.pk, str(row)) for row in offered.order_by(*ordering)]

    def offered(self, field: Any) -> QuerySet[Any]:
        rows: QuerySet[Any] = field.related_model._default_manager.all()
        return rows

    def _chosen(self, offered: QuerySet[Any]) -> QuerySet[Any]:
        try:
            return offered.filter(pk__in=self.lookup_val or ())
        except (ValueError, ValidationError) as error:
            raise IncorrectLookupParameters(error) from error


class LedgerCurrency(FewRelated):
    """Of postings, by their ledger accounts: a ledger account has one currency, and the postings' index is by it."""

    def offered(self, field: Any) -> QuerySet[Currency]:
        return Currency.objects.filter(pk__in=LedgerAccount.objects.values("currency"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.used_parameters:
            return queryset
        accounts = super().queryset(request, LedgerAccount.objects.all()) or ()
        return queryset.filter(ledger_account__in=[account.pk for account in accounts])
