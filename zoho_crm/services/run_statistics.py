"""Runs in numbers: their leads by status, verdict, cause and reason."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
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
from zoho_crm.types import ValueObject

Status = LeadConversion.Status
#: Statuses of leads that were not converted and need a person.
REFUSED = (Status.FAILED, Status.NEEDS_REVIEW)
#: In the counts that a run stored: leads that were taken up elsewhere since it ended.
TAKEN_ELSEWHERE = "elsewhere"
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


class Cause(ValueObject):
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
    counted = groups.annotate(count=Count("pk"), example=Max("error_message"))
    return [
        Cause(
            code=group["error_code"],
            count=group["count"],
            example=error_code_text(
                group["error_code"], group["example"], [{"api_name": group["field"]}]
            ),
        )
        for group in counted.order_by("-count", "error_code")[:limit]
    ]


class Progress(ValueObject):
    """How far a run is in its present stage; ``total`` is 0 while its leads are taken in."""

    done: int
    total: int
    #: Whether workers act on it, so that it changes by itself.
    is_moving: bool
    #: Number of leads by what became of them, with the status that they have.
    outcomes: dict[str, int]

    @property
    def percent(self) -> int:
        """The share of the leads that are through."""
        return 100 * self.done // self.total if self.total else 0


def progress(run: MassConversion, counts: Mapping[str, int]) -> Progress:
    """Return how far a run is: with the previews before the review, with the outcomes after it."""
    total = lead_count(counts)
    stage = MassConversion.Stage
    unfinished = counts.get(Status.NEW, 0)
    if run.stage == stage.CONVERTING:
        # Leads without a decision, and those that are left out, stay as they are.
        ended = (Status.CONVERTED, Status.FAILED, Status.NEEDS_REVIEW)
        unfinished = counts["decided"] + sum(counts.get(status, 0) for status in IN_PROGRESS)
        total = unfinished + sum(counts.get(status, 0) for status in ended)
    outcomes = (Status.CONVERTED, Status.UNKNOWN, Status.NEEDS_REVIEW, Status.FAILED)
    return Progress(
        done=total - unfinished,
        total=0 if run.stage == stage.STAGING else total,
        is_moving=run.stage in (stage.STAGING, stage.PREVIEWING, stage.CONVERTING),
        outcomes={str(status): counts[status] for status in outcomes if counts.get(status)},
    )


def left_out_lines(run: MassConversion) -> list[tuple[str, int]]:
    """Return how many lines of the source were left out, by the label of the reason."""
    groups = run.lines.order_by().values_list("reason").annotate(Count("pk"))
    numbers: dict[str, int] = dict(groups)
    reasons = MassConversionLine.Reason
    return [(str(reason.label), numbers[reason]) for reason in reasons if reason in numbers]


def lead_count(counts: Mapping[str, int]) -> int:
    """Return the number of leads of a run, from its counts by status."""
    return sum(counts.get(name, 0) for name in (*Status, TAKEN_ELSEWHERE))


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


def counts(run: MassConversion) -> dict[str, int]:
    """
    Return the number of rows by status and by verdict, and of decided rows as ``decided``.

    For a run that has ended these are the numbers stored when it ended.
    """
    if run.counts is not None:
        return dict(run.counts)
    groups = rows_of(run).order_by().values("status", "verdict").annotate(count=Count("pk"))
    result: dict[str, int] = {}
    for group in groups:
        for key in filter(None, (group["status"], group["verdict"])):
            result[key] = result.get(key, 0) + group["count"]
    return {**result, "decided": decided_count(run)}


def decided_count(run: MassConversion) -> int:
    """Return the number of rows that would be converted if the run were started now."""
    return run.rows.decided().count()
