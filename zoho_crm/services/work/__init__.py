"""
Act on the due rows of one connection: the tables are the queue, and one worker at a time works it.

Zoho limits the calls of an organisation, so concurrency lives where the limit lives: in the threads
of the one worker that holds the lease of the connection. Losing, repeating or re-ordering the
messages that wake workers changes nothing.
"""

from __future__ import annotations

import logging
import os
import socket
import uuid
from datetime import timedelta
from functools import reduce
from operator import or_
from threading import Event
from typing import Any

from django.db.models import Q, QuerySet, Subquery

from zoho_crm.conf import conf
from zoho_crm.models import (
    Connection,
    ConnectionWork,
    DbNow,
    LeadConversion,
    MassConversion,
    MassConversionJob,
)
from zoho_crm.services import lifecycle, mass_convert
from zoho_crm.services._zoho import outside_transaction
from zoho_crm.services.work._slice import Slice

logger = logging.getLogger(__name__)

#: Seconds within which two sweeps are as good as one.
SWEEPS_APART = 1.0


def work(*, connection_id: int, stop: Event | None = None) -> float | None:
    """
    Work a connection's due rows for one slice of time, unless somebody else does.

    :param stop: when set, no more work is begun, and what is in hand is brought to its end
    :return: seconds to the next due row, 0.0 for now; ``None`` if there is none or another holds
        the lease, who will see the new rows
    """
    outside_transaction()
    wait = _waiting_time(connection_id)
    if wait != 0.0:
        return wait
    lease = ConnectionWork.acquire(connection_id, owner=_me(), seconds=conf().LEASE)
    if lease is None:
        return None
    learnt: dict[str, object] = {}
    try:
        _give_up_orphans(connection_id)
        mass_convert.jobs.give_up_overdue(connection_id)
        learnt = Slice(lease, stop or Event()).run()
    finally:
        lease.release(**learnt)
    return _waiting_time(connection_id)


def _me() -> str:
    """Return who works here now, and never again under this name."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def come_back(*, connection_id: int, seconds: float) -> bool:
    """
    Whether a caller whose work is done should come back after so long.

    Of many messages that found nothing to do yet, one is enough to wait for it.
    """
    return ConnectionWork.schedule_wake_up(connection_id, seconds=seconds)


def end_backoff(*, connection_id: int) -> None:
    """Let a connection be worked at once: a person tested it, or connected it again."""
    ConnectionWork.objects.filter(pk=connection_id).update(
        backoff_until=None, backoff_reason="", backoff_kind=""
    )


def sweep() -> list[int]:
    """
    Return the ids of the connections to wake, and remember that a sweep came by.

    Of several sweeps at once, be they copies of one message, only one wakes a connection.
    """
    swept = ConnectionWork.sweep(apart=min(SWEEPS_APART, conf().SWEEP_INTERVAL / 4))
    return [pk for pk in connections_to_wake() if pk in swept] if swept else []


def connections_to_wake() -> list[int]:
    """Return the ids of the connections with something due that nobody works."""
    awake = (
        Connection.objects.filter(status=Connection.Status.ACTIVE)
        .exclude(work__lease_until__gt=DbNow())
        .exclude(work__backoff_until__gt=DbNow())
    )
    due = [rows.filter(due_at__lte=DbNow()).values("connection_id") for rows in queues()]
    return list(
        awake.filter(reduce(or_, (Q(pk__in=ids) for ids in due))).values_list("pk", flat=True)
    )


def queues() -> tuple[QuerySet[Any], ...]:
    """Return everything that becomes due."""
    return (
        LeadConversion.objects.workable(),
        MassConversion.objects.all(),
        MassConversionJob.objects.all(),
    )


def _waiting_time(connection_id: int) -> float | None:
    """Return the seconds until there is something to do: 0.0 for now, ``None`` for never."""
    firsts = [
        Subquery(
            rows.filter(connection=connection_id, due_at__isnull=False)
            .order_by("due_at")
            .values("due_at")[:1]
        )
        for rows in queues()
    ]
    active = Connection.objects.filter(pk=connection_id, status=Connection.Status.ACTIVE)
    for now, backoff, *due in active.values_list(DbNow(), "work__backoff_until", *firsts):
        if first := min(filter(None, due), default=None):
            wait: timedelta = max(first, backoff or first) - now
            return max(0.0, wait.total_seconds())
    return None


def _give_up_orphans(connection_id: int) -> None:
    """Rows left RUNNING by a worker whose lease is over are in doubt, never "run again"."""
    running = LeadConversion.objects.due().filter(
        connection_id=connection_id, status=LeadConversion.Status.RUNNING
    )
    orphans = LeadConversion.objects.move([lifecycle.orphaned(row) for row in running])
    for move in orphans:
        logger.warning("Conversion %s was left behind by its worker", move.row.pk)
