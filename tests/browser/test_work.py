"""A day's work in the admin, with the mouse and by keyboard."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.backend import Backend
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser

ADD_INSTRUMENT = """
    INSERT INTO trader_instrument (venue_id, symbol, name, currency_id, security_type, multiplier,
        price_quotation_factor, qty_increment, price_increment, active)
    SELECT venue.id, 'WORK', 'Before', currency.id, 'FUT', 1234567890123456.123456789012, 0.01, 1e-18, NULL, false
    FROM trader_venue venue, trader_currency currency WHERE mic = 'XEUR' AND code = 'EUR'
"""
NUMBERS = """
    SELECT multiplier::text, price_quotation_factor::text, qty_increment::text, price_increment::text
    FROM trader_instrument WHERE symbol = 'WORK'
"""
LOCK = "UPDATE axes_accessattempt SET failures_since_start = 5 WHERE username = %s"
REMOVE_TRACES = "DELETE FROM trader_instrument WHERE symbol = 'WORK'; DELETE FROM django_admin_log"


@pytest.fixture
def instrument(backend: Backend) -> Iterator[str]:
    """The symbol of an inactive future with numbers that fill their columns, there for one test."""
    with backend.project.connect() as connection:
        connection.execute(ADD_INSTRUMENT)
        yield "WORK"
        connection.execute(REMOVE_TRACES)


def test_log_in_by_keyboard_alone(stranger: Visitor, backend: Backend) -> None:
    keyboard = stranger.page.keyboard
    stranger.open("/")
    expect(stranger.page.get_by_label("E-mail address")).to_be_focused()

    keyboard.type(backend.user)
    keyboard.press("Tab")
    keyboard.type(backend.password)
    keyboard.press("Enter")

    expect(stranger.page.get_by_role("heading", name="Overview")).to_be_visible()
    assert stranger.problems == []


def test_an_instrument_is_searched_filtered_renamed_and_saved(operator: Visitor, instrument: str) -> None:
    page = operator.page
    operator.open("/admin/")
    operator.follow("Instruments")

    page.get_by_role("textbox", name="Search").fill("work")
    operator.submit("Search")
    expect(page.get_by_text("1 instrument", exact=True)).to_be_visible()
    operator.follow("XEUR")
    operator.follow(instrument)
    page.get_by_label("Name:").fill("After")
    operator.submit()

    expect(page.get_by_text("was changed successfully")).to_be_visible()
    expect(page.get_by_role("link", name="After", exact=True)).to_be_visible()
    assert operator.problems == []


def test_numbers_are_shown_plainly_and_saved_exactly(operator: Visitor, instrument: str, backend: Backend) -> None:
    with backend.project.connect() as connection:
        before = connection.execute(NUMBERS).fetchone()
    operator.open("/admin/trader/instrument/?q=work", link=instrument)

    shown = [
        operator.page.get_by_label(name).input_value()
        for name in ("Multiplier", "Price quotation factor", "Quantity increment", "Price increment")
    ]
    operator.page.get_by_label("Name:").fill("After")
    operator.submit()

    assert shown == ["1234567890123456.123456789012", "0.01", "0.000000000000000001", ""]
    with backend.project.connect() as connection:
        assert connection.execute(NUMBERS).fetchone() == before


def test_only_venues_and_currencies_in_use_are_offered_as_filters(operator: Visitor) -> None:
    operator.open("/admin/trader/instrument/")

    offered = operator.page.locator("#changelist-filter li a").all_inner_texts()

    assert {"XNAS", "XSWX", "CHF", "USD"} <= set(offered)
    assert {"XEUR", "AFN"}.isdisjoint(offered)


def test_a_venue_is_found_by_its_name(operator: Visitor) -> None:
    page = operator.page
    operator.open("/admin/trader/instrument/add/")

    page.locator(".field-venue .select2-selection").click()
    page.get_by_role("searchbox").last.fill("six swiss")
    page.get_by_role("option", name="XSWX, SIX Swiss Exchange").click()

    expect(page.locator(".field-venue .select2-selection")).to_have_text("XSWX, SIX Swiss Exchange")
    assert operator.problems == []


def test_an_administrator_lifts_a_lock(stranger: Visitor, operator: Visitor, backend: Backend) -> None:
    stranger.open("/admin/login/")
    stranger.try_password("locked@example.com", "a guess")
    with backend.project.connect() as connection:
        connection.execute(LOCK, ["locked@example.com"])
    stranger.try_password("locked@example.com", "a guess")
    assert stranger.page.get_by_text("this log-in is locked").is_visible()

    operator.open("/admin/axes/accessattempt/?q=locked@example.com")
    operator.page.locator("#result_list tbody a").click()
    operator.follow("Delete")
    operator.submit("Yes, I’m sure")  # noqa: RUF001 - as Django writes it

    stranger.follow("Back to the log-in page")
    stranger.try_password("locked@example.com", "a guess")
    assert stranger.page.get_by_text("Please enter the correct e-mail address").is_visible()


def test_bad_currency_code_is_refused_beside_its_field(operator: Visitor) -> None:
    page = operator.page
    operator.open("/admin/trader/currency/")
    operator.follow("Add currency")

    page.get_by_label("Code").fill("chf")
    page.get_by_label("Minor unit").fill("2")
    operator.submit()

    field = page.locator(".form-row.field-code")
    expect(field.get_by_text("A code has 3 to 10 capital letters and digits, a letter first.")).to_be_visible()
    assert operator.problems == []
    operator.take_screenshot("currency-refused-1280-light")


def test_trading_book_stands_first_on_the_overview(operator: Visitor) -> None:
    operator.open("/admin/")

    headings = operator.page.locator("#content-main caption").all_inner_texts()

    assert [heading.strip().lower() for heading in headings] == [
        "trading book",
        "authentication and authorization",
        "log-in attempts",
        "second factors",
    ]
    assert operator.page.request.get(str(operator.page.locator("link[rel=icon]").get_attribute("href"))).ok
