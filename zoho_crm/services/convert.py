"""Decide about previewed leads, by a person or a policy, and approve them for sending."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import DatabaseError

from zoho_crm import matching
from zoho_crm.exceptions import StaleDecisionError
from zoho_crm.matching import Decision
from zoho_crm.models import LeadConversion, atomic
from zoho_crm.models._moves import Move
from zoho_crm.services import lifecycle
from zoho_crm.services.outages import VALUE_ERRORS, is_outage
from zoho_crm.services.policies import policy_named
from zoho_crm.services.preview import get_or_create_row
from zoho_crm.types import ConversionPlan, Verdict, as_json, storable

logger = logging.getLogger(__name__)

Status = LeadConversion.Status


def decide(
    *, conversion_id: int, version: int, plan: ConversionPlan, by: AbstractBaseUser
) -> LeadConversion:
    """
    Store a person's plan in a previewed row; nothing is sent.

    :raises PlanError: if the plan does not fit the preview
    :raises RequestRefusedError: if a mass conversion decides about the lead
    :raises StaleDecisionError: if the preview changed after it was shown
    """
    row = _unchanged_row(conversion_id, version, Status.PREVIEWED)
    values = {"plan": as_json(plan), "decided_by_id": by.pk}
    details = {"plan": as_json(plan)}
    move = Move(row=row, to=Status.PREVIEWED, by=str(by), values=values, details=details)
    move = lifecycle.detached_from_run(move)
    matching.check_plan(plan, Verdict(row.verdict), row.stored_options())
    return _move(move)


def approve(
    *,
    conversion_id: int,
    version: int,
    plan: ConversionPlan,
    by: AbstractBaseUser | None = None,
) -> LeadConversion:
    """
    Make a previewed row READY: a worker sends it with exactly this plan.

    :raises PlanError: if the plan does not fit the preview
    :raises RequestRefusedError: if a mass conversion decides about the lead
    :raises StaleDecisionError: if the preview changed after it was shown
    """
    row = _unchanged_row(conversion_id, version, Status.PREVIEWED)
    columns: dict[str, Any] = {"policy": ""}
    if by is not None:
        columns |= {"approved_by_id": by.pk, "decided_by_id": by.pk}
    approved = lifecycle.approved(row, plan, by=str(by or ""), **columns)
    move = lifecycle.detached_from_run(approved)
    matching.check_plan(plan, Verdict(row.verdict), row.stored_options())
    return _move(move)


def skip(
    *, conversion_id: int, version: int, by: AbstractBaseUser, note: str = ""
) -> LeadConversion:
    """
    Set a row to SKIPPED, with a note for the journal; nothing is sent for it.

    :raises StaleDecisionError: if it changed after it was shown
    """
    row = _unchanged_row(
        conversion_id, version, Status.PREVIEWED, Status.READY, Status.NEEDS_REVIEW
    )
    values = {**lifecycle.AT_REST, "policy": "", "decided_by_id": by.pk}
    details = {"note": storable(note)} if note else {}
    with atomic():
        if row.mass_conversion:
            # Other rows may follow this one.
            values["grouping"] = LeadConversion.Grouping.COMPARE
            values["run_revision"] = row.mass_conversion.bump_revision()
        return _move(Move(row=row, to=Status.SKIPPED, by=str(by), values=values, details=details))


def request(
    *,
    connection_id: int,
    lead_id: str,
    policy: str = "careful",
    by: AbstractBaseUser | None = None,
) -> LeadConversion:
    """
    Queue a lead to be previewed, and converted if this policy decides it; return its row.

    A row that is neither new nor previewed and undecided is returned unchanged.

    :param policy: the name of a preset or of a saved policy, which decides as it is then
    :raises RequestRefusedError: if this can be no lead's id
    :raises PlanError: if there is no such policy
    """
    policy_named(policy)
    row = get_or_create_row(connection_id=connection_id, lead_id=lead_id)
    undecided = row.status == Status.PREVIEWED and row.decided_by_id is None
    if not row.is_in_run and (row.status == Status.NEW or undecided):
        reset = lifecycle.reset_to_new(row, by=str(by or ""), policy=policy)
        move = lifecycle.detached_from_run(reset)
        LeadConversion.objects.move([replace(move, values={**move.values, "policy": policy})])
        row.refresh_from_db()
    return row


def write_moves(moves: Iterable[Move], decisions: Mapping[int, Decision]) -> None:
    """
    Write moves; approve or skip the rows that their policy decides, in the same transaction.

    :param decisions: by the row's primary key
    """
    with atomic():
        written = LeadConversion.objects.move(moves)
        LeadConversion.objects.move(
            _decided(move.row, decisions[move.row.pk])
            for move in written
            if move.row.pk in decisions
        )


def write_moves_singly(moves: Iterable[Move], decisions: Mapping[int, Decision]) -> list[Move]:
    """
    Write moves one by one after ``write_moves`` failed because of their values; return the moves.

    A row whose own move cannot be written is moved as after an internal error.
    """
    return [_write_or_mark(move, decisions) for move in moves]


def _write_or_mark(move: Move, decisions: Mapping[int, Decision]) -> Move:
    try:
        write_moves([move], decisions)
    except VALUE_ERRORS as error:
        if is_outage(error):
            raise
        row = LeadConversion.objects.with_is_conclusive().get(pk=move.row.pk)
        if row.version == move.from_version:
            # A database quotes the whole row in its error.
            shown = None if isinstance(error, DatabaseError) else error
            kind = type(error).__name__
            logger.error("Conversion %s: %s when it was written", row.pk, kind, exc_info=shown)
            move = lifecycle.internal_error(row, error)
            LeadConversion.objects.move([move])
    return move


def _decided(row: LeadConversion, decision: Decision) -> Move:
    by = f"policy {row.policy}"
    if decision.plan:
        return lifecycle.approved(row, decision.plan, by=by)
    return Move(row=row, to=Status.SKIPPED, by=by, values=lifecycle.AT_REST)


def _unchanged_row(conversion_id: int, version: int, *statuses: str) -> LeadConversion:
    """
    Return a row in one of these statuses and at the version that was shown.

    :raises StaleDecisionError: if there is another version or status now
    """
    row = LeadConversion.objects.select_related("mass_conversion").get(pk=conversion_id)
    if row.version != version or row.status not in statuses:
        raise StaleDecisionError(code="changed")
    return row


def _move(move: Move) -> LeadConversion:
    """
    Write a move and return its row.

    :raises StaleDecisionError: if the row was changed meanwhile
    """
    if not LeadConversion.objects.move([move]):
        raise StaleDecisionError(code="changed")
    move.row.refresh_from_db()
    return move.row
