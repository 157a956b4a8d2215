"""The pages: a person's own second factor, setting it up, and the code of a log-in."""

from typing import Any, cast

import django_otp
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.safestring import mark_safe

from config.second_factor import devices
from config.second_factor.forms import CodeForm, ConfirmationForm, PasswordForm
from config.second_factor.login import lacks_device, let_in, waiting_user
from trader.models import User

TITLE = "Second factor"


def own_page(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """How it stands, and what can be done about it, each against the password."""
    user = _user(request)
    form = PasswordForm(request, request.POST or None)
    if request.method == "POST" and form.is_valid():
        return _done(site, request, request.POST.get("step", ""))
    context = {"form": form, "device": devices.device_of(user), "codes_left": devices.recovery_codes_left(user)}
    return _page(site, request, "own", **context)


def set_up_page(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """The secret of an app that was begun, until a code of it is given."""
    user = _user(request)
    device = devices.begun_device_of(user)
    if device is None or devices.device_of(user):
        return redirect("admin:second_factor")
    form = ConfirmationForm(request, user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        request.session.cycle_key()
        django_otp.login(request, form.device)
        _log(user, "Turned the second factor on.")
        return _codes(site, request)
    secret, picture = devices.in_groups(devices.secret_of(device)), devices.picture_of(device)
    return _page(site, request, "set_up", form=form, secret=secret, picture=mark_safe(picture))  # noqa: S308


def code_page(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """The second step of a log-in."""
    user = waiting_user(request)
    if user is None:
        return redirect_to_login(next_page(request), reverse("admin:login"))
    form = CodeForm(request, user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        let_in(request, user, form.device)
        return redirect(next_page(request))
    return _page(site, request, "code", form=form, waiting=user, next=next_page(request))


def to_code_page(request: HttpRequest) -> HttpResponse:
    return redirect(f"{reverse('admin:second_factor_code')}?{urlencode({'next': next_page(request)})}")


def next_page(request: HttpRequest) -> str:
    """Where to go after the log-in: within this site, whatever was asked for."""
    asked = request.POST.get("next", request.GET.get("next", ""))
    is_own = url_has_allowed_host_and_scheme(asked, {request.get_host()}, require_https=request.is_secure())
    return asked if is_own else reverse("admin:index")


def _done(site: AdminSite, request: HttpRequest, step: str) -> HttpResponse:
    user = _user(request)
    is_on = devices.device_of(user) is not None
    if step == "on" and not is_on:
        devices.begin(user)
        return redirect("admin:second_factor_set_up")
    if step == "codes" and is_on:
        _log(user, "Made new recovery codes.")
        return _codes(site, request)
    if step == "off" and devices.remove(user):
        _log(user, "Turned the second factor off.")
        messages.success(request, "The second factor is off.")
    return redirect("admin:second_factor")


def _codes(site: AdminSite, request: HttpRequest) -> HttpResponse:
    codes = [devices.in_groups(code) for code in devices.new_recovery_codes(_user(request))]
    return _page(site, request, "codes", codes=codes)


def _page(site: AdminSite, request: HttpRequest, name: str, **context: Any) -> HttpResponse:
    own = {"title": TITLE, "must_set_up": lacks_device(request), **context}
    return TemplateResponse(request, f"admin/second_factor/{name}.html", site.each_context(request) | own)


def _log(user: User, words: str) -> None:
    """In the history of the user's own page."""
    LogEntry.objects.log_actions(user.pk, [user], CHANGE, words, single_object=True)


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
