"""
Who came by for what is due: when a worker, and a sweep, were last seen on a connection.

Where nothing is due, no worker has anything to do and none is missed; so something has to wait
before anybody is. Moments are compared by the database: the clock of a web host decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import BooleanField, Case, F, Q, QuerySet, When

from zoho_crm.conf import conf
from zoho_crm.models import Connection, from_now
from zoho_crm.services import work

#: Seconds that something due may wait before anybody is missed.
PATIENCE = 30.0
#: Sweeps that may fail to come, and seconds that a late one has, before sweeps are missed.
SWEEPS = 3
LATE = 5.0

BEAT = "celery -A <project> beat"


@dataclass(frozen=True, kw_only=True)
class Absence:
    """Who is missed, and when each was last seen, if ever."""

    worker: bool
    sweep: bool
    worker_seen_at: datetime | None
    sweep_seen_at: datetime | None


def worker_command() -> str:
    """Return what starts a worker that takes our messages."""
    queue = conf().QUEUE
    return f"celery -A <project> worker -Q {queue}" if queue else "celery -A <project> worker"


def absence(rows: QuerySet[Any]) -> Absence | None:
    """
    Return who is missed where these rows wait; ``None`` if none of them waits, or all came by.

    :param rows: of one connection, with ``due_at``, and none that a pause holds back
    """
    worked = "connection__work__"
    waiting = _waiting(rows).annotate(
        worker=_not_since(f"{worked}seen_at", max(PATIENCE, conf().LEASE / 3)),
        sweep=_not_since(f"{worked}swept_at", max(PATIENCE, 2 * conf().SWEEP_INTERVAL)),
        worker_seen_at=F(f"{worked}seen_at"),
        sweep_seen_at=F(f"{worked}swept_at"),
    )
    found = waiting.values("worker", "sweep", "worker_seen_at", "sweep_seen_at").first()
    return Absence(**found) if found and (found["worker"] or found["sweep"]) else None


def absence_on(connection: Connection) -> Absence | None:
    """Return who is missed on a connection, whatever waits there."""
    found = (absence(rows.filter(connection=connection)) for rows in work.queues())
    return next(filter(None, found), None)


def unswept() -> QuerySet[Connection]:
    """Return the active connections that no sweep came to, though it had the time to."""
    late = from_now(-(SWEEPS * conf().SWEEP_INTERVAL + LATE))
    active = Connection.objects.filter(status=Connection.Status.ACTIVE, created_at__lte=late)
    return active.exclude(work__swept_at__gt=late)


def _waiting(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return those that somebody should have worked by now, over a connection that can be."""
    since = from_now(-PATIENCE)
    # A waiting time that is just over leaves rows behind that were due long before.
    backoff = "connection__work__backoff_until"
    awake = Q(**{f"{backoff}__isnull": True}) | Q(**{f"{backoff}__lte": since})
    return rows.filter(awake, due_at__lte=since, connection__status=Connection.Status.ACTIVE)


def _not_since(field: str, seconds: float) -> Case:
    seen = When(**{f"{field}__gt": from_now(-seconds)}, then=False)
    return Case(seen, default=True, output_field=BooleanField())
