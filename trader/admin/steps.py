"""Pages on which a row that is never changed is succeeded by another one, or taken back."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import connection, models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern

from trader.admin.pages import BookForm, PagedAdmin, Tool
from trader.admin.refusals import REFUSALS, message_of
from trader.admin.showing import plainly
from trader.operations.retrying import in_one_transaction


class SteppedAdmin(PagedAdmin):
    """Each step has a page of its own under the row's, and a link there."""

    # Said of a row that no step leads on from.
    ended: str

    def is_open(self, obj: Any) -> bool:
        """Whether a step leads on from there."""
        raise NotImplementedError

    def may_step(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request)

    def tools(self, request: HttpRequest, obj: Any) -> list[Tool]:
        return self.steps(obj) if self.may_step(request) and self.is_open(obj) else []

    def steps(self, obj: Any) -> list[Tool]:
        return []

    def opened(self, request: HttpRequest, object_id: str) -> Any:
        """The row, or the answer where there is none to take a step with."""
        if not self.may_step(request):
            raise PermissionDenied
        row = self.found(request, object_id)
        if isinstance(row, HttpResponse) or self.is_open(row):
            return row
        self.message_user(request, self.ended.format(row), messages.ERROR)
        return HttpResponseRedirect(self.page_of(row, "change"))


def former_of(request: HttpRequest) -> Any:
    """The row whose place is taken on the page of a SucceededAdmin; None on any other."""
    return getattr(request, "former", None)


class SucceedingForm(BookForm):
    """Of a row that takes the place of `former`, and begins with what that says."""

    former: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | {"instance": self.begun()})

    def begun(self) -> models.Model:
        raise NotImplementedError


class SucceededAdmin(SteppedAdmin):
    succeeding: str
    succeeding_form: type[SucceedingForm]
    succeeding_fieldsets: Sequence[Any]
    succeeding_readonly: Sequence[str]

    def get_urls(self) -> list[URLPattern]:
        return [self.page(self.succeeding, self.succeed_view), *super().get_urls()]

    def steps(self, obj: Any) -> list[Tool]:
        return [*super().steps(obj), Tool(self.succeeding.capitalize(), self.page_of(obj, self.succeeding))]

    def succeed_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.opened(request, object_id)
        if isinstance(row, HttpResponse):
            return row
        request.former = row  # type: ignore[attr-defined]
        context = {
            "title": f"{self.succeeding.capitalize()} {self.opts.verbose_name}",
            "subtitle": str(row),
            "show_save_and_add_another": False,
            "show_save_and_continue": False,
        }
        return self.changeform_view(request, None, "", context)

    def get_form(self, request: HttpRequest, obj: Any = None, *args: Any, **kwargs: Any) -> type[forms.ModelForm]:
        former = former_of(request)
        if former is None:
            return super().get_form(request, obj, *args, **kwargs)
        form = super().get_form(request, obj, *args, **kwargs | {"form": self.succeeding_form})
        form.former = former  # type: ignore[attr-defined]
        return form

    def fieldsets_of(self, request: HttpRequest, obj: Any) -> Sequence[Any]:
        return self.succeeding_fieldsets if former_of(request) else super().fieldsets_of(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        readonly = super().get_readonly_fields(request, obj)
        return [*readonly, *plainly(self.model, self.succeeding_readonly)] if former_of(request) else readonly

    def response_post_save_add(self, request: HttpRequest, obj: models.Model) -> HttpResponseRedirect:
        if former_of(request):
            return HttpResponseRedirect(self.page_of(obj, "change"))
        return super().response_post_save_add(request, obj)


class TakenBackAdmin(SteppedAdmin):
    taking_back: str
    question: str
    taking_back_form: type[forms.Form] = forms.Form

    def take_back(self, request: HttpRequest, obj: Any, answers: dict[str, Any]) -> models.Model:
        """Returns the row that takes it back; raises REFUSALS."""
        raise NotImplementedError

    def get_urls(self) -> list[URLPattern]:
        return [self.page(self.taking_back, self.take_back_view), *super().get_urls()]

    def steps(self, obj: Any) -> list[Tool]:
        return [*super().steps(obj), Tool(self.taking_back.capitalize(), self.page_of(obj, self.taking_back))]

    def take_back_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.opened(request, object_id)
        if isinstance(row, HttpResponse):
            return row
        form = self.taking_back_form(request.POST if request.method == "POST" else None)
        if form.is_valid():
            try:
                result = self._taken_back(request, row, form.cleaned_data)
            except REFUSALS as refusal:
                form.add_error(None, message_of(refusal))
            else:
                self.message_user(request, f"{row} is taken back.", messages.SUCCESS)
                return HttpResponseRedirect(self.page_of(result, "change"))
        return self._asked(request, row, form)

    @in_one_transaction
    def _taken_back(self, request: HttpRequest, row: models.Model, answers: dict[str, Any]) -> models.Model:
        result = self.take_back(request, row, answers)
        connection.check_constraints()
        self.log_change(request, row, f"{self.taking_back.capitalize()}.")
        return result

    def _asked(self, request: HttpRequest, row: models.Model, form: forms.Form) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": f"{self.taking_back.capitalize()} {self.opts.verbose_name}",
            "subtitle": str(row),
            "question": self.question,
            "step": self.taking_back.capitalize(),
            "form": form,
            "media": self.media + form.media,
            "opts": self.opts,
            "object": row,
        }
        return TemplateResponse(request, "admin/trader/take_back.html", context)
