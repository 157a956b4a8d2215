"""A real browser, a backend of its own, and visitors who note what goes wrong on their way."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, ViewportSize, expect, sync_playwright

from tests.browser.backend import Backend, copied_project, serving
from tests.browser.visitor import TIMEOUT_MILLISECONDS, Visitor
from tests.project import fresh_database
from tests.server import free_port

CHROMIUM = Path("/usr/bin/chromium")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DESK = ViewportSize(width=1280, height=800)


@pytest.fixture(scope="session")
def chromium() -> Path:
    if not CHROMIUM.exists():
        missing = f"{CHROMIUM} is not there: apt-get install chromium"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return CHROMIUM


# Not longer than this folder's tests: while Playwright runs, Django takes the thread for an asynchronous one, in which
# it refuses to query the database.
@pytest.fixture(scope="package")
def browser(chromium: Path) -> Iterator[Browser]:
    expect.set_options(timeout=TIMEOUT_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def bytecode() -> Iterator[dict[str, str]]:
    """Variables with which Python compiles each module once for all backends of this test run."""
    with tempfile.TemporaryDirectory(prefix="my-trader-browser-bytecode-") as folder:
        yield {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": folder}


@pytest.fixture(scope="session")
def backend(chromium: Path, bytecode: dict[str, str]) -> Iterator[Backend]:
    """As `manage.py up` serves: ENVIRONMENT=local, with the demonstration's rows."""
    with fresh_database() as variables, copied_project(bytecode | variables | {"ENVIRONMENT": "local"}) as project:
        user, password = settings.FIRST_SUPERUSER, settings.FIRST_SUPERUSER_PASSWORD
        with serving(project, port=free_port(), user=user, password=password) as backend:
            yield backend


@pytest.fixture(scope="package")
def logged_in(browser: Browser, backend: Backend) -> Iterator[BrowserContext]:
    """The cookies, and the files kept, of a superuser who has logged in."""
    with browser.new_context(base_url=backend.url, viewport=DESK) as context:
        Visitor(context.new_page()).log_in(backend)
        yield context


@pytest.fixture
def operator(logged_in: BrowserContext) -> Iterator[Visitor]:
    """A superuser who has logged in, in a window of its own."""
    page = logged_in.new_page()
    yield Visitor(page)
    page.close()


@pytest.fixture
def stranger(browser: Browser, backend: Backend) -> Iterator[Visitor]:
    """Somebody who has not logged in."""
    with browser.new_context(base_url=backend.url, viewport=DESK) as context:
        yield Visitor(context.new_page())
