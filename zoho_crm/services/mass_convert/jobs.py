"""Zoho's mass-convert jobs of a run: which rows may go by one, and what happens to a job."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from statistics import median
from typing import Any

from django.db import transaction
from django.db.models import Q

from zoho_crm.conf import conf
from zoho_crm.exceptions import ZohoError
from zoho_crm.matching import Policy
from zoho_crm.models import (
    DbNow,
    LeadConversion,
    MassConversion,
    MassConversionJob,
    Move,
    from_now,
)
from zoho_crm.services import lifecycle
from zoho_crm.types import ConversionPlan, Effect, JobState, Lead, as_json

JobStatus = MassConversionJob.Status
Status = LeadConversion.Status
#: Seconds to the first poll of a connection's first job.
FIRST_POLL = 2.0
#: Jobs whose duration says how long the next will take.
REMEMBERED = 21


# Which rows may go by a job


def effect_of(row: LeadConversion, policy: Policy) -> Effect | None:
    """
    Return what a job would have to do to this row; ``None`` if only a single call can.

    A job creates everything, treats all its leads alike, and gives the records to one owner:
    keeping the owner means one effect an owner.
    """
    lead, plan = row.lead_seen(), row.planned()
    if lead is None or plan is None or not _creates_everything(row, plan):
        return None
    if plan.notify_lead_owner or plan.notify_new_owner or plan.overwrite:
        return None
    if plan.deal and not (policy.deal and policy.deal.is_same_for_all):
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
    """Return from how many leads on a job costs fewer credits than single calls."""
    costs = conf().CREDIT_COSTS
    return costs.get("mass_convert", 200) // max(1, costs.get("convert", 5)) + 1


def effect_key(effect: Effect | None) -> str:
    """Return what rows of one effect have in common; empty for none."""
    if effect is None:
        return ""
    text = json.dumps(as_json(effect), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _creates_everything(row: LeadConversion, plan: ConversionPlan) -> bool:
    return row.follows_id is None and not plan.contact_id and not plan.account_id


def _carries_all_tags(lead: Lead, plan: ConversionPlan) -> bool:
    return all(set(names) == set(lead.tags) for names in plan.tags.values())


# What happens to a job


def create(
    run: MassConversion, effect: Effect, claims: list[Move], *, only_if: Q
) -> tuple[MassConversionJob, list[LeadConversion]]:
    """Write the intent: the job, and its rows as being sent. Return those that could be claimed."""
    with transaction.atomic():
        job = MassConversionJob.objects.create(
            mass_conversion=run,
            connection_id=run.connection_id,
            effect=as_json(effect),
            posted_at=DbNow(),
            due_at=from_now(conf().LEASE),
        )
        made = LeadConversion.objects.move(
            [_claimed(claim, job) for claim in claims], only_if=only_if
        )
        if not made:
            job.delete()
    return job, [move.row for move in made]


def _claimed(claim: Move, job: MassConversionJob) -> Move:
    details = {"job": job.pk, "effect": job.effect}
    return replace(claim, values={**claim.values, "job": job}, details=details)


def mark_accepted(job: MassConversionJob, rows: list[LeadConversion], zoho_job_id: str) -> None:
    """Zoho took it on: it is polled, and its rows wait for it."""
    values: dict[str, Any] = {"in_doubt": True, "due_at": None, "retry_count": 0}
    values |= {"quiet_until": from_now(conf().JOB_HORIZON)}
    details = {"job_id": zoho_job_id}
    first = from_now(_usual_duration(job.connection_id))
    with transaction.atomic():
        _change(job, status=JobStatus.ACCEPTED, zoho_job_id=zoho_job_id, due_at=first)
        LeadConversion.objects.move(
            Move(row=row, to=Status.SCHEDULED, values=values, details=details) for row in rows
        )


def mark_refused(job: MassConversionJob, rows: list[LeadConversion], error: ZohoError) -> None:
    """Zoho would not do it as a job: its rows go singly, which also yields the reason."""
    with transaction.atomic():
        _end(job, JobStatus.REFUSED)
        _give_back(rows, error, at_once=True)


def mark_not_processed(
    job: MassConversionJob, rows: list[LeadConversion], error: ZohoError
) -> None:
    """It surely did not reach Zoho: its rows wait for another job."""
    with transaction.atomic():
        _end(job, JobStatus.REFUSED)
        _give_back(rows, error, at_once=True, job=None, due_at=None)


def send_singly(row: LeadConversion, error: ZohoError) -> None:
    """The job was refused because of this row: it goes singly, the others once more together."""
    _give_back([row], error, at_once=True)


def mark_answer_lost(
    job: MassConversionJob, rows: list[LeadConversion], *, in_flight: float
) -> None:
    """No clear answer came: whether there is a job, nobody knows."""
    mine = conf()
    quiet = in_flight + mine.JOB_HORIZON + mine.MASS_QUIET_PERIOD
    with transaction.atomic():
        _end(job, JobStatus.LOST)
        LeadConversion.objects.move(_doubted(row, quiet) for row in rows)


def save_state(job: MassConversionJob, state: JobState) -> None:
    """Zoho told how it stands; when it is final, its rows are settled by reading them."""
    counts = as_json(state)
    if state.is_final:
        finish(job, JobStatus.FINISHED, counts=counts)
    else:
        wait = lifecycle.retry_delay(job.polls)
        _change(job, counts=counts, polls=job.polls + 1, due_at=from_now(wait))


def postpone_poll(job: MassConversionJob) -> None:
    """A poll did not come about."""
    _change(job, polls=job.polls + 1, due_at=from_now(lifecycle.retry_delay(job.polls)))


def mark_not_found(job: MassConversionJob) -> None:
    """Zoho does not know it, or no longer: it may be at work all the same, for as long as any."""
    mine = conf()
    finish(job, JobStatus.GIVEN_UP, quiet=mine.JOB_HORIZON + mine.MASS_QUIET_PERIOD)


def finish(
    job: MassConversionJob, status: str, *, quiet: float | None = None, **values: Any
) -> None:
    """The job is over, or given up: its rows are read, and sent again only after a quiet time."""
    rows = LeadConversion.objects.filter(job=job, status=Status.SCHEDULED)
    rows = rows.only("status", "version")
    quiet = conf().MASS_QUIET_PERIOD if quiet is None else quiet
    with transaction.atomic():
        _end(job, status, **values)
        LeadConversion.objects.move([_doubted(row, quiet) for row in rows])


def _doubted(row: LeadConversion, quiet: float) -> Move:
    return lifecycle.outcome_unknown(row, None, quiet=quiet, in_doubt=True, due_at=DbNow())


def give_up_overdue(connection_id: int) -> None:
    """Jobs that nobody heard of since they were posted, and those that take too long, are over."""
    too_long = Q(status=JobStatus.ACCEPTED, posted_at__lte=from_now(-conf().JOB_HORIZON))
    jobs = MassConversionJob.objects.filter(connection_id=connection_id, due_at__lte=DbNow())
    for job in jobs.filter(Q(status=JobStatus.POSTING) | too_long):
        if job.status == JobStatus.POSTING:
            _end(job, JobStatus.LOST)
        else:
            finish(job, JobStatus.GIVEN_UP)


def _give_back(
    rows: list[LeadConversion], error: ZohoError, *, at_once: bool, **values: Any
) -> None:
    moves = [lifecycle.not_processed(row, error, at_once=at_once) for row in rows]
    LeadConversion.objects.move(
        Move(row=m.row, to=m.to, values={**m.values, **values}, details=m.details) for m in moves
    )


def _end(job: MassConversionJob, status: str, **values: Any) -> None:
    _change(job, status=status, due_at=None, ended_at=DbNow(), **values)


def _change(job: MassConversionJob, **values: Any) -> None:
    MassConversionJob.objects.filter(pk=job.pk, ended_at=None).update(**values)


def _usual_duration(connection_id: int) -> float:
    """Return how many seconds the connection's last jobs took, in the middle."""
    ended = MassConversionJob.objects.filter(
        connection_id=connection_id, status=JobStatus.FINISHED
    ).order_by("-ended_at")
    times = ended.values_list("posted_at", "ended_at")[:REMEMBERED]
    durations = [(end - begun) / timedelta(seconds=1) for begun, end in times if end]
    return max(FIRST_POLL, median(durations)) if durations else FIRST_POLL
