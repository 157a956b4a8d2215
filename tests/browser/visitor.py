"""Who looks at the pages: a browser window that notes every broken file and every error on its console."""

from dataclasses import dataclass, field

from playwright.sync_api import ConsoleMessage, Page, Request, Response

from tests.browser.backend import Backend
from tests.project import CHECKOUT

SCREENSHOTS = CHECKOUT / "screenshots"
TIMEOUT_MILLISECONDS = 20_000
# Something on the machine brought a network interface up or down, upon which Chromium drops all its connections.
NETWORK_CHANGED = "ERR_NETWORK_CHANGED"
# The page itself has no more use for the answer: a search while its user still types.
CANCELLED = "net::ERR_ABORTED"
OVERFLOW = "document.documentElement.scrollWidth - innerWidth"
# What a person reads or operates and which stands outside the window, unless it is in a part that scrolls by itself.
CUT_OFF = """
() => {
  const essential = "h1, h2, th, label, legend, a, button, select, textarea, input, .help, .errorlist, .errornote"
  const scrolls = element => element && element !== document.documentElement
    && (["auto", "scroll"].includes(getComputedStyle(element).overflowX) || scrolls(element.parentElement))
  const sticksOut = ({left, right}) => left < -1 || right > innerWidth + 1
  return [...document.querySelectorAll(essential)]
    .filter(element => element.checkVisibility({visibilityProperty: true}) && !scrolls(element))
    .filter(element => sticksOut(element.getBoundingClientRect()))
    .map(element => element.outerHTML.slice(0, 120))
}
"""


@dataclass
class Visitor:
    """A window and what went wrong in it so far."""

    page: Page
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(TIMEOUT_MILLISECONDS)
        self.page.on("response", self._note_response)
        self.page.on("requestfailed", self._note_failure)
        self.page.on("console", self._note_message)
        self.page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))

    def open(self, path: str, *, link: str = "") -> None:
        """Go to a page, and from there through the link of that name."""
        self.page.goto(path)
        if link:
            with self.page.expect_navigation():
                self.page.get_by_role("link", name=link, exact=True).click()
        if any(NETWORK_CHANGED in problem for problem in self.problems):
            self.problems.clear()
            self.page.reload()

    def log_in(self, backend: Backend) -> None:
        self.page.goto("/admin/login/?next=/admin/")
        self.try_password(backend.user, backend.password)
        self.page.wait_for_url("**/admin/")

    def try_password(self, user: str, password: str) -> None:
        self.page.get_by_label("E-mail address").fill(user)
        self.page.get_by_label("Password").fill(password)
        with self.page.expect_navigation():
            self.page.get_by_role("button", name="Log in").click()

    def submit(self, button: str = "Save") -> None:
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=button, exact=True).click()

    def follow(self, link: str) -> None:
        with self.page.expect_navigation():
            self.page.get_by_role("link", name=link, exact=True).click()

    def take_screenshot(self, name: str) -> None:
        """Of the whole page, as far as it scrolls down."""
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True, animations="disabled")

    def overflow(self) -> int:
        """By how many pixels the document is wider than the window; 0 or less when it fits."""
        return int(self.page.evaluate(OVERFLOW))

    def cut_off(self) -> list[str]:
        """The essential elements that stand outside the window."""
        return [str(element) for element in self.page.evaluate(CUT_OFF)]

    def _note_response(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status} {response.url}")

    def _note_failure(self, request: Request) -> None:
        if request.failure != CANCELLED:
            self.problems.append(f"{request.failure} {request.url}")

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text}")
