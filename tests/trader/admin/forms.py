"""A page's form as a browser would send it: with all that the page has filled in."""

import re
from html.parser import HTMLParser
from typing import Any

from django.test import Client


class Form(HTMLParser):
    """The fields of the page's last form, and what is in them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, Any] = {}
        self._select = self._area = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        name = has.get("name", "")
        if tag == "form":
            self.fields = {}
        elif tag == "select":
            self._select = name
            self.fields |= {name: []} if "multiple" in has else {}
        elif tag == "option":
            self._take_option(has.get("value", ""), is_selected="selected" in has)
        elif tag == "textarea":
            self._area = name
        elif tag == "input" and name and has.get("type") not in {"submit", "checkbox"}:
            self.fields[name] = has.get("value", "")
        elif tag == "input" and name and "checked" in has:
            self.fields[name] = has.get("value", "on")

    def _take_option(self, value: str, *, is_selected: bool) -> None:
        """Of a list of one choice, the first where none is selected."""
        several = isinstance(self.fields.get(self._select), list)
        if several and is_selected:
            self.fields[self._select].append(value)
        elif not several and (is_selected or self._select not in self.fields):
            self.fields[self._select] = value

    def handle_data(self, data: str) -> None:
        if self._area:
            self.fields[self._area] = data.strip()

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = ""


def send(client: Client, path: str, **entered: Any) -> Any:
    """Open the page, enter values by the names of their fields, and send the form."""
    page = client.get(path)
    assert page.status_code == 200, page
    return client.post(path, Form(page.content.decode()).fields | entered)


def done(client: Client, path: str, **entered: Any) -> str:
    """The same, and where it led."""
    response = send(client, path, **entered)
    assert response.status_code == 302, errors_of(response)
    return str(response["Location"])


def refused(client: Client, path: str, **entered: Any) -> str:
    """The same, and what the page then says against it."""
    response = send(client, path, **entered)
    assert response.status_code == 200
    return errors_of(response)


def errors_of(response: Any) -> str:
    context = response.context
    found = context["errors"] if "adminform" in context else context["form"].errors.values()
    return "\n".join(str(error) for errors in found for error in errors)


def last_message(response: Any) -> str:
    """What stands at the top of the page, of what was said last."""
    return str(list(response.context["messages"])[-1])


def choices(client: Client, path: str, field: str) -> list[str]:
    """What a select offers, the empty choice left out."""
    form = client.get(path).context["adminform"].form
    return [str(value) for value, _ in form.fields[field].choices if value]


def buttons(client: Client, path: str, name: str = "to") -> list[str]:
    """What the buttons of that name stand for."""
    page = client.get(path).content.decode()
    return re.findall(rf'<button type="submit"[^>]* name="{name}" value="(.*?)"', page)
