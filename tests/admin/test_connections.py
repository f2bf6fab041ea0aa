"""Admin pages of connections, tokens and events: what they show, and their actions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.admin.pages import Browser
from zoho_crm import crypto
from zoho_crm.models import (
    Connection,
    ConnectionEvent,
    ConnectionWork,
    LeadConversion,
    Token,
    from_now,
)
from zoho_crm.services import preview, tokens
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import CLIENT_SECRET, Simulator

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/zoho_crm/connection/"


def connection_url(connection: Connection) -> str:
    return reverse("admin:zoho_crm_connection_change", args=[connection.pk])


def create_connection(name: str, **values: Any) -> Connection:
    known = {"data_center": "eu", "environment": "sandbox", "org_id": name}
    return Connection.objects.create(name=name, **{**known, **values})


def log_messages(connection: Connection) -> list[str]:
    """Return the messages of the admin's log about a connection."""
    entries = LogEntry.objects.filter(object_id=str(connection.pk)).order_by("pk")
    return [entry.get_change_message() for entry in entries]


def test_the_list_says_how_each_connection_is(browser: Browser, connection: Connection) -> None:
    page = browser.get(LIST)

    assert "● works" in page.text
    assert "Local, production" in page.text
    assert "mara@nordwind.example" in page.text
    assert "expires in 59" in page.text


def test_an_expired_access_token_is_no_trouble(browser: Browser, connection: Connection) -> None:
    connection.tokens.update(expires_at=from_now(-60))

    assert "renews by itself" in browser.get(LIST).text


def test_the_list_marks_a_connection_that_needs_reconnecting_by_symbol_and_word(
    browser: Browser, connection: Connection
) -> None:
    Connection.objects.update(status=Connection.Status.NEEDS_RECONNECT)
    connection.tokens.update(status=Token.Status.NEEDS_RECONNECT)

    assert "▲ needs to be connected again" in browser.get(LIST).text


def test_the_list_asks_the_database_as_often_for_many_connections_as_for_one(
    browser: Browser, connection: Connection
) -> None:
    browser.get(LIST)
    with CaptureQueriesContext(database) as for_one:
        browser.get(LIST)
    for number in range(20):
        Token.objects.create(
            connection=create_connection(f"Org {number}"),
            user_id="1",
            client_id="1",
            is_default=True,
        )

    with CaptureQueriesContext(database) as for_many:
        browser.get(LIST)

    assert len(for_many) == len(for_one)


def test_a_connection_can_be_renamed_and_nothing_else(
    browser: Browser, connection: Connection
) -> None:
    browser.get(connection_url(connection))

    browser.press("Save", name="Main office", org_id="1", status="DISABLED", is_default="")

    connection.refresh_from_db()
    assert connection.name == "Main office"
    assert connection.status == Connection.Status.ACTIVE
    assert connection.org_id != "1"
    assert connection.is_default


def test_two_connections_cannot_have_one_name(browser: Browser, connection: Connection) -> None:
    create_connection("Branch")
    browser.get(connection_url(connection))

    page = browser.press("Save", name="Branch")

    assert "already exists" in page.text


def test_who_may_only_look_cannot_rename(
    browser_as: Callable[..., Browser], connection: Connection
) -> None:
    viewer = browser_as("view_connection")

    page = viewer.get(connection_url(connection))

    assert not page.has_button("Save")
    assert not page.has_button("Test")
    assert "Disconnect…" not in page.links
    assert "Connect to Zoho" not in viewer.get(LIST).links


def test_nobody_deletes_a_connection_or_adds_one_by_hand(
    browser: Browser, connection: Connection
) -> None:
    browser.get(f"{LIST}{connection.pk}/delete/")
    refused_to_delete = browser.status
    browser.get(f"{LIST}add/")

    assert (refused_to_delete, browser.status) == (403, 403)


def test_the_page_tells_what_happened_and_which_scopes_are_missing(
    browser: Browser, zoho: Simulator, db: None
) -> None:
    code = zoho.grant_code("ZohoCRM.modules.ALL,ZohoCRM.org.READ,ZohoCRM.users.READ")
    connection = with_grant_code(code=code, data_center="local")

    page = browser.get(connection_url(connection))

    granted, missing = (page.text.index(f"ZohoCRM.{each}.ALL") for each in ("modules", "settings"))
    assert "✓ yes" in page.text[granted:missing]
    assert "✗ no: connect again to grant it" in page.text[missing : missing + 200]
    assert "connected –" in page.text


def test_the_page_tells_why_a_connection_waits(browser: Browser, connection: Connection) -> None:
    ConnectionWork.objects.update_or_create(
        connection=connection,
        defaults={
            "backoff_until": from_now(600),
            "backoff_reason": "CreditsExhaustedError",
            "backoff_details": {"message": "No credits are left."},
            "seen_at": from_now(-5),
            "credits_remaining": 77,
        },
    )

    page = browser.get(connection_url(connection))

    assert "No credits are left." in page.text
    assert "77" in page.text


def test_a_connection_without_a_token_can_be_looked_at(browser: Browser, db: None) -> None:
    page = browser.get(connection_url(create_connection("Branch", data_center="gone")))

    assert browser.status == 200
    assert "gone" in page.text


def test_testing_asks_zoho(browser: Browser, connection: Connection) -> None:
    browser.get(connection_url(connection))

    page = browser.press("Test")

    assert "Nordwind Trading works." in page.text
    assert connection.events.filter(kind=ConnectionEvent.Kind.TESTED).count() == 1
    assert log_messages(connection) == ["Tested."]


def test_testing_says_what_is_wrong(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    zoho.fail("org", "error_before", status=500, times=9)
    browser.get(connection_url(connection))

    page = browser.press("Test")

    assert "Nordwind Trading cannot be used now: Internal Server Error" in page.text


def test_testing_without_the_key_says_which_is_missing(
    browser: Browser, connection: Connection, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "ENCRYPTION_KEYS": []}
    browser.get(connection_url(connection))

    page = browser.press("Test")

    assert "cannot be read: The encryption key" in page.text
    assert "Nordwind Trading cannot be used now: The encryption key" in page.text


def test_a_data_center_that_is_gone_is_named(
    browser: Browser, connection: Connection, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "DATA_CENTER": "local", "LOCAL_URL": ""}
    browser.get(connection_url(connection))

    page = browser.press("Test")

    assert "The data center local is unknown here" in page.text


def test_an_invalid_key_is_named_instead_of_raising_a_server_error(
    browser: Browser, connection: Connection, settings: Any
) -> None:
    key = "no-key"
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "ENCRYPTION_KEYS": [key]}
    name = hashlib.sha256(key.encode()).hexdigest()[:8]
    connection.tokens.update(access_token_cipher=f"zk1:{name}:damaged")
    browser.get(connection_url(connection))

    page = browser.press("Test")

    assert f"The encryption key {name} is no Fernet key" in page.text


@pytest.mark.slow
def test_the_access_token_is_renewed_once_however_often_one_page_is_clicked(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    first = browser.get(connection_url(connection))
    browser.press("Renew the access token")
    browser.page, browser.url = first, connection_url(connection)

    page = browser.press("Renew the access token")

    assert "The access token was renewed." in page.text
    assert zoho.stats()["tokens"]["refreshed"] == 1
    assert connection.tokens.get().generation == 2


def test_a_token_that_cannot_be_renewed_is_reported(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    zoho.fail("refresh", "error_before", status=503, times=9)
    browser.get(connection_url(connection))

    page = browser.press("Renew the access token")

    assert "The access token was not renewed." in page.text


def test_disconnecting_shows_unfinished_leads_first(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    LeadConversion.objects.create(connection=connection, lead_id="1")
    LeadConversion.objects.create(connection=connection, lead_id="2")
    browser.get(connection_url(connection))

    page = browser.get(browser.page.links["Disconnect…"])

    assert "2 leads stay where they are: to be previewed." in page.text
    connection.refresh_from_db()
    assert connection.status == Connection.Status.ACTIVE


def test_disconnecting_takes_the_consent_back_and_keeps_the_history(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    preview.preview(connection_id=connection.pk, lead_id=zoho.story("no_match"))
    page = browser.get(f"{LIST}{connection.pk}/disconnect/")
    assert "No lead is under way." in page.text

    page = browser.press("Disconnect")

    assert "is disconnected; its history stays." in page.text
    assert "○ disabled" in page.text
    assert connection.tokens.get().refresh_token_cipher == ""
    assert connection.conversions.count() == 1
    assert log_messages(connection) == ["Disconnected."]


def test_when_zoho_cannot_be_told_nothing_is_deleted(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    zoho.fail("revoke", "error_before", status=500, times=9)
    browser.get(f"{LIST}{connection.pk}/disconnect/")

    page = browser.press("Disconnect")

    assert "Not disconnected; nothing was deleted." in page.text
    assert connection.tokens.get().refresh_token_cipher


def test_what_cannot_be_read_can_be_forgotten_here(
    browser: Browser, connection: Connection, zoho: Simulator, settings: Any
) -> None:
    preview.preview(connection_id=connection.pk, lead_id=zoho.story("no_match"))
    settings.ZOHO_CRM |= {"ENCRYPTION_KEYS": [crypto.new_key()]}
    page = browser.get(connection_url(connection))
    page = browser.get(page.links["Disconnect…"])

    page = browser.get(page.links["Forget here…"])
    assert "Zoho still has the consent." in page.text
    assert connection.tokens.get().refresh_token_cipher
    page = browser.press("Forget here")

    assert "is disconnected; its history stays." in page.text
    assert "Zoho still has the consent. To end it, sign in at " in page.text
    assert "○ disabled" in page.text
    assert "deleted here, not revoked at Zoho" in page.text
    assert connection.tokens.get().refresh_token_cipher == ""
    assert len(zoho.world.grants.refresh_tokens) == 1
    assert log_messages(connection) == ["Forgotten here."]


def test_what_can_be_read_is_not_forgotten(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    page = browser.get(connection_url(connection))
    assert "Forget here…" not in page.links
    page = browser.get(f"{LIST}{connection.pk}/forget/")
    assert not page.has_button("Forget here")

    page = browser.post(f"{LIST}{connection.pk}/forget/")

    assert "Nothing was deleted. The tokens of this connection can be read" in page.text
    assert connection.tokens.get().refresh_token_cipher


def test_connecting_again_leaves_for_zoho(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    browser.get(connection_url(connection))

    browser.press("Connect again")
    back = zoho.consent(browser.response["Location"])
    page = browser.get(back.removeprefix("http://testserver"))

    assert "Connected to Nordwind Trading." in page.text
    assert browser.url == connection_url(connection)
    assert Connection.objects.count() == 1


@pytest.mark.parametrize("what", ["test", "refresh"])
def test_actions_need_a_post(what: str, browser: Browser, connection: Connection) -> None:
    browser.get(f"{LIST}{connection.pk}/{what}/")

    assert browser.status == 405


@pytest.mark.parametrize("what", ["test", "refresh", "disconnect", "forget"])
def test_a_forged_request_is_refused(what: str, browser: Browser, connection: Connection) -> None:
    response = browser.client.post(f"{LIST}{connection.pk}/{what}/")

    assert response.status_code == 403
    assert connection.tokens.get().status == Token.Status.ACTIVE


@pytest.mark.parametrize("what", ["test", "refresh", "disconnect", "forget"])
def test_an_unknown_connection_is_not_found(what: str, browser: Browser, db: None) -> None:
    browser.post(f"{LIST}4711/{what}/")

    assert browser.status == 404


def test_tokens_are_shown_as_fingerprints(browser: Browser, connection: Connection) -> None:
    token = connection.tokens.get()

    page = browser.get(f"/admin/zoho_crm/token/{token.pk}/change/")

    assert "encrypted with key 5b50bf44" in page.text
    assert "ZohoCRM.modules.ALL" in page.text
    assert not page.has_button("Save")


def test_a_revoked_token_has_nothing_to_show(browser: Browser, connection: Connection) -> None:
    browser.get(f"{LIST}{connection.pk}/disconnect/")
    browser.press("Disconnect")

    page = browser.get("/admin/zoho_crm/token/")

    assert "○ revoked" in page.text


def test_events_are_listed_with_their_details(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    browser.get(connection_url(connection))
    browser.press("Test")

    page = browser.get("/admin/zoho_crm/connectionevent/")

    assert "tested boss ok: True" in page.text


@pytest.mark.slow
def test_no_page_shows_a_secret(browser: Browser, connection: Connection) -> None:
    token = connection.tokens.get()
    addresses = [
        LIST,
        connection_url(connection),
        f"{LIST}connect/",
        f"{LIST}{connection.pk}/disconnect/",
        "/admin/zoho_crm/token/",
        f"/admin/zoho_crm/token/{token.pk}/change/",
        "/admin/zoho_crm/connectionevent/",
    ]
    secrets = [token.reveal(word).reveal() for word in Token.SECRETS]
    parts = {secret[start : start + 8] for secret in secrets for start in range(len(secret) - 7)}
    parts -= {CLIENT_SECRET[:8], CLIENT_SECRET[1:9]}  # "simulator": a word of the simulator's

    html = "".join(browser.get(address).html for address in addresses)

    assert tokens.access_token(connection_id=connection.pk).reveal() in secrets
    assert not [part for part in parts if part in html]
    assert token.refresh_token_cipher not in html
