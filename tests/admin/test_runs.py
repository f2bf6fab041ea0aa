"""The list of mass conversions, and the page that tells how one stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.admin.pages import Visitor
from tests.admin.runs import (
    CAREFUL,
    LIST,
    fresh,
    in_review,
    page_of,
    rows_of,
    started,
    table,
    take_in,
    work_off,
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
from zoho_crm.types import as_json

pytestmark = pytest.mark.django_db(transaction=True)

LEADS = "/admin/zoho_crm/leadconversion/"


def test_the_list_asks_the_database_as_often_for_many_runs_as_for_one(
    visit: Visitor, connection: Connection, zoho: Simulator
) -> None:
    take_in(connection, zoho, "no_match", name="one")
    visit.get(LIST)
    with CaptureQueriesContext(database) as for_one:
        visit.get(LIST)
    for name in "abcde":
        take_in(connection, zoho, "no_match", "several", name=name)

    with CaptureQueriesContext(database) as for_many:
        visit.get(LIST)

    assert len(for_many) == len(for_one)


def test_the_list_tells_stage_progress_and_why_a_run_stands_still(
    visit: Visitor, connection: Connection, zoho: Simulator, boss: User
) -> None:
    done = work_off(started(in_review(connection, zoho, "no_match", "several", name="Fair")))
    held = take_in(connection, zoho, "no_match", name="Webinar")
    mass_convert.pause(run_id=held.pk, by=boss)

    page = visit.get(LIST)

    assert done.stage == "FINISHED"
    assert f"#{done.pk} Fair" in page.links
    assert "✓ finished 1 of 2" in page.text
    assert "○ previewing 0 of 1" in page.text
    assert "Paused by boss." in page.text


def test_runs_are_found_by_name_stage_and_pause(
    visit: Visitor, connection: Connection, zoho: Simulator, boss: User
) -> None:
    take_in(connection, zoho, "no_match", name="Fair")
    held = take_in(connection, zoho, "no_match", name="Webinar")
    mass_convert.pause(run_id=held.pk, by=boss)

    for query in ("q=Webinar", "paused=yes", "stage__exact=PREVIEWING&q=web"):
        page = visit.get(f"{LIST}?{query}")
        assert f"#{held.pk} Webinar" in page.links
        assert "Fair" not in page.text
    assert "Webinar" not in visit.get(f"{LIST}?paused=no").text


def test_nobody_adds_changes_or_deletes_a_run(
    visit: Visitor, connection: Connection, zoho: Simulator
) -> None:
    run = take_in(connection, zoho, "no_match")

    assert not visit.get(page_of(run)).has_button("Save")
    for address in (f"{LIST}add/", page_of(run, "delete")):
        visit.get(address)
        assert visit.status == 403


def test_a_list_without_runs_says_so(visit: Visitor) -> None:
    assert "0 mass conversions" in visit.get(LIST).text


# One run


def test_the_page_counts_leads_by_status_and_verdict_and_leads_to_them(
    visit: Visitor, connection: Connection, zoho: Simulator
) -> None:
    run = in_review(connection, zoho, "no_match", "no_match", "several", "locked")

    page = visit.get(page_of(run))

    assert "Previewed 4" in table(page, "Leads by status")
    verdicts = table(page, "Leads by verdict: what")
    for line in ("No match 2", "Several matches 1", "Cannot be converted 1"):
        assert line in verdicts
    listed = visit.get(page.links["2"])
    assert "2 lead conversions" in listed.text
    assert all(row.lead_id in listed.text for row in rows_of(run, verdict="NO_MATCH"))


def test_the_page_tells_what_waits_for_whom(
    visit: Visitor, connection: Connection, zoho: Simulator
) -> None:
    run = in_review(connection, zoho, "no_match", "several")

    page = visit.get(page_of(run))

    assert "1 lead is decided; it is sent when somebody starts this." in page.text
    assert "1 lead has no decision and stays as it is." in page.text
    assert page.links["Show the present state"] == page_of(run)
    assert page.links["Decide…"] == page_of(run, "decide")
    assert page.links["Start…"] == page_of(run, "start")


def test_the_estimate_is_called_one(
    visit: Visitor, connection: Connection, zoho: Simulator
) -> None:
    run = in_review(connection, zoho, "no_match", "no_match")

    page = visit.get(page_of(run))

    assert "about 3 calls, 11 credits and 1 minute. These are estimates" in page.text


def test_a_long_estimate_is_told_in_hours(
    visit: Visitor, connection: Connection, zoho: Simulator, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "MAX_CONCURRENCY": 1}
    run = take_in(connection, zoho, "no_match")
    LeadConversion.objects.bulk_create(
        LeadConversion(connection=connection, lead_id=str(number), mass_conversion=run)
        for number in range(1, 20_001)
    )

    assert "3 hours" in visit.get(page_of(run)).text


def test_lines_that_were_left_out_are_told_with_their_reasons(
    visit: Visitor, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("no_match")
    more = (lead_id, lead_id, "<b>Ada</b>")
    run = take_in(connection, zoho, more=more)

    page = visit.get(page_of(run))

    assert "2 lines of the source were left out" in page.text
    assert "Named before: 1" in page.text
    assert "3 No id of a lead <b>Ada</b>" in table(page, "The first lines that")


def test_the_text_of_such_a_line_is_for_those_who_may_see_what_was_read(
    visit_as: Callable[..., Visitor], connection: Connection, zoho: Simulator
) -> None:
    run = take_in(connection, zoho, "no_match", more=("Ada Lovelace",))

    assert "Ada Lovelace" not in visit_as("view_massconversion").get(page_of(run)).text
    trusted = visit_as("view_massconversion", "view_payload_leadconversion")
    assert "Ada Lovelace" in trusted.get(page_of(run)).text


def test_causes_of_failures_are_counted_with_what_zoho_said(
    visit: Visitor, connection: Connection, zoho: Simulator
) -> None:
    policy = replace(CAREFUL, deal=DealTemplate(name="{Company}", stage="No such stage"))
    cases = ("no_match", "no_match", "locked")
    run = work_off(started(in_review(connection, zoho, *cases, policy=policy)))
    row = rows_of(run)[0]

    page = visit.get(page_of(run))

    assert row.status == "FAILED"
    told = table(page, "Refused leads by cause")
    assert f"2 {row.error_message} {row.error_code}" in told
    assert "2 leads were refused: see why" in page.text
    assert "1 lead stays as it was: undecided" in page.text
    listed = visit.get(page.links["2"])
    assert "2 lead conversions" in listed.text
    assert f'title="{row.error_code}"' in listed.html or row.error_code in listed.text


def test_jobs_are_told_with_zohos_numbers(
    visit: Visitor, connection: Connection, zoho: Simulator
) -> None:
    run = take_in(connection, zoho, "no_match")
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

    told = table(visit.get(page_of(run)), "The latest jobs")

    assert "4711 ↻ accepted by Zoho 0 7 2 1" in told
    assert "→ being posted" in told


def test_the_policy_is_told_in_words(
    visit: Visitor, connection: Connection, zoho: Simulator
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

    page = visit.get(page_of(take_in(connection, zoho, "no_match", policy=policy)))

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
    visit: Visitor, connection: Connection, zoho: Simulator
) -> None:
    deal = DealTemplate(name="x", stage="y", pipeline="Standard (Standard)", contact_role="88")
    policy = replace(CAREFUL, owner_id="99", deal=deal, notify_new_owner=True)

    page = visit.get(page_of(take_in(connection, zoho, "no_match", policy=policy)))

    for sentence in (
        "to close 30 days later.",
        "Its pipeline is Standard (Standard).",
        "The contact's role in it is 88.",
        "The records are assigned to 99.",
        "Zoho tells the owner of the new records.",
    ):
        assert sentence in page.text


def test_a_run_that_is_read_tells_how_many_are_left(
    visit: Visitor, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = take_in(connection, zoho, "no_match", name="Fair", source="leads.csv", by=boss)

    page = visit.get(page_of(run))

    assert "1 lead is still to be read from Zoho" in page.text
    assert "leads.csv" in page.text
    assert "Prepared by: boss" in page.text


def test_a_run_whose_leads_are_taken_in_says_what_to_do_if_that_broke(
    visit: Visitor, connection: Connection
) -> None:
    run = MassConversion.objects.create(connection=connection, policy=as_json(CAREFUL))

    page = visit.get(page_of(run))

    assert "If that was interrupted, cancel this mass conversion" in page.text


def test_a_paused_run_tells_why_and_what_to_do(
    visit: Visitor, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = take_in(connection, zoho, "no_match")
    mass_convert.pause(run_id=run.pk, by=boss, reason="Too many <refusals>.")

    page = visit.get(page_of(run))

    assert "It stands still: Too many <refusals>." in page.text
    assert "then resume or cancel" in page.text
    assert page.has_button("Resume")
    assert not page.has_button("Pause")


def test_a_connection_that_waits_is_told(
    visit: Visitor, connection: Connection, zoho: Simulator
) -> None:
    run = take_in(connection, zoho, "no_match")
    ConnectionWork.objects.update_or_create(
        connection=connection,
        defaults={"backoff_until": from_now(600), "backoff_reason": "No credits are left."},
    )

    assert "The connection waits until" in visit.get(page_of(run)).text


def test_a_run_that_is_sent_tells_how_far_it_is(
    visit: Visitor, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = started(in_review(connection, zoho, "no_match", "no_match"), by=boss)

    page = visit.get(page_of(run))

    assert "0 of 2 leads are converted. Closing this page changes nothing" in page.text
    assert page.has_button("Pause")
    assert "Start…" not in page.links


def test_a_run_that_has_ended_keeps_its_numbers(
    visit: Visitor, connection: Connection, zoho: Simulator
) -> None:
    run = work_off(started(in_review(connection, zoho, "no_match", "no_match")))
    LeadConversion.objects.update(mass_conversion=None)

    page = visit.get(page_of(run))

    assert "2 of 2 leads are converted." in page.text
    assert "Converted 2" in table(page, "Leads by status")
    assert not page.has_button("Try again")
    assert "Cancel…" not in page.links


def test_a_cancelled_run_tells_what_is_still_settled(
    visit: Visitor, connection: Connection, zoho: Simulator
) -> None:
    run = in_review(connection, zoho, "no_match")
    mass_convert.cancel(run_id=run.pk)

    assert "what is under way is still being settled" in visit.get(page_of(run)).text

    work_off(run)

    assert fresh(run).ended_at
    assert "what had not been sent was left out" in visit.get(page_of(run)).text


# The leads of a run


def test_leads_are_filtered_by_run_and_by_those_of_none(
    visit: Visitor, connection: Connection, zoho: Simulator
) -> None:
    run = in_review(connection, zoho, "no_match")
    single = LeadConversion.objects.create(connection=connection, lead_id="4711")
    (row,) = rows_of(run)

    of_run, of_none = visit.get(f"{LEADS}?run={run.pk}"), visit.get(f"{LEADS}?run=none")

    assert row.lead_id in of_run.text
    assert single.lead_id not in of_run.text
    assert row.lead_id not in of_none.text
    assert single.lead_id in of_none.text
    assert f"#{run.pk}" in of_run.links


@pytest.mark.parametrize("value", ["abc", "９", "-1", "9" * 30])
def test_a_run_that_cannot_be_has_no_leads(
    value: str, visit: Visitor, connection: Connection, zoho: Simulator
) -> None:
    in_review(connection, zoho, "no_match")

    page = visit.get(f"{LEADS}?run={value}&error_code__exact=X")

    assert visit.status == 200
    assert "0 lead conversions" in page.text


def test_an_older_run_is_named_among_the_filters_when_it_is_chosen(
    visit: Visitor, connection: Connection, zoho: Simulator
) -> None:
    runs = [take_in(connection, zoho, "no_match") for _ in range(11)]

    assert f"#{runs[0].pk}" not in visit.get(LEADS).links
    assert f"#{runs[0].pk}" in visit.get(f"{LEADS}?run={runs[0].pk}").links
