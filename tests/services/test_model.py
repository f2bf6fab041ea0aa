"""
Two readings of DESIGN §4 that check each other: ``model.py``, and the code that moves the rows.

The search in ``tests/protocol`` visits every state of one lead, with the decisions of the code;
here they are made a second time, and what is compared are rows and journal in the tables.
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
from tests.services.lives import Lives
from tests.services.model import TICK, TIMES
from tests.services.tables import Tables

LIVES = hypothesis_settings(
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
#: Lives of a few leads, the steps that must have been made in all of them together, and statuses
#: that must have been left for another or reached.
MET_SOON = {"NEW", "PREVIEWED", "READY", "RUNNING", "UNKNOWN", "CONVERTED"}
NUMBERS = [(12, 400, MET_SOON), pytest.param(108, 5000, set(ALLOWED_STEPS), marks=pytest.mark.long)]


@pytest.fixture(autouse=True)
def times(settings):
    settings.ZOHO_CRM = TIMES


@pytest.mark.django_db
@pytest.mark.parametrize(("lives", "steps", "statuses"), NUMBERS)
def test_the_tables_say_what_the_design_says_whatever_happens(olga, lives, steps, statuses):
    Lives.steps, Lives.met = 0, Counter()

    many = hypothesis_settings(LIVES, max_examples=lives)
    run_state_machine_as_test(partial(Lives, olga), settings=many)

    assert Lives.steps >= steps
    assert {status for step in Lives.met for status in step} >= statuses


# What the model found


@pytest.fixture
def claimed(db):
    """Make a lead that a worker has claimed and is about to send."""
    case = Case(Tables(), "1")
    for begin in (case.requested, case.looked_at, case.checked):
        begin()
    return case


def pass_time(case, seconds):
    case.tables.later(seconds)
    case.later(seconds, strikes=False)


def test_a_scheduled_lead_that_vanished_is_in_doubt_after_the_horizon(claimed):
    claimed.answered("scheduled")
    pass_time(claimed, TIMES["JOB_HORIZON"])

    claimed.truth.fate = "deleted"
    claimed.read_back("nothing")

    assert claimed.row.status == claimed.life.status == "UNKNOWN"


def test_a_bug_of_ours_does_not_shorten_the_time_that_a_scheduled_conversion_has(claimed):
    claimed.answered("scheduled")
    pass_time(claimed, TICK)

    claimed.met_a_bug()
    pass_time(claimed, TIMES["MASS_QUIET_PERIOD"])

    assert claimed.truth.restless > 0
    assert not claimed.row.is_conclusive


def test_a_lead_in_doubt_that_met_a_bug_is_not_sent_again_in_the_quiet_period(claimed, olga):
    claimed.lost("late")
    pass_time(claimed, TICK)
    claimed.met_a_bug()

    claimed.previewed_by(olga, "truth")

    assert claimed.truth.restless > 0
    assert claimed.row.status not in ("NEW", "PREVIEWED")
