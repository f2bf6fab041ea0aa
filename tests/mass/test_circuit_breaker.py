"""The first leads go one by one, and a run that fails too often stops by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from tests.mass.bench import Bench, Stage
from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.models._moves import Move
from zoho_crm.services import mass_convert
from zoho_crm.services.mass_convert._steps import check_circuit_breaker

pytestmark = pytest.mark.slow

Status = LeadConversion.Status


def overlapping(calls: list[dict[str, Any]]) -> int:
    """Return the largest number of conversions that were in flight at a time."""
    return max(
        sum(other["received_at"] <= call["received_at"] < other["answered_at"] for other in calls)
        for call in calls
    )


@pytest.fixture
def outcomes(bench: Bench) -> Any:
    """Give a converting run these outcomes, in order, and call the circuit breaker."""

    def give(*statuses: str) -> MassConversion:
        run = bench.prepare(str(7_000_000_000_000_000_000 + n) for n in range(len(statuses)))
        begun = now() - timedelta(hours=1)
        MassConversion.objects.filter(pk=run.pk).update(
            stage=Stage.CONVERTING, counted_from=begun, is_armed=True
        )
        rows = list(run.rows.order_by("pk"))
        for number, (row, status) in enumerate(zip(rows, statuses, strict=True)):
            row.status, row.attempts = status, 1
            row.finished_at = begun + timedelta(seconds=number)
            row.due_at, row.converted_by = None, "us" if status == GOOD else ""
            row.save()
        last = rows[-1]
        last.status = Status.RUNNING
        check_circuit_breaker([Move(row=last, to=Status(statuses[-1]))])
        run.refresh_from_db()
        return run

    return give


GOOD, BAD = Status.CONVERTED, Status.FAILED


def test_the_first_five_go_one_at_a_time_and_the_others_beside_each_other(
    bench: Bench, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "MAX_CONCURRENCY": 4}
    bench.zoho.tune(latency=0.1)

    bench.finished(bench.leads(20))

    calls = bench.zoho.ledger()["calls"]
    assert overlapping(calls[:5]) == 1
    assert calls[5]["received_at"] >= calls[4]["answered_at"]
    assert overlapping(calls[5:]) > 1


@pytest.mark.parametrize(
    ("statuses", "stops"),
    [
        ([BAD] * 5, True),
        ([GOOD] * 5 + [BAD] * 5, True),
        ([BAD] * 4 + [GOOD] + [BAD] * 4, False),
        ([BAD] * 4, False),
        (([GOOD] * 4 + [BAD]) * 10, True),
        ([GOOD] + ([GOOD] * 4 + [BAD]) * 9 + [GOOD] * 3 + [BAD], True),
        (([GOOD] * 5 + [BAD]) * 9, False),
        (([GOOD] * 4 + [BAD]) * 9, False),
        ([BAD, GOOD] * 10 + [GOOD] * 49 + [BAD], False),
    ],
    ids=[
        "five in a row",
        "five in a row, later",
        "four, one good, four",
        "four",
        "ten of fifty",
        "ten of fifty, the last of them just now",
        "nine of fifty-four",
        "nine of forty-five are too few to tell",
        "many, but long ago",
    ],
)
def test_five_refusals_in_a_row_or_a_fifth_of_the_last_fifty_stop_a_run(
    outcomes: Any, statuses: list[str], stops: bool
) -> None:
    assert bool(outcomes(*statuses).paused_reason) == stops


def test_doubt_is_no_refusal(outcomes: Any) -> None:
    run = outcomes(*[BAD] * 4, *[Status.UNKNOWN] * 3, BAD)

    assert run.paused_reason == "too_many_refusals"
    assert run.paused_details == {"refused": 5, "total": 5}


def test_refusals_before_the_last_resume_count_no_more(outcomes: Any) -> None:
    run = outcomes(*[BAD] * 5)
    assert mass_convert.resume(run_id=run.pk)

    row = run.rows.first()
    row.status = Status.RUNNING
    check_circuit_breaker([Move(row=row, to=Status.FAILED)])

    run.refresh_from_db()
    assert (run.paused_reason, run.paused_details) == ("", {})


def test_a_run_whose_leads_are_all_refused_stops_after_five(bench: Bench) -> None:
    leads = bench.leads(12)
    bench.refuse(*leads)
    run = bench.started(leads)

    bench.until(lambda: bool(bench.refreshed(run).paused_reason))
    for _turn in range(3):
        bench.work()

    assert bench.status_counts() == {Status.FAILED: 5, Status.READY: 7}
    assert len(bench.requested()) == 5
    assert run.stage == Stage.CONVERTING


def test_a_run_that_stopped_goes_on_one_by_one_when_a_person_resumes_it(bench: Bench) -> None:
    leads = bench.leads(12)
    bench.refuse(*leads)
    run = bench.started(leads)
    bench.until(lambda: bool(bench.refreshed(run).paused_reason))
    bench.zoho.heal()

    mass_convert.resume(run_id=run.pk)
    bench.until_ended(run)

    assert bench.status_counts() == {Status.FAILED: 5, Status.CONVERTED: 7}
    assert overlapping(bench.zoho.ledger()["calls"][5:10]) == 1


@pytest.mark.parametrize(("locked", "stops"), [(6, False), (12, True)])
def test_what_a_job_leaves_over_is_seen_beside_what_it_converted(
    bench: Bench, locked: int, stops: bool
) -> None:
    run = bench.started(bench.leads(55))
    bench.work_until(lambda: len(bench.sent()) == 5)
    for lead in list(bench.zoho.records["Leads"].values())[-locked:]:
        bench.zoho.change(lead, Locked__s=True)

    bench.until(lambda: bool(bench.refreshed(run).paused_reason or run.ended_at))

    assert bool(run.paused_reason) == stops
    assert run.jobs.count() == 1
    assert (run.paused_details.get("total") == 50) == stops
