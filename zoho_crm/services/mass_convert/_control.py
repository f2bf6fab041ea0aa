"""Prepare, start, pause, resume, cancel and retry a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Q
from django.utils.translation import gettext as _

from zoho_crm.exceptions import PlanError, RequestRefusedError, StaleDecisionError
from zoho_crm.matching import Policy
from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.models._time import DbNow
from zoho_crm.services import lifecycle
from zoho_crm.services.mass_convert._counts import decided_count
from zoho_crm.services.mass_convert._decisions import WRITE_BATCH_ROWS, in_review
from zoho_crm.services.mass_convert._sources import open_leads_source
from zoho_crm.services.mass_convert._staging import stage_lines
from zoho_crm.services.mass_convert._steps import choose_canaries
from zoho_crm.services.presentation import MAX_TEXT_LENGTH, given_text
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
    if not run.advance([Stage.STAGING], Stage.PREVIEWING, due_at=DbNow()):
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
    by: AbstractBaseUser | None = None,
) -> MassConversion:
    """
    Create a run of the open leads that have these values, which the worker reads page by page.

    A run for which no lead is found is cancelled.

    :param filters: values by the API name of a field; all open leads if empty
    :param active_owners: ids of the users who may own records; empty if they are not known
    """
    return MassConversion.objects.create(
        connection_id=connection_id,
        name=storable(name, MassConversion.MAX_NAME_LENGTH),
        **_source_columns(open_leads_source(filters)),
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


def retry(*, run_id: int, by: AbstractBaseUser | None = None) -> int:
    """
    Preview the failed and undecided rows of a finished run again, and return how many there are.

    They are converted after new decisions and a new start.

    :raises StaleDecisionError: if the run has not finished
    """
    run = MassConversion.objects.get(pk=run_id)
    if run.stage != Stage.FINISHED:
        message = _("Only a mass conversion that has finished can be tried again.")
        raise StaleDecisionError(message, code="not_finished")
    to_retry = Q(status=Status.FAILED) | Q(status=Status.PREVIEWED, plan__isnull=True)
    rows = LeadConversion.objects.filter(to_retry, mass_conversion=run)
    while batch := list(rows.order_by("pk")[:WRITE_BATCH_ROWS]):
        LeadConversion.objects.move([lifecycle.reopened(row, by=str(by or "")) for row in batch])
    # The rows of a finished run are not worked; if this process dies here, retry can be repeated.
    count = LeadConversion.objects.filter(mass_conversion=run, status=Status.NEW).count()
    if count:
        reset: dict[str, Any] = {"counts": None, "ended_at": None}
        reset |= {"announced_at": None, "signal_lease_until": None}
        run.advance([Stage.FINISHED], Stage.PREVIEWING, is_armed=False, due_at=DbNow(), **reset)
    return count
