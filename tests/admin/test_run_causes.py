"""What is done about a cause of a run: show its leads, leave them out, set a value, check them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from tests import messages
from tests.admin.pages import Browser, check_mark_up, check_tables
from tests.admin.runs import (
    CAREFUL,
    reload,
    rows_of,
    run_in_review,
    run_url,
    start_run,
    table_text,
    work_until_waiting,
)
from tests.admin.test_run_results import refusal
from zoho_crm.matching import POLICIES, DealTemplate
from zoho_crm.models import Connection, LeadConversion, MassConversion, from_now
from zoho_crm.services import lifecycle, mass_convert
from zoho_crm.services.run_results import CauseKey
from zoho_crm.services.run_statistics import lead_count
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)

DEAL = DealTemplate(name="{Company}", stage="Qualification", pipeline="Standard (Standard)")
MANDATORY = "MANDATORY_NOT_FOUND"


def finished(
    connection: Connection, zoho: Simulator, *cases: str, refused: str = "Stage", **more: Any
) -> MassConversion:
    """Return a finished run whose last lead was refused for lack of this field."""
    prepared = run_in_review(connection, zoho, *cases, **more)
    last = rows_of(prepared)[-1]
    zoho.fail("convert", "error_before", lead_id=last.lead_id, **refusal(MANDATORY, refused))
    done = work_until_waiting(start_run(prepared))
    assert done.stage == "FINISHED"
    return done


def cause_of(row: LeadConversion, count: int = 1) -> tuple[str, str]:
    """Return the field that names the cause of a row, as a button with this number sends it."""
    detail = (row.error_details or [{}])[0].get("api_name", "")
    cause = {"status": row.status, "code": row.error_code, "detail": detail, "count": count}
    return "cause", urlencode(cause)


def converts(zoho: Simulator) -> int:
    """Return how many calls to convert were made."""
    return len(zoho.ledger()["calls"])


def query_of(row: LeadConversion) -> str:
    return urlencode([cause_of(row)])


# Leads


def test_what_became_of_each_lead_stands_below_the_causes(
    browser: Browser, browser_as: Callable[..., Browser], connection: Connection, zoho: Simulator
) -> None:
    run = finished(connection, zoho, "one_match", "no_match", "no_match", policy=POLICIES["attach"])
    joined, new, refused = rows_of(run)
    zoho_ids = (joined.contact_id, joined.account_id, new.contact_id)

    page = browser.get(run_url(run))

    text = table_text(page, "3 leads, page 1 of 1")
    assert "Lead Result Contact Account Deal Attempts At Zoho" in text
    for row, word in ((joined, "joined a contact"), (new, "new"), (refused, MANDATORY)):
        assert row.lead_name in text
        assert word in text
    for record_id in zoho_ids:
        assert f"…{record_id[-8:]}" in text
    assert page.links[joined.lead_name].endswith(f"/leadconversion/{joined.pk}/change/")
    check_mark_up(page)
    check_tables(page.html)
    viewer = browser_as("view_massconversion", "view_leadconversion").get(run_url(run))
    assert joined.lead_name not in viewer.text
    assert joined.lead_id in viewer.links
    assert "page 1 of 1" not in browser_as("view_massconversion").get(run_url(run)).text


def test_the_leads_of_one_cause_are_shown(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = finished(connection, zoho, "no_match", "no_match")
    other, refused = rows_of(run)
    url = browser.get(run_url(run)).links["Show leads"]

    page = browser.get(run_url(run) + url)

    text = table_text(page, "1 lead, page 1 of 1")
    assert refused.lead_name in text
    assert other.lead_id not in page.html[page.html.index('id="leads"') :]
    assert "Those of one cause." in page.text


def test_the_leads_come_fifty_a_page_with_the_same_number_of_queries(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = finished(connection, zoho, "no_match")
    browser.get(run_url(run))
    with CaptureQueriesContext(database) as few:
        browser.get(run_url(run))
    columns = {"connection": connection, "mass_conversion": run, "status": "CONVERTED"}
    columns |= {"converted_by": "us", "lead_snapshot": rows_of(run)[0].lead_snapshot}
    ids = [str(5_000_000_000_000_000_000 + number) for number in range(120)]
    records: dict[str, Any] = {"contact_id": ids[0], "account_id": ids[1], "deal_id": ids[2]}
    LeadConversion.objects.bulk_create(
        [LeadConversion(lead_id=lead_id, **columns, **records) for lead_id in ids]
    )

    with CaptureQueriesContext(database) as many:
        page = browser.get(run_url(run))

    assert "121 leads, page 1 of 3" in page.text
    assert len(page.html) < 300_000
    assert len(many) == len(few)
    browser.get(run_url(run) + page.links["Next page ›"])
    assert "121 leads, page 2 of 3" in browser.page.text


def _lines(browser: Browser, run: MassConversion) -> list[dict[str, Any]]:
    browser.get(run_url(run))
    lines: list[dict[str, Any]] = browser.response.context["lead_rows"]
    return lines


def test_what_a_converted_lead_became_is_not_said_once_its_plan_is_purged(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "one_match", "no_match", policy=POLICIES["attach"])
    run = work_until_waiting(start_run(run))
    found = [line["result"] for line in _lines(browser, run)]
    assert found == ["joined a contact", "new"]
    LeadConversion.objects.update(**lifecycle.NO_PERSONAL_DATA)

    assert [line["result"] for line in _lines(browser, run)] == ["", ""]


# Leave out


def test_the_leads_of_a_cause_are_left_out(
    browser: Browser, boss: User, connection: Connection, zoho: Simulator
) -> None:
    run = finished(connection, zoho, "several", "no_match", "no_match")
    assert (run.counts or {})["FAILED"] == 1
    refused = rows_of(run)[-1]

    page = browser.post(run_url(run, "leave_out"), [cause_of(refused)])

    assert "1 lead is left out, and stays as it is at Zoho." in page.text
    row = LeadConversion.objects.get(pk=refused.pk)
    assert (row.status, row.decided_by, row.due_at) == ("SKIPPED", boss, None)
    assert MANDATORY not in page.text
    counts = reload(run).counts or {}
    assert (counts.get("FAILED"), counts["SKIPPED"], counts["PREVIEWED"]) == (None, 1, 1)
    undecided = {"status": "PREVIEWED", "code": "several", "detail": "SEVERAL_MATCHES", "count": 1}
    browser.post(run_url(run, "leave_out"), [("cause", urlencode(undecided))])
    assert [row.status for row in rows_of(run)] == ["SKIPPED", "CONVERTED", "SKIPPED"]
    assert mass_convert.retry(run_id=run.pk) == 0


@pytest.mark.parametrize("status", ["CONVERTED", "UNKNOWN", "NEEDS_REVIEW", ""])
def test_only_what_was_certainly_not_converted_is_left_out(
    status: str, browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = finished(connection, zoho, "no_match")
    row = rows_of(run)[0]
    LeadConversion.objects.filter(pk=row.pk).update(status=status or "FAILED", converted_by="us")
    row.status = status

    browser.post(run_url(run, "leave_out"), [cause_of(row)])

    assert rows_of(run)[0].status == (status or "FAILED")


def test_leads_that_were_taken_up_elsewhere_stay_counted(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = finished(connection, zoho, "several", "no_match")
    taken, refused = rows_of(run)
    mass_convert.prepare(connection_id=connection.pk, lead_ids=[taken.lead_id], policy=CAREFUL)
    assert "1 lead was taken up elsewhere since" in browser.get(run_url(run)).text

    page = browser.post(run_url(run, "leave_out"), [cause_of(refused)])

    assert "1 lead was taken up elsewhere since" in page.text
    counts = reload(run).counts or {}
    assert (counts["SKIPPED"], counts["elsewhere"], lead_count(counts)) == (1, 1, 2)


# Set in the policy


def test_a_missing_value_is_set_in_the_policy_of_the_run_and_its_leads_retried(
    browser: Browser, boss: User, connection: Connection, zoho: Simulator
) -> None:
    policy = replace(CAREFUL, deal=DEAL)
    run = run_in_review(connection, zoho, "no_match", "no_match", "no_match", policy=policy)
    _other, by_policy, by_person = rows_of(run)
    plan = by_person.stored_plan()
    assert plan is not None
    plan = replace(plan, notify_lead_owner=True)
    mass_convert.decide_one(
        conversion_id=by_person.pk, version=by_person.version, plan=plan, by=boss
    )
    for row in (by_policy, by_person):
        zoho.fail("convert", "error_before", lead_id=row.lead_id, **refusal(MANDATORY, "Stage"))
    done = work_until_waiting(start_run(work_until_waiting(run)))
    page = browser.get(run_url(done))

    browser.get(page.links["Set in policy and retry 2"])

    form = browser.page.form_with("Set it and retry 2 leads")
    assert dict(form.values)["deal_stage"] == "Qualification"
    assert dict(form.values)["deal_pipeline"] == "Standard (Standard)"
    check_mark_up(browser.page)
    messages.take_all()
    page = browser.press("Set it and retry 2 leads", deal_stage="Needs Analysis")
    assert "2 leads are previewed again" in page.text
    assert [sent.kwargs for sent in messages.take_all()] == [{"connection_id": connection.pk}]
    again = work_until_waiting(reload(done))
    assert again.stage == "REVIEW"
    assert again.rules.deal == replace(DEAL, stage="Needs Analysis")
    assert POLICIES["careful"].deal is None
    plans = {row.pk: row.stored_plan() for row in rows_of(again, status="PREVIEWED")}
    assert {each.deal.stage for each in plans.values() if each and each.deal} == {"Needs Analysis"}
    kept = plans[by_person.pk]
    assert kept
    assert kept.notify_lead_owner
    last = work_until_waiting(start_run(again))
    assert {row.status for row in rows_of(last)} == {"CONVERTED"}
    for row in rows_of(last)[1:]:
        assert zoho.records["Deals"][row.deal_id]["Stage"] == "Needs Analysis"


def test_a_value_that_does_not_fit_is_refused_before_anything_is_retried(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    policy = replace(CAREFUL, deal=DEAL)
    run = finished(connection, zoho, "no_match", policy=policy, refused="Deal_Name")
    browser.get(browser.get(run_url(run)).links["Set in policy and retry 1"])

    page = browser.press("Set it and retry 1 lead", deal_name="{No_Such_Field}")

    assert "is no field of leads that is read" in page.text
    assert reload(run).stage == "FINISHED"
    assert reload(run).rules.deal == DEAL
    assert "This field is required." in browser.press("Set it and retry 1 lead", deal_name="").text


@pytest.mark.parametrize(("deal", "refused"), [(None, "Stage"), (DEAL, "Last_Name")])
def test_a_value_that_the_policy_cannot_give_is_not_offered(
    deal: DealTemplate | None,
    refused: str,
    browser: Browser,
    connection: Connection,
    zoho: Simulator,
) -> None:
    policy = replace(CAREFUL, deal=deal)
    run = finished(connection, zoho, "no_match", policy=policy, refused=refused)

    page = browser.get(run_url(run))
    assert page.has_button("Retry 1")
    assert "Set in policy" not in page.text
    page = browser.get(f"{run_url(run, 'set_in_policy')}?{query_of(rows_of(run)[0])}")

    assert "This has changed since it was shown" in page.text


def test_who_may_not_decide_sets_nothing(
    browser_as: Callable[..., Browser], connection: Connection, zoho: Simulator
) -> None:
    run = finished(connection, zoho, "no_match", policy=replace(CAREFUL, deal=DEAL))
    browser = browser_as("view_massconversion", "pause_massconversion")

    page = browser.get(run_url(run))
    assert page.has_button("Retry 1")
    assert not page.has_button("Leave 1 out")
    assert "Set in policy" not in page.text
    browser.get(f"{run_url(run, 'set_in_policy')}?{query_of(rows_of(run)[0])}")

    assert browser.status == 403


def test_the_policy_stays_if_no_lead_is_left_to_be_retried(
    connection: Connection, zoho: Simulator
) -> None:
    run = finished(connection, zoho, "no_match")
    gone, policy = CauseKey(status="FAILED", code="GONE"), replace(CAREFUL, deal=DEAL)

    assert mass_convert.retry(run_id=run.pk, cause=gone, policy=policy) == 0

    assert reload(run).rules == CAREFUL


# Check


def test_zoho_is_asked_what_became_of_those_in_doubt(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = finished(connection, zoho, "no_match", "no_match")
    MassConversion.objects.filter(pk=run.pk).update(stage="CONVERTING", counts=None, ended_at=None)
    # As after lost answers: Zoho has converted the first, and may still convert the second.
    LeadConversion.objects.filter(mass_conversion=run).update(
        status="UNKNOWN",
        in_doubt=True,
        converted_by="",
        contact_id="",
        error_code="",
        error_details=None,
        due_at=from_now(3600),
        quiet_until=from_now(3600),
    )
    sent = converts(zoho)
    assert browser.get(run_url(run)).has_button("Check 2 in Zoho")

    page = browser.post(run_url(run, "check"), [cause_of(rows_of(run)[0], count=2)])

    assert "1 lead is converted. Of 1 lead it is not known yet" in page.text
    assert [row.status for row in rows_of(run)] == ["CONVERTED", "UNKNOWN"]
    assert converts(zoho) == sent


def test_of_leads_that_need_a_person_those_that_are_converted_are_found(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = finished(connection, zoho, "no_match", "no_match", "no_match")
    converted, _other, refused = rows_of(run)
    rows = LeadConversion.objects.filter(pk__in=[converted.pk, refused.pk])
    rows.update(
        status="NEEDS_REVIEW",
        error_code="MAX_ATTEMPTS",
        error_details=None,
        converted_by="",
        in_doubt=True,
    )
    sent = converts(zoho)

    page = browser.post(run_url(run, "check"), [cause_of(rows_of(run)[0], count=2)])

    assert "1 lead is converted. 1 lead is still open at Zoho" in page.text
    assert [row.status for row in rows_of(run)] == ["CONVERTED", "CONVERTED", "NEEDS_REVIEW"]
    assert rows_of(run)[0].converted_by == "us"
    assert converts(zoho) == sent


def test_what_is_found_is_counted_in_a_cancelled_run_too(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = work_until_waiting(start_run(run_in_review(connection, zoho, "no_match")))
    LeadConversion.objects.update(status="NEEDS_REVIEW", error_code="MAX_ATTEMPTS", in_doubt=True)
    MassConversion.objects.update(stage="CANCELLED", counts={"NEEDS_REVIEW": 1, "decided": 0})

    page = browser.post(run_url(run, "check"), [cause_of(rows_of(run)[0])])

    assert "1 lead is converted." in page.text
    counts = reload(run).counts or {}
    assert (counts["CONVERTED"], counts.get("NEEDS_REVIEW"), lead_count(counts)) == (1, None, 1)


def test_a_check_says_for_how_many_leads_there_was_no_time(
    browser: Browser, connection: Connection, zoho: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoho_crm.admin.run_results.MAX_SECONDS", -1.0)
    monkeypatch.setattr("zoho_crm.services.bulk.LEADS_PER_READ", 1)
    run = work_until_waiting(start_run(run_in_review(connection, zoho, *["no_match"] * 3)))
    LeadConversion.objects.update(status="NEEDS_REVIEW", error_code="MAX_ATTEMPTS", in_doubt=True)

    page = browser.post(run_url(run, "check"), [cause_of(rows_of(run)[0], count=3)])

    assert "2 leads were not checked: that takes longer than one request may." in page.text
    assert "1 lead is converted." in page.text
    assert page.has_button("Check 2 in Zoho")


def test_a_check_says_when_zoho_cannot_be_asked(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = finished(connection, zoho, "no_match")
    LeadConversion.objects.update(
        status="NEEDS_REVIEW", error_code="MAX_ATTEMPTS", error_details=None
    )
    zoho.fail("any", "error_before", status=500, times=9)

    page = browser.post(run_url(run, "check"), [cause_of(rows_of(run)[0])])

    assert "Zoho could not be asked" in page.text
    assert rows_of(run)[0].status == "NEEDS_REVIEW"


def test_a_cause_that_is_none_does_nothing(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = finished(connection, zoho, "no_match")

    for name in ("leave_out", "check", "retry"):
        page = browser.post(run_url(run, name), [("cause", "status=NONE")])
        assert "This has changed since it was shown" in page.text

    assert rows_of(run)[0].status == "FAILED"
    assert CauseKey(status="FAILED").code == ""


@pytest.mark.parametrize(
    ("status", "name", "button"),
    [
        ("FAILED", "leave_out", "Leave 1 out"),
        ("FAILED", "retry", "Retry 1"),
        ("NEEDS_REVIEW", "check", "Check 1 in Zoho"),
    ],
)
def test_a_button_does_nothing_to_more_leads_than_it_showed(
    status: str,
    name: str,
    button: str,
    browser: Browser,
    connection: Connection,
    zoho: Simulator,
) -> None:
    run = finished(connection, zoho, "no_match", "no_match")
    rows = LeadConversion.objects.filter(mass_conversion=run)
    rows.filter(status="FAILED").update(status=status)
    refused = rows_of(run)[1]
    shown = [
        given["value"]
        for given in browser.get(run_url(run)).attributes_of("button")
        if given.get("formaction") == run_url(run, name)
    ]
    assert browser.page.has_button(button)
    rows.update(status=status, error_code=MANDATORY, error_details=refused.error_details)

    page = browser.post(run_url(run, name), [("cause", shown[0])])

    assert "There are more by now than were shown; please look again." in page.text
    assert page.has_button(button.replace("1", "2"))
    assert {row.status for row in rows_of(run)} == {status}


def test_a_value_is_set_for_no_more_leads_than_were_shown(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = finished(connection, zoho, "no_match", "no_match", policy=replace(CAREFUL, deal=DEAL))
    browser.get(browser.get(run_url(run)).links["Set in policy and retry 1"])
    LeadConversion.objects.filter(mass_conversion=run).update(
        status="FAILED", error_code=MANDATORY, error_details=rows_of(run)[1].error_details
    )

    page = browser.press("Set it and retry 1 lead", deal_stage="Needs Analysis")

    assert "There are more by now than were shown; please look again." in page.text
    assert reload(run).rules.deal == DEAL
    assert {row.status for row in rows_of(run)} == {"FAILED"}
    page = browser.press("Set it and retry 2 leads")
    assert "2 leads are previewed again" in page.text


@pytest.mark.parametrize("name", ["leave_out", "check", "retry"])
def test_nothing_is_said_to_be_done_for_a_cause_without_leads(
    name: str, browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = finished(connection, zoho, "no_match")
    status = "NEEDS_REVIEW" if name == "check" else "FAILED"
    logged = LogEntry.objects.count()

    page = browser.post(
        run_url(run, name), [cause_of(LeadConversion(status=status, error_code="GONE"))]
    )

    assert "No lead is left with this cause." in page.text
    assert 'class="warning"' in page.html
    assert LogEntry.objects.count() == logged
