"""The actions of the lists of mass conversions, connections and tokens."""

from __future__ import annotations

import csv
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from tests import messages
from tests.admin.actions import ADMIN, action_names, choose, choose_all
from tests.admin.pages import Browser, check_mark_up
from tests.admin.runs import prepare_run, run_in_review, start_run, work_until_waiting
from tests.services.test_users import AIKO, MARA, add_user, defaults
from zoho_crm.models import Connection, MassConversion, Token
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)

RUNS, CONNECTIONS, TOKENS = (
    f"{ADMIN}/{name}/" for name in ("massconversion", "connection", "token")
)
#: By list and action: one of the permissions that it needs.
PERMISSIONS = {
    RUNS: {
        **dict.fromkeys(("pause", "resume", "cancel", "retry"), "pause_massconversion"),
        "export": "export_leadconversion",
    },
    CONNECTIONS: {
        **dict.fromkeys(("test", "renew"), "refresh_connection"),
        "make_default": "change_connection",
        "disconnect": "disconnect_connection",
    },
    TOKENS: {"make_default": "connect_connection", "disconnect": "disconnect_connection"},
}
EVERY_PERMISSION = {name for actions in PERMISSIONS.values() for name in actions.values()}


@pytest.fixture
def branch(connection: Connection) -> Connection:
    """Create a second connection, which is disconnected."""
    return Connection.objects.create(
        name="Branch", data_center="local", environment="sandbox", org_id="2", status="DISABLED"
    )


@pytest.fixture
def aiko(zoho: Simulator, connection: Connection) -> Token:
    return add_user(zoho)


def log_of(row: Any) -> list[str]:
    """Return the messages of the admin's log about a row."""
    found = LogEntry.objects.filter(object_id=str(row.pk), content_type__model=row._meta.model_name)
    return [entry.get_change_message() for entry in found.order_by("pk")]


def two_rows(url: str, connection: Connection) -> list[Any]:
    """Return two rows of a list; there are two connections and two tokens."""
    if url == RUNS:
        return [
            MassConversion.objects.create(connection=connection, policy={}) for _number in range(2)
        ]
    return list((Connection if url == CONNECTIONS else Token).objects.order_by("pk"))


@pytest.mark.slow
@pytest.mark.parametrize("url", PERMISSIONS)
def test_an_action_is_there_with_its_permission_only(
    url: str,
    subtests: pytest.Subtests,
    browser_as: Callable[..., Browser],
    connection: Connection,
    branch: Connection,
    aiko: Token,
) -> None:
    view = f"view_{url.strip('/').rpartition('/')[2]}"
    rows = two_rows(url, connection)
    for action, needed in PERMISSIONS[url].items():
        with subtests.test(action):
            substitutes = {"disconnect_connection"} if url == TOKENS else set()
            without = browser_as(view, *EVERY_PERMISSION - {needed} - substitutes)
            assert action not in action_names(without.get(url))
            choose(without, url, action, *rows)
            assert without.status == 403

            having = browser_as(view, needed)
            assert action in action_names(having.get(url))
            choose(having, url, action, *rows)
            assert having.status == 200
            if action == "make_default":  # there can be one default only, so there is no page
                continue
            page = having.url
            assert f"/action/{action}/" in page
            browser_as(view)
            having.get(page)
            assert having.status == 403
            having.post(page, [("count", "2")])
            assert having.status == 403


# Mass conversions


@pytest.mark.slow
def test_runs_are_paused_and_resumed(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    running = prepare_run(connection, zoho, "no_match")
    waiting = MassConversion.objects.create(connection=connection, policy={}, stage="REVIEW")
    over = MassConversion.objects.create(connection=connection, policy={}, stage="FINISHED")
    page = choose_all(browser, RUNS, "pause")
    check_mark_up(page)
    assert "1 run begins with no further lead until somebody resumes it." in page.text
    assert "1 run has ended." in page.text
    assert "1 run is not running: it takes leads in, or waits for decisions." in page.text
    assert str(running) in page.text

    page = browser.press("Pause 1 run")

    assert "1 run is paused; what was sent already is settled." in page.text
    running.refresh_from_db()
    assert running.paused_reason == "by_user"
    assert (log_of(running), log_of(waiting), log_of(over)) == (["Paused."], [], [])
    messages.take_all()
    page = choose_all(browser, RUNS, "resume")
    assert "1 run is not paused." in page.text
    browser.press("Resume 1 run")
    running.refresh_from_db()
    assert running.paused_reason == ""
    assert messages.take_all()


@pytest.mark.slow
def test_runs_are_cancelled_and_one_has_its_own_page(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    runs = [prepare_run(connection, zoho, "no_match") for _number in range(2)]
    choose(browser, RUNS, "cancel", runs[0])
    assert browser.url == f"{RUNS}{runs[0].pk}/cancel/"
    page = choose(browser, RUNS, "cancel", *runs)
    assert "2 runs end: what was not sent is left out" in page.text

    browser.press("Cancel 2 runs")

    assert {run.stage for run in MassConversion.objects.all()} == {"CANCELLED"}
    assert all(log_of(run) == ["Cancelled."] for run in runs)


@pytest.mark.slow
def test_what_failed_in_runs_is_retried(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = start_run(run_in_review(connection, zoho, "no_match", "several"))
    finished = work_until_waiting(run)
    assert finished.stage == "FINISHED"
    done = MassConversion.objects.create(connection=connection, policy={}, stage="FINISHED")
    cancelled = MassConversion.objects.create(connection=connection, policy={}, stage="CANCELLED")
    page = choose(browser, RUNS, "retry", finished, done, cancelled)
    assert "1 run has no refused or undecided lead." in page.text
    assert "1 run was cancelled; its leads can be taken into another." in page.text

    page = browser.press("Retry 1 run")

    assert "The leads of 1 run are previewed again." in page.text
    finished.refresh_from_db()
    assert finished.stage == "PREVIEWING"
    assert [row.status for row in finished.rows.order_by("pk")] == ["CONVERTED", "NEW"]


def test_runs_are_exported_with_their_numbers(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = prepare_run(connection, zoho, "no_match", "several", name="=Fair")
    other = MassConversion.objects.create(connection=connection, policy={}, stage="FINISHED")
    choose(browser, RUNS, "export", run, other)
    values = dict(browser.page.form_with("Export 2 runs").values)

    response: Any = browser.client.post(browser.url, values)

    text = b"".join(response.streaming_content).decode()
    first, second = csv.DictReader(StringIO(text))
    assert (first["run"], first["name"], first["leads"], first["new"]) == (
        *(str(run.pk), "'=Fair", "2", "2"),
    )
    assert (second["stage"], second["leads"]) == ("FINISHED", "0")


# Connections


def test_connections_are_tested_and_each_problem_is_said(
    browser: Browser, connection: Connection, branch: Connection
) -> None:
    choose(browser, CONNECTIONS, "test", connection, branch)

    page = browser.press("Test 2 connections")

    assert "1 connection works." in page.text
    assert "Branch: " in page.text
    assert connection.events.filter(kind="tested", details__ok=True).count() == 1
    assert (log_of(connection), log_of(branch)) == (["Tested."], [])


def test_access_tokens_are_renewed(
    browser: Browser, connection: Connection, branch: Connection
) -> None:
    before = connection.tokens.get()
    page = choose_all(browser, CONNECTIONS, "renew")
    assert "1 connection is disconnected." in page.text

    page = browser.press("Renew 1 access token")

    after = connection.tokens.get()
    assert "1 access token was renewed." in page.text
    assert (after.generation, after.access_token_cipher != before.access_token_cipher) == (
        before.generation + 1,
        True,
    )


def test_one_connection_is_made_the_default(
    browser: Browser, connection: Connection, branch: Connection
) -> None:
    page = choose(browser, CONNECTIONS, "make_default", branch)
    assert "This connection is used when none is named." in page.text
    assert "Branch" in page.text

    browser.press("Make it the default")

    assert list(Connection.objects.filter(is_default=True)) == [branch]
    assert log_of(branch) == ["Made the default."]
    page = choose(browser, CONNECTIONS, "make_default", connection, branch)
    assert "Only one connection can be the default: choose exactly one." in page.text


def test_not_even_by_its_address_are_two_made_the_default(
    browser: Browser, connection: Connection
) -> None:
    for name in ("One", "Two"):
        values = {"data_center": "eu", "environment": "sandbox", "org_id": name}
        Connection.objects.create(name=name, **values)
    choose_all(browser, CONNECTIONS, "test")
    url = browser.url.replace("/test/", "/make_default/")

    page = browser.get(url)
    assert "choose exactly one." in page.text
    browser.post(url, [("count", "2")])

    assert list(Connection.objects.filter(is_default=True)) == [connection]


def test_connections_are_disconnected_and_one_has_its_own_page(
    browser: Browser, connection: Connection, branch: Connection, zoho: Simulator
) -> None:
    choose(browser, CONNECTIONS, "disconnect", connection)
    assert browser.url == f"{CONNECTIONS}{connection.pk}/disconnect/"
    page = choose(browser, CONNECTIONS, "disconnect", connection, branch)
    assert "The consent for 1 connection is taken back at Zoho" in page.text
    assert "1 connection is disconnected." in page.text

    page = browser.press("Disconnect 1 connection")

    assert "1 connection is disconnected; its history stays." in page.text
    connection.refresh_from_db()
    assert connection.status == "DISABLED"
    assert log_of(connection) == ["Disconnected."]


def test_a_connection_that_cannot_be_disconnected_keeps_its_tokens(
    browser: Browser, connection: Connection, branch: Connection, zoho: Simulator
) -> None:
    choose(browser, CONNECTIONS, "disconnect", connection, branch)
    zoho.fail("revoke", "error_before", status=500, times=9)

    page = browser.press("Disconnect 1 connection")

    assert f"{connection}: " in page.text
    connection.refresh_from_db()
    assert connection.status == "ACTIVE"
    assert log_of(connection) == []


# Tokens


def test_the_default_user_is_chosen_on_its_own_page(
    browser: Browser, connection: Connection, aiko: Token
) -> None:
    choose(browser, TOKENS, "make_default", aiko)
    assert browser.url == f"{TOKENS}{aiko.pk}/default/"
    browser.press("Make default")
    assert defaults(connection) == [AIKO]

    page = choose_all(browser, TOKENS, "make_default")

    assert "Only one user can be the default: choose exactly one." in page.text


@pytest.mark.slow
def test_users_are_disconnected_and_one_has_its_own_page(
    browser: Browser, connection: Connection, aiko: Token
) -> None:
    choose(browser, TOKENS, "disconnect", aiko)
    assert browser.url == f"{TOKENS}{aiko.pk}/disconnect/"
    page = choose_all(browser, TOKENS, "disconnect")
    assert "The consents of 2 users are taken back at Zoho" in page.text
    assert MARA in page.text

    browser.press("Disconnect 2 users")

    assert {token.status for token in Token.objects.all()} == {"REVOKED"}
    page = choose_all(browser, TOKENS, "disconnect")
    assert "2 users are disconnected already." in page.text


# Together


def test_what_takes_too_long_is_continued(
    browser: Browser, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _number in range(3):
        MassConversion.objects.create(connection=connection, policy={}, stage="REVIEW")
    monkeypatch.setattr("zoho_crm.admin._actions.MAX_SECONDS", -1.0)
    choose_all(browser, RUNS, "cancel")

    page = browser.press("Cancel 3 runs")

    assert "It takes longer than one request may: press the button again" in page.text
    assert page.has_button("Cancel 3 runs")
