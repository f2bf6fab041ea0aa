"""Admin pages of tokens: the default user of a connection, and the end of one user's consent."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from tests.admin.pages import Browser
from tests.services.test_users import AIKO, MARA, add_user, defaults, lose
from zoho_crm.models import Connection, Token
from zoho_crm.services.connect import disconnect
from zoho_crm.services.preview import get_or_create_row
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/zoho_crm/token/"
CONNECTIONS = "/admin/zoho_crm/connection/"


@pytest.fixture
def aiko(zoho: Simulator, connection: Connection) -> Token:
    return add_user(zoho)


@pytest.fixture
def mara(connection: Connection) -> Token:
    return connection.tokens.get(user_email=MARA)


def token_url(token: Token) -> str:
    return reverse("admin:zoho_crm_token_change", args=[token.pk])


def messages_about(token: Token) -> list[str]:
    entries = LogEntry.objects.filter(
        object_id=str(token.pk), content_type__model="token"
    ).order_by("pk")
    return [entry.get_change_message() for entry in entries]


def test_the_page_of_a_connection_leads_to_its_users(
    browser: Browser, connection: Connection, aiko: Token
) -> None:
    page = browser.get(f"{CONNECTIONS}{connection.pk}/change/")

    assert page.links[AIKO] == token_url(aiko)
    assert browser.get(page.links[AIKO]).links["Make default…"]


def test_another_user_is_made_the_default(
    browser: Browser, connection: Connection, aiko: Token
) -> None:
    browser.get(token_url(aiko))
    page = browser.get(browser.page.links["Make default…"])
    assert f"Nordwind Trading works with the consent of {AIKO} from then on." in page.text
    assert defaults(connection) == [MARA]

    page = browser.press("Make default")

    assert f"Nordwind Trading works with the consent of {AIKO} now." in page.text
    assert defaults(connection) == [AIKO]
    assert messages_about(aiko) == ["Made the default."]
    assert "Make default…" not in page.links


def test_who_is_the_default_or_has_left_cannot_be_made_it(
    browser: Browser, zoho: Simulator, connection: Connection, mara: Token, aiko: Token
) -> None:
    lose(zoho, aiko)

    assert "Make default…" not in browser.get(token_url(aiko)).links
    assert "has ended" in browser.get(f"{LIST}{aiko.pk}/default/").text
    assert "is the default user already" in browser.get(f"{LIST}{mara.pk}/default/").text


@pytest.mark.slow
def test_a_user_who_left_meanwhile_is_not_made_the_default(
    browser: Browser, zoho: Simulator, connection: Connection, aiko: Token
) -> None:
    browser.get(f"{LIST}{aiko.pk}/default/")
    lose(zoho, aiko)

    page = browser.press("Make default")

    assert "The default was not changed." in page.text
    assert defaults(connection) == [MARA]


def test_one_user_is_disconnected(
    browser: Browser, zoho: Simulator, connection: Connection, aiko: Token
) -> None:
    refresh_token = aiko.reveal("refresh_token").reveal()
    browser.get(token_url(aiko))
    page = browser.get(browser.page.links["Disconnect this user…"])
    assert "The connection goes on with its default user" in page.text
    assert refresh_token in zoho.world.grants.refresh_tokens

    page = browser.press("Disconnect this user")

    assert f"The consent of {AIKO} was revoked; the history stays." in page.text
    assert "○ revoked" in page.text
    assert refresh_token not in zoho.world.grants.refresh_tokens
    assert messages_about(aiko) == ["Disconnected."]
    assert "Disconnect this user…" not in page.links
    connection.refresh_from_db()
    assert connection.status == Connection.Status.ACTIVE


@pytest.mark.slow
def test_without_its_default_a_connection_says_that_it_needs_one(
    browser: Browser, connection: Connection, mara: Token, aiko: Token
) -> None:
    row = get_or_create_row(connection_id=connection.pk, lead_id="1")
    page = browser.get(f"{LIST}{mara.pk}/disconnect/")
    assert f"until one is made the default ({AIKO})" in page.text
    assert "1 lead waits until then." in page.text

    browser.press("Disconnect this user")

    assert "▲ needs a default user" in browser.get(CONNECTIONS).text
    page = browser.get(f"{CONNECTIONS}{connection.pk}/change/")
    assert "make another one the default, or connect again" in page.text
    page = browser.get(reverse("admin:zoho_crm_leadconversion_change", args=[row.pk]))
    assert "needs a default user first" in page.text
    browser.get(f"{LIST}{aiko.pk}/default/")
    browser.press("Make default")
    assert "● works" in browser.get(CONNECTIONS).text


def test_the_last_user_is_announced(browser: Browser, connection: Connection, mara: Token) -> None:
    page = browser.get(f"{LIST}{mara.pk}/disconnect/")

    assert "No other user is connected" in page.text


def test_when_zoho_cannot_be_told_nothing_is_deleted(
    browser: Browser, zoho: Simulator, aiko: Token
) -> None:
    zoho.fail("revoke", "error_before", status=500, times=9)
    browser.get(f"{LIST}{aiko.pk}/disconnect/")

    page = browser.press("Disconnect this user")

    assert "Not disconnected; nothing was deleted." in page.text
    aiko.refresh_from_db()
    assert aiko.refresh_token_cipher


@pytest.mark.parametrize("what", ["default", "disconnect"])
def test_a_forged_request_is_refused(what: str, browser: Browser, aiko: Token) -> None:
    response = browser.client.post(f"{LIST}{aiko.pk}/{what}/")

    assert response.status_code == 403
    aiko.refresh_from_db()
    assert (aiko.status, aiko.is_default) == ("ACTIVE", False)


@pytest.mark.parametrize("what", ["default", "disconnect"])
def test_who_may_only_look_is_refused(
    what: str, browser_as: Callable[..., Browser], aiko: Token
) -> None:
    browser = browser_as("view_token", "view_connection", "refresh_connection")

    links = browser.get(token_url(aiko)).links
    browser.get(f"{LIST}{aiko.pk}/{what}/")

    assert browser.status == 403
    assert not {"Make default…", "Disconnect this user…"} & set(links)


@pytest.mark.parametrize("what", ["default", "disconnect"])
def test_an_unknown_token_is_not_found(what: str, browser: Browser, db: None) -> None:
    browser.post(f"{LIST}4711/{what}/")

    assert browser.status == 404


def test_without_permission_to_view_one_comes_back_to_the_index(
    browser_as: Callable[..., Browser], connection: Connection, aiko: Token
) -> None:
    browser = browser_as("disconnect_connection")
    browser.get(f"{LIST}{aiko.pk}/disconnect/")

    page = browser.press("Disconnect this user")

    assert browser.url == "/admin/"
    assert f"The consent of {AIKO} was revoked" in page.text


@pytest.mark.slow
def test_a_connection_that_was_disconnected_needs_no_default(
    browser: Browser, connection: Connection, aiko: Token
) -> None:
    disconnect(connection_id=connection.pk)

    assert "○ disabled" in browser.get(CONNECTIONS).text
