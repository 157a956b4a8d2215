"""How the pages look: on a desk and on a phone, light and dark. Every one is kept in `screenshots/` to be looked at."""

from typing import Literal

import pytest
from playwright.sync_api import ViewportSize

from tests.browser.conftest import DESK
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser

PHONE = ViewportSize(width=390, height=844)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# Each by its path, and the links to follow from there.
PAGES: dict[str, tuple[str, ...]] = {
    "index": ("/admin/",),
    "executions": ("/admin/trader/execution/",),
    "instruments": ("/admin/trader/instrument/",),
    "instrument": ("/admin/trader/instrument/", "AAPL"),
    "account": ("/admin/trader/account/", "DEMO"),
    "performance": ("/admin/trader/account/", "DEMO", "Performance"),
    "order-add": ("/admin/trader/order/add/",),
    "import": ("/admin/trader/importbatch/add/",),
    "user-add": ("/admin/trader/user/add/",),
    "second-factor": ("/admin/second_factor/",),
}

on_desk_and_phone = pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])


@on_desk_and_phone
@pytest.mark.parametrize("name", PAGES)
def test_page_fits_its_window_without_an_error(name: str, size: ViewportSize, operator: Visitor) -> None:
    operator.page.set_viewport_size(size)
    path, *links = PAGES[name]

    operator.open(path)
    for link in links:
        operator.follow(link)

    look(operator, name, size)
    assert operator.problems == []


@on_desk_and_phone
def test_log_in_page_fits_its_window_without_an_error(size: ViewportSize, stranger: Visitor) -> None:
    stranger.page.set_viewport_size(size)

    stranger.open("/admin/login/")

    look(stranger, "log-in", size)
    assert stranger.problems == []


def test_fifth_wrong_password_locks_the_log_in_and_says_for_how_long(stranger: Visitor) -> None:
    stranger.open("/admin/login/")
    for _ in range(4):
        stranger.try_password("stranger@example.com", "a guess")
    assert stranger.problems == []

    stranger.try_password("stranger@example.com", "a guess")

    assert stranger.problems[0].startswith("429 ")
    assert stranger.page.get_by_text("ends by itself 15 minutes after").is_visible()
    for size in (DESK, PHONE):
        stranger.page.set_viewport_size(size)
        look(stranger, "locked-out", size)


def look(visitor: Visitor, name: str, size: ViewportSize) -> None:
    for scheme in SCHEMES:
        visitor.page.emulate_media(color_scheme=scheme)
        visitor.take_screenshot(f"{name}-{size['width']}-{scheme}")
        assert visitor.overflow() <= 0
        assert visitor.cut_off() == []
