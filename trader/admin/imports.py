from django.contrib import admin
from django.http import HttpRequest

from trader.admin.pages import Tool, ViewedAdmin, ViewedInline
from trader.admin.showing import list_of
from trader.models import ImportBatch, ImportRow


class ImportRowInline(ViewedInline):
    model = ImportRow
    fields = ("row_number", "state", "external_id", "raw")
    ordering = ("row_number",)
    verbose_name_plural = "first rows"


@admin.register(ImportBatch)
class ImportBatchAdmin(ViewedAdmin):
    fields = ("account", "source", "file_name", "sha256", "actor", "imported_at")
    list_display = ("file_name", "account", "source", "actor", "imported_at")
    list_filter = ("account", "source")
    related = ("account",)
    search_fields = ("file_name", "sha256__iexact")
    search_help_text = "A part of the file's name, or its SHA-256"
    inlines = (ImportRowInline,)

    def tools(self, request: HttpRequest, obj: ImportBatch) -> list[Tool]:
        known = list_of(ImportRow, batch=obj.pk, state=ImportRow.State.KNOWN)
        return [Tool("All rows", list_of(ImportRow, batch=obj.pk)), Tool("Rows known already", known)]


@admin.register(ImportRow)
class ImportRowAdmin(ViewedAdmin):
    fields = ("batch", "account", "source", "row_number", "state", "external_id", "row_hash", "ordinal", "raw")
    list_display = ("__str__", "account", "source", "state", "external_id")
    list_filter = ("account",)
    related = ("batch", "account")
    search_fields = ("external_id__exact",)
    search_help_text = "The whole external ID"
