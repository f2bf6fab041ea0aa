"""The step that sends rows of runs together by Zoho's mass-convert jobs, and polls the jobs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from math import inf

from django.db.models import QuerySet

from zoho_crm.client import MAX_LEADS_PER_JOB, ZohoClient, effect_body, refused_index
from zoho_crm.exceptions import (
    AlreadyConvertedError,
    AuthorizationError,
    PermissionDeniedError,
    RequestRefusedError,
    TransientError,
    UnknownOutcomeError,
    ZohoError,
)
from zoho_crm.models import LeadConversion, MassConversion, MassConversionJob
from zoho_crm.models._moves import Move
from zoho_crm.models._time import DbNow
from zoho_crm.services.lifecycle import body_hash, retry_delay
from zoho_crm.services.mass_convert import _jobs
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
from zoho_crm.types import Effect, JobState, Lead

logger = logging.getLogger(__name__)

JobStatus = MassConversionJob.Status
Status = LeadConversion.Status
#: Jobs of a connection that may be open at the same time.
MAX_OPEN_JOBS = 2
#: The key of the job whose leads are being read.
NEXT_JOB = "next job"
#: Rows that are moved together when they no longer wait for a job.
WRITE_BATCH_ROWS = 500


@dataclass(frozen=True, kw_only=True)
class StartedJob:
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
            partial(_jobs.create, run, effect, claims, only_if=may_be_claimed)
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
            yield Transaction(partial(_jobs.mark_accepted, job, members, started.job_id))
            self._look_again()  # for its first poll
            if started.refused_row and started.error:
                yield Transaction(partial(_jobs.send_singly, started.refused_row, started.error))
        except refusals as error:
            if isinstance(error, PermissionDeniedError):
                runs = MassConversion.objects.filter(pk=job.mass_conversion_id)
                yield Transaction(partial(runs.update, may_use_jobs=False))
            yield Transaction(partial(_jobs.mark_refused, job, rows, error))
        except (TransientError, AuthorizationError) as error:
            self._postpone_next_job(rows)
            yield Transaction(partial(_jobs.mark_not_processed, job, rows, error))
        except (UnknownOutcomeError, UnexpectedError) as error:
            logger.error("Job %s has no clear answer", job.pk, exc_info=error)
            # It may be the second request of ``start_job``, whose start is not known here.
            in_flight = self._context.settings.CALL_DEADLINE
            yield Transaction(partial(_jobs.mark_answer_lost, job, rows, in_flight=in_flight))

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
            yield Transaction(partial(_jobs.save_state, job, state))
            self._look_again()  # for the next poll, or another job
        except RequestRefusedError:
            yield Transaction(partial(_jobs.mark_not_found, job))
        except (ZohoError, UnexpectedError) as error:
            # A missing permission is no reason to back off: its leads can be read without it.
            is_ours = isinstance(error, UnexpectedError)
            logger.warning("Job %s could not be polled: %s", job.pk, error, exc_info=is_ours)
            yield Transaction(partial(_jobs.postpone_poll, job))


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
