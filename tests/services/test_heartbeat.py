"""Which of worker and sweep are missing on a connection."""

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
#: A little longer ago than ``GRACE_SECONDS``.
OVERDUE = from_now(-31)


@pytest.fixture
def row(connection: Connection, zoho: Simulator) -> LeadConversion:
    """A NEW row that is overdue."""
    row = convert.request(
        connection_id=connection.pk, lead_id=zoho.story("no_match"), policy="careful"
    )
    return due(row, OVERDUE)


def due(row: LeadConversion, at: Any, **more: Any) -> LeadConversion:
    LeadConversion.objects.filter(pk=row.pk).update(due_at=at, **more)
    return LeadConversion.objects.get(pk=row.pk)


def set_heartbeats(connection: Connection, **moments: Any) -> None:
    ConnectionWork.objects.update_or_create(connection=connection, defaults=moments)


def missing(connection: Connection) -> set[str]:
    found = missing_workers_of(connection)
    return {name for name in ("worker", "sweep") if found and getattr(found, name)}


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        ({}, {"worker", "sweep"}),
        ({"seen_at": LONG_AGO, "swept_at": LONG_AGO}, {"worker", "sweep"}),
        ({"seen_at": OVERDUE, "swept_at": OVERDUE}, {"worker", "sweep"}),
        ({"seen_at": JUST_NOW, "swept_at": LONG_AGO}, {"sweep"}),
        ({"seen_at": LONG_AGO, "swept_at": JUST_NOW}, {"worker"}),
        ({"seen_at": JUST_NOW, "swept_at": JUST_NOW}, set()),
    ],
)
def test_workers_and_sweeps_not_seen_since_rows_are_overdue_are_missing(
    connection: Connection, row: LeadConversion, moments: dict[str, Any], expected: set[str]
) -> None:
    set_heartbeats(connection, **moments)

    assert missing(connection) == expected


def test_the_last_heartbeats_are_returned(connection: Connection, row: LeadConversion) -> None:
    set_heartbeats(connection, seen_at=LONG_AGO)

    found = missing_workers_of(connection)

    assert found is not None
    assert found.worker_seen_at == ConnectionWork.objects.get().seen_at
    assert found.sweep_seen_at is None


@pytest.mark.parametrize("at", [None, from_now(60), from_now(-20)])
def test_nothing_is_missing_without_overdue_rows(
    connection: Connection, row: LeadConversion, at: Any
) -> None:
    due(row, at)

    assert missing(connection) == set()


@pytest.mark.parametrize("status", ["NEEDS_RECONNECT", "DISABLED"])
def test_nothing_is_missing_on_an_inactive_connection(
    connection: Connection, row: LeadConversion, status: str
) -> None:
    Connection.objects.update(status=status)

    assert missing(connection) == set()


@pytest.mark.parametrize(
    ("backoff_until", "expected"),
    [(from_now(60), set()), (from_now(-5), set()), (OVERDUE, {"worker", "sweep"})],
    ids=["backing off", "ended just now", "ended long ago"],
)
def test_workers_have_some_time_after_a_back_off(
    connection: Connection, row: LeadConversion, backoff_until: Any, expected: set[str]
) -> None:
    set_heartbeats(connection, backoff_until=backoff_until)

    assert missing(connection) == expected


def test_nothing_is_missing_for_rows_of_a_paused_run(
    connection: Connection, row: LeadConversion
) -> None:
    run = MassConversion.objects.create(
        connection=connection, stage="CONVERTING", paused_reason="paused", policy={}
    )
    due(row, OVERDUE, status="READY", mass_conversion=run)

    assert missing(connection) == set()


def test_workers_are_missing_for_an_overdue_run(connection: Connection) -> None:
    MassConversion.objects.create(
        connection=connection, stage="PREVIEWING", policy={}, due_at=OVERDUE
    )

    assert missing(connection) == {"worker", "sweep"}


@pytest.mark.slow
def test_a_worker_and_a_sweep_that_ran_are_not_missing(
    connection: Connection, row: LeadConversion
) -> None:
    work.sweep()
    work.work(connection_id=connection.pk)
    due(row, OVERDUE)

    assert missing(connection) == set()


def test_a_long_sweep_interval_gives_sweeps_more_time(
    connection: Connection, row: LeadConversion, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "SWEEP_INTERVAL": 60}
    set_heartbeats(connection, seen_at=JUST_NOW, swept_at=from_now(-100))

    assert missing(connection) == set()


@pytest.mark.parametrize(
    ("created_at", "swept_at", "expected"),
    [
        (JUST_NOW, None, False),
        (LONG_AGO, None, True),
        (LONG_AGO, LONG_AGO, True),
        (LONG_AGO, from_now(-45), False),
    ],
)
def test_connections_without_sweep_are_found_without_due_rows(
    connection: Connection, created_at: Any, swept_at: Any, expected: bool
) -> None:
    Connection.objects.update(created_at=created_at)
    set_heartbeats(connection, swept_at=swept_at)

    assert heartbeat.connections_without_sweep().exists() == expected


@pytest.mark.parametrize(
    ("queue", "command"),
    [("", "celery -A <project> worker"), ("zoho", "celery -A <project> worker -Q zoho")],
)
def test_the_worker_command_names_our_queue(settings: Any, queue: str, command: str) -> None:
    settings.ZOHO_CRM = {"QUEUE": queue}

    assert heartbeat.worker_command() == command
