"""Statistics of mass conversions: by status, verdict, error and job, and lines left out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Max, Q
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import ngettext

from zoho_crm.admin._base import job_badge, time_html
from zoho_crm.matching import CONVERTIBLE
from zoho_crm.models import (
    REFUSED_FIELD,
    LeadConversion,
    MassConversion,
    MassConversionJob,
    MassConversionLine,
)
from zoho_crm.services import mass_convert
from zoho_crm.services.presentation import error_code_text
from zoho_crm.types import Verdict

Status = LeadConversion.Status
VERDICT_FIELD = LeadConversion._meta.get_field("verdict")
#: Rows of each table on the page of a run.
MAX_TABLE_ROWS = 50


@dataclass(frozen=True, kw_only=True)
class LeadCount:
    """A number of leads, with the URL of their list."""

    label: str
    count: int
    url: str
    #: For an error code: the message of one of the leads.
    example: str = ""


@dataclass(frozen=True, kw_only=True)
class VerdictCount(LeadCount):
    """The number of leads of one verdict, by what was decided."""

    verdict: str
    decided: int
    undecided: int
    left_out: int
    can_be_decided: bool

    @property
    def affected(self) -> int:
        """Return how many leads a decision about the verdict changes."""
        return self.decided + self.undecided


@dataclass(frozen=True, kw_only=True)
class JobRow:
    """A Zoho job as a row of a table."""

    job: MassConversionJob
    badge: SafeString
    posted: SafeString | str
    ended: SafeString | str
    leads: int
    #: Zoho's own counts; empty before its first answer.
    counts: Mapping[str, Any]


def leads_url(run: MassConversion, **filters: str) -> str:
    """Return the URL of the list of a run's leads, filtered by these field values."""
    query = {"run": run.pk, **{f"{name}__exact": value for name, value in filters.items()}}
    return f"{reverse('admin:zoho_crm_leadconversion_changelist')}?{urlencode(query)}"


def by_status(run: MassConversion, counts: Mapping[str, int]) -> list[LeadCount]:
    """Return the number of leads of each status that occurs, in the order of the statuses."""
    return [
        LeadCount(label=str(status.label), count=counts[status], url=leads_url(run, status=status))
        for status in Status
        if counts.get(status)
    ]


def by_verdict(run: MassConversion, counts: Mapping[str, int]) -> list[LeadCount]:
    """Return the number of leads of each verdict that occurs."""
    return [
        LeadCount(label=str(label), count=counts[verdict], url=leads_url(run, verdict=verdict))
        for verdict, label in VERDICT_FIELD.flatchoices
        if counts.get(verdict)
    ]


def decision_counts(run: MassConversion) -> list[VerdictCount]:
    """Return how many leads of each verdict are decided, undecided and left out; one query."""
    waiting = Q(status=Status.PREVIEWED)
    rows = LeadConversion.objects.filter(mass_conversion=run).exclude(verdict="")
    groups = rows.order_by().values("verdict")
    counts = groups.annotate(
        count=Count("pk"),
        decided=Count("pk", filter=waiting & Q(plan__isnull=False)),
        undecided=Count("pk", filter=waiting & Q(plan__isnull=True)),
        left_out=Count("pk", filter=Q(status=Status.SKIPPED)),
    )
    found = {group["verdict"]: group for group in counts}
    return [
        VerdictCount(
            label=str(label),
            url=leads_url(run, verdict=verdict),
            can_be_decided=Verdict(verdict) in CONVERTIBLE,
            **found[verdict],
        )
        for verdict, label in VERDICT_FIELD.flatchoices
        if verdict in found
    ]


def failures(run: MassConversion) -> list[LeadCount]:
    """Return the number of refused leads of each error code and field, the most frequent first."""
    refused = LeadConversion.objects.filter(mass_conversion=run, status=Status.FAILED)
    groups = refused.order_by().annotate(field=REFUSED_FIELD).values("error_code", "field")
    counts = groups.annotate(count=Count("pk"), example=Max("error_message"))
    return [
        LeadCount(
            label=group["error_code"],
            count=group["count"],
            example=error_code_text(
                group["error_code"], group["example"], [{"api_name": group["field"]}]
            ),
            url=leads_url(run, status=Status.FAILED, error_code=group["error_code"]),
        )
        for group in counts.order_by("-count", "error_code")[:MAX_TABLE_ROWS]
    ]


def left_out_context(run: MassConversion) -> dict[str, Any]:
    """Return the lines of the source that were left out: counts by reason, and the first ones."""
    reasons = MassConversionLine.Reason
    groups = run.lines.order_by().values_list("reason").annotate(Count("pk"))
    counts: dict[str, int] = dict(groups)
    return {
        "left_out": sum(counts.values()),
        "left_out_by_reason": [(r.label, counts[r]) for r in reasons if r in counts],
        "lines": run.lines.order_by("number")[:MAX_TABLE_ROWS] if counts else [],
    }


def jobs(run: MassConversion) -> list[JobRow]:
    """Return the latest Zoho jobs of a run, newest first."""
    rows = run.jobs.annotate(leads=Count("rows")).order_by("-pk")[:MAX_TABLE_ROWS]
    return [
        JobRow(
            job=job,
            badge=job_badge(job),
            posted=time_html(job.posted_at),
            ended=time_html(job.ended_at),
            leads=job.leads,
            counts=job.counts or {},
        )
        for job in rows
    ]


def estimate_context(run: MassConversion) -> dict[str, Any]:
    """Return the estimate of what is left to do, and its duration in words."""
    estimate = mass_convert.estimate(run)
    return {"estimate": estimate, "duration": _duration_text(estimate.seconds)}


def _duration_text(seconds: int) -> str:
    minutes = math.ceil(seconds / 60)
    if minutes < 120:
        return ngettext("%(count)s minute", "%(count)s minutes", minutes) % {"count": minutes}
    hours = math.ceil(minutes / 60)
    return ngettext("%(count)s hour", "%(count)s hours", hours) % {"count": hours}


def status_counts_by_run(runs: Collection[MassConversion]) -> Mapping[int, Mapping[str, int]]:
    """
    Return the number of leads by status, for each run by its primary key.

    Runs that have ended keep their counts; the others are counted in one query.
    """
    found: dict[int, Counter[str]] = {run.pk: Counter(run.counts or {}) for run in runs}
    not_ended = [run.pk for run in runs if run.counts is None]
    for run_id, status, count in _counts_by_run_and_status(not_ended):
        found[run_id][status] = count
    return found


def _counts_by_run_and_status(run_ids: Collection[int]) -> Iterable[tuple[int, str, int]]:
    rows = LeadConversion.objects.filter(mass_conversion__in=run_ids).order_by()
    groups = rows.values_list("mass_conversion_id", "status").annotate(Count("pk"))
    return groups if run_ids else ()
