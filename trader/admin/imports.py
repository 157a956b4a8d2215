from collections import Counter
from typing import Any, BinaryIO

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone

from trader.admin.charts import STYLE
from trader.admin.figures import GAIN, LOSS, Cell, KeyFigure, Table
from trader.admin.pages import RecordedAdmin, Tool, ViewedAdmin, ViewedInline, actor_of
from trader.admin.showing import list_of, page_of
from trader.admin.uploads import CarriedForm, DestinationForm, UploadForm
from trader.importing.files import Outcome, import_file
from trader.importing.preview import Preview, PreviewLine, State
from trader.models import ImportBatch, ImportRow

PREVIEWED = ("Line", "State", "What")
# Of a file that was not read.
NOTHING = Preview([], Counter())
TONES = {State.ADDED: GAIN, State.REFUSED: LOSS}


class ImportRowInline(ViewedInline):
    model = ImportRow
    fields = ("row_number", "state", "external_id", "raw")
    ordering = ("row_number",)
    verbose_name_plural = "first rows"


@admin.register(ImportBatch)
class ImportBatchAdmin(RecordedAdmin):
    """A file is added in two steps: what it would do is shown, and then done."""

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

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return self._page(request, UploadForm(initial=request.GET.dict()))
        if "content" in request.POST:
            return self._import(request, CarriedForm(request.POST))
        return self._preview(request, UploadForm(request.POST, request.FILES))

    def _preview(self, request: HttpRequest, form: UploadForm) -> HttpResponse:
        if not form.is_valid():
            return self._page(request, form)
        try:
            carried = form.carried()
        except ValidationError as error:
            form.add_error("file", error)
            return self._page(request, form)
        file = form.cleaned_data["file"]
        file.seek(0)
        outcome = self._taken(request, form, file, file.name, dry_run=True)
        return self._page(request, form, outcome, carried)

    def _import(self, request: HttpRequest, form: CarriedForm) -> HttpResponse:
        if not form.is_valid():
            self.message_user(request, " ".join(form.error_texts()), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        outcome = self._taken(request, form, form.cleaned_data["content"], form.cleaned_data["file_name"])
        if outcome.problems:
            return self._page(request, UploadForm(initial=form.cleaned_data), outcome)
        self.message_user(request, outcome.told("Imported"), messages.SUCCESS)
        return HttpResponseRedirect(page_of(ImportBatch, outcome.batch) if outcome.batch else list_of(ImportBatch))

    def _taken(
        self, request: HttpRequest, form: DestinationForm, file: BinaryIO, name: str, *, dry_run: bool = False
    ) -> Outcome:
        return import_file(
            file,
            account=form.cleaned_data["account"],
            file_format=form.cleaned_data["file_format"],
            file_name=name,
            actor=actor_of(request),
            now=timezone.now(),
            dry_run=dry_run,
            preview=True,
        )

    def _page(
        self,
        request: HttpRequest,
        form: UploadForm,
        outcome: Outcome | None = None,
        carried: CarriedForm | None = None,
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Import a broker's file",
            "form": form,
            "media": self.media + form.media + STYLE,
            "opts": self.opts,
            "outcome": outcome,
            "carried": carried if outcome and outcome.imported else None,
            **(_told(outcome, outcome.preview or NOTHING) if outcome else {}),
        }
        return TemplateResponse(request, "admin/trader/importbatch/import.html", context)


def _told(outcome: Outcome, preview: Preview) -> dict[str, Any]:
    """What the file would do, line by line; beside that what is wrong with its header, with what breaks it off, and
    with the whole of it."""
    shown = {line.line for line in preview.lines}
    return {
        "counts": _counts(preview),
        "lines": Table(PREVIEWED, [_line(line) for line in preview.lines], left=len(PREVIEWED)),
        "rows_not_shown": preview.rest,
        "other_problems": [problem for problem in outcome.problems.kept if problem.line not in shown],
    }


def _counts(preview: Preview) -> list[KeyFigure]:
    totals = Counter[State]()
    for (_, state), rows in preview.counts.items():
        totals[state] += rows
    return [
        KeyFigure(state.capitalize(), Cell(f"{totals[state]:,}", tone=TONES.get(state, "") if totals[state] else ""))
        for state in State
    ]


def _line(line: PreviewLine) -> list[Cell]:
    found = "; ".join(f"{each.column}: found {each.value!r}, expected {each.expected}" for each in line.problems)
    return [Cell(str(line.line)), Cell(line.state), Cell(found or line.what, tone=TONES.get(line.state, ""))]


@admin.register(ImportRow)
class ImportRowAdmin(ViewedAdmin):
    fields = ("batch", "account", "source", "row_number", "state", "external_id", "row_hash", "ordinal", "raw")
    list_display = ("__str__", "account", "source", "state", "external_id")
    list_filter = ("account",)
    related = ("batch", "account")
    search_fields = ("external_id__exact",)
    search_help_text = "The whole external ID"
