"""
The Celery tasks: each calls one service and may be lost or repeated without harm.

A task that meets an outage of the database is tried again some times.
"""

from __future__ import annotations

from typing import Any

from celery import Task, shared_task
from django.db import close_old_connections, transaction

from zoho_crm.conf import conf
from zoho_crm.models import MassConversion, database
from zoho_crm.services import broker, connections, convert, signals, work
from zoho_crm.services.outages import OUTAGE_ERRORS


class DatabaseTask(Task):  # type: ignore[type-arg]
    """A task that begins without broken database connections, and is retried after an outage."""

    autoretry_for = OUTAGE_ERRORS
    retry_backoff = True
    max_retries = 5

    def before_start(self, *_task: Any) -> None:
        """Close what the database has cut; Celery does it only where it finds Django's settings."""
        if not self.request.is_eager:
            close_old_connections()


@shared_task(base=DatabaseTask)
def convert_lead(
    *, lead_id: str, connection_id: int | None = None, policy: str = "careful", **_newer: Any
) -> dict[str, Any]:
    """
    Convert a lead if the policy decides it, over the default connection if none is named.

    A lead that the policy leaves to a person stays ``PREVIEWED``.

    :return: ``{"conversion_id", "status"}``, the status at this moment
    """
    if connection_id is None:
        connection_id = connections.default_connection().pk
    row = convert.request(connection_id=connection_id, lead_id=lead_id, policy=policy)
    wake(connection_id)
    return {"conversion_id": row.pk, "status": row.status}


@shared_task(base=DatabaseTask)
def mass_convert(*, mass_conversion_id: int, **_newer: Any) -> dict[str, Any]:
    """
    Queue a mass conversion's connection for work; a run that waits for a person stays as it is.

    :return: ``{"mass_conversion_id", "stage"}``, the stage at this moment
    """
    run = MassConversion.objects.get(pk=mass_conversion_id)
    wake(run.connection_id)
    return {"mass_conversion_id": run.pk, "stage": run.stage}


@shared_task(base=DatabaseTask, ignore_result=True)
def work_connection(*, connection_id: int, **_newer: Any) -> None:
    """Act on the due rows of one connection, and enqueue this task again for the next due row."""
    wait = work.work(connection_id=connection_id)
    if signals.has_unsent_signals():
        broker.send(send_signals.apply_async, **_queue())
    if wait is not None and work.schedule_wake_up(connection_id=connection_id, seconds=wait):
        wake(connection_id, countdown=wait)


@shared_task(base=DatabaseTask, ignore_result=True)
def sweep(**_newer: Any) -> None:
    """Enqueue work for every connection that needs a worker and has none."""
    for connection_id in work.sweep():
        wake(connection_id)


@shared_task(base=DatabaseTask, ignore_result=True)
def send_signals(**_newer: Any) -> None:
    """Send the Django signals that are not sent yet."""
    signals.send_signals()


def wake(connection_id: int, countdown: float = 0) -> None:
    """
    Enqueue work for a connection after the commit, to start in so many seconds.

    If the broker does not take the message in time, that is logged, and the next sweep finds the
    due rows.
    """
    options = _queue() | ({"countdown": countdown} if countdown else {})

    def send() -> None:  # not a partial function: Django logs the name of one that fails
        kwargs = {"connection_id": connection_id}
        broker.send(work_connection.apply_async, kwargs=kwargs, **options)

    transaction.on_commit(send, using=database(), robust=True)


def _queue() -> dict[str, Any]:
    return {"queue": conf().QUEUE} if conf().QUEUE else {}
