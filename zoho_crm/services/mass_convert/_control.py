"""Prepare, start, pause, resume, cancel and retry a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Q
from django.utils.translation import gettext as _

from zoho_crm.exceptions import PlanError, RequestRefusedError, StaleDecisionError
from zoho_crm.matching import POLICIES, Policy
from zoho_crm.models import DbNow, LeadConversion, MassConversion
from zoho_crm.models import Policy as SavedPolicy
from zoho_crm.services import lifecycle
from zoho_crm.services.choices import Choices
from zoho_crm.services.mass_convert._counts import decided_count
from zoho_crm.services.mass_convert._decisions import WRITE_BATCH_ROWS, in_review
from zoho_crm.services.mass_convert._staging import stage_lines
from zoho_crm.services.mass_convert._steps import choose_canaries
from zoho_crm.types import as_json

Stage = MassConversion.Stage
Status = LeadConversion.Status


def prepare(
    *,
    connection_id: int,
    lead_ids: Iterable[str],
    policy: Policy,
    active_owners: Iterable[str] = (),
    name: str = "",
    source: str = "",
    by: AbstractBaseUser | None = None,
) -> MassConversion:
    """
    Take leads in, line by line as they come, to be previewed; nothing is converted.

    If the source fails on the way, the run is cancelled: a part must not look like the whole.

    :param lead_ids: a stream of ids; what is none, or cannot be taken, is kept with its reason
    :param active_owners: users who may get records; empty if that is not known
    :raises RequestRefusedError: if there is not one line, or the source cannot be read
    """
    run = MassConversion.objects.create(
        connection_id=connection_id,
        name=name,
        source=source,
        policy=as_json(policy),
        active_owners=list(active_owners),
        created_by_id=by.pk if by else None,
    )
    with ExitStack() as stack:
        stack.callback(_withdraw, run)
        if not stage_lines(run, lead_ids):
            raise RequestRefusedError(_("There is not one lead in this source."), code="empty")
        stack.pop_all()
    if not run.advance([Stage.STAGING], Stage.PREVIEWING, due_at=DbNow()):
        # It was cancelled meanwhile, and may have ended before its last rows came.
        run.advance([Stage.CANCELLED], Stage.CANCELLED, counts=None, ended_at=None, due_at=DbNow())
    run.refresh_from_db()
    return run


def prepare_open(
    *,
    connection_id: int,
    filters: Mapping[str, str],
    policy: Policy,
    active_owners: Iterable[str] = (),
    name: str = "",
    by: AbstractBaseUser | None = None,
) -> MassConversion:
    """
    Have the worker take in every open lead that has these values, page by page.

    A run that finds none is cancelled.

    :param filters: values by API name; all open leads if there are none
    """
    words = ", ".join(f"{field}={value}" for field, value in filters.items())
    source = _("open leads with %s") % words if filters else _("all open leads")
    return MassConversion.objects.create(
        connection_id=connection_id,
        name=name,
        source=source[:200],
        filters=dict(filters),
        policy=as_json(policy),
        active_owners=list(active_owners),
        created_by_id=by.pk if by else None,
        due_at=DbNow(),
    )


def _withdraw(run: MassConversion) -> None:
    if LeadConversion.objects.filter(mass_conversion=run).exists():
        cancel(run_id=run.pk)
    else:
        run.delete()


def policies() -> dict[str, Policy]:
    """Return the presets and what people saved, by name; a preset's name stays the preset's."""
    saved = {policy.name: policy.as_value() for policy in SavedPolicy.objects.order_by("name")}
    return {**POLICIES, **saved, **POLICIES}


def check_policy(policy: Policy, choices: Choices) -> None:
    """
    Make sure that the organisation has what the policy names.

    :raises PlanError: if a stage is not in its pipeline, or an owner is not there or inactive
    """
    users = {user.id for user in choices.users}
    for owner in filter(None, (policy.owner_id, policy.owner_for_inactive_id)):
        if users and owner not in users:
            message = _("The user %s is not active in this organisation.")
            raise PlanError(message % owner, code="no_owner")
    deal = policy.deal
    if deal and choices.pipelines:
        stages = {p.value: {stage.value for stage in p.stages} for p in choices.pipelines}
        if deal.stage not in stages.get(deal.pipeline, set()):
            message = _("The pipeline “%(pipeline)s” has no stage “%(stage)s”.")
            words = {"pipeline": deal.pipeline, "stage": deal.stage}
            raise PlanError(message % words, code="no_stage")


def start(
    *, run_id: int, revision: int, count: int, by: AbstractBaseUser | None = None
) -> MassConversion:
    """
    Start a run exactly as it was shown.

    :param revision: of the run as it was shown
    :param count: how many leads will be sent, as the person typed it
    :raises StaleDecisionError: if it was decided, started or cancelled meanwhile
    :raises PlanError: if the count is another
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
    """Let no lead of a run begin any more; whether it was going on."""
    who = _("Paused by %s.") % by if by else _("Paused.")
    return bool(
        MassConversion.objects.filter(
            pk=run_id, stage__in=[Stage.PREVIEWING, Stage.CONVERTING], paused_reason=""
        ).update(paused_reason=reason or who)
    )


def resume(*, run_id: int) -> bool:
    """Let a run go on, its first leads one by one again; whether it stood still."""
    paused = MassConversion.objects.filter(pk=run_id).exclude(paused_reason="")
    if not paused.update(paused_reason="", counted_from=DbNow(), due_at=DbNow()):
        return False
    choose_canaries(MassConversion.objects.get(pk=run_id))
    return True


def cancel(*, run_id: int) -> bool:
    """Leave out what was not sent yet; what is under way settles. Whether it was not over."""
    run = MassConversion.objects.get(pk=run_id)
    open_stages = [Stage.STAGING, Stage.PREVIEWING, Stage.REVIEW, Stage.CONVERTING]
    return run.advance(open_stages, Stage.CANCELLED, paused_reason="", due_at=DbNow())


def retry(*, run_id: int, by: AbstractBaseUser | None = None) -> int:
    """
    Preview again what failed or was left undecided; it needs a new start. Return how many rows.

    :raises StaleDecisionError: if the run has not finished
    """
    run = MassConversion.objects.get(pk=run_id)
    if run.stage != Stage.FINISHED:
        message = _("Only a mass conversion that has finished can be tried again.")
        raise StaleDecisionError(message, code="not_finished")
    again = Q(status=Status.FAILED) | Q(status=Status.PREVIEWED, plan__isnull=True)
    rows = LeadConversion.objects.filter(again, mass_conversion=run)
    while batch := list(rows.order_by("pk")[:WRITE_BATCH_ROWS]):
        LeadConversion.objects.move([lifecycle.reopened(row, by=str(by or "")) for row in batch])
    # Rows of a finished run rest; if this process ends before the next line, it can be repeated.
    count = LeadConversion.objects.filter(mass_conversion=run, status=Status.NEW).count()
    if count:
        anew: dict[str, Any] = {"counts": None, "ended_at": None, "announced_at": None}
        run.advance([Stage.FINISHED], Stage.PREVIEWING, is_armed=False, due_at=DbNow(), **anew)
    return count
