"""Decide the rows of a run: by its policy, all rows of a verdict, or one row. Nothing is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet
from django.utils.timezone import localdate
from django.utils.translation import gettext as _

from zoho_crm import matching
from zoho_crm.exceptions import PlanError, StaleDecisionError
from zoho_crm.matching import Action, Decision, DecisionContext, Policy, Preview
from zoho_crm.models import LeadConversion, MassConversion, atomic, batches
from zoho_crm.models._moves import Move
from zoho_crm.services import lifecycle
from zoho_crm.services.mass_convert._jobs import effect_key, effect_of_plan
from zoho_crm.services.plans import actions_for
from zoho_crm.services.presentation import REASONS
from zoho_crm.services.preview import stored_preview
from zoho_crm.types import ConversionPlan, Lead, Verdict, as_json

Status = LeadConversion.Status
#: The column of a row that was previewed or decided: the groups of its run have to be formed again.
REGROUP: Mapping[str, Any] = {"grouping": LeadConversion.Grouping.COMPARE}
#: The columns of a row without a plan by which others are grouped.
NO_KEYS: Mapping[str, str] = dict.fromkeys(
    ("contact_key", "account_key", "similar_key", "effect"), ""
)
#: Statuses in which one row may be decided; a plan takes a skipped row in again.
DECIDABLE = (Status.PREVIEWED, Status.SKIPPED)
#: Rows that are moved in one transaction, here and in the other modules of this package.
WRITE_BATCH_ROWS = 500


def previewed_in_run(
    row: LeadConversion, preview: Preview, policy: Policy, context: DecisionContext
) -> Move:
    """
    Return the move for the new preview of a row: PREVIEWED or SKIPPED as the policy decides.

    A row that is previewed again while its run is converting is left undecided: its plan is not
    the one that was shown when the run was started.
    """
    move = lifecycle.previewed(row, preview)
    if move.to != Status.PREVIEWED:
        return move
    run = row.mass_conversion
    if run and run.stage == MassConversion.Stage.CONVERTING:
        undecided = {"plan": None, "decided_by": None, "follows": None, "joins": ""}
        undecided |= {"reason": preview.reason or "changed", **NO_KEYS}
        return replace(move, values={**move.values, **undecided})
    if "plan" not in move.values:
        keys = _key_columns(preview.lead, row.stored_plan(), policy)
        return replace(move, values={**move.values, **keys, **REGROUP})
    decision = matching.decide_by(policy, preview, context)
    values: dict[str, Any] = {**move.values, "plan": as_json(decision.plan)}
    values["reason"] = decision.reason or move.values["reason"]
    values |= {**_key_columns(preview.lead, decision.plan, policy), **REGROUP}
    return replace(move, to=Status.SKIPPED if decision.skip else move.to, values=values)


def _key_columns(
    lead: Lead | None, plan: ConversionPlan | None, policy: Policy
) -> Mapping[str, str]:
    """Return the columns by which rows are grouped: for the same records, and for the same job."""
    if lead is None or plan is None:
        return NO_KEYS
    account = matching.account_key(lead, plan)
    return {
        "contact_key": _digest(matching.contact_key(lead, plan)),
        "account_key": _digest(account),
        "similar_key": _digest(matching.similar_key(account)),
        "effect": effect_key(effect_of_plan(lead, plan, policy)),
    }


def _digest(key: str) -> str:
    # A company's name may have 200 characters, too many for an index.
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest() if key else ""


def decide(*, run_id: int, verdict: str, action: str, by: AbstractBaseUser | None = None) -> int:
    """
    Decide all previewed rows of a verdict in the same way, and return how many were decided.

    :param action: ``attach``, ``create`` or ``skip``
    :param by: the user who decides; without one, rows that a person decided stay as they are
    :raises StaleDecisionError: if the run is no longer, or not yet, in review
    :raises PlanError: if the action cannot be chosen for this verdict
    """
    run = in_review(run_id)
    decision_for = _decision_maker(run, Verdict(verdict), Action(action))
    rows = _known_for(Action(action), LeadConversion.objects.filter(mass_conversion=run))
    rows = rows.filter(status=Status.PREVIEWED, verdict=verdict)
    if by is None:
        rows = rows.filter(decided_by=None)
    decided, rules = 0, run.rules
    for batch in batches(rows):
        moves = [_decision_move(rules, row, decision_for(stored_preview(row)), by) for row in batch]
        made = _write(run, moves)
        decided += _decided_count(made)
    return decided


def _known_for(action: Action, rows: QuerySet[LeadConversion]) -> QuerySet[LeadConversion]:
    """Return the rows of which enough is known for an action."""
    return rows if action == Action.SKIP else rows.exclude(lifecycle.TO_BE_READ_AGAIN)


def _decided_count(made: list[Move]) -> int:
    return sum(move.row.status == Status.SKIPPED or bool(move.row.plan) for move in made)


def decide_one(
    *, conversion_id: int, version: int, plan: ConversionPlan | None, by: AbstractBaseUser
) -> LeadConversion:
    """
    Give one row of a run a plan, or leave it out of the run (``None``).

    :raises StaleDecisionError: if the row changed after it was shown, or its run is not in review
    :raises PlanError: if the plan does not fit the preview
    """
    row = LeadConversion.objects.get(pk=conversion_id)
    run = in_review(row.mass_conversion_id or 0)
    if row.version != version or row.status not in DECIDABLE:
        raise StaleDecisionError(code="changed")
    if plan is not None:
        if lifecycle.has_to_be_read_again(row):
            message = _("This lead has to be read from Zoho again first.")
            raise StaleDecisionError(message, code="unread")
        matching.check_plan(plan, Verdict(row.verdict), row.stored_options())
    elif row.status == Status.SKIPPED:
        return row
    decision = Decision(plan=plan, skip=plan is None)
    if not _write(run, [_decision_move(run.rules, row, decision, by)]):
        raise StaleDecisionError(code="changed")
    row.refresh_from_db()
    return row


def decide_rows(
    *, run_id: int, versions: Mapping[int, int], action: str, by: AbstractBaseUser
) -> int:
    """
    Decide some rows of a run in the same way, and return how many were decided.

    A row that the action does not fit, or that has another version by now, stays as it is. A plan
    takes a row that was left out in again.

    :param versions: of at most some hundred rows, by primary key, as they were shown
    :param action: ``attach``, ``create`` or ``skip``
    :raises StaleDecisionError: if the run is no longer, or not yet, in review
    """
    run, chosen = in_review(run_id), Action(action)
    fitting = [verdict for verdict in matching.CONVERTIBLE if chosen in actions_for(verdict)]
    decision_for = {verdict: _decision_maker(run, verdict, chosen) for verdict in fitting}
    statuses = [Status.PREVIEWED] if chosen == Action.SKIP else DECIDABLE
    rows = _known_for(chosen, LeadConversion.objects.filter(mass_conversion=run, pk__in=versions))
    rows = rows.filter(status__in=statuses, verdict__in=fitting)
    rules = run.rules
    moves = [
        _decision_move(rules, row, decision_for[Verdict(row.verdict)](stored_preview(row)), by)
        for row in rows.order_by("pk")
        if row.version == versions[row.pk]
    ]
    return _decided_count(_write(run, moves)) if moves else 0


def choose_match(
    *,
    conversion_id: int,
    version: int,
    contact_id: str = "",
    account_id: str = "",
    by: AbstractBaseUser,
) -> LeadConversion:
    """
    Let one row of a run join a contact or an account; without either, create everything anew.

    What else the plan says, such as deal, owner and tags, is as the policy of the run says.

    :raises StaleDecisionError: if the row changed after it was shown, or its run is not in review
    :raises PlanError: if the records do not fit the preview, or the owner has to be chosen, too
    """
    row = LeadConversion.objects.get(pk=conversion_id)
    run, lead = in_review(row.mass_conversion_id or 0), row.stored_lead()
    given = ConversionPlan(contact_id=contact_id, account_id=account_id)
    plan = matching.complete_plan(given, run.rules, lead, _context(run)).plan if lead else given
    if plan is None:
        raise PlanError(str(REASONS["owner"]), code="owner", details={"field": "owner_id"})
    return decide_one(conversion_id=conversion_id, version=version, plan=plan, by=by)


def in_review(run_id: int) -> MassConversion:
    """
    Return a run that is waiting for decisions.

    :raises StaleDecisionError: if it is in another stage
    """
    run = MassConversion.objects.filter(pk=run_id).first()
    if run is None or run.stage != MassConversion.Stage.REVIEW:
        message = _("This run is not waiting for decisions.")
        raise StaleDecisionError(message, code="not_in_review")
    return run


def _decision_maker(
    run: MassConversion, verdict: Verdict, action: Action
) -> Callable[[Preview], Decision]:
    """
    Return the function that decides a row by this action and the choices of the run's policy.

    :raises PlanError: if the action cannot be chosen for this verdict
    """
    if action not in actions_for(verdict):
        message = _("“%(action)s” cannot be chosen for leads with the verdict %(verdict)s.")
        if action == Action.ATTACH and verdict in matching.CONVERTIBLE:
            message = _("Which record the leads should join is not clear; decide them one by one.")
        details = {"action": action, "verdict": verdict}
        raise PlanError(message % details, code="bad_decision", details=details)
    context = _context(run)

    def decision_for(preview: Preview) -> Decision:
        plan = ConversionPlan()
        if action == Action.ATTACH:
            plan = matching.propose(preview.verdict, preview.options) or plan
        if action == Action.SKIP:
            return Decision(skip=True)
        assert preview.lead  # else it is to be read again
        return matching.complete_plan(plan, run.rules, preview.lead, context)

    return decision_for


def _context(run: MassConversion) -> DecisionContext:
    return DecisionContext(today=localdate(), active_owners=frozenset(run.active_owners))


def _write(run: MassConversion, moves: list[Move]) -> list[Move]:
    """
    Write decisions and return those that were made; a row that was moved meanwhile stays.

    :raises StaleDecisionError: if the run was started or cancelled meanwhile; nothing is written
    """
    with atomic():
        revision = run.bump_revision()
        if not revision:
            raise StaleDecisionError(code="changed")
        values = {"run_revision": revision}
        return LeadConversion.objects.move(
            [replace(move, values={**move.values, **values}) for move in moves]
        )


def _decision_move(
    rules: Policy, row: LeadConversion, decision: Decision, by: AbstractBaseUser | None
) -> Move:
    plan, who = decision.plan, str(by or "")
    values: dict[str, Any] = {"decided_by_id": by.pk if by else None, **REGROUP}
    if decision.skip:
        values |= lifecycle.AT_REST
        return Move(row=row, to=Status.SKIPPED, by=who, values=values)
    if plan is None:
        # The records need an owner, who has to be chosen for each of these leads.
        values |= {"plan": None, "decided_by_id": None, "reason": decision.reason}
        return Move(row=row, to=Status.PREVIEWED, by=who, values=values)
    keys = _key_columns(row.stored_lead(), plan, rules)
    values |= {"plan": as_json(plan), "reason": "", **keys}
    details = {"plan": as_json(plan)}
    return Move(row=row, to=Status.PREVIEWED, by=who, values=values, details=details)
