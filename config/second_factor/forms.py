"""What the pages of the second factor ask for."""

from math import ceil
from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth import authenticate
from django.http import HttpRequest
from django.utils import timezone
from django_otp.models import Device

from config.second_factor.devices import TooSoon, confirm, device_of
from config.second_factor.login import CodeWanted, counted_verify
from trader.models import User


class LogInForm(AdminAuthenticationForm):
    """Raises CodeWanted for a right password that is not enough, so that nothing tells it from a wrong one before."""

    def confirm_login_allowed(self, user: Any) -> None:
        super().confirm_login_allowed(user)
        if device_of(user):
            raise CodeWanted(user)


class PasswordForm(forms.Form):
    """The person's own password again; a wrong one counts among the failed log-ins."""

    password = forms.CharField(strip=False, widget=forms.PasswordInput({"autocomplete": "current-password"}))

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        super().__init__(*args)
        self.request = request

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        if authenticate(self.request, username=self.request.user.get_username(), password=password) is None:
            raise forms.ValidationError("That is not your password.")
        return password


class CodeForm(forms.Form):
    """A code of this person's app or a recovery code; `device` is what has accepted it."""

    wrong = (
        "That code is wrong, or was used already. The app shows another one every 30 seconds; if none of them is "
        "taken, look at the time of the phone."
    )
    code = forms.CharField(
        max_length=40,
        widget=forms.TextInput({"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}),
    )
    device: Device

    def __init__(self, request: HttpRequest, user: User, *args: Any) -> None:
        super().__init__(*args)
        self.request, self.user = request, user

    def clean_code(self) -> str:
        # As apps and this project's own pages show them.
        code = "".join(self.cleaned_data["code"].split())
        try:
            device = self.accepted_by(code)
        except TooSoon as error:
            seconds = ceil((error.until - timezone.now()).total_seconds())
            raise forms.ValidationError(
                f"After a wrong code the next one has to wait, each time twice as long: try again in {seconds} s."
            ) from error
        if device is None:
            raise forms.ValidationError(self.wrong)
        self.device = device
        return code

    def accepted_by(self, code: str) -> Device | None:
        return counted_verify(self.request, self.user, code)


class ConfirmationForm(CodeForm):
    """The first code of an app that is set up."""

    def accepted_by(self, code: str) -> Device | None:
        return confirm(self.user, code)
