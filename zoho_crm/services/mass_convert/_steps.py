"""
Advance runs: one short step at a time, by the stage that a run is in.

A run starts slowly, with canaries, and its circuit breaker pauses it when too many are refused.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import Any

from django.db.models import Q, QuerySet

from zoho_crm.matching import Policy
from zoho_crm.models import IN_PROGRESS, LeadConversion, MassConversion, from_now, holds
from zoho_crm.models._database import DbNow
from zoho_crm.models._moves import Move
from zoho_crm.services import lifecycle
from zoho_crm.services.mass_convert._decisions import WRITE_BATCH_ROWS
from zoho_crm.services.mass_convert._groups import regroup
from zoho_crm.services.mass_convert._jobs import effect_key, effect_of
from zoho_crm.services.run_statistics import counts
from zoho_crm.types import CodedText, ConversionPlan

logger = logging.getLogger(__name__)

Stage = MassConversion.Stage
Status = LeadConversion.Status
Joins = LeadConversion.Joins
#: Seconds to the next step of a run whose rows are in progress, unless ``mark_due`` is called.
RECHECK_SECONDS = 5.0
#: Seconds after which ``advance_runs`` begins no further step.
MAX_STEPS_SECONDS = 0.5
#: Seconds after which a step that did not end, with its worker, is repeated.
STEP_TIMEOUT_SECONDS = 60.0
#: The first rows of a run, and the first after a pause, are sent singly, one at a time.
CANARY_ROWS = 5
#: Refusals in a row, or the share of the last outcomes, that pause a run.
CONSECUTIVE_REFUSALS = 5
OUTCOME_WINDOW_ROWS = 50
MAX_REFUSED_SHARE = 0.2


def advance_runs(connection_id: int) -> list[MassConversion]:
    """
    Take one step in each due run of a connection, the longest due first, for a short time.

    :return: the runs that have not ended; ``is_due`` says which can take another step at once
    """
    flags: dict[str, Any] = {"is_due": holds(due_at__lte=DbNow(), stage__in=STEP_BY_STAGE)}
    runs = MassConversion.objects.filter(connection_id=connection_id, ended_at=None)
    runs = runs.annotate(**flags).order_by("pk")
    due = sorted((run for run in runs if run.is_due), key=attrgetter("due_at"))
    end = time.monotonic() + MAX_STEPS_SECONDS
    for run in due:
        _advance_run(run)
        if time.monotonic() >= end:
            break
    return list(runs.all() if due else runs)


def _advance_run(run: MassConversion) -> None:
    runs = MassConversion.objects.filter(pk=run.pk)
    runs.update(due_at=from_now(STEP_TIMEOUT_SECONDS))
    wait = STEP_BY_STAGE[run.stage](run)
    # If it was marked as due during this step, or decided, it stays due: the step may have missed
    # what changed.
    unchanged = runs.filter(revision=run.revision, due_at__gt=DbNow())
    unchanged.update(due_at=None if wait is None else from_now(wait))


def mark_due(run_ids: Collection[int]) -> None:
    """Make these runs due now, because rows of theirs came to rest."""
    if run_ids:
        runs = MassConversion.objects.filter(pk__in=run_ids, due_at__gt=DbNow())
        runs.update(due_at=DbNow())


# One step each: the seconds to the next, or None if the run waits for a person or has ended


def _preview(run: MassConversion) -> float | None:
    if _rows(run, Status.NEW).exists():
        return RECHECK_SECONDS
    if not regroup(run):
        return 0.0
    run.advance([Stage.PREVIEWING], Stage.REVIEW)
    return None


def _review(run: MassConversion) -> float | None:
    # Before the groups are formed: a lead that is previewed meanwhile may belong to one of them.
    wait = RECHECK_SECONDS if _rows(run, Status.NEW).exists() else None
    return wait if regroup(run) else 0.0


def _convert(run: MassConversion) -> float | None:
    if run.paused_reason:
        return None
    if not run.is_armed:
        return _approve_decided(run)
    followers = _rows(run, Status.PREVIEWED).filter(plan__isnull=False)
    has_followers = followers.exists()
    if has_followers and _approve_followers(run, followers):
        return 0.0
    in_progress = LeadConversion.objects.filter(mass_conversion=run, status__in=IN_PROGRESS)
    if has_followers or in_progress.exists():
        _replace_canaries(run)
        return RECHECK_SECONDS
    _end(run, [Stage.CONVERTING], Stage.FINISHED)
    return None


def _approve_decided(run: MassConversion) -> float:
    """Move a batch of decided rows that follow no other to READY; after the last, the canaries."""
    rows = _rows(run, Status.PREVIEWED).filter(plan__isnull=False, follows=None)
    rows = rows.only("status", "version", "lead_snapshot", "plan", "follows", "job")
    rules = run.rules
    moves = [_approval(run, row, rules) for row in rows[:WRITE_BATCH_ROWS]]
    LeadConversion.objects.move(moves)
    if not moves:
        choose_canaries(run)
        MassConversion.objects.filter(pk=run.pk).update(is_armed=True)
    return 0.0


def _approval(run: MassConversion, row: LeadConversion, rules: Policy) -> Move:
    """Return the move of a row to READY: to wait for a job if one can convert it, else due now."""
    move = lifecycle.approved(row, row.stored_plan() or ConversionPlan(), **_approved_by(run))
    effect = effect_key(effect_of(row, rules)) if run.may_use_jobs and not row.job_id else ""
    values = {"effect": effect, "due_at": None} if effect else {"effect": ""}
    return replace(move, values={**move.values, **values})


def choose_canaries(run: MassConversion) -> None:
    """Make the first rows that wait for a job due now, to be sent singly."""
    rows = _rows(run, Status.READY).filter(due_at=None)[:CANARY_ROWS]
    values = {"effect": "", "due_at": DbNow()}
    LeadConversion.objects.move(Move(row=row, to=Status.READY, values=values) for row in rows)


def _replace_canaries(run: MassConversion) -> None:
    """Choose other canaries if the first came to rest and too few of them have an outcome."""
    if run.may_use_jobs and not canaries_passed(run):
        rows = LeadConversion.objects.filter(mass_conversion=run)
        sent_singly = Q(status=Status.RUNNING) | Q(status=Status.READY, due_at__isnull=False)
        if not rows.filter(sent_singly).exists():
            choose_canaries(run)


def _approved_by(run: MassConversion) -> dict[str, Any]:
    return {"approved_by_id": run.started_by_id, "by": f"run {run.pk}"}


def _approve_followers(run: MassConversion, followers: QuerySet[LeadConversion]) -> int:
    """Move the followers whose leader is at rest, a batch at a time; return how many moved."""
    ready = followers.exclude(follows=None).exclude(follows__status__in=IN_PROGRESS)
    ready = ready.exclude(follows__status=Status.PREVIEWED, follows__plan__isnull=False)
    rows = ready.select_related("follows")[:WRITE_BATCH_ROWS]
    return len(LeadConversion.objects.move([_follower_move(run, row) for row in rows]))


def _follower_move(run: MassConversion, row: LeadConversion) -> Move:
    """Return the move that attaches a row to its leader's record, or leaves it for review."""
    leader, plan = row.follows, row.stored_plan() or ConversionPlan()
    assert leader is not None
    record = leader.contact_id if row.joins == Joins.CONTACT else leader.account_id
    if leader.status != Status.CONVERTED or not record:
        values = {"plan": None, "reason": "leader", "follows": None, "joins": ""}
        details = {"leader": leader.pk, "status": leader.status}
        return Move(row=row, to=Status.PREVIEWED, values=values, details=details)
    if row.joins == Joins.CONTACT:
        joined = replace(plan, contact_id=record)
    else:
        joined = replace(plan, account_id=record)
    return lifecycle.approved(row, joined, effect="", **_approved_by(run))


def _cancel(run: MassConversion) -> float | None:
    """Skip a batch of the rows that were not sent; the run ends when the others are at rest."""
    unsent = [Status.NEW, Status.PREVIEWED, Status.READY]
    rows = LeadConversion.objects.filter(mass_conversion=run, status__in=unsent)
    values = {**lifecycle.AT_REST, "reason": "cancelled"}
    batch = rows.only("status", "version")[:WRITE_BATCH_ROWS]
    moves = [Move(row=row, to=Status.SKIPPED, values=values) for row in batch]
    if LeadConversion.objects.move(moves):
        return 0.0
    if LeadConversion.objects.filter(mass_conversion=run, status__in=IN_PROGRESS).exists():
        return RECHECK_SECONDS
    _end(run, [Stage.CANCELLED], Stage.CANCELLED)
    return None


def _end(run: MassConversion, from_stages: list[str], to: str) -> None:
    run.advance(from_stages, to, counts=counts(run), ended_at=DbNow(), due_at=None)


def _rows(run: MassConversion, status: str) -> QuerySet[LeadConversion]:
    return LeadConversion.objects.filter(mass_conversion=run, status=status).order_by("pk")


STEP_BY_STAGE: Mapping[str, Callable[[MassConversion], float | None]] = {
    Stage.PREVIEWING: _preview,
    Stage.REVIEW: _review,
    Stage.CONVERTING: _convert,
    Stage.CANCELLED: _cancel,
}


# Canaries and circuit breaker


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
