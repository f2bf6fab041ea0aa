"""
Send the package's Django signals: after the commit, at least once, never in the work loop.

Several processes send signals at the same time. Each claims a row before it sends the row's signal,
with a lease, so that another process sends it if this one dies.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.db.models import Model, Q, QuerySet
from django.dispatch import Signal

from zoho_crm.conf import conf
from zoho_crm.models import (
    Connection,
    ConnectionEvent,
    LeadConversion,
    MassConversion,
    OutboxRecord,
    from_now,
)
from zoho_crm.models._database import DbNow
from zoho_crm.signals import (
    connection_lost,
    lead_converted,
    mass_conversion_finished,
    record_pushed,
    record_refused,
)

logger = logging.getLogger(__name__)

#: Rows of one kind that one call of ``send_signals`` sends signals for.
MAX_ROWS_PER_SIGNAL = 500


def send_signals() -> int:
    """Send the signals that nobody has sent or is sending, at most 500 a kind; return how many."""
    converted, lost, ended, pushed, refused = _unsent()
    return (
        _send(lead_converted, LeadConversion, converted, lambda row: {"conversion": row})
        + _send(connection_lost, Connection, lost, lambda event: {"connection": event.connection})
        + _send(
            mass_conversion_finished, MassConversion, ended, lambda run: {"mass_conversion": run}
        )
        + _send(record_pushed, OutboxRecord, pushed, lambda row: {"record": row})
        + _send(record_refused, OutboxRecord, refused, lambda row: {"record": row})
    )


def has_unsent_signals() -> bool:
    """Return whether there are signals that nobody has sent or is sending."""
    return any(rows.exists() for rows in _unsent())


def _unsent() -> tuple[QuerySet[Any], ...]:
    """Return the rows whose signal nobody has sent or is sending, in the order of the signals."""
    unsent = Q(announced_at=None)
    unsent &= Q(signal_lease_until=None) | Q(signal_lease_until__lte=DbNow())
    lost = ConnectionEvent.objects.filter(unsent, kind=ConnectionEvent.Kind.LOST)
    return (
        LeadConversion.objects.filter(unsent, status=LeadConversion.Status.CONVERTED),
        lost.select_related("connection"),
        MassConversion.objects.filter(unsent, ended_at__isnull=False),
        OutboxRecord.objects.sent().filter(unsent),
        OutboxRecord.objects.refused().filter(unsent),
    )


def _send(
    signal: Signal,
    sender: type[Model],
    unsent: QuerySet[Any],
    arguments: Callable[[Any], dict[str, Any]],
) -> int:
    """Claim each row, send its signal and set ``announced_at``; a receiver's error is logged."""
    sent = 0
    for row in unsent.order_by("pk")[:MAX_ROWS_PER_SIGNAL]:
        if not unsent.filter(pk=row.pk).update(signal_lease_until=from_now(conf().LEASE)):
            continue
        answers = signal.send_robust(sender=sender, **arguments(row))
        for receiver, error in [pair for pair in answers if isinstance(pair[1], Exception)]:
            logger.error("%r failed at %s", receiver, row, exc_info=error)
        # A row that was reopened meanwhile has no lease, and another signal will be due for it.
        claimed = type(row).objects.filter(pk=row.pk, signal_lease_until__isnull=False)
        claimed.update(announced_at=DbNow(), signal_lease_until=None)
        sent += 1
    return sent
