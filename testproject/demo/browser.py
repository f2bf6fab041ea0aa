"""A minimal browser: keeps cookies, follows redirects, fills in and submits forms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests

TIMEOUT_SECONDS = 30


@dataclass
class Form:
    """A form of a page: its action, its values, and the values that each button adds, by label."""

    action: str
    values: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page that was loaded."""

    url: str
    status: int
    forms: list[Form]
    #: The messages at the top of a page of Django's admin.
    messages: list[str]


class Browser:
    """A browser session of one person."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session

    def open(self, url: str) -> Page:
        """Load the page of a URL."""
        return _page(self._session.get(url, timeout=TIMEOUT_SECONDS))

    def press(self, page: Page, label: str, **values: str) -> Page:
        """
        Fill in the form that has this button and submit it by POST.

        :raises LookupError: if the page has no such button
        """
        for form in page.forms:
            if label in form.buttons:
                data = {**form.values, **values, **form.buttons[label]}
                url = urljoin(page.url, form.action)
                return _page(self._session.post(url, data=data, timeout=TIMEOUT_SECONDS))
        messages = " ".join(page.messages)
        raise LookupError(f"{page.url} (HTTP {page.status}) has no button “{label}”. {messages}")


@contextmanager
def browser() -> Iterator[Browser]:
    """Open a browser session that ignores the proxies and the ``.netrc`` of this machine."""
    with requests.Session() as session:
        session.trust_env = False
        yield Browser(session)


def _page(response: requests.Response) -> Page:
    reader = _Reader()
    reader.feed(response.text)
    return Page(
        url=response.url,
        status=response.status_code,
        forms=reader.forms,
        messages=[text.strip() for text in reader.messages],
    )


class _Reader(HTMLParser):
    """Finds the forms and the messages of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.messages: list[str] = []
        self._open: list[tuple[str, dict[str, str]]] = []
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", "")))
        elif tag == "input" and self._is_in("form"):
            self._input(given)
        elif tag == "select" and self._is_in("form"):
            self._select = given["name"]
        elif tag == "option" and self._is_in("form"):
            self._option(given)
        elif tag == "li" and self._is_in("ul", "messagelist"):
            self.messages.append("")
        if tag in ("form", "button", "ul", "li"):
            self._open.append((tag, given))

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1][0] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._is_in("ul", "messagelist") and self._is_in("li"):
            self.messages[-1] += data
        elif self._is_in("form") and self._is_in("button") and data.strip():
            self._button(data.strip(), self._open[-1][1])

    def _is_in(self, tag: str, kind: str = "") -> bool:
        return any(
            tag == name and (not kind or kind in given.get("class", "").split())
            for name, given in self._open
        )

    def _input(self, given: dict[str, str]) -> None:
        if given.get("type") == "submit":
            self._button(given.get("value", ""), given)
        elif "name" in given and (given.get("type") != "radio" or "checked" in given):
            self.forms[-1].values[given["name"]] = given.get("value", "")

    def _option(self, given: dict[str, str]) -> None:
        values = self.forms[-1].values
        if "selected" in given or self._select not in values:
            values[self._select] = given.get("value", "")

    def _button(self, label: str, given: dict[str, str]) -> None:
        adds = {given["name"]: given.get("value", "")} if given.get("name") else {}
        self.forms[-1].buttons[label] = adds
