"""Who is missed where something waits, and who is not."""

from __future__ import annotations

from typing import Any

import pytest

from zoho_crm.models import Connection, ConnectionWork, LeadConversion, MassConversion, from_now
from zoho_crm.services import convert, heartbeat, work
from zoho_crm.services.heartbeat import missing_workers_of
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db

JUST_NOW = from_now(-1)
LONG_AGO = from_now(-600)
#: A little more than what waits is given.
PATIENTLY = from_now(-31)


@pytest.fixture
def row(connection: Connection, zoho: Simulator) -> LeadConversion:
    """A lead that waits to be read."""
    row = convert.request(
        connection_id=connection.pk, lead_id=zoho.story("no_match"), policy="careful"
    )
    return due(row, PATIENTLY)


def due(row: LeadConversion, at: Any, **more: Any) -> LeadConversion:
    LeadConversion.objects.filter(pk=row.pk).update(due_at=at, **more)
    return LeadConversion.objects.get(pk=row.pk)


def attend(connection: Connection, **moments: Any) -> None:
    ConnectionWork.objects.update_or_create(connection=connection, defaults=moments)


def missed(connection: Connection) -> set[str]:
    missing = missing_workers_of(connection)
    return {name for name in ("worker", "sweep") if missing and getattr(missing, name)}


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        ({}, {"worker", "sweep"}),
        ({"seen_at": LONG_AGO, "swept_at": LONG_AGO}, {"worker", "sweep"}),
        ({"seen_at": PATIENTLY, "swept_at": PATIENTLY}, {"worker", "sweep"}),
        ({"seen_at": JUST_NOW, "swept_at": LONG_AGO}, {"sweep"}),
        ({"seen_at": LONG_AGO, "swept_at": JUST_NOW}, {"worker"}),
        ({"seen_at": JUST_NOW, "swept_at": JUST_NOW}, set()),
    ],
)
def test_what_waits_misses_those_who_were_not_seen(
    connection: Connection, row: LeadConversion, moments: dict[str, Any], expected: set[str]
) -> None:
    attend(connection, **moments)

    assert missed(connection) == expected


def test_moments_are_told(connection: Connection, row: LeadConversion) -> None:
    attend(connection, seen_at=LONG_AGO)

    missing = missing_workers_of(connection)

    assert missing is not None
    assert missing.worker_seen_at == ConnectionWork.objects.get().seen_at
    assert missing.sweep_seen_at is None


@pytest.mark.parametrize("at", [None, from_now(60), from_now(-20)])
def test_nobody_is_missed_where_nothing_waits_long(
    connection: Connection, row: LeadConversion, at: Any
) -> None:
    due(row, at)

    assert missed(connection) == set()


@pytest.mark.parametrize("status", ["NEEDS_RECONNECT", "DISABLED"])
def test_nobody_is_missed_on_a_connection_that_cannot_be_worked(
    connection: Connection, row: LeadConversion, status: str
) -> None:
    Connection.objects.update(status=status)

    assert missed(connection) == set()


@pytest.mark.parametrize(
    ("backoff_until", "expected"),
    [(from_now(60), set()), (from_now(-5), set()), (PATIENTLY, {"worker", "sweep"})],
    ids=["waits", "waited until just now", "waited long ago"],
)
def test_after_a_waiting_time_workers_are_given_their_time(
    connection: Connection, row: LeadConversion, backoff_until: Any, expected: set[str]
) -> None:
    attend(connection, backoff_until=backoff_until)

    assert missed(connection) == expected


def test_what_a_pause_holds_back_misses_nobody(connection: Connection, row: LeadConversion) -> None:
    run = MassConversion.objects.create(
        connection=connection, stage="CONVERTING", paused_reason="Lunch.", policy={}
    )
    due(row, PATIENTLY, status="READY", mass_conversion=run)

    assert missed(connection) == set()


def test_a_run_that_waits_misses_them_too(connection: Connection) -> None:
    MassConversion.objects.create(
        connection=connection, stage="PREVIEWING", policy={}, due_at=PATIENTLY
    )

    assert missed(connection) == {"worker", "sweep"}


def test_those_who_came_by_are_not_missed(connection: Connection, row: LeadConversion) -> None:
    work.sweep()
    work.work(connection_id=connection.pk)
    due(row, PATIENTLY)

    assert missed(connection) == set()


def test_rare_sweeps_are_given_more_time(
    connection: Connection, row: LeadConversion, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "SWEEP_INTERVAL": 60}
    attend(connection, seen_at=JUST_NOW, swept_at=from_now(-100))

    assert missed(connection) == set()


@pytest.mark.parametrize(
    ("created_at", "swept_at", "expected"),
    [
        (JUST_NOW, None, False),
        (LONG_AGO, None, True),
        (LONG_AGO, LONG_AGO, True),
        (LONG_AGO, from_now(-45), False),
    ],
)
def test_sweeps_are_missed_where_nothing_waits(
    connection: Connection, created_at: Any, swept_at: Any, expected: bool
) -> None:
    Connection.objects.update(created_at=created_at)
    attend(connection, swept_at=swept_at)

    assert heartbeat.connections_without_sweep().exists() == expected


@pytest.mark.parametrize(
    ("queue", "command"),
    [("", "celery -A <project> worker"), ("zoho", "celery -A <project> worker -Q zoho")],
)
def test_a_worker_is_started_on_our_queue(settings: Any, queue: str, command: str) -> None:
    settings.ZOHO_CRM = {"QUEUE": queue}

    assert heartbeat.worker_command() == command
