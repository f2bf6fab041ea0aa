"""Kills come by progress, spread over the whole run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.chaos.kill_schedule import RESERVE, KillSchedule


@pytest.fixture
def now() -> list[float]:
    """Return a clock's time, to be set."""
    return [0.0]


@pytest.fixture
def schedule(now: list[float]) -> Callable[..., KillSchedule]:
    def build(kills: int, *, leads: int) -> KillSchedule:
        names = [f"kill {number}" for number in range(kills)]
        return KillSchedule(names, leads=leads, max_seconds=9, clock=lambda: now[0])

    return build


def test_the_next_kill_is_due_when_its_part_of_the_leads_came_to_rest(
    schedule: Callable[..., KillSchedule],
) -> None:
    kills = schedule(2, leads=10 * (2 + RESERVE))

    assert kills.take(at_rest=9) is None
    assert kills.take(at_rest=10) == "kill 0"
    kills.wait(at_rest=10)
    assert kills.take(at_rest=19) is None
    assert kills.take(at_rest=20) == "kill 1"
    assert kills.take(at_rest=50) is None


def test_without_progress_it_is_due_after_the_given_time(
    schedule: Callable[..., KillSchedule], now: list[float]
) -> None:
    kills = schedule(1, leads=100)

    now[0] = 8.9
    assert kills.take(at_rest=0) is None
    now[0] = 9.0
    assert kills.take(at_rest=0) == "kill 0"


def test_what_comes_to_rest_during_a_kill_puts_off_the_next_so_that_all_are_spread(
    schedule: Callable[..., KillSchedule],
) -> None:
    kills = schedule(2, leads=100)
    kills.take(at_rest=20)

    kills.wait(at_rest=60)

    assert kills.take(at_rest=69) is None
    assert kills.take(at_rest=70) == "kill 1"


@pytest.mark.parametrize(("kills", "leads"), [(46, 2000), (12, 250), (3, 200)])
def test_all_kills_are_due_while_work_is_left(
    schedule: Callable[..., KillSchedule], kills: int, leads: int
) -> None:
    plan = schedule(kills, leads=leads)
    when = []
    for at_rest in range(leads):
        if plan.take(at_rest=at_rest):
            when.append(at_rest)
            plan.wait(at_rest=at_rest)

    assert len(when) == kills
    assert when[-1] < leads * (1 - 1 / (kills + RESERVE))


def test_a_kill_that_found_nobody_comes_again_at_the_end(
    schedule: Callable[..., KillSchedule],
) -> None:
    kills = schedule(2, leads=0)

    missed = kills.take(at_rest=0)
    assert missed
    kills.put_back(missed)

    assert [kills.take(at_rest=0), kills.take(at_rest=0)] == ["kill 1", "kill 0"]
