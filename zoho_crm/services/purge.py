"""Delete data whose retention period is over: snapshots, journal details, old events."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q, QuerySet

from zoho_crm.conf import conf
from zoho_crm.models import (
    ApiUsage,
    AuthorizationRequest,
    ConnectionEvent,
    DbNow,
    LeadConversion,
    LeadConversionEvent,
    MassConversion,
    from_now,
)

Status = LeadConversion.Status
FINISHED = (Status.CONVERTED, Status.FAILED, Status.SKIPPED)


@dataclass(frozen=True, kw_only=True)
class Purge:
    """How many rows of each kind are purged, or would be."""

    before_images: int
    journal_details: int
    events: int
    usage: int
    requests: int


def purge(*, days: float | None = None, execute: bool = False) -> Purge:
    """
    Delete, or only count, what is older than so many days, by default ``RETENTION_DAYS``.

    The row of a lead, its outcome and the steps of its journal are never deleted.
    """
    age = from_now(-86_400 * (conf().RETENTION_DAYS if days is None else days))
    # SKIPPED rows have no ``finished_at``.
    old_enough = Q(finished_at__lt=age) | Q(finished_at=None, previewed_at__lt=age)
    finished = LeadConversion.objects.filter(old_enough, status__in=FINISHED)
    finished = finished.exclude(mass_conversion__stage__in=MassConversion.OPEN_STAGES)
    images = finished.filter(Q(lead_snapshot__isnull=False) | Q(options_snapshot__isnull=False))
    journal = LeadConversionEvent.objects.filter(conversion__in=finished).exclude(details={})
    old: tuple[QuerySet[ConnectionEvent], QuerySet[ApiUsage]] = (
        ConnectionEvent.objects.filter(at__lt=age).exclude(
            kind=ConnectionEvent.Kind.LOST, announced_at=None
        ),
        ApiUsage.objects.filter(hour__lt=age),
    )
    requests = AuthorizationRequest.objects.filter(expires_at__lt=DbNow())
    found = Purge(
        before_images=images.count(),
        journal_details=journal.count(),
        events=old[0].count(),
        usage=old[1].count(),
        requests=requests.count(),
    )
    if execute:
        journal.update(details={})
        images.update(lead_snapshot=None, options_snapshot=None)
        for rows in (*old, requests):
            rows.delete()
    return found
