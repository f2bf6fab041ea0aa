"""
Workers and sweeps that are missing, judged by when each last touched a connection.

Where nothing is due, a worker has nothing to do and is not missing. All times are compared in the
database: the clock of a web host decides nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import BooleanField, Case, F, Q, QuerySet, When

from zoho_crm.conf import conf
from zoho_crm.models import Connection, from_now
from zoho_crm.services import work
from zoho_crm.types import ValueObject

#: Seconds that a row may be due before workers or sweeps count as missing.
GRACE_SECONDS = 30.0
#: Sweeps that may fail to come, and seconds that one may be late, before sweeps count as missing.
MAX_MISSED_SWEEPS = 3
MAX_SWEEP_DELAY_SECONDS = 5.0

BEAT_COMMAND = "celery -A <project> beat"


class MissingWorkers(ValueObject):
    """Which of worker and sweep are missing, and when each was last seen, if ever."""

    worker: bool
    sweep: bool
    worker_seen_at: datetime | None
    sweep_seen_at: datetime | None


def worker_command() -> str:
    """Return the command that starts a worker for our queue."""
    queue = conf().QUEUE
    return f"celery -A <project> worker -Q {queue}" if queue else "celery -A <project> worker"


def missing_workers(rows: QuerySet[Any]) -> MissingWorkers | None:
    """
    Return what is missing to act on these rows; ``None`` if none is overdue or nothing is missing.

    :param rows: of one connection, with ``due_at``, and none that a pause holds back
    """
    first = _with_missing(rows).first()
    return MissingWorkers(**first) if first and (first["worker"] or first["sweep"]) else None


def missing_anywhere(rows: QuerySet[Any]) -> MissingWorkers | None:
    """Return what is missing to act on any of these rows, of any connection; else ``None``."""
    first = _with_missing(rows).filter(Q(worker=True) | Q(sweep=True)).first()
    return MissingWorkers(**first) if first else None


def missing_workers_of(connection: Connection) -> MissingWorkers | None:
    """Return what is missing to act on any due row of a connection, or ``None``."""
    missing = (missing_workers(rows.filter(connection=connection)) for rows in work.queues())
    return next(filter(None, missing), None)


def connections_without_sweep() -> QuerySet[Connection]:
    """Return the active connections that several sweeps in a row have not reached."""
    since = from_now(-(MAX_MISSED_SWEEPS * conf().SWEEP_INTERVAL + MAX_SWEEP_DELAY_SECONDS))
    active = Connection.objects.filter(status=Connection.Status.ACTIVE, created_at__lte=since)
    return active.exclude(work__swept_at__gt=since)


def _with_missing(rows: QuerySet[Any]) -> QuerySet[Any, Any]:
    """Return the columns of ``MissingWorkers`` for the rows that are overdue."""
    last = "connection__work__"
    overdue = _overdue(rows).annotate(
        worker=_not_since(f"{last}seen_at", max(GRACE_SECONDS, conf().LEASE / 3)),
        sweep=_not_since(f"{last}swept_at", max(GRACE_SECONDS, 2 * conf().SWEEP_INTERVAL)),
        worker_seen_at=F(f"{last}seen_at"),
        sweep_seen_at=F(f"{last}swept_at"),
    )
    columns: QuerySet[Any, Any] = overdue.values(
        "worker", "sweep", "worker_seen_at", "sweep_seen_at"
    )
    return columns


def _overdue(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the rows that a worker should have acted on by now."""
    since = from_now(-GRACE_SECONDS)
    # Rows that were due long before a back-off are not overdue as soon as it ends.
    backoff = "connection__work__backoff_until"
    not_backing_off = Q(**{f"{backoff}__isnull": True}) | Q(**{f"{backoff}__lte": since})
    active = Connection.Status.ACTIVE
    return rows.filter(not_backing_off, due_at__lte=since, connection__status=active)


def _not_since(field: str, seconds: float) -> Case:
    """Return the boolean column that says whether a time is null or longer ago than this."""
    seen = When(**{f"{field}__gt": from_now(-seconds)}, then=False)
    return Case(seen, default=True, output_field=BooleanField())
