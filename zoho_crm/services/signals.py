"""Send the package's Django signals: after the commit, at least once, never in the work loop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import Model, QuerySet
from django.dispatch import Signal

from zoho_crm.models import Connection, ConnectionEvent, DbNow, LeadConversion, MassConversion
from zoho_crm.signals import connection_lost, lead_converted, mass_conversion_finished

logger = logging.getLogger(__name__)

#: Rows of one kind that one call of ``send_signals`` sends signals for.
MAX_ROWS_PER_SIGNAL = 500


def send_signals() -> int:
    """Send the signals that are not sent yet, at most 500 of each kind; return how many."""
    converted, lost, ended = (rows.order_by("pk")[:MAX_ROWS_PER_SIGNAL] for rows in _unsent())
    return (
        _send(lead_converted, LeadConversion, converted, lambda row: {"conversion": row})
        + _send(connection_lost, Connection, lost, lambda event: {"connection": event.connection})
        + _send(
            mass_conversion_finished, MassConversion, ended, lambda run: {"mass_conversion": run}
        )
    )


def has_unsent_signals() -> bool:
    """Return whether there are signals that are not sent yet."""
    return any(rows.exists() for rows in _unsent())


def _unsent() -> tuple[QuerySet[Any], ...]:
    """Return the rows whose signal is not sent yet, in the order of the three signals."""
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
    """Send a signal for each row and set ``announced_at``; a receiver's error is logged."""
    sent = 0
    for row in rows:
        answers = signal.send_robust(sender=sender, **arguments(row))
        for receiver, error in [pair for pair in answers if isinstance(pair[1], Exception)]:
            logger.error("%r failed at %s", receiver, row, exc_info=error)
        type(row).objects.filter(pk=row.pk).update(announced_at=DbNow())
        sent += 1
    return sent
