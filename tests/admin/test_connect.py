"""The page that connects an organisation, and the message of each failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import override_settings
from django.urls import reverse

from tests import messages
from tests.admin.pages import Browser, Page
from zoho_crm.models import Connection
from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET, Simulator

pytestmark = pytest.mark.django_db(transaction=True)

CONNECT = "/admin/zoho_crm/connection/connect/"
CODE_BUTTON = "Connect with this code"
CONSENT_BUTTON = "Continue at Zoho"


def paste(browser: Browser, code: str, **more: Any) -> Page:
    """Open the page, paste a code and press the button."""
    browser.get(CONNECT)
    return browser.press(CODE_BUTTON, code=code, **more)


def error_at(page: Page, field: str) -> str:
    """Return the HTML of the errors of a form field."""
    start = page.html.find(f'id="id_{field}_error"')
    return page.html[start : page.html.find("</ul>", start)] if start >= 0 else ""


def test_a_code_connects(browser: Browser, zoho: Simulator) -> None:
    messages.take_all()

    page = paste(browser, zoho.grant_code(), name="Main office")

    connection = Connection.objects.get()
    assert "Connected to Main office." in page.text
    assert connection.org_id == zoho.organisation.id
    assert LogEntry.objects.get().get_change_message() == "Connected by a code."
    assert messages.take_all()[0].kwargs == {"connection_id": connection.pk}


def test_a_client_of_ones_own_may_be_given(
    browser: Browser, zoho: Simulator, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "CLIENT_ID": "", "CLIENT_SECRET": ""}

    page = paste(browser, zoho.grant_code(), client_id=CLIENT_ID, client_secret=CLIENT_SECRET)

    assert "Connected to Nordwind Trading." in page.text


def test_scopes_that_were_not_granted_are_named_at_once(browser: Browser, zoho: Simulator) -> None:
    page = paste(
        browser, zoho.grant_code("ZohoCRM.modules.ALL,ZohoCRM.org.READ,ZohoCRM.users.READ")
    )

    assert "These scopes were not granted" in page.text
    assert "ZohoCRM.settings.ALL" in page.text


def test_an_expired_code_is_refused_at_the_code(browser: Browser, zoho: Simulator) -> None:
    code = zoho.grant_code(seconds=60)
    zoho.advance(61)

    page = paste(browser, code)

    assert "it has expired or was used before" in error_at(page, "code")
    assert code not in page.html
    assert not Connection.objects.exists()


def test_a_code_works_once(browser: Browser, zoho: Simulator) -> None:
    code = zoho.grant_code()
    paste(browser, code)

    page = paste(browser, code)

    assert "it has expired or was used before" in error_at(page, "code")
    assert Connection.objects.count() == 1


@pytest.mark.parametrize(
    "client", [("1000.NOBODY", CLIENT_SECRET), (CLIENT_ID, "wrong-secret")], ids=["id", "secret"]
)
def test_a_wrong_client_is_refused_at_the_client(
    client: tuple[str, str], browser: Browser, zoho: Simulator
) -> None:
    page = paste(browser, zoho.grant_code(), client_id=client[0], client_secret=client[1])

    assert "check the client id, its secret and the data center" in error_at(page, "client_id")
    assert client[1] not in page.html


@pytest.mark.parametrize(
    ("given", "missing"),
    [({"client_id": "1000.X"}, "client_secret"), ({"client_secret": "x"}, "client_id")],
)
def test_half_a_client_is_refused(
    given: dict[str, str], missing: str, browser: Browser, zoho: Simulator
) -> None:
    page = paste(browser, zoho.grant_code(), **given)

    assert "A client has both an ID and a secret." in error_at(page, missing)


def test_a_wrong_data_center_is_refused_at_the_code(browser: Browser, zoho: Simulator) -> None:
    page = paste(browser, zoho.grant_code(), data_center="eu")

    assert "from another data center: choose the one" in error_at(page, "code")
    assert "only in the data center where it was made" in page.text
    assert not Connection.objects.exists()


def test_a_wrong_environment_is_refused_at_the_environment(
    browser: Browser, zoho: Simulator
) -> None:
    page = paste(browser, zoho.grant_code(), environment="sandbox")

    assert "not for sandbox" in error_at(page, "environment")


def test_without_a_code_nothing_is_asked(browser: Browser, zoho: Simulator) -> None:
    page = paste(browser, "")

    assert "This field is required." in error_at(page, "code")


def test_what_is_left_out_is_as_in_the_settings(browser: Browser, zoho: Simulator) -> None:
    paste(browser, zoho.grant_code(), data_center=None, environment=None)

    assert Connection.objects.get().data_center == "local"


def test_without_an_encryption_key_the_page_says_how_to_make_one(
    browser: Browser, zoho: Simulator, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "ENCRYPTION_KEYS": []}
    code = zoho.grant_code()

    page = paste(browser, code)

    assert "There is no encryption key yet" in page.text
    assert "make a key with: manage.py zoho_new_key" in page.text
    assert zoho.stats()["tokens"]["exchanged"] == 0


def test_without_a_client_the_page_says_what_to_set(
    browser: Browser, zoho: Simulator, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "CLIENT_ID": "", "CLIENT_SECRET": ""}

    page = paste(browser, zoho.grant_code())

    assert 'First set ZOHO_CRM["CLIENT_ID"]' in page.text
    assert not page.has_button(CONSENT_BUTTON)
    assert "Set ZOHO_CRM['CLIENT_ID']" in page.text


def test_an_outage_of_zoho_is_reported(browser: Browser, zoho: Simulator) -> None:
    zoho.fail("exchange", "error_before", status=503, times=9)

    page = paste(browser, zoho.grant_code())

    assert page.form_with(CODE_BUTTON)
    assert 'role="alert"' in page.html
    assert not Connection.objects.exists()


def test_the_button_leaves_for_zoho_and_comes_back_connected(
    browser: Browser, zoho: Simulator
) -> None:
    page = browser.get(CONNECT)
    assert "http://testserver/zoho/oauth/callback/" in page.text

    browser.press(CONSENT_BUTTON, name="Main office")
    back = zoho.consent(browser.response["Location"])
    page = browser.get(back.removeprefix("http://testserver"))

    assert "Connected to Main office." in page.text
    assert browser.url == reverse("admin:zoho_crm_connection_changelist")


@override_settings(ROOT_URLCONF="tests.admin.admin_only")
def test_a_site_without_our_urls_is_told_to_include_them(browser: Browser) -> None:
    page = browser.get(CONNECT)

    assert "First include zoho_crm.urls" in page.text


def test_who_may_only_connect_is_sent_to_the_index(
    browser_as: Callable[..., Browser], zoho: Simulator
) -> None:
    connector = browser_as("connect_connection")

    page = paste(connector, zoho.grant_code())

    assert connector.status == 200
    assert "Connected to Nordwind Trading." in page.text


def test_the_ids_on_the_page_are_different(browser: Browser, zoho: Simulator) -> None:
    page = browser.get(CONNECT)

    assert len(page.ids) == len(set(page.ids))
