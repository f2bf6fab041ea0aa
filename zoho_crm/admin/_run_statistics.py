"""The tables of numbers on the pages of a mass conversion, with the addresses of their leads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count
from django.urls import reverse

from zoho_crm.admin._base import job_badge, time_html
from zoho_crm.matching import CONVERTIBLE
from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.services import mass_convert
from zoho_crm.services.run_statistics import (
    causes,
    duration_text,
    left_out_lines,
    verdict_counts,
)

Status = LeadConversion.Status
VERDICT_FIELD = LeadConversion._meta.get_field("verdict")
#: Rows of each table on the page of a run.
MAX_TABLE_ROWS = 50


def statistics_context(run: MassConversion, counts: Mapping[str, int]) -> dict[str, Any]:
    """Return the template variables of the tables on a run's page."""
    left_out = left_out_lines(run)
    return {
        "by_status": _by(run, counts, "status", Status.choices),
        "by_verdict": _by(run, counts, "verdict", VERDICT_FIELD.flatchoices),
        "failures": _failures(run),
        "jobs": _jobs(run),
        **(estimate_context(run) if run.is_open else {}),
        "left_out": sum(count for _reason, count in left_out),
        "left_out_by_reason": left_out,
        "lines": run.lines.order_by("number")[:MAX_TABLE_ROWS] if left_out else [],
    }


def _leads_url(run: MassConversion, **filters: str) -> str:
    """Return the URL of the list of a run's leads, filtered by these field values."""
    query = {"run": run.pk, **{f"{name}__exact": value for name, value in filters.items()}}
    return f"{reverse('admin:zoho_crm_leadconversion_changelist')}?{urlencode(query)}"


def _by(
    run: MassConversion,
    counts: Mapping[str, int],
    field: str,
    choices: Iterable[tuple[str, Any]],
) -> list[dict[str, Any]]:
    """Return the number of leads for each value of a field that occurs, in the order of them."""
    return [
        {"label": str(label), "count": counts[value], "url": _leads_url(run, **{field: value})}
        for value, label in choices
        if counts.get(value)
    ]


def decision_counts(run: MassConversion) -> list[dict[str, Any]]:
    """Return how many leads of each verdict are decided, undecided and left out; one query."""
    return [
        {
            **each,
            "count": each["leads"],
            "url": _leads_url(run, verdict=each["verdict"]),
            "decided": each["to_be_sent"],
            "can_be_decided": each["verdict"] in CONVERTIBLE,
            "affected": each["to_be_sent"] + each["undecided"],
        }
        for each in verdict_counts(run)
        if each["verdict"]
    ]


def _failures(run: MassConversion) -> list[dict[str, Any]]:
    """Return the number of refused leads of each error code and field, the most frequent first."""
    status = Status.FAILED
    return [
        {
            "label": cause.code,
            "count": cause.count,
            "example": cause.example,
            "url": _leads_url(run, status=status, error_code=cause.code),
        }
        for cause in causes(run, statuses=(status,), limit=MAX_TABLE_ROWS)
    ]


def _jobs(run: MassConversion) -> list[dict[str, Any]]:
    """Return the latest Zoho jobs of a run, newest first, with Zoho's own counts if it gave any."""
    rows = run.jobs.annotate(leads=Count("rows")).order_by("-pk")[:MAX_TABLE_ROWS]
    return [
        {
            "job": job,
            "badge": job_badge(job),
            "posted": time_html(job.posted_at),
            "ended": time_html(job.ended_at),
            "leads": job.leads,
            "counts": job.counts or {},
        }
        for job in rows
    ]


def estimate_context(run: MassConversion) -> dict[str, Any]:
    """Return the estimate of what is left to do, and its duration in words."""
    estimate = mass_convert.estimate(run)
    return {"estimate": estimate, "duration": duration_text(estimate.seconds)}
