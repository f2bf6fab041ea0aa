"""The work on a connection: the lease, the limit and the back-off of its worker, and its calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from zoho_crm.models._connection import Connection
from zoho_crm.models._database import DbNow, PrimaryModel, from_now


class ConnectionWork(PrimaryModel):
    """The lease, concurrency limit, back-off and heartbeats of one connection: one row for each."""

    class BackoffKind(models.TextChoices):
        """What a back-off waits for."""

        LIMIT = "limit", _("a limit of Zoho's")
        PERSON = "person", _("a person has to act")
        SILENCE = "silence", _("Zoho does not answer")

    #: The columns of a connection that does not back off.
    NO_BACKOFF: ClassVar[Mapping[str, Any]] = {
        "backoff_until": None,
        "backoff_reason": "",
        "backoff_details": {},
        "backoff_kind": "",
    }

    connection = models.OneToOneField(
        Connection, models.CASCADE, primary_key=True, related_name="work"
    )
    #: Host, process id and a random part, as in ``crm-2:4711:9f86d081``.
    lease_owner = models.CharField(max_length=100, blank=True)
    #: Fencing token: grows with every lease, so that a worker whose lease has ended writes nothing.
    lease_number = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    #: Calls in flight at most, as adapted so far; whether Zoho ever refused a call as too many.
    limit = models.FloatField(_("limit"), default=2)
    limit_met = models.BooleanField(default=False)
    backoff_until = models.DateTimeField(_("waiting until"), null=True)
    #: A code, empty if there is no back-off, and the values of the code's sentence.
    backoff_reason = models.CharField(_("why"), max_length=50, blank=True)
    backoff_details = models.JSONField(default=dict, blank=True, editable=False)
    backoff_kind = models.CharField(max_length=10, choices=BackoffKind, blank=True, editable=False)
    #: Grows when a person ends a back-off: what a worker learnt before does not bring it back.
    backoff_number = models.PositiveIntegerField(default=0, editable=False)
    credits_remaining = models.BigIntegerField(_("credits remaining"), null=True)
    #: When the next worker is to be started, so that only one message is sent for it.
    wake_at = models.DateTimeField(null=True)
    #: Heartbeats: when a worker last had the lease, and when the last sweep ran.
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
        """
        Acquire the lease of a connection, and return its row; ``None`` if another worker has it.

        :param owner: a name that is never used again
        :param seconds: duration of the lease, from now
        """
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
        """
        Record that the caller starts a worker in so many seconds; return whether it should.

        It should not if another start is recorded for the same time or earlier.
        """
        none_earlier = Q(wake_at=None) | Q(wake_at__lte=DbNow()) | Q(wake_at__gt=from_now(seconds))
        rows = cls.objects.filter(none_earlier, pk=connection_id)
        return bool(rows.update(wake_at=from_now(seconds)))

    @classmethod
    def sweep(cls, *, apart: float) -> list[int]:
        """
        Record a sweep; return the ids of the connections whose last sweep is longer ago.

        :param apart: seconds since the last sweep, at least
        """
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
        """Extend the lease to so many seconds from now; return whether it was still held."""
        return bool(self.held().update(lease_until=from_now(seconds), seen_at=DbNow()))

    def release(self, *, backoff: Mapping[str, Any] | None = None, **columns: Any) -> None:
        """
        End the lease, if it is still held, and write these columns for the next worker.

        :param backoff: the columns of the back-off; not written if a person ended the back-off
            after this row was read
        """
        if backoff:
            self.held().filter(backoff_number=self.backoff_number).update(**backoff)
        self.held().update(lease_owner="", lease_until=None, seen_at=DbNow(), **columns)

    # Queries

    def held(self, *, for_seconds: float = 0) -> models.QuerySet[ConnectionWork]:
        """Return a queryset of this row; empty unless its lease is held for so many seconds."""
        return ConnectionWork.objects.filter(
            pk=self.pk,
            lease_owner=self.lease_owner,
            lease_number=self.lease_number,
            lease_until__gt=from_now(for_seconds),
        )


class ApiUsage(PrimaryModel):
    """The calls of one kind that a connection made in one hour, with their estimated credits."""

    class Kind(models.TextChoices):
        """The keys of ``CREDIT_COSTS``."""

        CONVERT = "convert", _("conversion of a lead")
        MASS_CONVERT = "mass_convert", _("mass convert job")
        COUNT = "count", _("count of records")
        BULK_READ = "bulk_read", _("bulk read job")
        WRITE = "write", _("records written")
        OTHER = "other", _("anything else")

    connection = models.ForeignKey(
        Connection, models.CASCADE, related_name="usage", verbose_name=_("connection")
    )
    #: The start of the hour.
    hour = models.DateTimeField(_("hour"))
    kind = models.CharField(_("kind of call"), max_length=20, choices=Kind)
    calls = models.PositiveIntegerField(_("calls"), default=0)
    credits = models.PositiveIntegerField(_("credits"), default=0)
    #: Calls that Zoho refused as too many (HTTP 429).
    refusals = models.PositiveIntegerField(_("refused"), default=0)

    class Meta:
        default_permissions = ()  # ``Connection`` has them.
        verbose_name = _("use of the API")
        verbose_name_plural = _("uses of the API")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["connection", "hour", "kind"], name="zoho_crm_one_count_an_hour"
            )
        ]

    def __str__(self) -> str:
        return f"{self.connection_id} {self.hour:%Y-%m-%d %H} {self.kind}"
