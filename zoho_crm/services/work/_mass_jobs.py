"""The step that sends rows of runs together by Zoho's mass-convert jobs, and polls the jobs."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from django.db.models import QuerySet

from zoho_crm.client import MAX_LEADS_PER_JOB, ZohoClient, effect_body, refused_index
from zoho_crm.exceptions import (
    AlreadyConvertedError,
    AuthorizationError,
    PermissionDeniedError,
    RequestRefusedError,
    TransientError,
    ZohoError,
)
from zoho_crm.models import DbNow, LeadConversion, MassConversion, MassConversionJob, Move, holds
from zoho_crm.services.lifecycle import body_hash
from zoho_crm.services.mass_convert import effect_of, jobs, min_job_size
from zoho_crm.services.work._context import WorkContext
from zoho_crm.services.work._pool import PendingCall
from zoho_crm.services.work._send import move_before_sending
from zoho_crm.types import Effect, JobState

logger = logging.getLogger(__name__)

JobStatus = MassConversionJob.Status
Status = LeadConversion.Status
#: Jobs of a connection that may be open at the same time.
MAX_OPEN_JOBS = 2
#: Rows that are moved together when they no longer wait for a job.
WRITE_BATCH_ROWS = 500


@dataclass(kw_only=True)
class JobDraft:
    """A job whose leads are being read before it is posted."""

    run: MassConversion
    effect: Effect
    rows: list[LeadConversion]
    #: When the read was started, on the monotonic clock.
    started: float = field(default_factory=time.monotonic)
    #: The claims of the rows whose lead has not changed.
    claims: list[Move] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class StartedJob:
    """A job that Zoho accepted, perhaps without the one row that it refused in a first request."""

    job_id: str
    refused_row: LeadConversion | None = None
    error: ZohoError | None = None


class MassJobsStep:
    """Drafts, posts and polls the jobs of a connection."""

    def __init__(self, context: WorkContext) -> None:
        self._context = context
        #: The refresh after which due jobs were read last.
        self._refresh_count = 0
        self._draft: JobDraft | None = None
        #: Primary keys of the jobs that are being polled.
        self._polling: set[int] = set()

    def start_calls(self) -> None:
        """Post the drafted job, poll due jobs, and draft the next job, while calls are free."""
        if self._draft and not self._is_being_read(self._draft):
            draft, self._draft = self._draft, None
            self._post(draft)
            self._refresh_count = 0  # another job may be possible
        if self._context.free_calls and self._refresh_count != self._context.refresh_count:
            self._refresh_count = self._context.refresh_count
            self._draft_next_job(self._poll())

    # Drafting

    def _draft_next_job(self, open_jobs: int) -> None:
        if self._draft or not self._context.free_calls or open_jobs >= MAX_OPEN_JOBS:
            return
        for run in self._context.active_runs(Status.READY):
            if not run.is_armed:
                continue
            if not run.may_use_jobs:
                self._send_singly(self._rows_waiting_for_job(run)[:WRITE_BATCH_ROWS])
            elif self._context.canaries_passed(run) and self._draft_job(run):
                return

    def _draft_job(self, run: MassConversion) -> bool:
        """Draft a job of the first rows with the same effect; return whether there are enough."""
        rows = self._rows_with_same_effect(run)
        effect = effect_of(rows[0], run.rules) if len(rows) >= min_job_size() else None
        if effect is None:
            self._send_singly(rows)
            return False
        self._draft = JobDraft(run=run, effect=effect, rows=rows)
        move_for = partial(move_before_sending, sent=body_hash(effect_body(effect)))
        self._context.read_leads(rows, move_for, partial(self._take_move, self._draft))
        return True

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

    def _send_singly(self, rows: Iterable[LeadConversion]) -> None:
        """Make rows due for single calls: a job is not allowed, or costs more for so few."""
        values = {"effect": "", "due_at": DbNow()}
        LeadConversion.objects.move(
            Move(row=row, to=Status.READY, values=values, details={"singly": True}) for row in rows
        )

    def _take_move(self, draft: JobDraft, row: LeadConversion, move: Move | None) -> None:
        if move and move.to == Status.RUNNING:
            draft.claims.append(move)
            self._context.kept_row_ids.add(row.pk)
        else:
            self._context.collect(row, move)

    def _is_being_read(self, draft: JobDraft) -> bool:
        return bool({row.pk for row in draft.rows} & self._context.pool.row_ids())

    # Posting

    def _post(self, draft: JobDraft) -> None:
        """Claim the rows of a draft and start a job, if it was read recently and is big enough."""
        context, settings = self._context, self._context.settings
        context.kept_row_ids -= {row.pk for row in draft.rows}
        is_stale = draft.started < time.monotonic() - settings.CALL_DEADLINE
        if is_stale or len(draft.claims) < min_job_size():
            return
        latest = time.monotonic() + settings.LEASE - settings.CALL_DEADLINE
        run, effect = draft.run, draft.effect
        job, rows = jobs.create(run, effect, draft.claims, only_if=context.may_be_claimed)
        if rows:
            on_result, on_error = partial(self._on_started, job), partial(self._on_error, job)
            call = PendingCall(rows=tuple(rows), on_result=on_result, on_error=on_error)
            context.pool.start(call, partial(start_job, context.client, rows, effect, latest))

    def _on_started(self, job: MassConversionJob, call: PendingCall, started: StartedJob) -> None:
        self._context.health.record_success()
        rows = [row for row in call.rows if row is not started.refused_row]
        jobs.mark_accepted(job, rows, started.job_id)
        if started.refused_row and started.error:
            jobs.send_singly(started.refused_row, started.error)

    def _on_error(self, job: MassConversionJob, call: PendingCall, error: BaseException) -> None:
        """Record that a job was refused, certainly not processed, or that its answer was lost."""
        context, rows = self._context, list(call.rows)
        if isinstance(error, PermissionDeniedError):
            MassConversion.objects.filter(pk=job.mass_conversion_id).update(may_use_jobs=False)
        if isinstance(error, RequestRefusedError | AlreadyConvertedError | PermissionDeniedError):
            jobs.mark_refused(job, rows, error)
        elif isinstance(error, TransientError | AuthorizationError):
            context.health.record_failure(error, started=call.started)
            jobs.mark_not_processed(job, rows, error)
        else:
            logger.error("Job %s has no clear answer", job.pk, exc_info=error)
            # It may be the second request of ``start_job``, whose start is not known here.
            jobs.mark_answer_lost(job, rows, in_flight=context.settings.CALL_DEADLINE)

    # Polling

    def _poll(self) -> int:
        """Start polls of the due jobs while calls are free; return the number of open jobs."""
        context = self._context
        open_jobs = MassConversionJob.objects.filter(connection=context.connection, ended_at=None)
        open_jobs = open_jobs.defer("effect", "counts").order_by("due_at")
        found = list(open_jobs.annotate(is_due=holds(due_at__lte=DbNow())))
        for job in found:
            is_due = job.is_due and job.status == JobStatus.ACCEPTED
            if is_due and job.pk not in self._polling and context.free_calls:
                self._polling.add(job.pk)
                on_result = partial(self._on_polled, job)
                on_error = partial(self._on_poll_error, job)
                call = PendingCall(rows=(), on_result=on_result, on_error=on_error)
                context.pool.start(call, partial(context.client.jobs.state, job.zoho_job_id))
        return len(found)

    def _on_polled(self, job: MassConversionJob, _call: PendingCall, state: JobState) -> None:
        self._polling.discard(job.pk)
        self._context.health.record_success()
        jobs.save_state(job, state)

    def _on_poll_error(
        self, job: MassConversionJob, call: PendingCall, error: BaseException
    ) -> None:
        self._polling.discard(job.pk)
        if isinstance(error, RequestRefusedError):
            jobs.mark_not_found(job)
            return
        if isinstance(error, PermissionDeniedError):
            # No back-off: its leads can be read without it, and other work must not wait.
            logger.warning("Job %s may not be polled: %s", job.pk, error.code)
        elif isinstance(error, ZohoError):
            self._context.health.record_failure(error, started=call.started)
        else:
            logger.error("Job %s could not be polled", job.pk, exc_info=error)
        jobs.postpone_poll(job)


def start_job(
    client: ZohoClient, rows: list[LeadConversion], effect: Effect, latest: float
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
