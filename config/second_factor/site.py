"""The part of the admin's site that asks for a second factor."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from config.second_factor.forms import LogInForm
from config.second_factor.login import CodeWanted, lacks_code, lacks_device, wait_for_code, waiting_user
from config.second_factor.pages import code_page, own_page, set_up_page, to_code_page

View = Callable[[HttpRequest], HttpResponse]


class SecondFactorSite(admin.AdminSite):
    """Its pages are for who has shown the code, where there is one to be shown."""

    login_form = LogInForm

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and not lacks_code(request) and not lacks_device(request)

    def get_urls(self) -> list[Any]:
        return [
            path("logout/", self._log_out, name="logout"),
            path("second_factor/", self._for_oneself(own_page), name="second_factor"),
            path("second_factor/set_up/", self._for_oneself(set_up_page), name="second_factor_set_up"),
            path("second_factor/code/", _protected(partial(code_page, self)), name="second_factor_code"),
            *super().get_urls(),
        ]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "GET" and super().has_permission(request):
            if lacks_code(request):
                return to_code_page(request)
            if lacks_device(request):
                return redirect("admin:second_factor")
        try:
            return super().login(request, extra_context)
        except CodeWanted as wanted:
            wait_for_code(request, wanted.user)
            return to_code_page(request)

    def _for_oneself(self, page: Callable[[admin.AdminSite, HttpRequest], HttpResponse]) -> View:
        """Also for who has to set up a second factor before any other page."""

        def view(request: HttpRequest) -> HttpResponse:
            if not super(SecondFactorSite, self).has_permission(request) or lacks_code(request):
                return redirect_to_login(request.get_full_path(), reverse("admin:login"))
            return page(self, request)

        return _protected(view)

    def _log_out(self, request: HttpRequest) -> HttpResponse:
        """Also where a code or a device is still wanted."""
        begun = request.user.is_authenticated or waiting_user(request)
        return _protected(self.logout)(request) if begun else self.admin_view(self.logout)(request)


def _protected(view: View) -> View:
    return csrf_protect(never_cache(view))
