"""Prepare, start, pause, resume, cancel and retry a run, and leave out what failed in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import F
from django.utils.timezone import localdate
from django.utils.translation import gettext as _

from zoho_crm.exceptions import PlanError, RequestRefusedError, StaleDecisionError
from zoho_crm.matching import Policy
from zoho_crm.models import LeadConversion, MassConversion, atomic
from zoho_crm.models._database import DbNow
from zoho_crm.models._moves import Move
from zoho_crm.services import lifecycle
from zoho_crm.services.leads import check_filters
from zoho_crm.services.mass_convert._decisions import WRITE_BATCH_ROWS, in_review
from zoho_crm.services.mass_convert._sources import open_leads_source
from zoho_crm.services.mass_convert._staging import stage_lines
from zoho_crm.services.mass_convert._steps import choose_canaries
from zoho_crm.services.plans import DEAL_FIELDS, TEMPLATE_FIELDS
from zoho_crm.services.presentation import MAX_TEXT_LENGTH, given_text
from zoho_crm.services.run_results import TO_RETRY, CauseKey, cause_rows
from zoho_crm.services.run_statistics import (
    TAKEN_ELSEWHERE,
    counts,
    decided_count,
    lead_count,
    rows_of,
)
from zoho_crm.types import CodedText, as_json, storable

Stage = MassConversion.Stage
Status = LeadConversion.Status
#: Columns of a run that is not paused.
NOT_PAUSED: Mapping[str, Any] = {"paused_reason": "", "paused_details": {}}


def prepare(
    *,
    connection_id: int,
    lead_ids: Iterable[str],
    policy: Policy,
    active_owners: Iterable[str] = (),
    name: str = "",
    source: str | CodedText = "",
    by: AbstractBaseUser | None = None,
) -> MassConversion:
    """
    Create a run from a stream of lead ids, to be previewed; nothing is converted.

    If reading the source fails half-way, the run is cancelled, so that it does not look complete.

    :param lead_ids: the lines of the source; one that is no lead id, or whose lead cannot be taken
        into the run, is stored with the reason
    :param active_owners: ids of the users who may own records; empty if they are not known
    :param source: what people read about where the leads come from
    :raises RequestRefusedError: if the source has no line with an id, or cannot be read
    """
    run = MassConversion.objects.create(
        connection_id=connection_id,
        name=storable(name, MassConversion.MAX_NAME_LENGTH),
        **_source_columns(source if isinstance(source, CodedText) else given_text(source)),
        policy=as_json(policy),
        active_owners=list(active_owners),
        created_by_id=by.pk if by else None,
    )
    with ExitStack() as stack:
        stack.callback(_discard, run)
        if not stage_lines(run, lead_ids):
            raise RequestRefusedError(_("There is not one lead in this source."), code="empty")
        stack.pop_all()
    if not run.advance([Stage.STAGING], Stage.PREVIEWING, counted_from=DbNow(), due_at=DbNow()):
        # It was cancelled meanwhile, and may have ended before its last rows were stored.
        run.advance([Stage.CANCELLED], Stage.CANCELLED, counts=None, ended_at=None, due_at=DbNow())
    run.refresh_from_db()
    return run


def prepare_open_leads(
    *,
    connection_id: int,
    filters: Mapping[str, str],
    policy: Policy,
    active_owners: Iterable[str] = (),
    name: str = "",
    owner_names: Mapping[str, str] | None = None,
    by: AbstractBaseUser | None = None,
) -> MassConversion:
    """
    Create a run of the open leads that have these values, which the worker reads page by page.

    A run for which no lead is found is cancelled.

    :param filters: values by the API name of a field, see ``leads``; all open leads if empty
    :param active_owners: ids of the users who may own records; empty if they are not known
    :param owner_names: names of users by id, for the owner in the filters
    :raises RequestRefusedError: if a filter for an instant is none
    """
    check_filters(filters)
    return MassConversion.objects.create(
        connection_id=connection_id,
        name=storable(name, MassConversion.MAX_NAME_LENGTH),
        **_source_columns(open_leads_source(filters, owner_names)),
        filters=dict(filters),
        policy=as_json(policy),
        active_owners=list(active_owners),
        created_by_id=by.pk if by else None,
        due_at=DbNow(),
    )


def _source_columns(source: CodedText) -> dict[str, Any]:
    return {"source": source.code, "source_details": source.details}


def _discard(run: MassConversion) -> None:
    """Delete a run without rows, cancel one with rows."""
    if LeadConversion.objects.filter(mass_conversion=run).exists():
        cancel(run_id=run.pk)
    else:
        run.delete()


def start(
    *, run_id: int, revision: int, count: int, by: AbstractBaseUser | None = None
) -> MassConversion:
    """
    Start to convert the decided rows of a run, exactly as they were shown.

    :param revision: the revision of the run that was shown
    :param count: the number of leads to be converted, as the person typed it
    :raises StaleDecisionError: if a row was decided, or the run started or cancelled, meanwhile
    :raises PlanError: if another number of leads would be converted
    """
    run = in_review(run_id)
    if run.due_at is not None:
        message = _("The last decisions are still being taken in; try again in a moment.")
        raise StaleDecisionError(message, code="not_settled")
    if decided_count(run) != count:
        message = _("%(real)s leads would be converted, not %(typed)s.")
        raise PlanError(message % {"real": decided_count(run), "typed": count}, code="other_count")
    started = MassConversion.objects.filter(
        pk=run_id, stage=Stage.REVIEW, revision=revision, due_at=None
    ).update(
        stage=Stage.CONVERTING,
        is_armed=False,
        counted_from=DbNow(),
        started_at=DbNow(),
        started_by=by.pk if by else None,
        due_at=DbNow(),
    )
    if not started:
        raise StaleDecisionError(code="changed")
    run.refresh_from_db()
    return run


def pause(*, run_id: int, by: AbstractBaseUser | None = None, reason: str = "") -> bool:
    """
    Begin no more rows of a run; return whether it was running. Calls in flight are finished.

    :param reason: what people read about why; by default, who paused it
    """
    user = {"user": storable(str(by), MAX_TEXT_LENGTH)}
    who = CodedText(code="by_user", details=user) if by else CodedText(code="paused")
    why = given_text(reason) if reason else who
    running = MassConversion.objects.filter(
        pk=run_id, stage__in=[Stage.PREVIEWING, Stage.CONVERTING], paused_reason=""
    )
    return bool(running.update(paused_reason=why.code, paused_details=why.details))


def resume(*, run_id: int) -> bool:
    """Continue a paused run, with canaries first; return whether it was paused."""
    paused = MassConversion.objects.filter(pk=run_id).exclude(paused_reason="")
    if not paused.update(**NOT_PAUSED, counted_from=DbNow(), due_at=DbNow()):
        return False
    choose_canaries(MassConversion.objects.get(pk=run_id))
    return True


def cancel(*, run_id: int) -> bool:
    """
    Cancel a run; return whether it had not ended.

    Rows that were not sent are skipped, and those in progress are settled.
    """
    run = MassConversion.objects.get(pk=run_id)
    open_stages = [Stage.STAGING, Stage.PREVIEWING, Stage.REVIEW, Stage.CONVERTING]
    return run.advance(open_stages, Stage.CANCELLED, **NOT_PAUSED, due_at=DbNow())


def retry(
    *,
    run_id: int,
    by: AbstractBaseUser | None = None,
    cause: CauseKey | None = None,
    policy: Policy | None = None,
) -> int:
    """
    Preview the failed and undecided rows of a finished run again, and return how many there are.

    They are converted after new decisions and a new start.

    :param cause: of the rows that are meant; by default all
    :param policy: to be the policy of the run from now on, if there are such rows; where a
        person decided, what differs in the deal takes the place of that in the plan
    :raises StaleDecisionError: if the run has not finished
    """
    run = _finished(run_id)
    before = run.rules
    rows = (cause_rows(run, cause) if cause else rows_of(run)).filter(TO_RETRY)
    while batch := list(rows.order_by("pk")[:WRITE_BATCH_ROWS]):
        moves = [_retried(row, before, policy or before, by) for row in batch]
        with atomic():
            if LeadConversion.objects.move(moves) and policy is not None:
                run.advance([Stage.FINISHED], Stage.FINISHED, policy=as_json(policy))
    # The rows of a finished run are not worked; if this process dies here, retry can be repeated.
    count = LeadConversion.objects.filter(mass_conversion=run, status=Status.NEW).count()
    if count:
        reset: dict[str, Any] = {"counts": None, "ended_at": None, "counted_from": DbNow()}
        reset |= {"announced_at": None, "signal_lease_until": None}
        run.advance([Stage.FINISHED], Stage.PREVIEWING, is_armed=False, due_at=DbNow(), **reset)
    return count


def _finished(run_id: int) -> MassConversion:
    run = MassConversion.objects.get(pk=run_id)
    if run.stage != Stage.FINISHED:
        message = _("Only a run that has finished can be retried.")
        raise StaleDecisionError(message, code="not_finished")
    return run


def _retried(
    row: LeadConversion, before: Policy, policy: Policy, by: AbstractBaseUser | None
) -> Move:
    """Return the move of a row to a new preview, with what a new policy says of its deal."""
    move = lifecycle.reopened(row, by=str(by or ""))
    plan, lead = row.stored_plan(), row.stored_lead()
    if policy is before or not (policy.deal and before.deal and plan and plan.deal and lead):
        return move
    planned = policy.deal.for_lead(lead, today=localdate())
    replaced = {
        attribute: getattr(planned, attribute)
        for attribute, word in zip(DEAL_FIELDS, TEMPLATE_FIELDS, strict=True)
        if getattr(policy.deal, word) != getattr(before.deal, word)
    }
    plan = replace(plan, deal=replace(plan.deal, **replaced))
    return replace(move, values={**move.values, "plan": as_json(plan)})


def leave_out(*, run_id: int, cause: CauseKey, by: AbstractBaseUser) -> int:
    """
    Leave the failed or undecided rows with a cause out of a finished run; return how many.

    :raises StaleDecisionError: if the run has not finished
    """
    run, left_out = _finished(run_id), 0
    rows = cause_rows(run, cause).filter(TO_RETRY)
    while batch := list(rows.order_by("pk")[:WRITE_BATCH_ROWS]):
        with atomic():
            # A refused row is taken up again by that, and left out before any worker sees it.
            failed = [row for row in batch if row.status == Status.FAILED]
            taken_up = LeadConversion.objects.move(
                [lifecycle.reopened(row, by=str(by)) for row in failed]
            )
            open_rows = [move.row for move in taken_up]
            open_rows += [row for row in batch if row.status == Status.PREVIEWED]
            values: dict[str, Any] = {**lifecycle.AT_REST, "decided_by_id": by.pk}
            made = LeadConversion.objects.move(
                [Move(row=row, to=Status.SKIPPED, by=str(by), values=values) for row in open_rows]
            )
        left_out += len(made)
    recount(run_id=run_id)
    return left_out


def recount(*, run_id: int) -> None:
    """
    Count the rows of a run that has ended anew, after some of them changed.

    Those that were taken up elsewhere since it ended stay counted, as that.
    """
    ended = MassConversion.objects.filter(
        pk=run_id, stage__in=[Stage.FINISHED, Stage.CANCELLED], counts__isnull=False
    )
    with atomic():
        # Until the transaction ends, no other request can count them.
        if not ended.update(stage=F("stage")):
            return
        run = ended.get()
        before, run.counts = run.counts or {}, None
        now = counts(run)
        gone = lead_count(before) - lead_count(now)
        if gone > 0:
            now[TAKEN_ELSEWHERE] = gone
        ended.update(counts=now)
