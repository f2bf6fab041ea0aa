"""Zoho's mass-convert jobs of a run: which rows can be sent in a job, and the states of a job."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from django.db.models import Q

from zoho_crm.conf import conf
from zoho_crm.exceptions import ZohoError
from zoho_crm.matching import Policy
from zoho_crm.models import LeadConversion, MassConversion, MassConversionJob, atomic, from_now
from zoho_crm.models._moves import Move
from zoho_crm.models._time import DbNow
from zoho_crm.services import lifecycle
from zoho_crm.types import ConversionPlan, Effect, JobState, Lead, as_json

JobStatus = MassConversionJob.Status
Status = LeadConversion.Status
#: Seconds until the first job of a connection is polled for the first time.
FIRST_POLL_SECONDS = 0.5
#: Later ones are polled after this share of the shortest of so many jobs before, but not earlier.
FIRST_POLL_SHARE = 0.25
DURATION_SAMPLE_JOBS = 21
MIN_POLL_SECONDS = 0.05
#: How much longer the wait before each further poll is.
POLL_GROWTH = 1.5


# Which rows can be sent in a job


def effect_of(row: LeadConversion, policy: Policy) -> Effect | None:
    """
    Return the effect of a job that carries out the row's plan; ``None`` if only a single call can.

    A job creates all records, does the same to all its leads, and assigns the records to one owner:
    where each lead keeps its owner, there is one effect per owner.
    """
    lead, plan = row.stored_lead(), row.stored_plan()
    if lead is None or plan is None or not _creates_everything(row, plan):
        return None
    if plan.notify_lead_owner or plan.notify_new_owner or plan.overwrite:
        return None
    if plan.deal and not (policy.deal and policy.deal.is_same_for_all):
        return None
    if plan.deal and plan.deal.contact_role:  # only a single conversion sets the contact's role
        return None
    owner_id = plan.owner_id or (lead.owner.id if lead.owner else "")
    if not owner_id or not _carries_all_tags(lead, plan):
        return None
    return Effect(
        owner_id=owner_id,
        deal=plan.deal,
        tags_to=tuple(sorted(plan.tags)),
        attachments_to=plan.move_attachments_to,
    )


def min_job_size() -> int:
    """Return the smallest number of leads for which a job costs fewer credits than single calls."""
    costs = conf().costs
    return costs["mass_convert"] // max(1, costs["convert"]) + 1


def effect_key(effect: Effect | None) -> str:
    """Return a hash of the effect, by which rows are gathered for a job; empty for none."""
    if effect is None:
        return ""
    text = json.dumps(as_json(effect), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _creates_everything(row: LeadConversion, plan: ConversionPlan) -> bool:
    return row.follows_id is None and not plan.contact_id and not plan.account_id


def _carries_all_tags(lead: Lead, plan: ConversionPlan) -> bool:
    return all(set(names) == set(lead.tags) for names in plan.tags.values())


# The states of a job


def create(
    run: MassConversion, effect: Effect, claims: list[Move], *, only_if: Q
) -> tuple[MassConversionJob, list[LeadConversion]]:
    """
    Store a job that is about to be posted, and move its rows to RUNNING.

    :param claims: the moves of the rows to RUNNING
    :param only_if: a condition that a row must fulfil to be claimed
    :return: the job, and the rows that were claimed; without any the job is deleted
    """
    with atomic():
        job = MassConversionJob.objects.create(
            mass_conversion=run,
            connection_id=run.connection_id,
            effect=as_json(effect),
            posted_at=DbNow(),
            due_at=from_now(conf().LEASE),
        )
        made = LeadConversion.objects.move(
            [_with_job(claim, job) for claim in claims], only_if=only_if
        )
        if not made:
            job.delete()
    return job, [move.row for move in made]


def _with_job(claim: Move, job: MassConversionJob) -> Move:
    details = {"job": job.pk, "effect": job.effect}
    return replace(claim, values={**claim.values, "job": job}, details=details)


def mark_accepted(job: MassConversionJob, rows: list[LeadConversion], zoho_job_id: str) -> None:
    """Mark a job as accepted by Zoho: it will be polled, and its rows become SCHEDULED."""
    values: dict[str, Any] = {"in_doubt": True, "due_at": None, "retry_count": 0}
    values |= {"quiet_until": from_now(conf().JOB_HORIZON)}
    details = {"job_id": zoho_job_id}
    first_poll = from_now(_poll_delay(job.connection_id, polls=0))
    with atomic():
        _update(job, status=JobStatus.ACCEPTED, zoho_job_id=zoho_job_id, due_at=first_poll)
        LeadConversion.objects.move(
            Move(row=row, to=Status.SCHEDULED, values=values, details=details) for row in rows
        )


def mark_refused(job: MassConversionJob, rows: list[LeadConversion], error: ZohoError) -> None:
    """Mark a job as refused: its rows are sent singly at once, which also yields the reason."""
    with atomic():
        _end(job, JobStatus.REFUSED)
        _return_to_ready(rows, error)


def mark_not_processed(
    job: MassConversionJob, rows: list[LeadConversion], error: ZohoError
) -> None:
    """Mark a job as certainly not processed: its rows wait for another job."""
    with atomic():
        _end(job, JobStatus.REFUSED)
        _return_to_ready(rows, error, job=None, due_at=None)


def send_singly(row: LeadConversion, error: ZohoError) -> None:
    """Send singly the one row for which Zoho refused the job; the others are posted once more."""
    _return_to_ready([row], error)


def mark_answer_lost(
    job: MassConversionJob, rows: list[LeadConversion], *, in_flight: float
) -> None:
    """
    Mark a job whose answer was lost: it may exist or not, so its rows become UNKNOWN.

    :param in_flight: seconds for which the request can still be under way
    """
    config = conf()
    quiet = in_flight + config.JOB_HORIZON + config.MASS_QUIET_PERIOD
    with atomic():
        _end(job, JobStatus.LOST)
        LeadConversion.objects.move(_outcome_unknown(row, quiet) for row in rows)


def save_state(job: MassConversionJob, state: JobState) -> None:
    """Store the state that a poll returned, and finish the job if that is final."""
    counts = as_json(state)
    if state.is_final:
        finish(job, JobStatus.FINISHED, counts=counts)
    else:
        wait = _poll_delay(job.connection_id, polls=job.polls + 1)
        _update(job, counts=counts, polls=job.polls + 1, due_at=from_now(wait))


def postpone_poll(job: MassConversionJob) -> None:
    """Put off a job's next poll after one that failed, longer each time."""
    _update(job, polls=job.polls + 1, due_at=from_now(lifecycle.retry_delay(job.polls)))


def mark_not_found(job: MassConversionJob) -> None:
    """Give up a job that Zoho does not know (any more): it may run all the same, to its horizon."""
    config = conf()
    finish(job, JobStatus.GIVEN_UP, quiet=config.JOB_HORIZON + config.MASS_QUIET_PERIOD)


def finish(
    job: MassConversionJob, status: str, *, quiet: float | None = None, **values: Any
) -> None:
    """
    End a job that Zoho finished or that is given up: its rows become UNKNOWN and are read.

    :param quiet: seconds in which no read counts as "not converted"; ``MASS_QUIET_PERIOD`` if
        ``None``
    """
    rows = LeadConversion.objects.filter(job=job, status=Status.SCHEDULED)
    rows = rows.only("status", "version")
    quiet = conf().MASS_QUIET_PERIOD if quiet is None else quiet
    with atomic():
        _end(job, status, **values)
        LeadConversion.objects.move([_outcome_unknown(row, quiet) for row in rows])


def _outcome_unknown(row: LeadConversion, quiet: float) -> Move:
    return lifecycle.outcome_unknown(row, None, quiet=quiet, in_doubt=True, due_at=DbNow())


def give_up_overdue(connection_id: int) -> None:
    """
    End the due jobs of a connection that take longer than ``JOB_HORIZON``, or were never answered.

    A job that is still being posted when its lease has ended was left behind by its worker.
    """
    too_long = Q(status=JobStatus.ACCEPTED, posted_at__lte=from_now(-conf().JOB_HORIZON))
    jobs = MassConversionJob.objects.filter(connection_id=connection_id, due_at__lte=DbNow())
    for job in jobs.filter(Q(status=JobStatus.POSTING) | too_long):
        if job.status == JobStatus.POSTING:
            _end(job, JobStatus.LOST)
        else:
            finish(job, JobStatus.GIVEN_UP)


def _return_to_ready(rows: list[LeadConversion], error: ZohoError, **values: Any) -> None:
    moves = [lifecycle.not_processed(row, error, at_once=True) for row in rows]
    LeadConversion.objects.move(
        Move(row=m.row, to=m.to, values={**m.values, **values}, details=m.details) for m in moves
    )


def _end(job: MassConversionJob, status: str, **values: Any) -> None:
    _update(job, status=status, due_at=None, ended_at=DbNow(), **values)


def _update(job: MassConversionJob, **values: Any) -> None:
    MassConversionJob.objects.filter(pk=job.pk, ended_at=None).update(**values)


def _poll_delay(connection_id: int, *, polls: int) -> float:
    """
    Return the seconds to the next poll of a job, after so many polls of it.

    A job has ended at some time between the last poll that found it running and the one that found
    it done. The time up to that poll is taken for its duration: so a first poll that comes too late
    for short jobs comes earlier for the next, as it is at a quarter of the shortest duration.
    """
    ended = MassConversionJob.objects.filter(
        connection_id=connection_id, status=JobStatus.FINISHED
    ).order_by("-ended_at")
    times = ended.values_list("posted_at", "ended_at")[:DURATION_SAMPLE_JOBS]
    durations = [(end - begun).total_seconds() for begun, end in times if end]
    first = min(durations) * FIRST_POLL_SHARE if durations else FIRST_POLL_SECONDS
    return lifecycle.retry_delay(polls, max(first, MIN_POLL_SECONDS), POLL_GROWTH)
