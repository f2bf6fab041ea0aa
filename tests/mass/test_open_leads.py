"""Runs that take in the open leads of an organisation: the worker reads them, page by page."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections

from tests.mass.bench import Bench, Stage
from tests.parameters import long
from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.services import mass_convert
from zoho_crm.services.presentation import pause_text

pytestmark = pytest.mark.slow

Status = LeadConversion.Status
#: More than three pages of 200.
MANY = 620


def prepare(bench: Bench, **filters: str) -> MassConversion:
    return mass_convert.prepare_open_leads(
        connection_id=bench.connection.pk, filters=filters, policy=bench.policy, by=bench.person
    )


def taken_in(run: MassConversion) -> set[str]:
    return set(run.rows.values_list("lead_id", flat=True))


def test_every_open_lead_is_taken_in_and_previewed(bench: Bench) -> None:
    leads = bench.leads(MANY)
    bench.zoho.story("converted")

    run = prepare(bench)
    assert (run.stage, run.source) == (Stage.STAGING, "all_open_leads")
    bench.until_settled(run)

    assert run.stage == Stage.REVIEW
    assert taken_in(run) == set(leads)
    assert run.seen == MANY
    assert bench.status_counts() == {Status.PREVIEWED: MANY}


def test_only_those_with_the_values_asked_for_are_taken_in(bench: Bench) -> None:
    fair = bench.leads(2, Lead_Source="Fair", City="Kiel")
    bench.leads(2, Lead_Source="Fair", City="Graz")

    run = prepare(bench, Lead_Source="fair", City="Kiel")
    bench.until_settled(run)

    assert taken_in(run) == set(fair)
    assert run.source == "open_leads"
    assert run.source_details == {"filters": "Lead_Source=fair, City=Kiel"}


def test_a_field_that_is_not_mapped_can_be_asked_for(bench: Bench) -> None:
    (lead,) = bench.leads(1, Budget="large")
    bench.leads(1, Budget="small")

    run = prepare(bench, Budget="large")
    bench.until_settled(run)

    assert taken_in(run) == {lead}


def test_a_run_that_finds_no_lead_is_cancelled(bench: Bench) -> None:
    bench.leads(1)

    run = prepare(bench, City="Nowhere")
    bench.until_ended(run)

    assert (run.stage, taken_in(run)) == (Stage.CANCELLED, set())


def test_a_lead_of_another_run_is_left_out_and_says_why(bench: Bench) -> None:
    theirs, mine = bench.leads(2)
    bench.prepare([theirs])

    run = prepare(bench)
    bench.until_settled(run)

    assert taken_in(run) == {mine}
    assert [(line.text, line.reason) for line in run.lines.all()] == [(theirs, "in_another_run")]


@pytest.mark.parametrize(
    "fault", ["error_before", long("close_after"), "truncate", long("html"), long("throttle")]
)
def test_a_page_that_does_not_come_is_asked_for_again(bench: Bench, fault: str) -> None:
    leads = bench.leads(250)
    run = prepare(bench)
    bench.zoho.fail("leads_list", fault)

    bench.work()
    assert bench.refreshed(run).stage == Stage.STAGING
    MassConversion.objects.update(due_at="2000-01-01T00:00Z")
    bench.until_settled(run)

    assert taken_in(run) == set(leads)


def test_a_page_that_zoho_refuses_stops_the_run_and_says_why(bench: Bench) -> None:
    leads = bench.leads(250)
    run = prepare(bench)
    refusal = {"code": "EXPIRED_VALUE", "message": "Page token expired", "status": "error"}
    bench.zoho.fail("leads_list", "error_before", status=400, body={**refusal, "details": {}})

    bench.work()

    assert bench.refreshed(run).paused_reason == "RequestRefusedError"
    assert run.paused_details == {"message": "Page token expired"}
    assert run.due_at is None
    mass_convert.resume(run_id=run.pk)
    bench.until_settled(run)
    assert taken_in(run) == set(leads)


@pytest.mark.parametrize("tokens", ["aa", "aba"])
def test_a_list_that_leads_back_to_one_of_its_pages_stops_the_run(
    bench: Bench, tokens: str
) -> None:
    converted, *leads = bench.leads(3)  # of a converted lead, none but the pages is read
    bench.finished([converted])
    run = prepare(bench)
    for token in tokens:
        page = {"data": [{"id": converted}], "info": {"next_page_token": token}}
        bench.zoho.fail("leads_list", "error_before", status=200, body=page)

    bench.work()

    assert (bench.refreshed(run).stage, run.paused_reason) == (Stage.STAGING, "endless_list")
    assert (run.due_at, run.page_token, run.page_digests) == (None, "", [])
    assert pause_text(run).startswith("Zoho CRM repeats pages of a list")
    assert run.lines.count() == run.seen > 0
    mass_convert.resume(run_id=run.pk)
    bench.until_settled(run)
    assert (taken_in(run), run.page_digests) == (set(leads), [])


def test_leads_that_come_in_meanwhile_shift_the_pages_and_nothing_is_lost(bench: Bench) -> None:
    leads = set(bench.leads(MANY))
    run = prepare(bench)
    bench.work_until(lambda: bench.refreshed(run).seen > 0)
    leads_before = taken_in(run)
    new = set(bench.leads(5))
    assert 0 < len(leads_before) < MANY

    bench.until_settled(run)

    assert leads <= taken_in(run) <= leads | new
    assert not run.lines.exists()


def test_a_run_that_is_cancelled_while_it_takes_leads_in_takes_no_more(bench: Bench) -> None:
    bench.leads(MANY)
    run = prepare(bench)
    bench.work_until(lambda: bench.refreshed(run).seen > 0)
    mass_convert.cancel(run_id=run.pk)
    seen = bench.refreshed(run).seen

    bench.until_ended(run)

    assert run.seen == seen
    assert bench.status_counts() == {Status.SKIPPED: len(taken_in(run))}
    assert not bench.requested()


def test_a_page_that_zoho_refuses_does_not_hold_up_a_run_that_was_cancelled_meanwhile(
    bench: Bench,
) -> None:
    run = prepare(bench)
    refusal = {"code": "INVALID_DATA", "status": "error", "message": "no", "details": {}}
    bench.zoho.fail("leads_list", "error_before", status=400, body=refusal)
    to_cancel = [run.pk]

    def cancel(execute: Any, sql: str, *arguments: Any) -> Any:
        """Cancel the run just before it would be paused."""
        if to_cancel and sql.startswith("UPDATE") and "paused_reason" in sql.partition("WHERE")[0]:
            mass_convert.cancel(run_id=to_cancel.pop())
        return execute(sql, *arguments)

    with connections["default"].execute_wrapper(cancel):
        bench.until_ended(run)

    assert (run.stage, run.paused_reason) == (Stage.CANCELLED, "")
    assert not to_cancel
