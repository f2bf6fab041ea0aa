"""Send rows of a run together, by Zoho's mass conversion, and follow its jobs."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from django.db.models import QuerySet

from zoho_crm.client import MAX_LEADS_PER_JOB, effect_body
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
from zoho_crm.services.work._crew import Errand
from zoho_crm.services.work._desk import Desk
from zoho_crm.services.work._errands import Posted, checked, start_job
from zoho_crm.types import Effect, JobState

logger = logging.getLogger(__name__)

JobStatus = MassConversionJob.Status
Status = LeadConversion.Status
#: Jobs of a connection that are open at a time.
MOST_JOBS = 2
#: Rows that are released to go singly at a time.
SET = 500


@dataclass(kw_only=True)
class Draft:
    """A job in the making: its leads are read once more."""

    run: MassConversion
    effect: Effect
    rows: list[LeadConversion]
    begun: float = field(default_factory=time.monotonic)
    claims: list[Move] = field(default_factory=list)


class Jobs:
    """One part of a slice."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._look = 0
        self._draft: Draft | None = None
        self._polling: set[int] = set()

    def hand_out(self) -> None:
        """Post the job that is drafted, poll those that are due, draft the next."""
        if self._draft and not self._is_being_read(self._draft):
            draft, self._draft = self._draft, None
            self._post(draft)
            self._look = 0  # there may be room for another
        if self._desk.free and self._look != self._desk.looks:
            self._look = self._desk.looks
            self._draft_one(self._poll())

    # Drafting

    def _draft_one(self, open_jobs: int) -> None:
        if self._draft or not self._desk.free or open_jobs >= MOST_JOBS:
            return
        for run in self._desk.runs_at_work(Status.READY):
            if not run.is_armed:
                continue
            if not run.may_use_jobs:
                self._release(self._waiting(run)[:SET])
            elif self._desk.canaries_passed(run) and self._draft_for(run):
                return

    def _draft_for(self, run: MassConversion) -> bool:
        """Begin a job with the first rows that may go together; whether there are such rows."""
        rows = self._alike(run)
        effect = effect_of(rows[0], run.rules) if len(rows) >= min_job_size() else None
        if effect is None:
            self._release(rows)
            return False
        self._draft = Draft(run=run, effect=effect, rows=rows)
        judge = partial(checked, sent=body_hash(effect_body(effect)))
        self._desk.read(rows, judge, partial(self._checked, self._draft))
        return True

    def _alike(self, run: MassConversion) -> list[LeadConversion]:
        """Return the first rows that wait for a job of the same effect."""
        rows = list(self._waiting(run)[:MAX_LEADS_PER_JOB])
        alike = [row for row in rows if row.effect == rows[0].effect]
        if len(alike) < len(rows):
            alike = list(self._waiting(run).filter(effect=rows[0].effect)[:MAX_LEADS_PER_JOB])
        return alike

    def _waiting(self, run: MassConversion) -> QuerySet[LeadConversion]:
        """Return the rows of a run that wait for a job."""
        rows = LeadConversion.objects.filter(
            connection=run.connection_id,
            mass_conversion=run,
            status=Status.READY,
            job=None,
            due_at=None,
        )
        rows = rows.exclude(effect="").exclude(pk__in=self._desk.in_hand())
        return rows.defer("options_snapshot").order_by("pk")

    def _release(self, rows: Iterable[LeadConversion]) -> None:
        """Let rows go singly: a job costs more than so few single calls, or is not allowed."""
        values = {"effect": "", "due_at": DbNow()}
        LeadConversion.objects.move(
            Move(row=row, to=Status.READY, values=values, details={"singly": True}) for row in rows
        )

    def _checked(self, draft: Draft, row: LeadConversion, move: Move | None) -> None:
        if move and move.to == Status.RUNNING:
            draft.claims.append(move)
            self._desk.kept.add(row.pk)
        else:
            self._desk.lay_down(row, move)

    def _is_being_read(self, draft: Draft) -> bool:
        return bool({row.pk for row in draft.rows} & self._desk.crew.held())

    # Posting

    def _post(self, draft: Draft) -> None:
        desk = self._desk
        desk.kept -= {row.pk for row in draft.rows}
        is_stale = draft.begun < time.monotonic() - desk.conf.CALL_DEADLINE
        if is_stale or len(draft.claims) < min_job_size():
            return
        latest = time.monotonic() + desk.conf.LEASE - desk.conf.CALL_DEADLINE
        run, effect = draft.run, draft.effect
        job, rows = jobs.create(run, effect, draft.claims, only_if=desk.may_be_claimed)
        if rows:
            done, failed = partial(self._accepted, job), partial(self._not_accepted, job)
            errand = Errand(rows=tuple(rows), done=done, failed=failed)
            desk.crew.send(errand, partial(start_job, desk.client, rows, effect, latest))

    def _accepted(self, job: MassConversionJob, errand: Errand, posted: Posted) -> None:
        self._desk.condition.succeeded()
        rows = [row for row in errand.rows if row is not posted.refused_row]
        jobs.mark_accepted(job, rows, posted.job_id)
        if posted.refused_row and posted.error:
            jobs.send_singly(posted.refused_row, posted.error)

    def _not_accepted(self, job: MassConversionJob, errand: Errand, error: BaseException) -> None:
        """Refused, surely not processed, or nobody knows."""
        desk, rows = self._desk, list(errand.rows)
        if isinstance(error, PermissionDeniedError):
            MassConversion.objects.filter(pk=job.mass_conversion_id).update(may_use_jobs=False)
        if isinstance(error, RequestRefusedError | AlreadyConvertedError | PermissionDeniedError):
            jobs.mark_refused(job, rows, error)
        elif isinstance(error, TransientError | AuthorizationError):
            desk.condition.failed(error, started=errand.started)
            jobs.mark_not_processed(job, rows, error)
        else:
            logger.error("Job %s has no clear answer", job.pk, exc_info=error)
            # The errand may have been at its second call, which began nobody knows when.
            jobs.mark_answer_lost(job, rows, in_flight=desk.conf.CALL_DEADLINE)

    # Polling

    def _poll(self) -> int:
        """Ask how those stand that are due; return how many jobs are open."""
        open_jobs = MassConversionJob.objects.filter(
            connection=self._desk.connection, ended_at=None
        )
        open_jobs = open_jobs.defer("effect", "counts").order_by("due_at")
        found = list(open_jobs.annotate(is_due=holds(due_at__lte=DbNow())))
        for job in found:
            is_ripe = job.is_due and job.status == JobStatus.ACCEPTED
            if is_ripe and job.pk not in self._polling and self._desk.free:
                self._polling.add(job.pk)
                done, failed = partial(self._polled, job), partial(self._not_polled, job)
                errand = Errand(rows=(), done=done, failed=failed)
                self._desk.crew.send(errand, partial(self._desk.client.jobs.state, job.zoho_job_id))
        return len(found)

    def _polled(self, job: MassConversionJob, _errand: Errand, state: JobState) -> None:
        self._polling.discard(job.pk)
        self._desk.condition.succeeded()
        jobs.save_state(job, state)

    def _not_polled(self, job: MassConversionJob, errand: Errand, error: BaseException) -> None:
        self._polling.discard(job.pk)
        if isinstance(error, RequestRefusedError):
            jobs.mark_not_found(job)
            return
        if isinstance(error, PermissionDeniedError):
            # Its leads can be read without it; other work of the connection must not wait.
            logger.warning("Job %s may not be polled: %s", job.pk, error)
        elif isinstance(error, ZohoError):
            self._desk.condition.failed(error, started=errand.started)
        else:
            logger.error("Job %s could not be polled", job.pk, exc_info=error)
        jobs.postpone_poll(job)
