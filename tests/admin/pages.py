"""A browser without JavaScript: opens pages, fills in their forms, presses their buttons."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from django.test import Client


@dataclass
class Form:
    """A form of a page."""

    action: str
    method: str
    #: What is sent if nothing is changed, as (name, value).
    values: list[tuple[str, str]] = field(default_factory=list)
    #: The labels of its buttons, with the (name, value) that pressing one adds.
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: Disabled inputs, as (name, value).
    disabled: list[tuple[str, str]] = field(default_factory=list)


class Page(HTMLParser):
    """A parsed page: its text, links and forms."""

    VOID = frozenset({"area", "base", "br", "hr", "img", "input", "link", "meta", "path", "use"})

    def __init__(self, html: str, url: str = "") -> None:
        super().__init__()
        self.html, self.url = html, url
        self.forms: list[Form] = []
        self.texts: list[str] = []
        self.ids: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.links: dict[str, str] = {}
        self._open: list[str] = []
        self._select: str | None = None
        self._button: dict[str, str] | None = None
        self._link: dict[str, str] | None = None
        self._words: list[str] = []
        self._hidden = 0
        self.feed(html)

    @property
    def text(self) -> str:
        """Return the whole text, with single spaces."""
        return " ".join(" ".join(self.texts).split())

    def form_with(self, button: str) -> Form:
        """Return the form with this button."""
        return next(form for form in self.forms if button in form.buttons)

    def has_button(self, button: str) -> bool:
        return any(button in form.buttons for form in self.forms)

    def attributes_of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    # Parsing

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append((tag, attributes))
        self.ids += [attributes["id"]] if "id" in attributes else []
        self._hidden += tag in ("script", "style")
        if tag not in self.VOID:
            self._open.append(tag)
        handler = getattr(self, f"_begin_{tag}", None)
        if handler:
            handler(attributes)

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")
        if tag == "button" and self._button is not None:
            words = " ".join("".join(self._words).split())
            self.forms[-1].buttons[words] = (
                self._button.get("name", ""),
                self._button.get("value", ""),
            )
            self._button = None
        elif tag == "a" and self._link is not None:
            self.links[" ".join("".join(self._words).split())] = self._link.get("href", "")
            self._link = None
        elif tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.texts.append(data)
            self._words.append(data)

    def _begin_form(self, attributes: dict[str, str]) -> None:
        self.forms.append(Form(attributes.get("action", ""), attributes.get("method", "get")))

    def _begin_button(self, attributes: dict[str, str]) -> None:
        self._button, self._words = attributes, []

    def _begin_a(self, attributes: dict[str, str]) -> None:
        self._link, self._words = attributes, []

    def _begin_input(self, attributes: dict[str, str]) -> None:
        kind, name = attributes.get("type", "text"), attributes.get("name", "")
        if not self.forms:
            return
        form, value = self.forms[-1], attributes.get("value", "")
        if kind == "submit":
            form.buttons[value] = (name, value)
        elif "disabled" in attributes:
            form.disabled.append((name, value))
        elif kind not in ("checkbox", "radio") or "checked" in attributes:
            form.values.append((name, value or ("on" if kind == "checkbox" else "")))

    def _begin_textarea(self, attributes: dict[str, str]) -> None:
        self.forms[-1].values.append((attributes.get("name", ""), ""))

    def _begin_select(self, attributes: dict[str, str]) -> None:
        self._select = attributes.get("name", "")
        self.forms[-1].values.append((self._select, ""))

    def _begin_option(self, attributes: dict[str, str]) -> None:
        if self._select is not None and "selected" in attributes:
            values = self.forms[-1].values
            values[:] = [pair for pair in values if pair[0] != self._select]
            values.append((self._select, attributes.get("value", "")))


class Browser:
    """A test client that remembers the page that is open."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.page = Page("")
        self.status = 0
        self.url = ""

    def get(self, url: str) -> Page:
        """Open a URL and follow its redirects."""
        return self._take(self.client.get(url), url)

    def post(self, url: str, values: Any = ()) -> Page:
        """Post values without a form, with a valid CSRF token."""
        self.client.get("/admin/")
        data = self._data([*values, ("csrfmiddlewaretoken", self._token())])
        return self._take(self.client.post(url, data), url)

    def press(self, button: str, **changes: Any) -> Page:
        """Submit the form of a button on the open page, with some of its values changed."""
        form = self.page.form_with(button)
        kept = [(name, value) for name, value in form.values if name not in changes]
        changed = [(name, one) for name, value in changes.items() for one in _each(value)]
        pressed = [pair for pair in [form.buttons[button]] if pair[0]]
        url = form.action or self.url
        data = self._data([*kept, *changed, *pressed])
        return self._take(self.client.post(url, data), url)

    def _take(self, response: Any, url: str) -> Page:
        while response.status_code == 302 and response["Location"].startswith("/"):
            url = response["Location"]
            response = self.client.get(url)
        self.status, self.url, self.response = response.status_code, url, response
        self.page = Page(response.content.decode(), url)
        return self.page

    def _token(self) -> str:
        return str(self.client.cookies["csrftoken"].value)

    @staticmethod
    def _data(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
        data: dict[str, list[str]] = {}
        for name, value in pairs:
            data.setdefault(name, []).append(value)
        return data


def _each(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]


def check_mark_up(page: Page) -> None:
    """
    Make sure that a page has one heading, unique ids, no inline script or style, and what Django's
    scripts need.
    """
    assert len(page.attributes_of("h1")) == 1
    assert len(page.ids) == len(set(page.ids))
    assert not [given for _tag, given in page.tags if "style" in given]
    assert not [given for _tag, given in page.tags for name in given if name.startswith("on")]
    assert all(given.get("src") for given in page.attributes_of("script"))
    assert page.html.count('class="breadcrumbs"') == 1
    # The script of the boxes that choose rows counts them there, and throws if it cannot.
    assert 'class="action-counter"' in page.html or 'class="action-select"' not in page.html


def check_tables(html: str) -> None:
    """Make sure that the tables of a page have captions and headings, and scroll by themselves."""
    page = Page(html[html.index("<main") :])
    tables = page.attributes_of("table")
    assert len(page.attributes_of("caption")) == len(tables)
    assert page.html.count('class="zoho-scroll" role="region" tabindex="0"') == len(tables)
    assert all(given.get("scope") for given in page.attributes_of("th"))
