"""The step that sends rows of runs together by mass-convert jobs, and the states of a job."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

from django.db.models import Q, QuerySet

from zoho_crm.client import MAX_LEADS_PER_JOB, ZohoClient, effect_body, refused_index
from zoho_crm.conf import conf
from zoho_crm.exceptions import (
    AlreadyConvertedError,
    AuthorizationError,
    PermissionDeniedError,
    RequestRefusedError,
    TransientError,
    UnknownOutcomeError,
    ZohoError,
)
from zoho_crm.models import LeadConversion, MassConversion, MassConversionJob, atomic, from_now
from zoho_crm.models._database import DbNow
from zoho_crm.models._moves import Move
from zoho_crm.services import lifecycle
from zoho_crm.services.lifecycle import body_hash, retry_delay
from zoho_crm.services.mass_convert._jobs import effect_of, min_job_size
from zoho_crm.services.work._context import Step
from zoho_crm.services.work._requests import (
    All,
    Call,
    ReadLead,
    Result,
    Transaction,
    Turn,
    UnexpectedError,
    Work,
    WorkItem,
)
from zoho_crm.services.work._send import move_before_sending
from zoho_crm.types import Effect, JobState, Lead, ValueObject, as_json

logger = logging.getLogger(__name__)

JobStatus = MassConversionJob.Status
Status = LeadConversion.Status
#: Jobs of a connection that may be open at the same time.
MAX_OPEN_JOBS = 2
#: The key of the job whose leads are being read.
NEXT_JOB = "next job"
#: Rows that are moved together when they no longer wait for a job.
WRITE_BATCH_ROWS = 500
#: Seconds until the first job of a connection is polled for the first time.
FIRST_POLL_SECONDS = 0.5
#: Later ones are polled after this share of the shortest of so many jobs before, but not earlier.
FIRST_POLL_SHARE = 0.25
DURATION_SAMPLE_JOBS = 21
MIN_POLL_SECONDS = 0.05
#: How much longer the wait before each further poll is.
POLL_GROWTH = 1.5


class StartedJob(ValueObject):
    """A job that Zoho accepted, perhaps without the one row that it refused in a first request."""

    job_id: str
    refused_row: LeadConversion | None = None
    error: ZohoError | None = None


class MassJobsStep(Step):
    """Polls the open jobs of a connection, and starts the next one."""

    #: No job begins before that time on the monotonic clock, after one that could not begin.
    _next_job_at = 0.0

    def due(self) -> Iterator[WorkItem]:
        """Yield the polls that are due, and the next job if another one may be open."""
        if not self._is_refreshed() and time.monotonic() < self.due_at:
            return
        open_jobs = MassConversionJob.objects.filter(
            connection=self._context.connection, ended_at=None
        )
        found = list(open_jobs.defer("effect", "counts").annotate(now=DbNow()).order_by("due_at"))
        self.due_at = inf
        for job in found:
            is_open = job.status == JobStatus.ACCEPTED and not self._context.is_begun(job)
            if is_open and job.due_at:
                seconds = (job.due_at - job.now).total_seconds()
                if seconds <= 0:
                    yield WorkItem(self._poll(job), key=job)
                else:
                    self.due_at = min(self.due_at, time.monotonic() + seconds)
        is_waiting = self._context.is_begun(NEXT_JOB) or time.monotonic() < self._next_job_at
        if len(found) < MAX_OPEN_JOBS and not is_waiting:
            yield from self._next_job()

    def _next_job(self) -> Iterator[WorkItem]:
        """Yield the next job of the first run that has enough rows with the same effect."""
        for run in self._context.active_runs(Status.READY):
            if not run.is_armed:
                continue
            if not run.may_use_jobs:
                send_singly(self._rows_waiting_for_job(run)[:WRITE_BATCH_ROWS])
            elif self._context.canaries_passed(run):
                rows = self._rows_with_same_effect(run)
                effect = effect_of(rows[0], run.rules) if len(rows) >= min_job_size() else None
                if effect:
                    yield WorkItem(self._convert(run, effect, rows), *rows, key=NEXT_JOB)
                    return
                send_singly(rows)

    def _rows_with_same_effect(self, run: MassConversion) -> list[LeadConversion]:
        """Return the first rows that wait for a job and have the effect of the first of them."""
        rows = list(self._rows_waiting_for_job(run)[:MAX_LEADS_PER_JOB])
        same = [row for row in rows if row.effect == rows[0].effect]
        if len(same) < len(rows):
            waiting = self._rows_waiting_for_job(run)
            same = list(waiting.filter(effect=rows[0].effect)[:MAX_LEADS_PER_JOB])
        return same

    def _rows_waiting_for_job(self, run: MassConversion) -> QuerySet[LeadConversion]:
        """Return the rows of a run that wait for a job and are not in flight."""
        rows = LeadConversion.objects.filter(
            connection=run.connection_id,
            mass_conversion=run,
            status=Status.READY,
            job=None,
            due_at=None,
        )
        rows = rows.exclude(effect="").exclude(pk__in=self._context.rows_in_flight())
        return rows.defer("options_snapshot").order_by("pk")

    def _convert(self, run: MassConversion, effect: Effect, rows: list[LeadConversion]) -> Work:
        """Read the leads of at most 50 rows once more, claim the rows, and start a job for them."""
        claims: list[Move] = []
        read_at, sent = time.monotonic(), body_hash(effect_body(effect))
        yield All([WorkItem(read_again(row, sent, claims), row) for row in rows])
        if len(claims) < min_job_size():
            self._postpone_next_job(rows)
            return
        latest: float | None = yield Turn(read_at=read_at)
        if latest is None:
            return
        may_be_claimed = self._context.may_be_claimed
        job, members = yield Transaction(
            partial(create_job, run, effect, claims, only_if=may_be_claimed)
        )
        self._look_again()  # another job may be possible
        if members:
            start = partial(start_job, rows=members, effect=effect, latest=latest)
            yield from self._post(job, members, start)

    def _post(
        self,
        job: MassConversionJob,
        rows: list[LeadConversion],
        start: Callable[[ZohoClient], StartedJob],
    ) -> Work:
        """Have Zoho start a job, and record whether it was accepted or what became of it."""
        refusals = (RequestRefusedError, AlreadyConvertedError, PermissionDeniedError)
        try:
            started: StartedJob = yield Call(start, answers=refusals)
            members = [row for row in rows if row is not started.refused_row]
            yield Transaction(partial(mark_accepted, job, members, started.job_id))
            self._look_again()  # for its first poll
            if started.refused_row and started.error:
                yield Transaction(partial(return_to_ready, [started.refused_row], started.error))
        except refusals as error:
            if isinstance(error, PermissionDeniedError):
                runs = MassConversion.objects.filter(pk=job.mass_conversion_id)
                yield Transaction(partial(runs.update, may_use_jobs=False))
            yield Transaction(partial(mark_refused, job, rows, error))
        except (TransientError, AuthorizationError) as error:
            self._postpone_next_job(rows)
            yield Transaction(partial(mark_not_processed, job, rows, error))
        except (UnknownOutcomeError, UnexpectedError) as error:
            logger.error("Job %s has no clear answer", job.pk, exc_info=error)
            # It may be the second request of ``start_job``, whose start is not known here.
            in_flight = self._context.settings.CALL_DEADLINE
            yield Transaction(partial(mark_answer_lost, job, rows, in_flight=in_flight))

    def _postpone_next_job(self, rows: Iterable[LeadConversion]) -> None:
        """Wait before the next job, longer after each failed call in a row for these rows."""
        failures = max(row.retry_count + row.empty_reads for row in rows)
        self._next_job_at = time.monotonic() + retry_delay(failures)

    def _poll(self, job: MassConversionJob) -> Work:
        """Read the state of a job, and record it."""
        try:
            state: JobState = yield Call(
                lambda client: client.jobs.state(job.zoho_job_id),
                answers=(RequestRefusedError, PermissionDeniedError),
            )
            yield Transaction(partial(save_state, job, state))
            self._look_again()  # for the next poll, or another job
        except RequestRefusedError:
            yield Transaction(partial(mark_not_found, job))
        except (ZohoError, UnexpectedError) as error:
            # A missing permission is no reason to back off: its leads can be read without it.
            is_ours = isinstance(error, UnexpectedError)
            logger.warning("Job %s could not be polled: %s", job.pk, error, exc_info=is_ours)
            yield Transaction(partial(postpone_poll, job))


def read_again(row: LeadConversion, sent: str, claims: list[Move]) -> Work:
    """
    Read the lead of a row that is to be sent in a job, and add its claim if it has not changed.

    :param sent: SHA-256 of the body of the job's request
    """
    lead: Lead | None = yield ReadLead(row)
    move = move_before_sending(row, lead, sent=sent)
    if move.to == Status.RUNNING:
        claims.append(move)
    else:
        yield Result(move)


def send_singly(rows: Iterable[LeadConversion]) -> None:
    """Make rows due for single calls: a job is not allowed, or costs more for so few."""
    values = {"effect": "", "due_at": DbNow()}
    LeadConversion.objects.move(
        Move(row=row, to=Status.READY, values=values, details={"singly": True}) for row in rows
    )


def start_job(
    client: ZohoClient, *, rows: list[LeadConversion], effect: Effect, latest: float
) -> StartedJob:
    """
    Start a job for these rows; if Zoho refuses it because of one row, start it without that row.

    :param latest: the time on the monotonic clock after which nothing is sent any more
    """

    def start(members: list[LeadConversion]) -> str:
        ids = [row.lead_id for row in members]
        return client.jobs.start(ids, effect, module_ids=modules, may_send=may_send)

    def may_send() -> bool:
        return time.monotonic() <= latest

    needs_modules = effect.tags_to or effect.attachments_to
    modules = client.jobs.module_ids() if needs_modules else {}
    try:
        return StartedJob(job_id=start(rows))
    except RequestRefusedError as error:
        index = refused_index(error)
        if index is None or index >= len(rows):
            raise
        rest = rows[:index] + rows[index + 1 :]
        return StartedJob(job_id=start(rest), refused_row=rows[index], error=error)


# The states of a job: each function is a transaction


def create_job(
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
        _update_job(job, status=JobStatus.ACCEPTED, zoho_job_id=zoho_job_id, due_at=first_poll)
        LeadConversion.objects.move(
            Move(row=row, to=Status.SCHEDULED, values=values, details=details) for row in rows
        )


def mark_refused(job: MassConversionJob, rows: list[LeadConversion], error: ZohoError) -> None:
    """Mark a job as refused: its rows are sent singly at once, which also yields the reason."""
    with atomic():
        _end_job(job, JobStatus.REFUSED)
        return_to_ready(rows, error)


def mark_not_processed(
    job: MassConversionJob, rows: list[LeadConversion], error: ZohoError
) -> None:
    """Mark a job as certainly not processed: its rows wait for another job."""
    with atomic():
        _end_job(job, JobStatus.REFUSED)
        return_to_ready(rows, error, job=None, due_at=None)


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
        _end_job(job, JobStatus.LOST)
        LeadConversion.objects.move(_outcome_unknown(row, quiet) for row in rows)


def save_state(job: MassConversionJob, state: JobState) -> None:
    """Store the state that a poll returned, and finish the job if that is final."""
    counts = as_json(state)
    if state.is_final:
        finish_job(job, JobStatus.FINISHED, counts=counts)
    else:
        wait = _poll_delay(job.connection_id, polls=job.polls + 1)
        _update_job(job, counts=counts, polls=job.polls + 1, due_at=from_now(wait))


def postpone_poll(job: MassConversionJob) -> None:
    """Put off a job's next poll after one that failed, longer each time."""
    _update_job(job, polls=job.polls + 1, due_at=from_now(retry_delay(job.polls)))


def mark_not_found(job: MassConversionJob) -> None:
    """Give up a job that Zoho does not know (any more): it may run all the same, to its horizon."""
    config = conf()
    finish_job(job, JobStatus.GIVEN_UP, quiet=config.JOB_HORIZON + config.MASS_QUIET_PERIOD)


def finish_job(
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
        _end_job(job, status, **values)
        LeadConversion.objects.move([_outcome_unknown(row, quiet) for row in rows])


def _outcome_unknown(row: LeadConversion, quiet: float) -> Move:
    return lifecycle.outcome_unknown(row, None, quiet=quiet, in_doubt=True, due_at=DbNow())


def give_up_overdue_jobs(connection_id: int) -> None:
    """
    End the due jobs of a connection that take longer than ``JOB_HORIZON``, or were never answered.

    A job that is still being posted when its lease has ended was left behind by its worker.
    """
    too_long = Q(status=JobStatus.ACCEPTED, posted_at__lte=from_now(-conf().JOB_HORIZON))
    jobs = MassConversionJob.objects.filter(connection_id=connection_id, due_at__lte=DbNow())
    for job in jobs.filter(Q(status=JobStatus.POSTING) | too_long):
        if job.status == JobStatus.POSTING:
            _end_job(job, JobStatus.LOST)
        else:
            finish_job(job, JobStatus.GIVEN_UP)


def return_to_ready(rows: list[LeadConversion], error: ZohoError, **values: Any) -> None:
    """Make rows READY again, to be sent singly, after a job that did not process them."""
    moves = [lifecycle.not_processed(row, error, at_once=True) for row in rows]
    LeadConversion.objects.move(
        Move(row=m.row, to=m.to, values={**m.values, **values}, details=m.details) for m in moves
    )


def _end_job(job: MassConversionJob, status: str, **values: Any) -> None:
    _update_job(job, status=status, due_at=None, ended_at=DbNow(), **values)


def _update_job(job: MassConversionJob, **values: Any) -> None:
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
    return retry_delay(polls, max(first, MIN_POLL_SECONDS), POLL_GROWTH)
