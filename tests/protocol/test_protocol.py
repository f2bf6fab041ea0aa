"""
An exhaustive search over the protocol by which one lead is converted.

Every order of events between the workers of a connection, its lease and Zoho is tried: crashes
at every point, workers frozen past their lease, answers lost before or after the effect, effects
that come late, reads that are stale, empty or fail, refusals, scheduled conversions, our own bugs,
and somebody else who converts the lead meanwhile. What becomes of the row is not modelled: it is
decided by the very functions of ``services`` that the work loop uses.
"""

from __future__ import annotations

import pytest
from django.test import override_settings

from tests.protocol.search import Found, search
from tests.protocol.world import TIMES, State, World

pytestmark = pytest.mark.slow

#: Workers of the connection: the search with two takes ten times as long.
WORKERS = [1, pytest.param(2, marks=pytest.mark.long)]


def searched(*, workers: int = 2, asks_before_sending: bool = True, **times: int) -> Found:
    with override_settings(ZOHO_CRM={**TIMES, **times}):
        return search(World(asks_before_sending=asks_before_sending), State.with_workers(workers))


@pytest.fixture(scope="module", params=WORKERS)
def everything(request: pytest.FixtureRequest) -> Found:
    """What one worker, or two, can reach with settings that fit how late Zoho can be."""
    return searched(workers=request.param)


def is_at_rest(state: State) -> bool:
    """Whether the row is proved, refused, for a person, or without a plan."""
    ends = {"CONVERTED", "FAILED", "NEEDS_REVIEW"}
    has_no_plan = state.row.status == "PREVIEWED" and state.row.verdict == "NOT_FOUND"
    return state.row.due_at is None and (state.row.status in ends or has_no_plan)


def is_wrongly_called_converted(state: State) -> bool:
    if state.row.status != "CONVERTED":
        return False
    truth, says = state.lead.fate, (state.row.converted_by, state.row.evidence)
    if truth == "us":
        return says not in {("us", "answer"), ("us", "read")}
    # Whoever converts a lead while an answer of ours is missing cannot be told from us.
    mistaken = says == ("us", "read") and state.row.in_doubt
    return truth == "open" or not (says == ("elsewhere", "read") or mistaken)


def is_wrongly_called_refused(state: State) -> bool:
    may_become_ours = state.lead.fate == "us" or state.call is not None
    return state.row.status == "FAILED" and may_become_ours


def test_nothing_is_sent_after_a_conversion_that_took_or_may_still_take_effect(everything):
    assert everything.unsafe is None, everything.story(everything.unsafe)


def test_from_everywhere_rest_is_reached_without_a_person(everything):
    ending = everything.reaching(is_at_rest)

    stuck = everything.first(lambda state: state not in ending)

    assert stuck is None, everything.story(stuck)


def test_converted_rows_are_true_and_say_by_whom(everything):
    wrong = everything.first(is_wrongly_called_converted)

    assert wrong is None, everything.story(wrong)


def test_refused_rows_were_not_converted_by_us(everything):
    wrong = everything.first(is_wrongly_called_refused)

    assert wrong is None, everything.story(wrong)


def test_every_status_of_a_lead_that_is_not_left_out_is_met(everything):
    met = {state.row.status for state in everything.states}

    assert met == {
        *("NEW", "PREVIEWED", "READY", "RUNNING", "SCHEDULED", "UNKNOWN"),
        *("CONVERTED", "FAILED", "NEEDS_REVIEW"),
    }, everything.story(None)


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize(
    "weakened",
    [
        {"QUIET_PERIOD": 0},
        {"MASS_QUIET_PERIOD": 0},
        {"NEGATIVE_READS": 1},
        {"asks_before_sending": False},
    ],
    ids=str,
)
def test_the_search_sees_what_each_guard_is_for(weakened, workers):
    found = searched(workers=workers, **weakened)

    assert found.unsafe is not None, found.story(None)
