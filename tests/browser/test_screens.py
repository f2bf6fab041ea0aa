"""
Every screen, light and dark, wide and narrow: accessible, within the window, without complaints.

On an older Django each is looked at once, light and narrow. With ``--pictures FOLDER`` every look
becomes a picture there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from django.contrib import admin
from playwright.sync_api import Browser, Page

from tests.browser.browsers import Window
from tests.browser.pictures import save
from tests.browser.screens import NO_SCREENS, SCREENS, Screen
from tests.browser.seeded import Site, seeded_site
from zoho_crm.admin._base import ReadOnlyAdmin

pytestmark = pytest.mark.usefixtures("transactional_db")

WIDTHS = (1280, 375)
SCHEMES: tuple[Any, ...] = ("light", "dark")
LOOKS = [(scheme, width) for width in WIDTHS for scheme in SCHEMES]
ONE_LOOK = [("light", 375)]
#: Links and buttons fade from one colour to the next; one that is replaced meanwhile never ends.
UNTIL_COLOURS_ARE_SET = "Promise.allSettled(document.getAnimations().map(each => each.finished))"
AXE_OPTIONS = {"resultTypes": ["violations"], "preload": False}
TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def site(django_db_setup: None, django_db_blocker: Any) -> Iterator[Site]:
    with django_db_blocker.unblock(), seeded_site() as seeded:
        yield seeded


@pytest.fixture
def transactional_db(site: Site) -> None:
    """Keep the tables as they are from test to test; this name lets pytest-django make them."""


@pytest.fixture(scope="module")
def window(browser: Browser, address: str, site: Site) -> Iterator[Window]:
    opened = Window(browser, address, site.boss)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def stranger(browser: Browser, address: str, site: Site) -> Iterator[Window]:
    """Open the window of somebody who is not signed in."""
    opened = Window(browser, address, None)
    yield opened
    opened.close()


def test_every_page_of_the_admin_is_among_the_screens() -> None:
    names = {
        pattern.name
        for model, pages in admin.site._registry.items()
        if model._meta.app_label == "zoho_crm"
        for pattern in pages.get_urls()
        if pattern.name
        and not (isinstance(pages, ReadOnlyAdmin) and pattern.name.endswith(("_add", "_delete")))
    }
    assert names - {screen.url_name for screen in SCREENS.values()} == NO_SCREENS


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_is_accessible_and_fits(
    name: str, site: Site, window: Window, stranger: Window, pictures: Path | None
) -> None:
    screen = SCREENS[name]
    seen_by = window if screen.is_signed_in else stranger
    page = seen_by.tab()
    seen_by.complaints.clear()
    found: list[str] = []
    try:
        open_screen(page, screen, site)
        for scheme, width in LOOKS if pictures or django.VERSION >= (6, 1) else ONE_LOOK:
            found += show(page, scheme, width)
            found += [text for text in seen_by.complaints if not is_expected(text, screen)]
            if pictures:
                save(page, pictures / f"{name}-{scheme}-{width}.png")
            found += find_barriers(page, f"{scheme} {width}")
            seen_by.complaints.clear()  # what axe does to measure a page breaks its policy
    finally:
        page.close()
    assert not found, "\n".join(found)


def open_screen(page: Page, screen: Screen, site: Site) -> None:
    answer = page.goto(screen.path(site))
    assert answer
    assert answer.status == screen.expected_status
    if screen.act:
        screen.act(page)


def is_expected(complaint: str, screen: Screen) -> bool:
    """Return whether a browser has to complain of this, as the screen is that of an error."""
    return screen.expected_status >= 400 and f"status of {screen.expected_status} " in complaint


def show(page: Page, scheme: Any, width: int) -> list[str]:
    """Show a page in a colour scheme at a width; return whether it is wider than that."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(UNTIL_COLOURS_ARE_SET)
    return [f"{scheme} {width}: wider than the window"] if page.evaluate(TOO_WIDE) else []


def find_barriers(page: Page, look: str) -> list[str]:
    """Return what axe finds on a page, if anything."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE_SCRIPT)
    results = AxeResults(page.evaluate(f"axe.run({json.dumps(AXE_OPTIONS)})"))
    return [f"{look}: {results.generate_report()}"] if results.violations_count else []
