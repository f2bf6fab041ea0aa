"""Take a run one step further: its next stage, its decided rows, those that follow others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import Any

from django.db.models import Q, QuerySet

from zoho_crm.matching import Policy
from zoho_crm.models import (
    IN_PROGRESS,
    DbNow,
    LeadConversion,
    MassConversion,
    Move,
    from_now,
    holds,
)
from zoho_crm.services import lifecycle
from zoho_crm.services.mass_convert._circuit_breaker import CANARY_ROWS, canaries_passed
from zoho_crm.services.mass_convert._counts import counts
from zoho_crm.services.mass_convert._groups import regroup
from zoho_crm.services.mass_convert.jobs import effect_key, effect_of
from zoho_crm.types import ConversionPlan

Stage = MassConversion.Stage
Status = LeadConversion.Status
Joins = LeadConversion.Joins
#: Rows that one step moves at a time, and seconds until the next look if nobody wakes it.
WRITE_BATCH_ROWS = 500
RECHECK_SECONDS = 5.0
#: Seconds that no step takes.
STEP_TIMEOUT_SECONDS = 60.0


def advance_runs(connection_id: int) -> list[MassConversion]:
    """
    Take each due run of a connection one step further.

    :return: the runs that have not ended; ``is_due`` says which can be taken further at once
    """
    flags: dict[str, Any] = {"is_due": holds(due_at__lte=DbNow(), stage__in=STEP_BY_STAGE)}
    runs = MassConversion.objects.filter(connection_id=connection_id, ended_at=None)
    runs = runs.annotate(**flags).order_by("pk")
    due = sorted((run for run in runs if run.is_due), key=attrgetter("due_at"))
    for run in due:
        _advance_run(run)
    return list(runs.all() if due else runs)


def _advance_run(run: MassConversion) -> None:
    runs = MassConversion.objects.filter(pk=run.pk)
    runs.update(due_at=from_now(STEP_TIMEOUT_SECONDS))
    wait = STEP_BY_STAGE[run.stage](run)
    # Whoever woke it meanwhile made it due again: what they did is still to be looked at.
    unmoved = runs.filter(revision=run.revision, due_at__gt=DbNow())
    unmoved.update(due_at=None if wait is None else from_now(wait))


def mark_due(run_ids: Collection[int]) -> None:
    """Have runs taken further at the next opportunity: rows of theirs came to rest."""
    if run_ids:
        runs = MassConversion.objects.filter(pk__in=run_ids, due_at__gt=DbNow())
        runs.update(due_at=DbNow())


def _preview(run: MassConversion) -> float | None:
    if _rows(run, Status.NEW).exists():
        return RECHECK_SECONDS
    regroup(run)
    run.advance([Stage.PREVIEWING], Stage.REVIEW)
    return None


def _review(run: MassConversion) -> None:
    regroup(run)


def _convert(run: MassConversion) -> float | None:
    if run.paused_reason:
        return None
    if not run.is_armed:
        return _arm(run)
    waiting = _rows(run, Status.PREVIEWED).filter(plan__isnull=False)
    is_waiting = waiting.exists()
    if is_waiting and _follow(run, waiting):
        return 0.0
    moving = LeadConversion.objects.filter(mass_conversion=run, status__in=IN_PROGRESS)
    if is_waiting or moving.exists():
        _replace_canaries(run)
        return RECHECK_SECONDS
    _end(run, [Stage.CONVERTING], Stage.FINISHED)
    return None


def _arm(run: MassConversion) -> float:
    """Make the decided rows ready that follow nobody."""
    rows = _rows(run, Status.PREVIEWED).filter(plan__isnull=False, follows=None)
    rows = rows.only("status", "version", "lead_snapshot", "plan", "follows", "job")[
        :WRITE_BATCH_ROWS
    ]
    rules = run.rules
    moves = [_armed(run, row, rules) for row in rows]
    LeadConversion.objects.move(moves)
    if not moves:
        choose_canaries(run)
        MassConversion.objects.filter(pk=run.pk).update(is_armed=True)
    return 0.0


def _armed(run: MassConversion, row: LeadConversion, rules: Policy) -> Move:
    """A row that may go by a job waits for one; any other is sent next."""
    move = lifecycle.approved(row, row.planned() or ConversionPlan(), **_starter(run))
    effect = effect_key(effect_of(row, rules)) if run.may_use_jobs and not row.job_id else ""
    waits = {"effect": effect, "due_at": None} if effect else {"effect": ""}
    return replace(move, values={**move.values, **waits})


def choose_canaries(run: MassConversion) -> None:
    """Let the first leads go singly, whatever their route."""
    rows = _rows(run, Status.READY).filter(due_at=None)[:CANARY_ROWS]
    values = {"effect": "", "due_at": DbNow()}
    LeadConversion.objects.move(Move(row=row, to=Status.READY, values=values) for row in rows)


def _replace_canaries(run: MassConversion) -> None:
    """Choose others if the first leads came to rest without enough outcomes."""
    if run.may_use_jobs and not canaries_passed(run):
        rows = LeadConversion.objects.filter(mass_conversion=run)
        under_way = Q(status=Status.RUNNING) | Q(status=Status.READY, due_at__isnull=False)
        if not rows.filter(under_way).exists():
            choose_canaries(run)


def _starter(run: MassConversion) -> dict[str, Any]:
    return {"approved_by_id": run.started_by_id, "by": f"run {run.pk}"}


def _follow(run: MassConversion, waiting: QuerySet[LeadConversion]) -> int:
    """Let followers join what their leaders made, or say why they cannot."""
    ripe = waiting.exclude(follows=None).exclude(follows__status__in=IN_PROGRESS)
    ripe = ripe.exclude(follows__status=Status.PREVIEWED, follows__plan__isnull=False)
    moves = [_joined(run, row) for row in ripe.select_related("follows")[:WRITE_BATCH_ROWS]]
    return len(LeadConversion.objects.move(moves))


def _joined(run: MassConversion, row: LeadConversion) -> Move:
    leader, plan = row.follows, row.planned() or ConversionPlan()
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
    return lifecycle.approved(row, joined, **_starter(run))


def _cancel(run: MassConversion) -> float | None:
    """Leave out what was not sent; the rest settles."""
    unsent = [Status.NEW, Status.PREVIEWED, Status.READY]
    rows = LeadConversion.objects.filter(mass_conversion=run, status__in=unsent)[:WRITE_BATCH_ROWS]
    values = {**lifecycle.AT_REST, "reason": "cancelled"}
    moves = [Move(row=row, to=Status.SKIPPED, values=values) for row in rows]
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
