"""A second factor in a real browser, without JavaScript: set up, asked for at the next log-in, turned off."""

from base64 import b32decode
from collections.abc import Iterator

import pytest
from django_otp.oath import TOTP
from playwright.sync_api import Browser, expect

from tests.browser.backend import Backend
from tests.browser.conftest import DESK
from tests.browser.test_look import PHONE
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser

REMOVE = "DELETE FROM otp_static_statictoken; DELETE FROM otp_static_staticdevice; DELETE FROM otp_totp_totpdevice"
SQUARE = "element => { const box = element.getBoundingClientRect(); return [box.width, box.height] }"


@pytest.fixture
def plain(browser: Browser, backend: Backend) -> Iterator[Visitor]:
    """A superuser who has logged in, in a browser that runs no script."""
    with browser.new_context(base_url=backend.url, viewport=DESK, java_script_enabled=False) as context:
        visitor = Visitor(context.new_page())
        visitor.log_in(backend)
        yield visitor
    with backend.project.connect() as connection:
        connection.execute(REMOVE)


def look(visitor: Visitor, name: str) -> None:
    for size in (DESK, PHONE):
        visitor.page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            visitor.page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
            visitor.take_screenshot(f"{name}-{size['width']}-{scheme}")
            assert visitor.overflow() <= 0
            assert visitor.cut_off() == []


def enter(visitor: Visitor, label: str, value: str, button: str) -> None:
    visitor.page.get_by_label(label).fill(value)
    visitor.submit(button)


def test_it_is_set_up_asked_for_and_turned_off(plain: Visitor, backend: Backend) -> None:
    page = plain.page
    plain.follow("Second factor")
    enter(plain, "Password", backend.password, "Turn on")
    look(plain, "second-factor-set-up")
    width, height = page.locator(".picture svg").evaluate(SQUARE)
    secret = page.locator("code").inner_text().replace(" ", "")
    assert width == height > 150

    enter(plain, "Code", f"{TOTP(b32decode(secret)).token():06}", "Turn on")
    look(plain, "second-factor-codes")
    recovery = page.locator(".codes code").all_inner_texts()
    plain.follow("I have kept them: go on")
    plain.submit("Log out")
    page.goto("/admin/login/?next=/admin/trader/instrument/")
    plain.try_password(backend.user, backend.password)
    look(plain, "log-in-code")
    enter(plain, "Code", "1", "Log in")
    expect(page.get_by_text("That code is wrong")).to_be_visible()
    look(plain, "log-in-code-wrong")
    enter(plain, "Code", recovery[0], "Log in")

    expect(page.get_by_role("heading", name="Select instrument to change")).to_be_visible()
    plain.follow("Second factor")
    expect(page.get_by_text("Recovery codes left: 9")).to_be_visible()
    look(plain, "second-factor-on")
    enter(plain, "Password", backend.password, "Turn off")
    expect(page.get_by_text("The second factor is off.")).to_be_visible()
    assert plain.problems == []
