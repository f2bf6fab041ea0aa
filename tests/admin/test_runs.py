"""The list of mass conversions, and the page of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.admin.pages import Browser
from tests.admin.runs import (
    CAREFUL,
    LIST,
    prepare_run,
    reload,
    rows_of,
    run_in_review,
    run_url,
    start_run,
    table_text,
    work_until_waiting,
)
from zoho_crm.matching import Action, DealTemplate
from zoho_crm.models import (
    Connection,
    ConnectionWork,
    LeadConversion,
    MassConversion,
    MassConversionJob,
    from_now,
)
from zoho_crm.services import mass_convert
from zoho_crm.simulator import Simulator
from zoho_crm.types import CodedText, as_json

pytestmark = pytest.mark.django_db(transaction=True)

LEADS = "/admin/zoho_crm/leadconversion/"


def test_the_list_asks_the_database_as_often_for_many_runs_as_for_one(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    prepare_run(connection, zoho, "no_match", name="one")
    browser.get(LIST)
    with CaptureQueriesContext(database) as for_one:
        browser.get(LIST)
    for name in "abcde":
        prepare_run(connection, zoho, "no_match", "several", name=name)

    with CaptureQueriesContext(database) as for_many:
        browser.get(LIST)

    assert len(for_many) == len(for_one)


def test_the_list_shows_stage_progress_and_why_a_run_is_paused(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    done = work_until_waiting(
        start_run(run_in_review(connection, zoho, "no_match", "several", name="Fair"))
    )
    held = prepare_run(connection, zoho, "no_match", name="Webinar")
    mass_convert.pause(run_id=held.pk, by=boss)

    page = browser.get(LIST)

    assert done.stage == "FINISHED"
    assert f"#{done.pk} Fair" in page.links
    assert "✓ finished 1 of 2" in page.text
    assert "○ previewing 0 of 1" in page.text
    assert "Paused by boss." in page.text


def test_runs_are_found_by_name_stage_and_pause(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    prepare_run(connection, zoho, "no_match", name="Fair")
    held = prepare_run(connection, zoho, "no_match", name="Webinar")
    mass_convert.pause(run_id=held.pk, by=boss)

    for query in ("q=Webinar", "paused=yes", "stage__exact=PREVIEWING&q=web"):
        page = browser.get(f"{LIST}?{query}")
        assert f"#{held.pk} Webinar" in page.links
        assert "Fair" not in page.text
    assert "Webinar" not in browser.get(f"{LIST}?paused=no").text


@pytest.mark.parametrize(
    ("source", "query", "shown"),
    [
        (mass_convert.file_source("Besucher Münster.csv"), "münster", "Besucher Münster.csv"),
        (mass_convert.open_leads_source({"City": "Kiel"}), "kiel", "open leads with City=Kiel"),
        ("the nightly import", "nightly", "the nightly import"),
    ],
)
def test_runs_are_found_by_the_source_of_their_leads(
    browser: Browser,
    connection: Connection,
    zoho: Simulator,
    source: str | CodedText,
    query: str,
    shown: str,
) -> None:
    run = prepare_run(connection, zoho, "no_match", name="Fair", source=source)
    prepare_run(connection, zoho, "no_match", name="Webinar", source=CodedText(code="ids"))

    page = browser.get(f"{LIST}?q={query}")

    assert f"#{run.pk} Fair" in page.links
    assert "Webinar" not in page.text
    assert shown in browser.get(run_url(run)).text


def test_filters_are_shown_to_those_only_who_may_see_values_of_leads(
    browser_as: Callable[..., Browser], connection: Connection
) -> None:
    run = mass_convert.prepare_open_leads(
        connection_id=connection.pk, policy=CAREFUL, filters={"Email": "ada@acme.example"}
    )

    for permission in ("prepare_massconversion", "view_payload_leadconversion"):
        browser = browser_as("view_massconversion", permission)
        assert "ada@acme.example" in browser.get(run_url(run)).text
        assert f"#{run.pk}" in browser.get(f"{LIST}?q=ada@acme").text
    viewer = browser_as("view_massconversion")
    assert "ada@acme.example" not in viewer.get(run_url(run)).text
    assert "0 runs" in viewer.get(f"{LIST}?q=ada@acme").text


def test_nobody_adds_changes_or_deletes_a_run(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = prepare_run(connection, zoho, "no_match")

    assert not browser.get(run_url(run)).has_button("Save")
    for address in (f"{LIST}add/", run_url(run, "delete")):
        browser.get(address)
        assert browser.status == 403


def test_a_list_without_runs_says_so(browser: Browser) -> None:
    assert "0 runs" in browser.get(LIST).text


# One run


def test_the_page_counts_leads_by_status_and_verdict_and_leads_to_them(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "no_match", "no_match", "several", "locked")

    page = browser.get(run_url(run))

    assert "Previewed 4" in table_text(page, "Leads by status")
    verdicts = table_text(page, "Leads by verdict: what")
    for line in ("No match 2", "Several matches 1", "Cannot be converted 1"):
        assert line in verdicts
    listed = browser.get(page.links["2"])
    assert "2 lead conversions" in listed.text
    assert all(row.lead_id in listed.html for row in rows_of(run, verdict="NO_MATCH"))


def test_the_page_tells_what_waits_for_whom(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "no_match", "several")

    page = browser.get(run_url(run))

    assert "1 lead is decided; it is sent when somebody starts this." in page.text
    assert "1 lead has no decision and stays as it is." in page.text
    assert page.links["Show the present state"] == run_url(run)
    assert page.links["Decide…"] == run_url(run, "decide")
    assert page.links["Start…"] == run_url(run, "start")


def test_the_estimate_is_labelled_as_an_estimate(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "no_match", "no_match")

    page = browser.get(run_url(run))

    assert "about 3 calls, 11 credits and 1 minute. These are estimates" in page.text


def test_a_long_estimate_is_told_in_hours(
    browser: Browser, connection: Connection, zoho: Simulator, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "MAX_CONCURRENCY": 1}
    run = prepare_run(connection, zoho, "no_match")
    MassConversion.objects.update(counts={"NEW": 20_000, "decided": 0})

    assert "3 hours" in browser.get(run_url(run)).text


def test_lines_that_were_left_out_are_told_with_their_reasons(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("no_match")
    more = (lead_id, lead_id, "<b>Ada</b>")
    run = prepare_run(connection, zoho, more=more)

    page = browser.get(run_url(run))

    assert "2 lines of the source were left out" in page.text
    assert "Named before: 1" in page.text
    assert "3 No id of a lead <b>Ada</b>" in table_text(page, "The first lines that")


def test_the_text_of_such_a_line_is_for_those_who_may_see_what_was_read(
    browser_as: Callable[..., Browser], connection: Connection, zoho: Simulator
) -> None:
    run = prepare_run(connection, zoho, "no_match", more=("Ada Lovelace",))

    assert "Ada Lovelace" not in browser_as("view_massconversion").get(run_url(run)).text
    trusted = browser_as("view_massconversion", "view_payload_leadconversion")
    assert "Ada Lovelace" in trusted.get(run_url(run)).text


def test_causes_of_failures_are_counted_with_what_zoho_said(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    policy = replace(CAREFUL, deal=DealTemplate(name="{Company}", stage="No such stage"))
    cases = ("no_match", "no_match", "locked")
    run = work_until_waiting(start_run(run_in_review(connection, zoho, *cases, policy=policy)))
    row = rows_of(run)[0]

    page = browser.get(run_url(run))

    assert row.status == "FAILED"
    text = table_text(page, "Leads that were not converted, by cause")
    assert f"{row.error_message}: field Pipeline {row.error_code} 2" in text
    assert "2 leads were refused: see why" in page.text
    assert "1 lead stays as it was: undecided" in page.text
    listed = browser.get(page.links["2"])
    assert "2 lead conversions" in listed.text
    assert f'title="{row.error_code}"' in listed.html or row.error_code in listed.text


def test_jobs_are_told_with_zohos_numbers(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = prepare_run(connection, zoho, "no_match")
    for job_id, counts in (("4711", {"converted": 7, "waiting": 2, "failed": 1}), ("", None)):
        MassConversionJob.objects.create(
            mass_conversion=run,
            connection=connection,
            zoho_job_id=job_id,
            status="ACCEPTED" if job_id else "POSTING",
            effect={},
            counts=counts,
            posted_at=timezone.now(),
        )

    text = table_text(browser.get(run_url(run)), "The latest jobs")

    assert "4711 ↻ accepted by Zoho 0 7 2 1" in text
    assert "→ being posted" in text


def test_the_policy_is_told_in_words(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    policy = replace(
        CAREFUL,
        on_one_match=Action.ATTACH,
        on_several_matches=Action.NEWEST,
        deal=DealTemplate(name="{Company}", stage="Qualification", closing_days=1, amount=5),
        owner_for_inactive_id="77",
        tags_to=("Contacts", "Deals"),
        attachments_to="Deals",
        notify_lead_owner=True,
    )

    page = browser.get(run_url(prepare_run(connection, zoho, "no_match", policy=policy)))

    for sentence in (
        "Nothing matches: contact and account are created.",
        "One contact matches: the lead joins it.",
        "Several match: the lead joins the newest.",
        "Each lead gets a deal “{Company}” in stage Qualification, to close 1 day later.",
        "Its amount is 5.",
        "Those of an owner who is inactive go to 77.",
        "Tags go to: Contact, Deal.",
        "Attachments go to: Deal.",
        "Zoho tells the lead's owner.",
    ):
        assert sentence in page.text
    assert "Nobody is notified." not in page.text


def test_other_choices_of_a_policy_are_told_too(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    deal = DealTemplate(name="x", stage="y", pipeline="Standard (Standard)", contact_role="88")
    policy = replace(CAREFUL, owner_id="99", deal=deal, notify_new_owner=True)

    page = browser.get(run_url(prepare_run(connection, zoho, "no_match", policy=policy)))

    for sentence in (
        "to close 30 days later.",
        "Its pipeline is Standard (Standard).",
        "The contact's role in it is 88.",
        "The records are assigned to 99.",
        "Zoho tells the owner of the new records.",
    ):
        assert sentence in page.text


def test_a_run_that_is_previewed_shows_how_many_leads_are_left(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = prepare_run(connection, zoho, "no_match", name="Fair", source="leads.csv", by=boss)

    page = browser.get(run_url(run))

    assert "1 lead is still to be read from Zoho" in page.text
    assert "leads.csv" in page.text
    assert "Prepared by: boss" in page.text


def test_a_run_that_is_being_staged_says_what_to_do_after_an_interruption(
    browser: Browser, connection: Connection
) -> None:
    run = MassConversion.objects.create(connection=connection, policy=as_json(CAREFUL))

    page = browser.get(run_url(run))

    assert "If that was interrupted, cancel this run" in page.text


def test_a_paused_run_tells_why_and_what_to_do(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = prepare_run(connection, zoho, "no_match")
    mass_convert.pause(run_id=run.pk, by=boss, reason="Too many <refusals>.")

    page = browser.get(run_url(run))

    assert "It stands still: Too many <refusals>." in page.text
    assert "then resume or cancel" in page.text
    assert page.has_button("Resume")
    assert not page.has_button("Pause")


def test_a_back_off_of_the_connection_is_shown(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = prepare_run(connection, zoho, "no_match")
    ConnectionWork.objects.update_or_create(
        connection=connection,
        defaults={"backoff_until": from_now(600), "backoff_reason": "reserve"},
    )

    page = browser.get(run_url(run))

    assert "The connection waits until" in page.text
    assert "at once after “Test” on the page of the connection" in page.text
    assert "reserved for other programs" in page.text


def test_a_converting_run_shows_its_progress(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = start_run(run_in_review(connection, zoho, "no_match", "no_match"), by=boss)

    page = browser.get(run_url(run))

    assert "0 of 2 leads are converted. Closing this page changes nothing" in page.text
    assert page.has_button("Pause")
    assert "Start…" not in page.links


def test_a_run_that_has_ended_keeps_its_numbers(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = work_until_waiting(start_run(run_in_review(connection, zoho, "no_match", "no_match")))
    LeadConversion.objects.update(mass_conversion=None)

    page = browser.get(run_url(run))

    assert "2 of 2 leads are converted." in page.text
    assert "Converted 2" in table_text(page, "Leads by status")
    assert not page.has_button("Retry")
    assert "Cancel…" not in page.links


def test_a_cancelled_run_tells_what_is_still_settled(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "no_match")
    mass_convert.cancel(run_id=run.pk)

    assert "what is under way is still being settled" in browser.get(run_url(run)).text

    work_until_waiting(run)

    assert reload(run).ended_at
    assert "what had not been sent was left out" in browser.get(run_url(run)).text


# The leads of a run


def test_leads_are_filtered_by_run_and_by_those_of_none(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "no_match")
    single = LeadConversion.objects.create(connection=connection, lead_id="4711")
    (row,) = rows_of(run)

    of_run, of_none = browser.get(f"{LEADS}?run={run.pk}"), browser.get(f"{LEADS}?run=none")

    assert row.lead_id in of_run.html
    assert single.lead_id not in of_run.text
    assert row.lead_id not in of_none.text
    assert single.lead_id in of_none.html
    assert f"#{run.pk}" in of_run.links


@pytest.mark.parametrize("value", ["abc", "９", "-1", "9" * 30])
def test_an_impossible_run_id_matches_no_leads(
    value: str, browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run_in_review(connection, zoho, "no_match")

    page = browser.get(f"{LEADS}?run={value}&error_code__exact=X")

    assert browser.status == 200
    assert "0 lead conversions" in page.text


def test_an_older_run_is_named_among_the_filters_when_it_is_chosen(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    runs = [prepare_run(connection, zoho, "no_match") for _ in range(11)]

    assert f"#{runs[0].pk}" not in browser.get(LEADS).links
    assert f"#{runs[0].pk}" in browser.get(f"{LEADS}?run={runs[0].pk}").links
