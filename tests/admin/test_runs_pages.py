"""The actions on a run: decide, start, pause, resume, cancel, retry, export."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User

from tests import messages
from tests.admin.pages import Browser
from tests.admin.runs import (
    CAREFUL,
    prepare_run,
    reload,
    rows_of,
    run_in_review,
    run_url,
    start_run,
    work_until_waiting,
)
from zoho_crm.matching import Action, DealTemplate
from zoho_crm.models import Connection, LeadConversion, MassConversion
from zoho_crm.services import mass_convert, work
from zoho_crm.simulator import Simulator

PREPARE = "/admin/zoho_crm/massconversion/prepare/"

pytestmark = pytest.mark.django_db(transaction=True)


def last_log_message() -> str:
    return LogEntry.objects.latest("pk").get_change_message()


# Deciding one lead


def lead_url(row: LeadConversion) -> str:
    return f"/admin/zoho_crm/leadconversion/{row.pk}/decide/"


@pytest.mark.slow
def test_one_lead_of_a_run_is_decided_and_sent_with_the_run(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = run_in_review(connection, zoho, "several", name="Fair")
    (row,) = rows_of(run)
    chosen = row.stored_options().contacts[1]
    page = browser.get(lead_url(row))
    assert f"It is in run #{run.pk} Fair, and stays as it is until somebody decides." in page.text
    page = browser.press("Show what will happen", contact=chosen.id, account="new")
    assert f"when somebody starts run #{run.pk} Fair, and not before" in page.text
    assert not page.has_button("Convert this lead")
    messages.take_all()

    page = browser.press("Save the decision")

    (row,) = rows_of(run)
    plan = row.stored_plan()
    assert plan
    assert (row.status, plan.contact_id, row.decided_by) == ("PREVIEWED", chosen.id, boss)
    assert "it is sent with run #" in page.text
    assert "boss has decided how." in page.text
    assert reload(run).revision == run.revision + 1
    assert messages.take_all()
    done = work_until_waiting(start_run(work_until_waiting(run)))
    assert done.stage == "FINISHED"
    assert zoho.conversions_of(row.lead_id)[0]["contact_id"] == chosen.id


@pytest.mark.slow
def test_a_forged_convert_sends_nothing_of_a_run(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "several")
    (row,) = rows_of(run)
    chosen = row.stored_options().contacts[0]
    values = [("version", str(row.version)), ("contact", chosen.id), ("account", "new")]

    browser.post(lead_url(row), [*values, ("step", "convert"), ("attachments", ""), ("owner", "")])

    (row,) = rows_of(run)
    assert row.status == "PREVIEWED"
    assert row.plan


@pytest.mark.slow
def test_one_lead_of_a_run_is_left_out_and_can_be_taken_in_again(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "no_match")
    (row,) = rows_of(run)
    browser.get(lead_url(row))

    page = browser.press("Leave this lead out")

    assert rows_of(run)[0].status == "SKIPPED"
    assert f"boss left this lead out. It is in run #{run.pk}." in page.text
    assert not page.has_button("Look again")

    browser.get(lead_url(row))
    browser.press("Show what will happen")
    browser.press("Save the decision")

    assert rows_of(run)[0].status == "PREVIEWED"


@pytest.mark.slow
def test_a_lead_of_a_started_run_cannot_be_decided(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = run_in_review(connection, zoho, "several", "no_match")
    row = rows_of(run, verdict="SEVERAL_MATCHES")[0]
    browser.get(lead_url(row))
    start_run(run, by=boss)

    page = browser.press("Show what will happen", contact=row.stored_options().contacts[0].id)

    assert "This has changed since it was shown" in page.text
    assert not page.has_button("Show what will happen")
    assert not rows_of(run, verdict="SEVERAL_MATCHES")[0].plan


@pytest.mark.slow
def test_a_lead_that_follows_another_tells_whom(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    first, second = (zoho.add_lead(Company="Twins Ltd") for _ in range(2))
    run = run_in_review(connection, zoho, more=(first.id, second.id))
    row = rows_of(run, lead_id=second.id)[0]

    page = browser.get(lead_url(row))

    assert "The policy decided." in page.text
    assert f"It joins what the lead {first.id} becomes." in page.text


@pytest.mark.slow
def test_deciding_within_a_run_is_for_those_who_prepare(
    browser_as: Callable[..., Browser], connection: Connection, zoho: Simulator
) -> None:
    (row,) = rows_of(run_in_review(connection, zoho, "several"))

    page = browser_as("approve_leadconversion").get(lead_url(row))
    assert not page.has_button("Show what will happen")
    browser = browser_as("prepare_massconversion")
    assert browser.get(lead_url(row)).has_button("Show what will happen")
    browser_as("approve_leadconversion").post(lead_url(row), [("step", "skip")])

    assert LeadConversion.objects.get(pk=row.pk).status == "PREVIEWED"


def test_who_only_prepares_runs_sees_no_other_lead(
    browser_as: Callable[..., Browser], connection: Connection, zoho: Simulator
) -> None:
    (row,) = rows_of(prepare_run(connection, zoho, "no_match"))
    browser = browser_as("prepare_massconversion")

    browser.get(lead_url(row))

    assert browser.status == 403


# Starting


def test_the_page_says_what_starting_does_before_anybody_can_start(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    owner = zoho.organisation.users[1]["id"]
    policy = replace(
        CAREFUL,
        on_one_match=Action.ATTACH,
        on_account_only=Action.ATTACH,
        deal=DealTemplate(name="{Company}", stage="Qualification", pipeline="Standard (Standard)"),
        owner_id=owner,
        notify_new_owner=True,
    )
    twins = tuple(zoho.add_lead(Company="Twins Ltd").id for _ in range(2))
    cases = ("one_match", "account_only", "no_match", "no_match", "several")
    run = run_in_review(connection, zoho, *cases, policy=policy, more=twins)

    page = browser.get(run_url(run, "start"))

    for sentence in (
        f"6 leads will be converted in {connection} (production)",
        "1 joins an existing contact.",
        "1 becomes a new contact in an existing account.",
        "3 become new contacts, and new accounts if they have a company.",
        "1 joins what another lead of this run becomes.",
        "6 get a deal each.",
        "6 are given to another owner.",
        "Of 6 Zoho tells the owners.",
        "Leads without a decision, and those that are left out, stay as they are.",
        "about 7 calls, 31 credits and 1 minute. These are estimates",
        "Zoho cannot undo this",
    ):
        assert sentence in page.text
    assert len(page.form_with("Convert 6 leads").values) < 20


@pytest.mark.slow
def test_the_start_says_what_is_left_of_the_credits_and_how_long_is_kept_what_was_read(
    browser: Browser, connection: Connection, zoho: Simulator, settings: Any
) -> None:
    run = run_in_review(connection, zoho, "no_match")

    text = browser.get(run_url(run, "start")).text

    assert "credits are left for 24 hours (an estimate)" in text
    assert "is kept here for 90 days" in text
    assert "not enough" not in text
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "CREDIT_BUDGET": 1, "RETENTION_DAYS": 1}
    text = browser.get(run_url(run, "start")).text
    assert "That is not enough: the run then waits, and goes on by itself." in text
    assert "is kept here for 1 day." in text
    assert "Estimate: 1,000 leads take about 1,010 credits" in browser.get(PREPARE).text


@pytest.mark.slow
def test_the_count_starts_the_run(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = run_in_review(connection, zoho, "no_match", "no_match")
    assert "Nobody is notified by Zoho." in browser.get(run_url(run, "start")).text
    messages.take_all()

    page = browser.press("Convert 2 leads", count="2")

    run = reload(run)
    assert (run.stage, run.started_by) == ("CONVERTING", boss)
    assert browser.url == run_url(run)
    assert "Started: 2 leads are being converted." in page.text
    assert last_log_message() == "Started."
    assert [sent.kwargs for sent in messages.take_all()] == [{"connection_id": connection.pk}]


@pytest.mark.parametrize(
    ("count", "message"),
    [
        ("3", "2 leads would be converted, not 3."),
        ("", "This field is required."),
        ("two", "Enter a whole number."),
        ("-2", "greater than or equal to 0"),
    ],
)
def test_another_count_starts_nothing(
    count: str, message: str, browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "no_match", "no_match")
    browser.get(run_url(run, "start"))

    page = browser.press("Convert 2 leads", count=count)

    assert message in page.text
    assert 'href="#id_count"' in page.html
    assert reload(run).stage == "REVIEW"


@pytest.mark.slow
def test_a_page_that_is_out_of_date_starts_nothing(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = run_in_review(connection, zoho, "no_match", "several")
    browser.get(run_url(run, "start"))
    mass_convert.decide(run_id=run.pk, verdict="NO_MATCH", action="create", by=boss)
    work_until_waiting(run)

    page = browser.press("Convert 1 lead", count="1")

    assert "This has changed since it was shown; please look again." in page.text
    assert page.has_button("Convert 1 lead")
    assert reload(run).stage == "REVIEW"


def test_a_run_cannot_be_started_while_decisions_are_being_applied(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = run_in_review(connection, zoho, "no_match")
    browser.get(run_url(run, "start"))
    mass_convert.decide(run_id=run.pk, verdict="NO_MATCH", action="create", by=boss)

    page = browser.press("Convert 1 lead", count="1")

    assert "The last decisions are still being taken in" in page.text
    assert not page.has_button("Convert 1 lead")


@pytest.mark.slow
def test_a_run_cannot_be_started_twice(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "no_match")
    page = browser.get(run_url(run, "start"))
    values = [*page.form_with("Convert 1 lead").values, ("count", "1")]
    values = [pair for pair in values if pair != ("count", "")]
    browser.post(run_url(run, "start"), values)

    page = browser.post(run_url(run, "start"), values)

    assert "This run is not waiting for decisions." in page.text
    assert "There is nothing to start as it is now." in page.text


@pytest.mark.slow
def test_a_run_without_decisions_cannot_be_started(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "several")

    page = browser.get(run_url(run, "start"))

    assert "There is nothing to start as it is now." in page.text
    assert "Decide…" in page.links


def test_a_paused_run_says_that_starting_is_not_enough(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = run_in_review(connection, zoho, "no_match")
    MassConversion.objects.filter(pk=run.pk).update(paused_reason="paused")

    page = browser.get(run_url(run, "start"))

    assert "nothing is sent before somebody resumes it" in page.text


# Pausing, cancelling, retrying


def test_a_run_is_paused_and_resumed(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = prepare_run(connection, zoho, "no_match")
    browser.get(run_url(run))

    page = browser.press("Pause")

    assert "Paused; what was sent already is settled." in page.text
    assert (reload(run).paused_reason, reload(run).paused_details) == ("by_user", {"user": "boss"})
    assert "It stands still: Paused by boss." in page.text
    messages.take_all()

    page = browser.press("Resume")

    assert "Resumed; the first leads are sent one by one." in page.text
    assert (reload(run).paused_reason, reload(run).paused_details) == ("", {})
    assert messages.take_all()
    assert last_log_message() == "Resumed."


@pytest.mark.slow
def test_a_run_that_is_not_running_is_neither_paused_nor_resumed(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "no_match")

    assert "so it was not paused" in browser.post(run_url(run, "pause")).text
    assert "It was not paused." in browser.post(run_url(run, "resume")).text


@pytest.mark.slow
def test_cancelling_asks_first_and_says_what_happens(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "no_match", "several")

    page = browser.get(run_url(run, "cancel"))

    assert "2 leads that were not sent are left out" in page.text
    assert "0 leads are converted and stay so" in page.text
    assert reload(run).stage == "REVIEW"

    page = browser.press("Cancel this run")

    assert "Cancelled; what was not sent is left out." in page.text
    assert reload(run).stage == "CANCELLED"
    work_until_waiting(run)
    assert {row.status for row in rows_of(run)} == {"SKIPPED"}
    row = rows_of(run)[0]
    assert f"run #{run.pk} was cancelled." in browser.get(lead_url(row)).text


@pytest.mark.slow
def test_a_finished_run_cannot_be_cancelled(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = work_until_waiting(start_run(run_in_review(connection, zoho, "no_match")))

    assert "It is over already." in browser.get(run_url(run, "cancel")).text
    assert "It is over already." in browser.post(run_url(run, "cancel")).text
    assert reload(run).stage == "FINISHED"


@pytest.mark.slow
def test_refused_leads_are_tried_again_and_need_a_new_start(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    policy = replace(CAREFUL, deal=DealTemplate(name="x", stage="No such stage"))
    run = work_until_waiting(
        start_run(run_in_review(connection, zoho, "no_match", "several", policy=policy))
    )
    browser.get(run_url(run))

    page = browser.press("Retry")

    assert "2 leads are previewed again; they are sent when somebody starts this" in page.text
    assert reload(run).stage == "PREVIEWING"


def test_only_what_has_finished_is_tried_again(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "no_match")

    page = browser.post(run_url(run, "retry"))

    assert "Only a run that has finished can be retried." in page.text


def test_who_may_not_view_runs_is_sent_to_the_index(
    browser_as: Callable[..., Browser], connection: Connection, zoho: Simulator
) -> None:
    run = prepare_run(connection, zoho, "no_match")
    browser = browser_as("pause_massconversion")

    browser.post(run_url(run, "pause"))

    assert browser.url == "/admin/"
    assert reload(run).paused_reason


# Exporting


@pytest.mark.slow
def test_the_results_are_streamed_as_csv(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "hostile", more=("=1+1",))

    response: Any = browser.client.get(run_url(run, "export"))

    assert response.streaming
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].endswith(f'"mass-conversion-{run.pk}.csv"')
    lines = list(csv.DictReader(b"".join(response).decode().splitlines()))
    assert [line["lead_id"] for line in lines] == [rows_of(run)[0].lead_id, "'=1+1"]
    assert last_log_message() == "Exported."


def test_a_run_that_is_not_there_is_not_found(browser: Browser) -> None:
    for name in ("decide", "start", "cancel", "export"):
        browser.get(f"/admin/zoho_crm/massconversion/4711/{name}/")
        assert browser.status == 404


@pytest.mark.slow
def test_work_goes_on_while_pages_are_viewed(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = start_run(run_in_review(connection, zoho, "no_match", "no_match"))

    while reload(run).stage != "FINISHED":
        browser.get(run_url(run))
        assert browser.status == 200
        work.work(connection_id=connection.pk)

    assert "2 of 2 leads are converted." in browser.get(run_url(run)).text
