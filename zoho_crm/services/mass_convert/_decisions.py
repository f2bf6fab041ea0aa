"""Decide about the rows of a run: for a whole verdict, or one by one. Nothing is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet
from django.utils.timezone import localdate
from django.utils.translation import gettext as _

from zoho_crm import matching
from zoho_crm.exceptions import PlanError, StaleDecisionError
from zoho_crm.matching import Action, Decision, DecisionContext, Preview
from zoho_crm.models import LeadConversion, MassConversion, Move
from zoho_crm.services import lifecycle
from zoho_crm.services.mass_convert._deciding import keys_of
from zoho_crm.services.preview import stored_preview
from zoho_crm.types import ConversionPlan, Verdict, as_json

Status = LeadConversion.Status
#: What a decision may be about; a row that was left out may be taken in again.
DECIDABLE = (Status.PREVIEWED, Status.SKIPPED)
#: Rows that are decided at a time.
WRITE_BATCH_ROWS = 500
#: What may be said of a whole verdict.
ACTIONS = frozenset({Action.ATTACH, Action.CREATE, Action.SKIP})


def decide(*, run_id: int, verdict: str, action: str, by: AbstractBaseUser | None = None) -> int:
    """
    Decide every previewed row of a verdict alike; return how many rows were decided.

    :param action: ``attach``, ``create`` or ``skip``
    :param by: whose decision stands where the run itself would ask a person
    :raises StaleDecisionError: if the run is no longer, or not yet, in review
    :raises PlanError: if this cannot be said of this verdict
    """
    run = in_review(run_id)
    decision_for = _decision_maker(run, Verdict(verdict), Action(action))
    rows = LeadConversion.objects.filter(
        mass_conversion=run, status=Status.PREVIEWED, verdict=verdict
    )
    if by is None:
        rows = rows.filter(decided_by=None)
    decided = 0
    for batch in _batches(rows):
        moves = [_decided(row, decision_for(stored_preview(row)), by) for row in batch]
        made = _write(run, moves)
        decided += sum(move.row.status == Status.SKIPPED or bool(move.row.plan) for move in made)
    return decided


def decide_one(
    *, conversion_id: int, version: int, plan: ConversionPlan | None, by: AbstractBaseUser
) -> LeadConversion:
    """
    Decide one row of a run: a plan, or ``None`` to leave it out.

    :raises StaleDecisionError: if the row changed after it was shown, or its run is not in review
    :raises PlanError: if the plan does not fit the preview
    """
    row = LeadConversion.objects.get(pk=conversion_id)
    run = in_review(row.mass_conversion_id or 0)
    if row.version != version or row.status not in DECIDABLE:
        raise StaleDecisionError(code="changed")
    if plan is not None:
        matching.check_plan(plan, Verdict(row.verdict), row.options_seen())
    elif row.status == Status.SKIPPED:
        return row
    if not _write(run, [_decided(row, Decision(plan=plan, skip=plan is None), by)]):
        raise StaleDecisionError(code="changed")
    return row


def in_review(run_id: int) -> MassConversion:
    """
    Return a run that waits for decisions.

    :raises StaleDecisionError: if it does not
    """
    run = MassConversion.objects.filter(pk=run_id).first()
    if run is None or run.stage != MassConversion.Stage.REVIEW:
        message = _("This mass conversion is not waiting for decisions.")
        raise StaleDecisionError(message, code="not_in_review")
    return run


def _decision_maker(
    run: MassConversion, verdict: Verdict, action: Action
) -> Callable[[Preview], Decision]:
    """Return what decides a row, together with what the plans of the run have in common."""
    if action not in ACTIONS or verdict not in matching.CONVERTIBLE:
        message = _("“%(action)s” cannot be said of %(verdict)s.")
        raise PlanError(message % {"action": action, "verdict": verdict}, code="bad_decision")
    if action == Action.ATTACH and verdict in {Verdict.NO_MATCH, Verdict.SEVERAL_MATCHES}:
        message = _("Which record the leads should join is not clear; decide them one by one.")
        raise PlanError(message, code="bad_decision")
    context = DecisionContext(today=localdate(), active_owners=frozenset(run.active_owners))

    def decision_for(preview: Preview) -> Decision:
        plan = ConversionPlan()
        if action == Action.ATTACH:
            plan = matching.propose(preview.verdict, preview.options) or plan
        if action == Action.SKIP or preview.lead is None:
            return Decision(skip=True)
        return matching.complete_plan(plan, run.rules, preview.lead, context)

    return decision_for


def _write(run: MassConversion, moves: list[Move]) -> list[Move]:
    """
    Write decisions, unless the run was started or cancelled meanwhile; return those made.

    :raises StaleDecisionError: if it was; then nothing is written
    """
    with transaction.atomic():
        if not run.bump_revision():
            raise StaleDecisionError(code="changed")
        return LeadConversion.objects.move(moves)


def _decided(row: LeadConversion, decision: Decision, by: AbstractBaseUser | None) -> Move:
    plan, who = decision.plan, str(by or "")
    values: dict[str, Any] = {"decided_by_id": by.pk if by else None}
    if decision.skip:
        values |= lifecycle.AT_REST
        return Move(row=row, to=Status.SKIPPED, by=who, values=values)
    if plan is None:
        # A person wanted it sent, but whose it will be has to be said lead by lead.
        undecided = {"plan": None, "decided_by_id": None, "reason": decision.reason}
        return Move(row=row, to=Status.PREVIEWED, by=who, values=undecided)
    values |= {"plan": as_json(plan), "reason": "", **keys_of(row.lead_seen(), plan)}
    details = {"plan": as_json(plan)}
    return Move(row=row, to=Status.PREVIEWED, by=who, values=values, details=details)


def _batches(rows: QuerySet[LeadConversion]) -> Iterator[list[LeadConversion]]:
    last = 0
    while batch := list(rows.filter(pk__gt=last).order_by("pk")[:WRITE_BATCH_ROWS]):
        yield batch
        last = batch[-1].pk
