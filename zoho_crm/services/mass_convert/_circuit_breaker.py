"""Canaries and circuit breaker: a run starts slowly, and pauses when too many leads are refused."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable

from django.db.models import QuerySet

from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.models._moves import Move
from zoho_crm.types import CodedText

logger = logging.getLogger(__name__)

Status = LeadConversion.Status
#: The first rows of a run, and the first after a pause, are sent singly, one at a time.
CANARY_ROWS = 5
#: Refusals in a row, or the share of the last outcomes, that pause a run.
CONSECUTIVE_REFUSALS = 5
OUTCOME_WINDOW_ROWS = 50
MAX_REFUSED_SHARE = 0.2


def canaries_passed(run: MassConversion) -> bool:
    """Return whether enough rows of the run have an outcome for the others to be sent at once."""
    return len(_outcomes(run).order_by().values_list("pk")[:CANARY_ROWS]) == CANARY_ROWS


def check_circuit_breaker(moves: Iterable[Move]) -> None:
    """Pause each run that a refused row among these moves belongs to, if too many were refused."""
    jobs_by_run: defaultdict[int, set[int | None]] = defaultdict(set)
    for move in moves:
        if move.to == Status.FAILED and move.row.mass_conversion_id:
            jobs_by_run[move.row.mass_conversion_id].add(move.row.job_id)
    for run in MassConversion.objects.filter(pk__in=jobs_by_run):
        reasons = (_pause_reason(run, job_id) for job_id in jobs_by_run[run.pk])
        reason = next(filter(None, reasons), None)
        if reason and _pause(run, reason):
            logger.warning("Mass conversion %s was paused: too many refusals", run.pk)


def _pause_reason(run: MassConversion, job_id: int | None) -> CodedText | None:
    """
    Return why the run has to be paused, ``None`` if it does not.

    Rows that were sent singly are counted together (``job_id`` is ``None``), the rows of a job by
    themselves: those that a job did not convert are sent singly next, and most are refused, so they
    are compared with what the job converted.
    """
    statuses = _outcomes(run).filter(job=job_id).values_list("status", flat=True)
    last = list(statuses[:OUTCOME_WINDOW_ROWS])
    refused, total = last.count(Status.FAILED), len(last)
    if job_id:
        total = LeadConversion.objects.filter(job=job_id).count()
        is_too_many = refused >= max(CONSECUTIVE_REFUSALS, MAX_REFUSED_SHARE * total)
    else:
        in_a_row = last[:CONSECUTIVE_REFUSALS] == [Status.FAILED] * CONSECUTIVE_REFUSALS
        is_over_share = total == OUTCOME_WINDOW_ROWS and refused >= MAX_REFUSED_SHARE * total
        is_too_many = in_a_row or is_over_share
    details = {"refused": refused, "total": total}
    return CodedText(code="too_many_refusals", details=details) if is_too_many else None


def _pause(run: MassConversion, reason: CodedText) -> bool:
    """Pause a run that is converting; return whether it was not paused before."""
    running = MassConversion.objects.filter(
        pk=run.pk, stage=MassConversion.Stage.CONVERTING, paused_reason=""
    )
    return bool(running.update(paused_reason=reason.code, paused_details=reason.details))


def _outcomes(run: MassConversion) -> QuerySet[LeadConversion]:
    """Return the rows converted or refused since the start or the last resume, latest first."""
    return LeadConversion.objects.filter(
        mass_conversion=run,
        status__in=[Status.CONVERTED, Status.FAILED],
        attempts__gt=0,
        finished_at__gte=run.counted_from,
    ).order_by("-finished_at", "-pk")
