"""Who works a connection now, how fast, and why perhaps not at all."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from zoho_crm.models._connection import Connection
from zoho_crm.models._time import DbNow, from_now


class ConnectionWork(models.Model):
    """The lease and the limits of one connection's worker; written by the work service only."""

    class BackoffKind(models.TextChoices):
        """Who can end a waiting time."""

        LIMIT = "limit", _("a limit of Zoho's")
        PERSON = "person", _("a person has to act")
        SILENCE = "silence", _("Zoho does not answer")

    connection = models.OneToOneField(
        Connection, models.CASCADE, primary_key=True, related_name="work"
    )
    #: Host, process and a mark of its own, as in ``crm-2:4711:9f86d081``.
    lease_owner = models.CharField(max_length=100, blank=True)
    #: Grows with every owner: the fence against one who comes back late.
    lease_number = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    #: Calls in flight at most, as learnt; and whether Zoho ever said "too many".
    limit = models.FloatField(_("limit"), default=2)
    limit_met = models.BooleanField(default=False)
    backoff_until = models.DateTimeField(_("waiting until"), null=True)
    backoff_reason = models.CharField(_("why"), max_length=200, blank=True)
    backoff_kind = models.CharField(max_length=10, choices=BackoffKind, blank=True, editable=False)
    credits_remaining = models.BigIntegerField(_("credits remaining"), null=True)
    #: When somebody comes back to work it, so that not everybody does.
    wake_at = models.DateTimeField(null=True)
    #: When a worker last looked, and when a sweep came by.
    seen_at = models.DateTimeField(_("worker seen"), null=True)
    swept_at = models.DateTimeField(_("sweep seen"), null=True)

    class Meta:
        verbose_name = _("work on a connection")
        verbose_name_plural = _("work on connections")

    def __str__(self) -> str:
        return str(self.connection)

    # Mutators

    @classmethod
    def acquire(cls, connection_id: int, *, owner: str, seconds: float) -> ConnectionWork | None:
        """Return the work of a connection if nobody else has it, now mine for so long."""
        cls.objects.get_or_create(connection_id=connection_id)
        rows = cls.objects.filter(pk=connection_id)
        free = Q(lease_until=None) | Q(lease_until__lte=DbNow())
        taken = rows.filter(free).update(
            lease_owner=owner,
            lease_number=models.F("lease_number") + 1,
            lease_until=from_now(seconds),
            seen_at=DbNow(),
        )
        return rows.select_related("connection").get(lease_owner=owner) if taken else None

    @classmethod
    def schedule_wake_up(cls, connection_id: int, *, seconds: float) -> bool:
        """Whether the caller should come back after so long: nobody else does so earlier."""
        nobody = Q(wake_at=None) | Q(wake_at__lte=DbNow()) | Q(wake_at__gt=from_now(seconds))
        rows = cls.objects.filter(nobody, pk=connection_id)
        return bool(rows.update(wake_at=from_now(seconds)))

    @classmethod
    def sweep(cls, *, apart: float) -> list[int]:
        """Note that a sweep came by; return the connections that none had come to for so long."""
        new = [
            ConnectionWork(connection=connection)
            for connection in Connection.objects.filter(work=None)
        ]
        ConnectionWork.objects.bulk_create(new, ignore_conflicts=True)
        unswept = cls.objects.filter(Q(swept_at=None) | Q(swept_at__lte=from_now(-apart)))
        return [
            row.pk for row in list(unswept) if unswept.filter(pk=row.pk).update(swept_at=DbNow())
        ]

    def renew(self, *, seconds: float) -> bool:
        """Whether it is still mine, and now for so long."""
        return bool(self.held().update(lease_until=from_now(seconds), seen_at=DbNow()))

    def release(self, **learnt: Any) -> None:
        """Let the next one work it, with what was learnt."""
        self.held().update(lease_owner="", lease_until=None, seen_at=DbNow(), **learnt)

    # Queries

    def held(self, *, for_seconds: float = 0) -> models.QuerySet[ConnectionWork]:
        """Return this row while its lease is mine and lasts for so long."""
        return ConnectionWork.objects.filter(
            pk=self.pk,
            lease_owner=self.lease_owner,
            lease_number=self.lease_number,
            lease_until__gt=from_now(for_seconds),
        )
