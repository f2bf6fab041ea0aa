"""What became of the leads of runs, in numbers: by status, verdict, cause and reason."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Max, Q, QuerySet
from django.utils.translation import ngettext

from zoho_crm.models import (
    IN_PROGRESS,
    REFUSED_FIELD,
    LeadConversion,
    MassConversion,
    MassConversionLine,
)
from zoho_crm.services.presentation import error_code_text

Status = LeadConversion.Status
#: Statuses of leads that were not converted and need a person.
REFUSED = (Status.FAILED, Status.NEEDS_REVIEW)
#: What is counted of the leads of a verdict.
COUNT_FILTERS: Mapping[str, Q] = {
    "leads": Q(),
    "to_be_sent": Q(status=Status.PREVIEWED, plan__isnull=False),
    "undecided": Q(status=Status.PREVIEWED, plan__isnull=True),
    "left_out": Q(status=Status.SKIPPED),
    "in_progress": Q(status__in=IN_PROGRESS),
    "converted": Q(status=Status.CONVERTED),
    "refused": Q(status__in=REFUSED),
}


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Why a number of leads was refused: an error code, with the message of one of them."""

    code: str
    count: int
    example: str


def rows_of(run: MassConversion) -> QuerySet[LeadConversion]:
    """Return the rows of a run's leads."""
    rows: QuerySet[LeadConversion] = LeadConversion.objects.filter(mass_conversion=run)
    return rows


def verdict_counts(run: MassConversion) -> list[dict[str, Any]]:
    """
    Return ``verdict``, ``label`` and the numbers of ``COUNT_FILTERS`` for each verdict that occurs.

    One query; leads that were not previewed yet have an empty verdict and come first.
    """
    figures: dict[str, Any] = {
        name: Count("pk", filter=rows or None) for name, rows in COUNT_FILTERS.items()
    }
    groups = rows_of(run).order_by().values("verdict").annotate(**figures)
    found = {group["verdict"]: group for group in groups}
    labels = {"": "", **dict(LeadConversion._meta.get_field("verdict").flatchoices)}
    return [{**found[each], "label": str(labels[each])} for each in labels if each in found]


def causes(run: MassConversion, *, limit: int, statuses: Collection[str] = REFUSED) -> list[Cause]:
    """Return why leads were refused, by error code and field, the most frequent cause first."""
    refused = rows_of(run).filter(status__in=statuses).order_by().annotate(field=REFUSED_FIELD)
    groups = refused.values("error_code", "field")
    counts = groups.annotate(count=Count("pk"), example=Max("error_message"))
    return [
        Cause(
            code=group["error_code"],
            count=group["count"],
            example=error_code_text(
                group["error_code"], group["example"], [{"api_name": group["field"]}]
            ),
        )
        for group in counts.order_by("-count", "error_code")[:limit]
    ]


def left_out_lines(run: MassConversion) -> list[tuple[str, int]]:
    """Return how many lines of the source were left out, by the label of the reason."""
    groups = run.lines.order_by().values_list("reason").annotate(Count("pk"))
    counts: dict[str, int] = dict(groups)
    reasons = MassConversionLine.Reason
    return [(str(reason.label), counts[reason]) for reason in reasons if reason in counts]


def lead_count(counts: Mapping[str, int]) -> int:
    """Return the number of leads of a run, from its counts by status."""
    return sum(counts.get(status, 0) for status in Status)


def status_counts(runs: Collection[MassConversion]) -> Mapping[int, Counter[str]]:
    """
    Return the number of leads by status, for each run by its primary key.

    Runs that have ended keep their counts; the others are counted in one query.
    """
    found: dict[int, Counter[str]] = {run.pk: Counter(run.counts or {}) for run in runs}
    rows = LeadConversion.objects.filter(
        mass_conversion__in=[run.pk for run in runs if run.counts is None]
    )
    groups = rows.order_by().values_list("mass_conversion_id", "status").annotate(Count("pk"))
    for run_id, status, count in groups:
        found[run_id][status] = count
    return found


def duration_text(seconds: int) -> str:
    """Return an estimate of time in minutes or hours."""
    minutes = math.ceil(seconds / 60)
    if minutes < 120:
        return ngettext("%(count)s minute", "%(count)s minutes", minutes) % {"count": minutes}
    hours = math.ceil(minutes / 60)
    return ngettext("%(count)s hour", "%(count)s hours", hours) % {"count": hours}
