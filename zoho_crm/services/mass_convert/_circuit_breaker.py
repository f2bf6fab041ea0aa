"""The first leads go one by one, and a run that fails too often stops by itself."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from zoho_crm.models import LeadConversion, MassConversion, Move

logger = logging.getLogger(__name__)

Status = LeadConversion.Status
#: The first leads of a run, or after a pause, go singly, one at a time.
CANARY_ROWS = 5
#: Refusals in a row, or a share of the last outcomes, that stop a run.
CONSECUTIVE_REFUSALS = 5
OUTCOME_WINDOW_ROWS = 50
MAX_REFUSED_SHARE = 0.2


def canaries_passed(run: MassConversion) -> bool:
    """Whether the first leads are through, so that others may go beside each other."""
    return len(_outcomes(run).order_by().values_list("pk")[:CANARY_ROWS]) == CANARY_ROWS


def check_circuit_breaker(moves: Iterable[Move]) -> None:
    """Pause the runs among whose rows there were refusals just now, if there are too many."""
    jobs_by_run: defaultdict[int, set[int | None]] = defaultdict(set)
    for move in moves:
        if move.to == Status.FAILED and move.row.mass_conversion_id:
            jobs_by_run[move.row.mass_conversion_id].add(move.row.job_id)
    for run in MassConversion.objects.filter(pk__in=jobs_by_run):
        reasons = (_pause_reason(run, job_id) for job_id in jobs_by_run[run.pk])
        reason = next(filter(None, reasons), "")
        if reason and _pause(run, reason):
            logger.warning("Mass conversion %s stopped: too many refusals", run.pk)


def _pause_reason(run: MassConversion, job_id: int | None) -> str:
    """
    Say that too many leads were refused, of those that were sent singly or were in one job.

    What a job leaves over goes singly one after the other, and much of it is refused: that is to be
    seen beside what the job converted.
    """
    last = list(
        _outcomes(run).filter(job=job_id).values_list("status", flat=True)[:OUTCOME_WINDOW_ROWS]
    )
    refused, all_of_them = last.count(Status.FAILED), len(last)
    if job_id:
        all_of_them = LeadConversion.objects.filter(job=job_id).count()
        is_too_many = refused >= max(CONSECUTIVE_REFUSALS, MAX_REFUSED_SHARE * all_of_them)
    else:
        in_a_row = last[:CONSECUTIVE_REFUSALS] == [Status.FAILED] * CONSECUTIVE_REFUSALS
        is_too_many = in_a_row or (
            all_of_them == OUTCOME_WINDOW_ROWS
            and refused >= MAX_REFUSED_SHARE * OUTCOME_WINDOW_ROWS
        )
    if not is_too_many:
        return ""
    message = _("%(refused)s of the last %(all)s leads were refused; see why before going on.")
    return message % {"refused": refused, "all": all_of_them}


def _pause(run: MassConversion, reason: str) -> bool:
    """Pause a run; whether it was paused just now."""
    running = MassConversion.objects.filter(
        pk=run.pk, stage=MassConversion.Stage.CONVERTING, paused_reason=""
    )
    return bool(running.update(paused_reason=reason))


def _outcomes(run: MassConversion) -> QuerySet[LeadConversion]:
    """Return the rows that came to an end since the start or the last resume, latest first."""
    return LeadConversion.objects.filter(
        mass_conversion=run,
        status__in=[Status.CONVERTED, Status.FAILED],
        attempts__gt=0,
        finished_at__gte=run.counted_from,
    ).order_by("-finished_at", "-pk")
