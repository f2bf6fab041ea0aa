"""Tell the host project what happened: after the fact, at least once, never in the work loop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import Model, QuerySet
from django.dispatch import Signal

from zoho_crm.models import Connection, ConnectionEvent, DbNow, LeadConversion, MassConversion
from zoho_crm.signals import connection_lost, lead_converted, mass_conversion_finished

logger = logging.getLogger(__name__)

MOST = 500


def announce() -> int:
    """Send the signals that are still to be sent, up to some hundreds; return how many."""
    converted, lost, ended = (rows.order_by("pk")[:MOST] for rows in _unannounced())
    return (
        _send(lead_converted, LeadConversion, converted, lambda row: {"conversion": row})
        + _send(connection_lost, Connection, lost, lambda event: {"connection": event.connection})
        + _send(
            mass_conversion_finished, MassConversion, ended, lambda run: {"mass_conversion": run}
        )
    )


def is_due() -> bool:
    """Whether there is something to announce."""
    return any(rows.exists() for rows in _unannounced())


def _unannounced() -> tuple[QuerySet[Any], ...]:
    return (
        LeadConversion.objects.filter(status=LeadConversion.Status.CONVERTED, announced_at=None),
        ConnectionEvent.objects.filter(
            kind=ConnectionEvent.Kind.LOST, announced_at=None
        ).select_related("connection"),
        MassConversion.objects.filter(ended_at__isnull=False, announced_at=None),
    )


def _send(
    signal: Signal,
    sender: type[Model],
    rows: Iterable[Any],
    arguments: Callable[[Any], dict[str, Any]],
) -> int:
    sent = 0
    for row in rows:
        answers = signal.send_robust(sender=sender, **arguments(row))
        for receiver, error in [pair for pair in answers if isinstance(pair[1], Exception)]:
            logger.error("%r failed at %s", receiver, row, exc_info=error)
        type(row).objects.filter(pk=row.pk).update(announced_at=DbNow())
        sent += 1
    return sent
