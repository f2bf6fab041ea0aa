"""Delete personal data and old events whose retention period is over."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from zoho_crm.conf import conf
from zoho_crm.models import (
    ApiUsage,
    AuthorizationRequest,
    ConnectionEvent,
    EnteredClient,
    LeadConversion,
    LeadConversionEvent,
    MassConversion,
    MassConversionLine,
    OutboxRecord,
    OutboxRecordEvent,
    SdkFailure,
    SdkToken,
    Token,
    from_now,
)
from zoho_crm.models._database import DbNow
from zoho_crm.models._moves import Move
from zoho_crm.services import lifecycle
from zoho_crm.services.outbox._lifecycle import NO_PERSONAL_DATA as NO_VALUES
from zoho_crm.services.presentation import REASONS
from zoho_crm.services.selections import expired_selections
from zoho_crm.types import ValueObject, Verdict

Status = LeadConversion.Status
FINISHED = (Status.CONVERTED, Status.FAILED, Status.SKIPPED)
#: Rows whose change is written in one batch.
BATCH_ROWS = 1000


class Purge(ValueObject):
    """How many rows of each kind are purged, or would be."""

    before_images: int
    journal_details: int
    runs: int
    lines: int
    users: int
    events: int
    usage: int
    requests: int
    selections: int
    outbox: int


def purge(*, days: float | None = None, execute: bool = False) -> Purge:
    """
    Delete, or only count, what is older than so many days, by default ``RETENTION_DAYS``.

    The row of a lead, its outcome and the steps of its journal are never deleted. A lead keeps its
    data while a worker or a person still has to act on it, or its mass conversion has not ended.
    """
    age = from_now(-86_400 * (conf().RETENTION_DAYS if days is None else days))
    announced = ConnectionEvent.objects.exclude(kind=ConnectionEvent.Kind.LOST, announced_at=None)
    deleted: dict[str, list[QuerySet[Any]]] = {
        "events": [announced.filter(at__lt=age)],
        "usage": [ApiUsage.objects.filter(hour__lt=age)],
        "requests": [
            AuthorizationRequest.objects.filter(expires_at__lt=DbNow()),
            EnteredClient.objects.filter(expires_at__lt=DbNow()),
            _ended_grants(age),
            SdkFailure.objects.filter(at__lt=age),
        ],
        "selections": [expired_selections()],
    }
    found = Purge(
        **_purge_leads(age, execute=execute),
        **_purge_runs(age, execute=execute),
        users=_purge_users(age, execute=execute),
        outbox=_purge_outbox(age, execute=execute),
        **{name: sum(rows.count() for rows in sets) for name, sets in deleted.items()},
    )
    if execute:
        for rows in chain.from_iterable(deleted.values()):
            rows.delete()
    return found


def _purge_leads(age: Any, *, execute: bool) -> dict[str, int]:
    """Purge the rows of leads and their journals; return the number of rows of both."""
    finished, previews = _finished(age), _untouched_previews(age)
    images = finished.filter(_has_personal_data())
    journal = LeadConversionEvent.objects.exclude(details={})
    of_both = Q(conversion__in=finished) | Q(conversion__in=previews)
    found = {
        "before_images": images.count() + previews.count(),
        "journal_details": journal.filter(of_both).count(),
    }
    if execute:
        journal.filter(conversion__in=finished).update(details={})
        _zoho_reasons(images).update(reason="purged")
        images.update(**lifecycle.NO_PERSONAL_DATA)
        for rows in _batches(previews):
            # A row on which somebody acts meanwhile stays as it is.
            purged = [move.row.pk for move in LeadConversion.objects.move(rows)]
            journal.filter(conversion__in=purged, at__lt=age).update(details={})
            _zoho_reasons(LeadConversion.objects.filter(pk__in=purged)).update(reason="purged")
    return found


def _batches(previews: QuerySet[LeadConversion]) -> Iterator[list[Move]]:
    """Yield the moves that purge these rows, in batches."""
    keys = list(previews.values_list("pk", flat=True))
    for start in range(0, len(keys), BATCH_ROWS):
        rows = LeadConversion.objects.defer("lead_snapshot", "options_snapshot", "plan")
        batch = rows.filter(pk__in=keys[start : start + BATCH_ROWS], status=Status.PREVIEWED)
        yield [lifecycle.purged(row) for row in batch]


def _finished(age: Any) -> QuerySet[LeadConversion]:
    """Return the rows that ended before this time."""
    # SKIPPED rows have no ``finished_at``.
    old_enough = Q(finished_at__lt=age) | Q(finished_at=None, previewed_at__lt=age)
    rows = LeadConversion.objects.filter(old_enough, status__in=FINISHED)
    return rows.exclude(mass_conversion__stage__in=MassConversion.OPEN_STAGES)


def _untouched_previews(age: Any) -> QuerySet[LeadConversion]:
    """Return the PREVIEWED rows with personal data that nobody has acted on since this time."""
    recent = LeadConversionEvent.objects.filter(conversion=OuterRef("pk"), at__gte=age)
    rows = LeadConversion.objects.filter(
        ~Exists(recent), _has_personal_data(), status=Status.PREVIEWED, previewed_at__lt=age
    )
    return rows.exclude(mass_conversion__stage__in=MassConversion.OPEN_STAGES).order_by("pk")


def _has_personal_data() -> Q:
    """Return the condition that a column of ``lifecycle.NO_PERSONAL_DATA`` has another value."""
    condition = Q()
    for name, value in lifecycle.NO_PERSONAL_DATA.items():
        condition |= Q(**{f"{name}__isnull": False}) if value is None else ~Q(**{name: value})
    return condition


def _zoho_reasons(rows: QuerySet[LeadConversion]) -> QuerySet[LeadConversion]:
    """Return the rows whose reason is a message of Zoho's, not a code."""
    refused = rows.filter(verdict=Verdict.NOT_CONVERTIBLE)
    return refused.exclude(reason__in=["", "cancelled", *REASONS])


def _purge_runs(age: Any, *, execute: bool) -> dict[str, int]:
    """Purge where the leads of ended runs came from; return the number of runs and of lines."""
    ended = MassConversion.objects.filter(ended_at__lt=age)
    ended = ended.exclude(stage__in=MassConversion.OPEN_STAGES)
    lines = MassConversionLine.objects.filter(mass_conversion__in=ended).exclude(text="")
    filtered = ended.filter(filters__isnull=False).exclude(filters={})
    named = ended.exclude(source_details={}, paused_details={}, page_token="")
    found = {"runs": ended.filter(Q(pk__in=filtered) | Q(pk__in=named)).count()}
    found["lines"] = lines.count()
    if execute:
        lines.update(text="")
        ended.exclude(source_details={}).update(source="", source_details={})
        ended.exclude(paused_details={}).update(paused_reason="", paused_details={})
        ended.update(page_token="")
        filtered.update(filters={})
    return found


def _purge_outbox(age: Any, *, execute: bool) -> int:
    """Purge the values of pushed records that are done with; return the number of rows."""
    done = (OutboxRecord.Status.SENT, OutboxRecord.Status.SKIPPED)
    ended = OutboxRecord.objects.filter(status__in=done, finished_at__lt=age)
    with_values = ended.filter(values__isnull=False)
    found = with_values.count()
    if execute:
        OutboxRecordEvent.objects.filter(record__in=ended).exclude(details={}).update(details={})
        with_values.update(**NO_VALUES)
    return found


def _ended_grants(age: Any) -> QuerySet[SdkToken]:
    """Return the SDK's kept grants without a refresh token: their access tokens have ended."""
    unused = Q(refreshed_at__lt=age) | Q(refreshed_at=None, created_at__lt=age)
    return SdkToken.objects.filter(unused, token=None, refresh_token_cipher="")


def _purge_users(age: Any, *, execute: bool) -> int:
    """Purge the names of users whose consent was revoked; return the number of their tokens."""
    unused = Q(refreshed_at__lt=age) | Q(refreshed_at=None, created_at__lt=age)
    revoked = Token.objects.filter(unused, status=Token.Status.REVOKED)
    named = revoked.exclude(user_name="", user_email="")
    found = named.count()
    if execute:
        SdkToken.objects.filter(token__in=revoked).update(user_name="", user_name_hash="")
        named.update(user_name="", user_email="")
    return found
