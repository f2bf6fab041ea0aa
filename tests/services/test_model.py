"""
Compare the rows and the journal with ``model.py``, a second implementation of the life cycle.

The search in ``tests/protocol`` visits every state of one lead, but with the decisions of the code.
"""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from tests.chaos.checker import ALLOWED_STEPS
from tests.services.case import Case
from tests.services.model import TICK, TIMES
from tests.services.state_machine import LeadStateMachine
from tests.services.tables import Tables

pytestmark = pytest.mark.slow

MACHINE_SETTINGS = hypothesis_settings(
    stateful_step_count=50,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
#: The number of examples, the least number of events in all of them together, and the statuses
#: that must have been left or reached.
FREQUENT_STATUSES = {"NEW", "PREVIEWED", "READY", "RUNNING", "UNKNOWN", "CONVERTED"}
NUMBERS = [
    (12, 400, FREQUENT_STATUSES),
    pytest.param(108, 5000, set(ALLOWED_STEPS), marks=pytest.mark.long),
]


@pytest.fixture(autouse=True)
def times(settings):
    settings.ZOHO_CRM = TIMES


@pytest.mark.django_db
@pytest.mark.parametrize(("examples", "events", "statuses"), NUMBERS)
def test_the_tables_are_as_the_model_expects_after_any_events(olga, examples, events, statuses):
    LeadStateMachine.event_count, LeadStateMachine.transitions = 0, Counter()

    many = hypothesis_settings(MACHINE_SETTINGS, max_examples=examples)
    run_state_machine_as_test(partial(LeadStateMachine, olga), settings=many)

    assert LeadStateMachine.event_count >= events
    assert {status for pair in LeadStateMachine.transitions for status in pair} >= statuses


# Errors that the model found


@pytest.fixture
def claimed(db):
    """A lead that a worker has claimed and not sent yet."""
    case = Case(Tables(), "1")
    for begin in (case.requested, case.previewed_by_worker, case.read_before_sending):
        begin()
    return case


def pass_time(case, seconds):
    case.tables.later(seconds)
    case.later(seconds, takes_effect=False)


def test_a_scheduled_lead_that_vanished_is_in_doubt_after_the_horizon(claimed):
    claimed.answered("scheduled")
    pass_time(claimed, TIMES["JOB_HORIZON"])

    claimed.truth.state = "deleted"
    claimed.read_back("nothing")

    assert claimed.row.status == claimed.expected.status == "UNKNOWN"


def test_a_bug_of_ours_does_not_shorten_the_time_that_a_scheduled_conversion_has(claimed):
    claimed.answered("scheduled")
    pass_time(claimed, TICK)

    claimed.internal_error()
    pass_time(claimed, TIMES["MASS_QUIET_PERIOD"])

    assert claimed.truth.may_act_seconds > 0
    assert not claimed.row.is_conclusive


def test_a_lead_in_doubt_that_met_a_bug_is_not_sent_again_in_the_quiet_period(claimed, olga):
    claimed.answer_lost("late")
    pass_time(claimed, TICK)
    claimed.internal_error()

    claimed.previewed_by(olga, "truth")

    assert claimed.truth.may_act_seconds > 0
    assert claimed.row.status not in ("NEW", "PREVIEWED")
