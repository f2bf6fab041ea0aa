"""The commands that connect, show and disconnect."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError
from django.test import override_settings
from django.urls import path

from tests.management.conftest import Run, Terminal
from zoho_crm import crypto
from zoho_crm.management._command import ZohoCommand
from zoho_crm.models import (
    Connection,
    ConnectionWork,
    LeadConversion,
    OutboxRecord,
    Token,
    from_now,
)
from zoho_crm.services.connect import with_grant_code
from zoho_crm.services.preview import get_or_create_row
from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET, Simulator

pytestmark = pytest.mark.django_db(transaction=True)

#: A project that includes neither the admin nor our URLs.
urlpatterns = [path("", lambda request: None)]

CALLBACK = "/zoho/oauth/callback/"


def back_off(connection: Connection, kind: str, reason: str) -> None:
    ConnectionWork.objects.update_or_create(
        connection=connection,
        defaults={
            "backoff_until": from_now(600),
            "backoff_kind": kind,
            "backoff_reason": "PermissionDeniedError",
            "backoff_details": {"message": reason},
        },
    )


# Connecting


def test_a_grant_code_on_stdin_connects(run: Run, zoho: Simulator) -> None:
    code = zoho.grant_code()

    ran = run("zoho_connect", "--grant-code", "-", "--name", "Acme", "--format=json", stdin=code)

    connection = Connection.objects.get()
    assert ran.code == 0
    assert ran.line == {
        "connection": "Acme",
        "org_id": connection.org_id,
        "user": zoho.organisation.current_user["email"],
        "scopes": connection.tokens.get().scopes,
        "missing_scopes": [],
    }


def test_people_see_whom_they_speak_for(run: Run, zoho: Simulator) -> None:
    ran = run(
        "zoho_connect",
        "--grant-code",
        "-",
        stdin=zoho.grant_code("ZohoCRM.org.READ,ZohoCRM.users.READ"),
    )

    assert ran.code == 0
    assert "Organisation  " in ran.out
    assert "Missing       ZohoCRM.modules.ALL" in ran.out


def test_the_secret_of_another_client_is_on_line_two(run: Run, zoho: Simulator) -> None:
    stdin = f"{zoho.grant_code()}\n{CLIENT_SECRET}\n"

    ran = run("zoho_connect", "--grant-code=-", "--client-id", CLIENT_ID, stdin=stdin)

    assert ran.code == 0
    assert CLIENT_SECRET not in ran.out + ran.err


@pytest.mark.parametrize(
    ("words", "stdin", "says"),
    [
        (["--grant-code=-"], "", "line 1"),
        (["--grant-code=-", "--client-id=1000.X"], "1000.code\n", "line 2"),
        ([], "1000.code\n", "cannot be prompted for"),
        (["--no-input"], "1000.code\n", "cannot be prompted for"),
    ],
)
def test_a_secret_that_is_not_there_is_wrong_use(
    run: Run, zoho: Simulator, words: list[str], stdin: str, says: str
) -> None:
    ran = run("zoho_connect", *words, stdin=stdin)

    assert ran.code == 2
    assert says in ran.err
    assert zoho.stats()["tokens"]["refused"] == 0


def test_a_code_that_is_no_good_needs_a_person(run: Run, zoho: Simulator) -> None:
    ran = run("zoho_connect", "--grant-code", "-", stdin="1000.old")

    assert ran.code == 4
    assert "Make a new code" in ran.err
    assert not Connection.objects.exists()


def test_without_an_encryption_key_the_code_is_not_used_up(
    run: Run, zoho: Simulator, settings: object
) -> None:
    code = zoho.grant_code()
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "ENCRYPTION_KEYS": []}

    ran = run("zoho_connect", "--grant-code", "-", stdin=code)

    assert ran.code == 1
    assert "zoho_new_key" in ran.err
    assert zoho.stats()["tokens"]["exchanged"] == 0


@pytest.mark.parametrize(
    ("redirect_uri", "page"),
    [
        (
            f"https://crm.example{CALLBACK}",
            "https://crm.example/zoho/oauth/connect/",
        ),
        (
            f"https://crm.example/base{CALLBACK}",
            "https://crm.example/base/zoho/oauth/connect/",
        ),
        (
            "https://crm.example/elsewhere/",
            "https://crm.example/zoho/oauth/connect/",
        ),
    ],
)
def test_web_says_where_a_browser_can_connect(
    run: Run, zoho: Simulator, settings: object, redirect_uri: str, page: str
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "REDIRECT_URI": redirect_uri}

    assert run("zoho_connect", "--web").out == f"{page}\n"
    assert run("zoho_connect", "--web", "--format=json").line == {"url": page}


def test_web_needs_a_redirect_address(run: Run, zoho: Simulator) -> None:
    ran = run("zoho_connect", "--web")

    assert ran.code == 1
    assert "REDIRECT_URI" in ran.err


def test_web_needs_no_admin(run: Run, zoho: Simulator, settings: Any) -> None:
    settings.ZOHO_CRM |= {"REDIRECT_URI": "https://crm.example/crm/oauth/callback/"}

    with override_settings(ROOT_URLCONF="tests.hosts.no_admin"):
        ran = run("zoho_connect", "--web")

    assert ran.out == "https://crm.example/crm/oauth/connect/\n"


def test_web_needs_our_urls(run: Run, zoho: Simulator, settings: object) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "REDIRECT_URI": f"https://crm.example{CALLBACK}"}

    with override_settings(ROOT_URLCONF=__name__):
        ran = run("zoho_connect", "--web")

    assert ran.code == 1
    assert "zoho_crm.urls" in ran.err


def test_web_needs_urls_at_all(run: Run, zoho: Simulator, settings: Any) -> None:
    settings.ZOHO_CRM |= {"REDIRECT_URI": f"https://crm.example{CALLBACK}"}
    del settings.ROOT_URLCONF

    assert "zoho_crm.urls" in run("zoho_connect", "--web").err


# Status


def test_status_is_a_line_for_each_connection(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    get_or_create_row(connection_id=connection.pk, lead_id="1")
    LeadConversion.objects.create(connection=connection, lead_id="2", status="UNKNOWN")
    LeadConversion.objects.create(connection=connection, lead_id="3", status="NEEDS_REVIEW")

    line = run("zoho_status", "--format", "json").line

    token = Token.objects.get()
    assert {name: line[name] for name in ("connection", "status", "org_id")} == {
        "connection": connection.name,
        "status": "ACTIVE",
        "org_id": connection.org_id,
    }
    assert (line["data_center"], line["environment"]) == ("local", "production")
    assert line["token_expires_at"] == token.expires_at.isoformat()
    assert line["token_generation"] == 1
    assert (line["due"], line["unknown"], line["needs_review"]) == (1, 1, 1)


def test_status_counts_pushed_records_of_each_connection(run: Run, connection: Connection) -> None:
    LeadConversion.objects.create(connection=connection, lead_id="11", status="UNKNOWN")
    for status in OutboxRecord.Status:
        OutboxRecord.objects.create(connection=connection, status=status, module="Leads")

    ran = run("zoho_status", "--format", "json")

    assert (ran.line["outbox_waiting"], ran.line["outbox_needs_person"]) == (3, 2)
    assert ran.line["unknown"] == 1
    assert "2 pushed records were refused or need a decision" in ran.err


def test_status_of_nothing_says_how_to_connect(run: Run, zoho: Simulator) -> None:
    ran = run("zoho_status")

    assert (ran.code, ran.out) == (0, "")
    assert "zoho_connect" in ran.err


def test_hints_can_be_silenced(run: Run, zoho: Simulator) -> None:
    assert run("zoho_status", verbosity=0).err == ""


def test_an_access_token_that_has_expired_is_no_trouble(run: Run, connection: Connection) -> None:
    Token.objects.update(expires_at=from_now(-60))

    ran = run("zoho_status")

    assert ran.code == 0
    assert "renewed when needed" in ran.out


def test_a_lost_connection_needs_a_person(run: Run, connection: Connection) -> None:
    Connection.objects.update(status=Connection.Status.NEEDS_RECONNECT)
    Token.objects.update(expires_at=from_now(-60))

    ran = run("zoho_status")

    assert ran.code == 4
    assert "renewed when needed" not in ran.out
    assert f"“{connection}” needs a person" in ran.err


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ConnectionWork.BackoffKind.PERSON, 4),
        (ConnectionWork.BackoffKind.LIMIT, 0),
        (ConnectionWork.BackoffKind.SILENCE, 0),
    ],
)
def test_a_waiting_connection_says_until_when_and_why(
    run: Run, connection: Connection, kind: str, code: int
) -> None:
    back_off(connection, kind, "Permission denied")

    ran = run("zoho_status")

    assert ran.code == code
    assert "waits until" in ran.out
    assert "Permission denied" in ran.out


def test_status_tells_who_is_missed_and_how_to_start_them(run: Run, connection: Connection) -> None:
    get_or_create_row(connection_id=connection.pk, lead_id="1")
    LeadConversion.objects.update(due_at=from_now(-31))
    ConnectionWork.objects.create(connection=connection, seen_at=from_now(-60))

    line = run("zoho_status", "--format", "json").line
    ran = run("zoho_status")

    assert line["missed"] == ["worker", "sweep"]
    assert line["worker_seen_at"] == ConnectionWork.objects.get().seen_at.isoformat()
    assert line["sweep_seen_at"] is None
    assert ran.code == 0
    assert "not seen: worker, sweep" in ran.out
    assert "celery -A <project> worker" in ran.err
    assert "celery -A <project> beat" in ran.err


def test_where_nothing_waits_status_misses_nobody(run: Run, connection: Connection) -> None:
    ran = run("zoho_status")

    assert run("zoho_status", "--format", "json").line["missed"] == []
    assert (ran.code, ran.err) == (0, "")


def test_status_in_colour(run: Run, connection: Connection) -> None:
    ran = run("zoho_status", force_color=True)

    assert "\x1b[" in ran.out


def test_status_at_a_terminal_without_colour(run: Run, connection: Connection) -> None:
    ran = run("zoho_status", out=Terminal(), no_color=True)

    assert connection.name in ran.out
    assert "\x1b[" not in ran.out


def test_one_connection_can_be_chosen(run: Run, connection: Connection) -> None:
    assert connection.name in run("zoho_status", "--connection", connection.name).out
    assert run("zoho_status", "--connection", "Nope").code == 2


def test_test_asks_zoho(run: Run, connection: Connection, zoho: Simulator) -> None:
    back_off(connection, ConnectionWork.BackoffKind.PERSON, "Permission denied")

    ran = run("zoho_status", "--test", "--format=json")

    assert ran.code == 0
    assert ran.line["test"] == ran.line["waits_because"] == ""


def test_test_says_when_zoho_cannot_be_asked(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    zoho.fail("org", "error_before")

    ran = run("zoho_status", "--test")

    assert ran.code == 1
    assert "did not pass the test" in ran.err


@pytest.mark.parametrize("words", [["zoho_status", "--test"], ["zoho_doctor"]])
def test_the_permission_that_is_missing_is_named(
    run: Run, connection: Connection, zoho: Simulator, words: list[str]
) -> None:
    details = {"permissions": ["Crm_Implied_Api_Access"]}
    refusal = {"code": "NO_PERMISSION", "message": "permission denied", "details": details}
    zoho.fail("org", "error_before", status=403, body={**refusal, "status": "error"})

    ran = run(*words)

    assert "permission denied: missing permission: Crm_Implied_Api_Access" in ran.out + ran.err


def test_a_disabled_connection_is_not_tested(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    Connection.objects.update(status=Connection.Status.DISABLED)
    zoho.fail("any", "error_before", times=None)

    ran = run("zoho_status", "--test")

    assert ran.code == 0
    assert "disabled" in ran.out


# Disconnecting


def test_disconnecting_is_shown_first(run: Run, connection: Connection) -> None:
    get_or_create_row(connection_id=connection.pk, lead_id="1")

    ran = run("zoho_disconnect", connection.name)

    connection.refresh_from_db()
    assert ran.code == 0
    assert "would be disconnected" in ran.out
    assert "1 lead is in progress" in ran.out
    assert "--execute" in ran.err
    assert connection.status == Connection.Status.ACTIVE


def test_disconnecting_takes_the_consent_back(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    ran = run("zoho_disconnect", connection.name, "--execute", "--format=json")

    assert ran.line == {
        "connection": connection.name,
        "org_id": connection.org_id,
        "status": "DISABLED",
        "waiting": 0,
        "forgotten": 0,
        "executed": True,
    }
    assert not any(getattr(Token.objects.get(), f"{word}_cipher") for word in Token.SECRETS)


def test_disconnecting_says_what_was_done(run: Run, connection: Connection) -> None:
    ran = run("zoho_disconnect", connection.name, "--execute")

    assert "is disconnected" in ran.out
    assert ran.err == ""


def test_disconnecting_what_is_not_there_names_what_is(run: Run, connection: Connection) -> None:
    ran = run("zoho_disconnect", "Nope", "--execute")

    assert ran.code == 2
    assert connection.name in ran.err


def test_if_zoho_cannot_be_told_nothing_is_forgotten(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    zoho.fail("revoke", "error_before")

    ran = run("zoho_disconnect", connection.name, "--execute")

    assert ran.code == 1
    assert "try again later" in ran.err
    assert Token.objects.get().refresh_token_cipher


# Which connection


def test_a_command_uses_the_default_connection_or_the_one_it_is_told(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    zoho.reset(leads=0)
    other = with_grant_code(code=zoho.grant_code(), data_center="local", name="Other")
    lead_id = zoho.story("no_match")

    ran = run("zoho_preview", lead_id, "--connection", "Other")

    assert ran.code == 0
    assert LeadConversion.objects.get().connection == other


def test_without_a_connection_a_person_is_needed(run: Run, zoho: Simulator) -> None:
    ran = run("zoho_preview", "1")

    assert ran.code == 4
    assert "zoho_connect" in ran.err


def test_ctrl_c_ends_a_command_without_a_traceback(run: Run) -> None:
    class Interrupted(ZohoCommand):
        def handle(self, *args: object, **options: object) -> None:
            raise KeyboardInterrupt

    ran = run(Interrupted())

    assert ran.code == 130
    assert "Stopped" in ran.err


def test_a_database_that_refuses_is_no_traceback(run: Run) -> None:
    class Refused(ZohoCommand):
        def handle(self, *args: object, **options: object) -> None:
            raise OperationalError("no such table: zoho_crm_connection")

    ran = run(Refused())

    assert ran.code == 1
    assert "no such table" in ran.err
    assert "zoho_doctor" in ran.err


def test_without_its_key_a_connection_is_forgotten_here_if_asked(
    run: Run, connection: Connection, zoho: Simulator, settings: Any
) -> None:
    settings.ZOHO_CRM |= {"ENCRYPTION_KEYS": [crypto.new_key()]}

    refused = run("zoho_disconnect", connection.name, "--execute")
    shown = run("zoho_disconnect", connection.name)
    planned = run("zoho_disconnect", connection.name, "--forget", "--format=json")
    assert Token.objects.get().refresh_token_cipher
    done = run("zoho_disconnect", connection.name, "--forget", "--execute")

    assert refused.code == 4
    assert "add --forget" in shown.err
    assert (planned.line["forgotten"], planned.line["executed"]) == (1, False)
    assert "the consent was not revoked" in done.out
    assert "Zoho still has the consent." in done.err
    assert Token.objects.get().refresh_token_cipher == ""
    assert len(zoho.world.grants.refresh_tokens) == 1


def test_with_its_key_a_connection_is_not_forgotten(run: Run, connection: Connection) -> None:
    ran = run("zoho_disconnect", connection.name, "--forget", "--execute")

    assert ran.code == 1
    assert "disconnect it instead" in ran.err
    assert Token.objects.get().refresh_token_cipher
