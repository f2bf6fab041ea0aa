"""No screen has a text of ours that was not translated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.test import Client
from playwright.sync_api import Browser

from tests.browser.browsers import Window
from tests.browser.screens import SCREENS
from tests.browser.seeded import Site, seeded_site
from tests.pseudo import BEGIN, pseudo_language, texts_of, untranslated, words_of_data
from zoho_crm.services.lead_browser import lead_fields

pytestmark = pytest.mark.usefixtures("transactional_db")

#: Names of the project that has the admin, of a field of Zoho's, and of methods of HTTP.
NAMES = {"Testproject", "Enquiries", "enquiries", "Lead", "Status", "GET", "POST"}


@pytest.fixture(scope="module")
def site(django_db_setup: None, django_db_blocker: Any) -> Iterator[Site]:
    """Return a site that was filled, and is read, in the pseudo-language."""
    with django_db_blocker.unblock(), pseudo_language(), seeded_site() as seeded:
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
def data(site: Site) -> set[str]:
    zoho = site.zoho.organisation
    fields = [[each.label, each.values] for each in lead_fields(site.connection)]
    leads = [lead.data for lead in zoho.records["Leads"].data.values()]
    return NAMES | words_of_data(zoho.users, zoho.pipelines, zoho.contact_roles, fields, leads)


def test_no_table_keeps_a_text_in_the_language_of_whoever_wrote_it(site: Site) -> None:
    kept = [list(model._default_manager.values_list()) for model in apps.get_models()]

    assert BEGIN not in str(kept)
    assert BEGIN not in str([row.object_repr for row in LogEntry.objects.all()])


#: Zoho asks for consent on a page of its own.
OURS = sorted(SCREENS.keys() - {"consent"})


@pytest.mark.parametrize("name", OURS)
def test_every_text_of_a_screen_is_translated(
    name: str, site: Site, window: Window, data: set[str]
) -> None:
    screen = SCREENS[name]
    if screen.act:
        page = window.tab()
        page.goto(screen.path(site))
        screen.act(page)
        html = page.content()
        page.close()
    else:
        client = Client()
        if screen.is_signed_in:
            client.force_login(site.boss)
        html = client.get(screen.path(site)).content.decode()

    pieces = [piece for text in texts_of(html) for piece in untranslated(text, data)]
    assert not pieces, "\n".join(pieces)
