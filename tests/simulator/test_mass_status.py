"""The status of a job: counts that grow with the clock, and faults that falsify them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.simulator.conftest import Caller
from tests.simulator.test_mass_convert import counts_of, leads_of


@pytest.fixture
def slow(start: Callable[..., Caller]) -> Caller:
    """Return a caller whose jobs take an hour a lead, so that they advance only by ``advance``."""
    return start(job_seconds_per_lead=3600, token_seconds=10**6)


def shown(caller: Caller, lead_ids: list[str]) -> int:
    """Return how many leads read as converted."""
    answer = caller.get("/Leads", fields="id", ids=",".join(lead_ids), converted="true")
    return len(answer.json()["data"]) if answer.content else 0


def test_a_job_advances_lead_by_lead(slow: Caller) -> None:
    lead_ids = leads_of(slow.simulator, 3)
    lead_ids[1] = slow.simulator.story("locked")
    job_id = slow.start_job(*lead_ids)

    seen = []
    for _ in range(4):
        seen.append(
            (slow.job(job_id)["Status"], *counts_of(slow.job(job_id)), shown(slow, lead_ids))
        )
        slow.simulator.advance(3600)

    assert seen == [
        ("scheduled", 0, 3, 0, 0),
        ("in progress", 1, 2, 0, 1),
        ("in progress", 1, 1, 1, 1),
        ("COMPLETED", 2, 0, 1, 2),
    ]


def test_a_job_of_which_nothing_was_converted_has_failed(slow: Caller) -> None:
    job_id = slow.start_job(slow.simulator.story("locked"), slow.simulator.story("converted"))

    slow.simulator.advance(7200)

    assert slow.job(job_id) == {
        "Status": "failed",
        "Total_Count": 2,
        "Converted_Count": 0,
        "Not_Converted_Count": 0,
        "Failed_Count": 2,
    }


def test_jobs_run_in_parallel(slow: Caller) -> None:
    first = slow.start_job(*leads_of(slow.simulator, 2))
    slow.simulator.advance(3600)
    second = slow.start_job(*leads_of(slow.simulator, 2))

    slow.simulator.advance(3600)

    assert counts_of(slow.job(first)) == (2, 0, 0)
    assert counts_of(slow.job(second)) == (1, 1, 0)


def test_a_finished_job_keeps_its_status(slow: Caller) -> None:
    job_id = slow.start_job(*leads_of(slow.simulator, 1))

    slow.simulator.advance(30 * 24 * 3600)
    slow.connect()

    assert counts_of(slow.job(job_id)) == (1, 0, 0)


@pytest.mark.parametrize(
    ("hours", "spellings"),
    [
        (0, ["scheduled", "SCHEDULED", "Scheduled", "scheduled"]),
        (1, ["in progress", "in_progress", "in progress", "in_progress"]),
        (2, ["COMPLETED", "Completed", "completed", "COMPLETED"]),
    ],
)
def test_one_status_is_spelled_in_turn_as_zohos_pages_do(
    slow: Caller, hours: int, spellings: list[str]
) -> None:
    job_id = slow.start_job(*leads_of(slow.simulator, 2))
    slow.simulator.advance(hours * 3600)

    assert [slow.job(job_id)["Status"] for _ in range(4)] == spellings


def test_a_failed_job_is_spelled_in_turn(slow: Caller) -> None:
    job_id = slow.start_job(slow.simulator.story("locked"))
    slow.simulator.advance(3600)

    assert [slow.job(job_id)["Status"] for _ in range(4)] == [
        "failed",
        "FAILED",
        "Failed",
        "failed",
    ]


def test_a_fault_makes_counts_inconsistent(slow: Caller) -> None:
    job_id = slow.start_job(*leads_of(slow.simulator, 12))
    slow.simulator.advance(12 * 3600)
    slow.simulator.fail("mass_status", "miscount", times=None)

    odd = slow.job(job_id)
    slow.simulator.heal()

    assert (odd["Total_Count"], odd["Converted_Count"]) == (2, 12)
    assert slow.job(job_id)["Total_Count"] == 12


def test_a_miscount_is_never_negative(slow: Caller) -> None:
    slow.simulator.fail("mass_status", "miscount")

    assert slow.job(slow.start_job(*leads_of(slow.simulator, 1)))["Total_Count"] == 0


def test_other_bodies_are_not_touched_by_a_miscount(slow: Caller) -> None:
    slow.simulator.fail("any", "miscount", times=None)

    assert slow.get("/org").json()["org"]
    assert slow.get("/Leads/77").status_code == 204


def test_a_job_can_read_as_completed_while_its_last_leads_are_open(slow: Caller) -> None:
    lead_ids = [*leads_of(slow.simulator, 2), slow.simulator.story("locked")]
    job_id = slow.start_job(*lead_ids)
    slow.simulator.advance(3600)
    slow.simulator.fail("mass_status", "early", seconds=7200)

    early = slow.job(job_id)

    assert early["Status"].lower() == "completed"
    assert counts_of(early) == (3, 0, 0)
    assert shown(slow, lead_ids) == 1
    slow.simulator.advance(7200)
    assert counts_of(slow.job(job_id)) == (2, 0, 1)
    assert shown(slow, lead_ids) == 2


def test_a_status_can_be_stale(slow: Caller) -> None:
    lead_ids = leads_of(slow.simulator, 2)
    job_id = slow.start_job(*lead_ids)
    slow.simulator.advance(7200)
    slow.simulator.fail("mass_status", "stale", seconds=3600)

    assert counts_of(slow.job(job_id)) == (1, 1, 0)
    assert shown(slow, lead_ids) == 2


def test_leads_can_read_as_open_after_their_job(slow: Caller) -> None:
    lead_ids = leads_of(slow.simulator, 2)
    job_id = slow.start_job(*lead_ids)
    slow.simulator.advance(7200)
    slow.simulator.fail("leads_list", "stale", seconds=1800)

    assert counts_of(slow.job(job_id)) == (2, 0, 0)
    assert [shown(slow, lead_ids) for _ in range(2)] == [1, 2]


@pytest.mark.parametrize(
    ("parameters", "status", "body"),
    [
        ({"do": "error_before", "status": 503}, 503, None),
        ({"do": "html"}, 502, None),
        ({"do": "empty"}, 204, None),
        ({"do": "empty", "body": {"data": []}}, 200, {"data": []}),
        ({"do": "throttle"}, 429, None),
    ],
)
def test_faults_apply_to_status_calls(
    slow: Caller, parameters: dict[str, Any], status: int, body: Any
) -> None:
    job_id = slow.start_job(*leads_of(slow.simulator, 1))
    slow.simulator.fail("mass_status", **parameters)

    answer = slow.get("/Leads/actions/mass_convert", job_id=job_id)

    assert answer.status_code == status
    assert body is None or answer.json() == body
    assert slow.job(job_id)["Total_Count"] == 1


def test_faults_on_status_calls_do_not_apply_to_the_post(slow: Caller) -> None:
    slow.simulator.fail("mass_convert", "close_before")
    answer = slow.get("/Leads/actions/mass_convert", job_id="77")
    assert answer.status_code == 400

    with pytest.raises(requests.ConnectionError):
        slow.mass_convert(*leads_of(slow.simulator, 1))

    assert slow.simulator.ledger()["conversions"] == []
