"""The results of a run: what was not converted and why, trying again by cause, exports."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from tests.admin.pages import Browser, Page, check_mark_up, check_tables
from tests.admin.runs import (
    CAREFUL,
    reload,
    rows_of,
    run_in_review,
    run_url,
    start_run,
    work_until_waiting,
)
from zoho_crm.matching import POLICIES
from zoho_crm.models import Connection, LeadConversion, MassConversion
from zoho_crm.services import mass_convert
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)


def refusal(code: str, field: str) -> dict[str, Any]:
    problem = {
        "code": code,
        "details": {"api_name": field},
        "message": "required field not found",
        "status": "error",
    }
    return {"status": 400, "body": {"data": [problem]}}


@pytest.fixture
def run(connection: Connection, zoho: Simulator) -> MassConversion:
    """Return a finished run: one lead joined a contact, two were refused, one is in doubt."""
    cases = ["one_match", *["no_match"] * 3]
    prepared = run_in_review(connection, zoho, *cases, policy=POLICIES["attach"])
    _joined, first, second, doubtful = rows_of(prepared)
    answers = (("MANDATORY_NOT_FOUND", "Last_Name"), ("INVALID_DATA", "Email"))
    for row, (code, field) in zip((first, second), answers, strict=True):
        zoho.fail("convert", "error_before", lead_id=row.lead_id, **refusal(code, field))
    done = work_until_waiting(start_run(prepared))
    assert done.stage == "FINISHED"
    LeadConversion.objects.filter(pk=doubtful.pk).update(
        status="NEEDS_REVIEW", error_code="MAX_ATTEMPTS"
    )
    return done


def retry_buttons(page: Page) -> list[dict[str, str]]:
    return [
        given
        for given in page.attributes_of("button")
        if given.get("formaction", "").endswith("/retry/")
    ]


def test_each_cause_says_how_many_and_what_to_do(browser: Browser, run: MassConversion) -> None:
    page = browser.get(run_url(run))

    assert "required field not found: field Last Name (Last_Name)" in page.text
    assert "Fill in the field at Zoho" in page.text
    assert "It was sent several times, and each time no answer came." in page.text
    assert "look again here, or close it with a note" in page.text
    assert "Done in" in page.text
    assert "This run has used about " in page.text
    retried = [given["value"] for given in retry_buttons(page)]
    assert sorted(parse_qs(value)["code"][0] for value in retried) == [
        "INVALID_DATA",
        "MANDATORY_NOT_FOUND",
    ]
    check_mark_up(page)
    check_tables(page.html)


def test_what_zoho_must_change_first_is_said_of_leads_that_cannot_be_decided(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    prepared = run_in_review(connection, zoho, "no_match", "locked", "several")
    done = work_until_waiting(start_run(prepared))

    page = browser.get(run_url(done))

    assert "The lead is locked at Zoho. 1 Put that right at Zoho, then retry." in page.text
    assert "match this lead. 1 Retry reads them anew; then they can be decided." in page.text


def test_a_run_without_a_decision_has_nothing_to_start(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "several")

    page = browser.get(run_url(run))

    assert "No lead is decided: nothing can be started." in page.text
    assert "Start…" not in page.links
    assert "Estimate" not in page.text


def test_leads_that_another_run_took_are_not_said_to_stay(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    done = work_until_waiting(start_run(run_in_review(connection, zoho, "no_match", "several")))
    assert "1 lead stays as it was" in browser.get(run_url(done)).text
    assert browser.page.has_button("Retry")
    undecided = rows_of(done)[1].lead_id
    mass_convert.prepare(connection_id=connection.pk, lead_ids=[undecided], policy=CAREFUL)

    page = browser.get(run_url(done))

    assert "as it was" not in page.text
    assert "1 lead was taken up elsewhere since" in page.text
    assert not page.has_button("Retry")


def test_only_the_leads_of_a_cause_are_tried_again(browser: Browser, run: MassConversion) -> None:
    code = "MANDATORY_NOT_FOUND"
    cause = {"status": "FAILED", "code": code, "detail": "Last_Name", "count": 1}

    page = browser.post(run_url(run, "retry"), [("cause", urlencode(cause))])

    assert "1 lead is previewed again" in page.text
    assert [row.status for row in rows_of(run)] == ["CONVERTED", "NEW", "FAILED", "NEEDS_REVIEW"]
    again = work_until_waiting(reload(run))
    assert again.stage == "REVIEW"
    done = work_until_waiting(start_run(again))
    assert [row.status for row in rows_of(done)][:3] == ["CONVERTED", "CONVERTED", "FAILED"]


@pytest.mark.parametrize("named", [None, ""], ids=repr)
def test_leads_whose_refusal_names_no_field_are_tried_again(
    named: Any, browser: Browser, run: MassConversion
) -> None:
    refused = LeadConversion.objects.filter(mass_conversion=run, error_code="INVALID_DATA")
    refused.update(error_details=[{"code": "INVALID_DATA", "api_name": named}])
    buttons = retry_buttons(browser.get(run_url(run)))
    (cause,) = [each["value"] for each in buttons if "INVALID_DATA" in each.get("value", "")]

    page = browser.post(run_url(run, "retry"), [("cause", cause)])

    assert "1 lead is previewed again" in page.text
    assert [row.status for row in rows_of(run)] == ["CONVERTED", "FAILED", "NEW", "NEEDS_REVIEW"]


@pytest.mark.parametrize("status", ["NEEDS_REVIEW", "UNKNOWN", "CONVERTED", ""])
def test_what_is_not_known_is_never_tried_again(
    status: str, browser: Browser, run: MassConversion
) -> None:
    cause = {"status": status, "code": "MAX_ATTEMPTS", "detail": ""}

    browser.post(run_url(run, "retry"), [("cause", urlencode(cause))])

    assert not LeadConversion.objects.filter(status="NEW").exists()
    assert reload(run).stage == "FINISHED"


def read(browser: Browser, run: MassConversion, name: str) -> str:
    response: Any = browser.client.get(run_url(run, name))
    assert response.status_code == 200
    return b"".join(response).decode()


def test_the_results_are_exported_as_lines_of_json(browser: Browser, run: MassConversion) -> None:
    lines = [json.loads(line) for line in read(browser, run, "export_json").splitlines()]

    assert [line["lead_id"] for line in lines] == [row.lead_id for row in rows_of(run)]
    assert [line["status"] for line in lines][:2] == ["CONVERTED", "FAILED"]


def test_what_an_existing_record_had_before_is_exported_until_it_is_purged(
    browser: Browser,
    browser_as: Callable[..., Browser],
    run: MassConversion,
) -> None:
    joined = rows_of(run)[0]
    options, lead = joined.options_snapshot, joined.lead_snapshot
    options["contacts"][0]["fields"]["Phone"] = "+49 30 1"
    lead["fields"]["Phone"] = "+49 30 2"
    rows = LeadConversion.objects.filter(pk=joined.pk)
    rows.update(options_snapshot=options, lead_snapshot=lead)

    lines = list(csv.DictReader(read(browser, run, "export_changes").splitlines()))

    (phone,) = [line for line in lines if line["field"] == "Phone"]
    assert (phone["module"], phone["record_id"]) == ("Contacts", joined.contact_id)
    assert (phone["before"], phone["from_lead"]) == ("+49 30 1", "+49 30 2")
    rows.update(options_snapshot=None, lead_snapshot=None)
    assert len(read(browser, run, "export_changes").splitlines()) == 1
    exporter = browser_as("export_leadconversion", "view_massconversion")
    exporter.get(run_url(run, "export_changes"))
    assert exporter.status == 403
    assert "Values before, as CSV" not in exporter.get(run_url(run)).text
