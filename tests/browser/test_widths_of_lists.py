"""The lists fit into a window of 1280 pixels, also with the longer words of German."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from playwright.sync_api import Browser

from tests.browser.browsers import Window
from tests.browser.pictures import save
from tests.browser.screens import SCREENS
from tests.browser.seeded import Site, seeded_site

pytestmark = pytest.mark.usefixtures("transactional_db")

LISTS = [name for name, screen in SCREENS.items() if screen.url_name.endswith("_changelist")]
#: The parts of a page whose tables scroll sideways if they are too wide, with how much.
TOO_WIDE = """[...document.querySelectorAll(".results, .zoho-scroll")]
    .map(each => each.scrollWidth - each.clientWidth).filter(pixels => pixels > 0)"""


@pytest.fixture(scope="module")
def site(django_db_setup: None, django_db_blocker: Any) -> Iterator[Site]:
    with django_db_blocker.unblock(), seeded_site() as seeded:
        yield seeded


@pytest.fixture
def transactional_db(site: Site) -> None:
    """Keep the tables as they are from test to test; this name lets pytest-django make them."""


@pytest.fixture(scope="module", params=["en", "de"])
def language(request: Any) -> Iterator[str]:
    with override_settings(LANGUAGE_CODE=request.param):
        yield request.param


@pytest.fixture(scope="module")
def window(browser: Browser, address: str, site: Site, language: str) -> Iterator[Window]:
    opened = Window(browser, address, site.boss)
    yield opened
    opened.close()


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_no_wider_than_its_place(
    name: str, site: Site, window: Window, language: str, pictures: Path | None
) -> None:
    screen, page = SCREENS[name], window.tab()
    page.goto(screen.path(site))
    if screen.act:
        screen.act(page)
    assert page.locator("html").get_attribute("lang") == language
    if pictures:
        save(page, pictures / f"{name}-{language}-1280.png")

    found = page.evaluate(TOO_WIDE)
    page.close()
    assert not found, f"{name} in {language}: {found} pixels"
