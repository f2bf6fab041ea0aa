"""Advance runs: one short step at a time, by the stage that a run is in."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import Any

from django.db.models import Q, QuerySet

from zoho_crm.matching import Policy
from zoho_crm.models import IN_PROGRESS, LeadConversion, MassConversion, from_now, holds
from zoho_crm.models._moves import Move
from zoho_crm.models._time import DbNow
from zoho_crm.services import lifecycle
from zoho_crm.services.mass_convert._circuit_breaker import CANARY_ROWS, canaries_passed
from zoho_crm.services.mass_convert._counts import counts
from zoho_crm.services.mass_convert._decisions import WRITE_BATCH_ROWS
from zoho_crm.services.mass_convert._groups import regroup
from zoho_crm.services.mass_convert._jobs import effect_key, effect_of
from zoho_crm.types import ConversionPlan

Stage = MassConversion.Stage
Status = LeadConversion.Status
Joins = LeadConversion.Joins
#: Seconds to the next step of a run whose rows are in progress, unless ``mark_due`` is called.
RECHECK_SECONDS = 5.0
#: Seconds after which ``advance_runs`` begins no further step.
MAX_STEPS_SECONDS = 0.5
#: Seconds after which a step that did not end, with its worker, is repeated.
STEP_TIMEOUT_SECONDS = 60.0


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
    return None if regroup(run) else 0.0


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
    return lifecycle.approved(row, joined, **_approved_by(run))


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
