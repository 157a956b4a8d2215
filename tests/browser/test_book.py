"""The pages of the book with the demonstration in it: charts, an order's steps, a broker's file."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ViewportSize, expect

from tests.browser.backend import Backend
from tests.browser.conftest import DESK
from tests.browser.test_look import look, on_desk_and_phone
from tests.browser.visitor import Visitor
from tests.project import CHECKOUT

pytestmark = pytest.mark.browser

EXPORT = CHECKOUT / "tests" / "trader" / "importing" / "brokers" / "binance_transactions.csv"
CHARTS = {
    "instrument": ("/admin/trader/instrument/", "AAPL"),
    "performance": ("/admin/trader/account/", "DEMO", "Performance"),
}
COUNT = "SELECT count(*) FROM trader_importbatch JOIN trader_account account ON account.id = account_id WHERE code = %s"

every_chart = pytest.mark.parametrize("name", CHARTS)


@pytest.fixture
def without_scripts(browser: Browser, backend: Backend) -> Iterator[Visitor]:
    """A superuser whose browser runs no script."""
    with browser.new_context(base_url=backend.url, viewport=DESK, java_script_enabled=False) as context:
        visitor = Visitor(context.new_page())
        visitor.log_in(backend)
        yield visitor


def open_chart(visitor: Visitor, name: str) -> None:
    path, *links = CHARTS[name]
    visitor.open(path)
    for link in links:
        visitor.follow(link)


def open_order(visitor: Visitor) -> None:
    """The newest that is open."""
    visitor.open("/admin/trader/order/?ord_status=open")
    with visitor.page.expect_navigation():
        visitor.page.locator("#result_list tbody th a").first.click()


def status(visitor: Visitor) -> str:
    return visitor.page.locator(".field-status .readonly").inner_text()


@every_chart
def test_a_chart_is_drawn_and_its_table_folded_away(name: str, operator: Visitor) -> None:
    open_chart(operator, name)

    figure = operator.page.locator("figure.chart")
    expect(figure.locator("canvas").first).to_be_visible()
    expect(figure.locator("tbody tr").first).not_to_be_visible()
    figure.locator("summary").focus()
    operator.page.keyboard.press("Enter")
    expect(figure.locator("tbody tr").first).to_be_visible()
    assert operator.problems == []


@every_chart
def test_without_scripts_a_chart_is_a_table(name: str, without_scripts: Visitor) -> None:
    open_chart(without_scripts, name)

    figure = without_scripts.page.locator("figure.chart")
    expect(figure.locator("tbody tr").first).to_be_visible()
    expect(figure.locator(".chart-canvas")).not_to_be_visible()
    assert without_scripts.problems == []


@on_desk_and_phone
def test_an_order_fits_its_window_with_its_steps(size: ViewportSize, operator: Visitor) -> None:
    operator.page.set_viewport_size(size)

    open_order(operator)

    look(operator, "order", size)
    assert operator.problems == []


def test_an_order_takes_its_steps_by_keyboard(operator: Visitor) -> None:
    open_order(operator)
    page = operator.page
    assert status(operator) == "New"

    page.get_by_label("Text:").fill("too far away")
    page.keyboard.press("Enter")
    assert status(operator) == "New"
    page.keyboard.press("Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")

    assert status(operator) == "Pending cancel"
    expect(page.get_by_text("too far away")).to_be_visible()
    operator.submit("Refuse cancel")
    assert status(operator) == "New"
    assert operator.problems == []


@on_desk_and_phone
def test_a_file_is_previewed_without_being_taken_in(size: ViewportSize, operator: Visitor, backend: Backend) -> None:
    page = operator.page
    page.set_viewport_size(size)
    operator.open("/admin/trader/importbatch/add/")

    page.get_by_label("Account").select_option(label="DEMO")
    page.get_by_label("Format").select_option("binance")
    page.get_by_label("File").set_input_files(EXPORT)
    operator.submit("Preview")

    expect(page.get_by_role("button", name="Import 20 rows into DEMO")).to_be_visible()
    look(operator, "import-preview", size)
    with backend.project.connect() as connection:
        assert connection.execute(COUNT, ["DEMO"]).fetchone() == (0,)
    assert operator.problems == []


def test_a_file_is_taken_in_without_scripts(without_scripts: Visitor, backend: Backend) -> None:
    """Into an account of its own, for what is in a book stays there."""
    assert backend.project.manage("account", "create", "COINS", "--currency", "EUR").returncode == 0
    page = without_scripts.page
    without_scripts.open("/admin/trader/importbatch/add/")
    page.get_by_label("Account").select_option(label="COINS")
    page.get_by_label("Format").select_option("binance")
    page.get_by_label("File").set_input_files(EXPORT)
    without_scripts.submit("Preview")

    without_scripts.submit("Import 20 rows into COINS")

    expect(page.get_by_text("Imported 20 of 20 rows; 0 were known.")).to_be_visible()
    assert without_scripts.problems == []
