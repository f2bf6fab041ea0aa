"""
Act on the due rows of a connection: its tables are the queue, one worker at a time holds its lease.

Zoho limits the concurrent calls of an organisation, so the calls of a connection run in the threads
of one worker. Celery messages only wake workers: losing, repeating or re-ordering them is harmless.
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

from django.db import close_old_connections
from django.db.models import Case, F, Q, QuerySet, Subquery, When

from zoho_crm.conf import conf
from zoho_crm.models import (
    Connection,
    ConnectionWork,
    LeadConversion,
    MassConversion,
    MassConversionJob,
    OutboxRecord,
)
from zoho_crm.models._database import DbNow
from zoho_crm.services import entered_clients, lifecycle, tokens
from zoho_crm.services._zoho import outside_transaction
from zoho_crm.services.outages import OUTAGE_ERRORS
from zoho_crm.services.outbox import _lifecycle as outbox_lifecycle

logger = logging.getLogger(__name__)

#: A sweep that comes sooner after another one wakes no connection.
MIN_SWEEP_INTERVAL_SECONDS = 1.0


def work(*, connection_id: int, stop: Event | None = None) -> float | None:
    """
    Act on a connection's due rows for at most ``SLICE`` seconds, if its lease is free.

    Where none is due, its access token is renewed if it was used lately and ends soon.

    :param stop: when set, no more calls are started, and pending ones are waited for
    :return: seconds to the next due row, 0.0 for now; ``None`` if there is none, or if the lease
        is not free: its worker will see the new rows
    """
    # Only a worker needs the loop and its steps; others ask what is due.
    from zoho_crm.services.work._loop import WorkLoop
    from zoho_crm.services.work._mass_jobs import give_up_overdue_jobs

    outside_transaction()
    if _seconds_until_due(connection_id) != 0.0:
        tokens.renew_if_used(connection_id=connection_id)
        return _seconds_until_due(connection_id)
    lease = ConnectionWork.acquire(connection_id, owner=_lease_owner(), seconds=conf().LEASE)
    if lease is None:
        return None
    columns: dict[str, Any] = {}
    try:
        _mark_orphans_unknown(connection_id)
        give_up_overdue_jobs(connection_id)
        columns = WorkLoop(lease, stop or Event()).run()
    except OUTAGE_ERRORS:
        close_old_connections()  # so that the lease is released on a new one
        raise
    finally:
        lease.release(**columns)
    return _seconds_until_due(connection_id)


def _lease_owner() -> str:
    """Return a new name for this worker: host, process id and a random part."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def schedule_wake_up(*, connection_id: int, seconds: float) -> bool:
    """
    Record that the caller wakes a worker after so many seconds.

    :return: whether it is to do so: not if another caller does it at the same time or earlier
    """
    return ConnectionWork.schedule_wake_up(connection_id, seconds=seconds)


def end_backoff(*, connection_id: int) -> None:
    """End the back-off of a connection, because a person tested it or connected it again."""
    rows = ConnectionWork.objects.filter(pk=connection_id)
    rows.update(**ConnectionWork.NO_BACKOFF, backoff_number=F("backoff_number") + 1)


def sweep() -> list[int]:
    """
    Record a sweep, and return the primary keys of the connections that need a worker.

    Of several sweeps at the same time only one returns a connection. Clients that were entered, and
    whose time is over, are deleted: nothing else may happen for long on a site.
    """
    entered_clients.delete_expired()
    swept = ConnectionWork.sweep(apart=min(MIN_SWEEP_INTERVAL_SECONDS, conf().SWEEP_INTERVAL / 4))
    return [pk for pk in connections_to_wake() if pk in swept] if swept else []


def connections_to_wake() -> list[int]:
    """
    Return the primary keys of the active connections that have work and no worker.

    Work is a due row, an organisation that is to be read again, or an access token to be renewed.
    """
    without_worker = (
        Connection.objects.filter(status=Connection.Status.ACTIVE)
        .exclude(work__lease_until__gt=DbNow())
        .exclude(work__backoff_until__gt=DbNow())
    )
    due = [rows.filter(due_at__lte=DbNow()).values("connection_id") for rows in queues()]
    reasons = [Q(pk__in=ids) for ids in [*due, tokens.connections_to_renew()]]
    has_work = reduce(or_, reasons, Q(organisation_due_at__lte=DbNow()))
    return list(without_worker.filter(has_work).values_list("pk", flat=True))


def queues() -> tuple[QuerySet[Any], ...]:
    """Return the querysets of all rows with ``due_at``, without those that are held back."""
    return (
        LeadConversion.objects.workable(),
        MassConversion.objects.all(),
        MassConversionJob.objects.all(),
        OutboxRecord.objects.workable(),
    )


def _seconds_until_due(connection_id: int) -> float | None:
    """
    Return the seconds until a row of a connection is due: 0.0 for now, ``None`` for never.

    An organisation that is to be read again counts if that is due now; a sweep finds it later.
    """
    organisation = Case(When(organisation_due_at__lte=DbNow(), then="organisation_due_at"))
    firsts = [
        Subquery(
            rows.filter(connection=connection_id, due_at__isnull=False)
            .order_by("due_at")
            .values("due_at")[:1]
        )
        for rows in queues()
    ]
    active = Connection.objects.filter(pk=connection_id, status=Connection.Status.ACTIVE)
    for now, backoff, *due in active.values_list(
        DbNow(), "work__backoff_until", organisation, *firsts
    ):
        if first := min(filter(None, due), default=None):
            wait: timedelta = max(first, backoff or first) - now
            return max(0.0, wait.total_seconds())
    return None


def _mark_orphans_unknown(connection_id: int) -> None:
    """Move rows that are RUNNING after the end of their worker's lease to UNKNOWN."""
    running = LeadConversion.objects.due().filter(
        connection_id=connection_id, status=LeadConversion.Status.RUNNING
    )
    orphans = LeadConversion.objects.move([lifecycle.orphaned(row) for row in running])
    for move in orphans:
        logger.warning("Conversion %s was left RUNNING by its worker", move.row.pk)
    pushed = OutboxRecord.objects.due().filter(
        connection_id=connection_id, status=OutboxRecord.Status.RUNNING
    )
    for made in OutboxRecord.objects.move([outbox_lifecycle.orphaned(row) for row in pushed]):
        logger.warning("The pushed record %s was left RUNNING by its worker", made.row.pk)
