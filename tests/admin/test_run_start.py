"""The page that starts a run: how its leads go to Zoho, what differs, and what is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.admin.pages import Browser, check_mark_up
from tests.admin.runs import rows_of, run_in_review, run_url
from zoho_crm.matching import POLICIES
from zoho_crm.models import Connection, LeadConversion, MassConversion
from zoho_crm.services.run_start import MAX_COMPARED, MAX_NAMED
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(connection: Connection, zoho: Simulator) -> MassConversion:
    """Return a run in review: one lead joins a contact and differs in its phone, two are new."""
    cases = ("one_match", "no_match", "no_match")
    run = run_in_review(connection, zoho, *cases, policy=POLICIES["attach"])
    joins = rows_of(run)[0]
    joins.lead_snapshot["fields"]["Phone"] = "+49 30 2"
    joins.options_snapshot["contacts"][0]["fields"]["Phone"] = "+49 30 1"
    LeadConversion.objects.filter(pk=joins.pk).update(
        lead_snapshot=joins.lead_snapshot, options_snapshot=joins.options_snapshot
    )
    return run


@pytest.mark.slow
def test_it_says_how_many_leads_go_in_jobs_and_how_many_in_single_calls(
    browser: Browser, connection: Connection, zoho: Simulator, settings: Any
) -> None:
    costs = {"mass_convert": 10, "convert": 5, "other": 1}
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "CREDIT_COSTS": costs}
    cases = ("one_match", *["no_match"] * 9)
    run = run_in_review(connection, zoho, *cases, policy=POLICIES["attach"])

    text = browser.get(run_url(run, "start")).text

    # Nine are alike; the first five go singly, and for three a job is cheaper.
    assert "4 go to Zoho in about 1 job of up to 50 leads. 6 are sent in calls" in text
    assert "about 12 calls, 45 credits" in text


@pytest.mark.slow
def test_leads_that_no_job_can_convert_are_sent_singly(
    browser: Browser, run: MassConversion
) -> None:
    text = browser.get(run_url(run, "start")).text

    assert "3 are sent in calls of their own." in text
    assert "job of up to" not in text


def test_values_that_differ_are_counted_and_listed(
    browser: Browser, browser_as: Callable[..., Browser], run: MassConversion
) -> None:
    row = rows_of(run)[0]

    page = browser.get(run_url(run, "start"))

    assert "1 value differs from the record that its lead joins." in page.text
    assert f"{row.lead_name} : Phone" in page.text
    assert page.links["Compare them in the review"] == f"{run_url(run, 'decide')}?decision=join"
    check_mark_up(page)
    page = browser_as("run_massconversion").get(run_url(run, "start"))
    assert f"{row.lead_id} : Phone" in page.text
    assert row.lead_name not in page.text
    assert "Compare them in the review" not in page.links


@pytest.mark.slow
def test_of_many_leads_the_first_are_compared(browser: Browser, run: MassConversion) -> None:
    row = rows_of(run)[0]
    copies = [
        LeadConversion(
            connection=run.connection,
            mass_conversion=run,
            lead_id=str(number),
            status="PREVIEWED",
            verdict=row.verdict,
            lead_snapshot=row.lead_snapshot,
            options_snapshot=row.options_snapshot,
            plan=row.plan,
        )
        for number in range(1, MAX_COMPARED + 1)
    ]
    LeadConversion.objects.bulk_create(copies)

    page = browser.get(run_url(run, "start"))

    assert "Of the first 500 leads that join a record, 500 values differ." in page.text
    assert page.html.count(": Phone</li>") == MAX_NAMED


def test_what_was_read_of_leads_that_are_converted_is_not_downloaded_for_a_start(
    browser: Browser, run: MassConversion
) -> None:
    converted = rows_of(run)[0]
    LeadConversion.objects.filter(pk=converted.pk).update(status="CONVERTED", converted_by="us")
    page = browser.get(run_url(run, "start"))

    url = page.links["Download what was read of 2 leads, and of the records that they join"]
    response: Any = browser.client.get(url)
    lines = [json.loads(line) for line in b"".join(response).decode().splitlines()]

    assert [line["lead_id"] for line in lines] == [row.lead_id for row in rows_of(run)[1:]]
    assert (
        converted.lead_id
        in b"".join(
            browser.client.get(run_url(run, "export_before"))  # type: ignore[arg-type]
        ).decode()
    )


def test_what_was_read_can_be_downloaded_before_the_start(
    browser: Browser, browser_as: Callable[..., Browser], run: MassConversion
) -> None:
    page = browser.get(run_url(run, "start"))

    url = page.links["Download what was read of 3 leads, and of the records that they join"]
    response: Any = browser.client.get(url)
    lines = [json.loads(line) for line in b"".join(response).decode().splitlines()]

    assert [line["lead_id"] for line in lines] == [row.lead_id for row in rows_of(run)]
    assert lines[0]["lead"]["fields"]["Phone"] == "+49 30 2"
    (joined,) = [each for each in lines[0]["joins"] if each["module"] == "Contacts"]
    assert joined["fields"]["Phone"] == "+49 30 1"
    assert lines[1]["joins"] == []
    other = browser_as("run_massconversion", "export_leadconversion")
    assert "Download" not in other.get(run_url(run, "start")).text
    other.get(url)
    assert other.status == 403
