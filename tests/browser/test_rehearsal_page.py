"""The page of a rehearsal in a browser that runs no script: on a desk and on a phone."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from migration_guard.rehearsal.page import as_html
from migration_guard.rehearsal.results import Rehearsal, Verdict
from tests.browser.conftest import DESK
from tests.browser.test_look import PHONE
from tests.browser.visitor import Visitor
from tests.migration_guard.rehearsals import bad, broken_off, crowded, good, history, hostile, rehearsal, sample

pytestmark = pytest.mark.browser

REHEARSALS = {
    "bad": rehearsal(good(), bad(), verdict=Verdict.FAILED),
    "broken-off": broken_off(),
    "sample": sample(),
    "nothing-pending": rehearsal(),
    "hostile": hostile(),
    "history": history(60),
    "crowded": rehearsal(crowded(statements=500, tables=40)),
}
# Texts of the time line that run into each other or out of it.
COLLIDING = """
() => [...document.querySelectorAll("figure")].flatMap(figure => {
  const boxes = [...figure.querySelectorAll("text")].map(text => text.getBoundingClientRect())
  const outside = boxes.filter(box => box.left < figure.getBoundingClientRect().left - 1
    || box.right > figure.getBoundingClientRect().right + 1)
  return [...outside, ...boxes.slice(1).filter((box, at) => box.left < boxes[at].right)].map(box => JSON.stringify(box))
})
"""


@pytest.mark.parametrize("name", REHEARSALS)
def test_page_fits_its_window_without_a_script(name: str, browser: Browser, tmp_path: Path) -> None:
    path = written(REHEARSALS[name], tmp_path)
    with browser.new_context(java_script_enabled=False) as context:
        visitor = Visitor(context.new_page())
        requests: list[str] = []
        visitor.page.on("request", lambda request: requests.append(request.url))

        visitor.page.goto(path.as_uri())
        open_all(visitor)

        for size in (DESK, PHONE):
            visitor.page.set_viewport_size(size)
            assert visitor.overflow() <= 0
            assert visitor.cut_off() == []
            assert visitor.page.evaluate(COLLIDING) == []
        assert requests == [path.as_uri()]
        assert visitor.problems == []


def test_sql_is_opened_by_the_keyboard(browser: Browser, tmp_path: Path) -> None:
    path = written(REHEARSALS["bad"], tmp_path)
    with browser.new_context(viewport=DESK, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(path.as_uri())
        statement = page.locator("pre", has_text="gen_random_uuid").first
        assert not statement.is_visible()

        page.locator("summary", has_text="SQL: 5 statements").focus()
        page.keyboard.press("Enter")

        assert statement.is_visible()


def written(whole: Rehearsal, folder: Path) -> Path:
    path = folder / "rehearsal.html"
    path.write_text(as_html(whole))
    return path


def open_all(visitor: Visitor) -> None:
    """From the last on, so that none moves away from under the mouse."""
    for summary in reversed(visitor.page.locator("summary").all()[:8]):
        summary.press("Enter")
