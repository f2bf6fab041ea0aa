"""Work a mass conversion here and now until it is where it should be, or cannot get there alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from zoho_crm.management._exits import ExitCode, Problems
from zoho_crm.management._runs import REFUSED, Stage, Status, progress_text, rows_of
from zoho_crm.management._worker_loop import (
    WorkerCommand,
    is_workable,
    poll_delay,
    report_blocked_connections,
    stop_on_signals,
    unknown_outcome_text,
)
from zoho_crm.models import MassConversion

#: Seconds in which decisions are taken in.
DECISIONS_MAX_SECONDS = 60.0


def decisions_applied(run: MassConversion) -> bool:
    """Whether the last decisions are taken in."""
    return run.stage != Stage.REVIEW or run.due_at is None


def is_previewed(run: MassConversion) -> bool:
    """Whether every lead was looked at."""
    return run.stage not in (Stage.STAGING, Stage.PREVIEWING) and decisions_applied(run)


def has_ended(run: MassConversion) -> bool:
    """Whether nothing of it is under way any more."""
    return run.ended_at is not None


def is_at_rest(run: MassConversion) -> bool:
    """Whether it waits for a person, or has ended."""
    return has_ended(run) or (run.stage == Stage.REVIEW and decisions_applied(run))


class RunWaiter:
    """Works the connection of one run."""

    def __init__(
        self,
        run: MassConversion,
        on_progress: Callable[[str], None],
        *,
        max_seconds: float | None = None,
    ) -> None:
        self.run = run
        self.problems = Problems()
        self._on_progress = on_progress
        self._max_seconds = max_seconds
        self._converted_before = self._converted()

    def wait_until(self, condition: Callable[[MassConversion], bool]) -> None:
        """Work until the run is there, or cannot get there now; note what stands in the way."""
        with stop_on_signals() as stop:
            connection_id = self.run.connection_id
            worker = WorkerCommand(lambda: [connection_id], stop, max_seconds=self._max_seconds)
            for sentence in self._progress(worker, condition):
                self._on_progress(sentence)
            stop.report(self.problems)
        if not condition(self.run):
            self._report_blockers(is_stopped=stop.is_set())

    def _progress(
        self, worker: WorkerCommand, condition: Callable[[MassConversion], bool]
    ) -> Iterator[str]:
        reported = ""
        while not worker.is_over and not self._is_over(condition):
            wait = worker.work()
            self.run.refresh_from_db()
            said = progress_text(self.run)
            if said != reported:
                yield said
                reported = said
            if not self._is_over(condition):
                worker.sleep(poll_delay(wait))
        self.run.refresh_from_db()

    def _is_over(self, condition: Callable[[MassConversion], bool]) -> bool:
        run = self.run
        stands_still = bool(run.paused_reason) or not is_workable(run.connection_id)
        return condition(run) or stands_still

    def _report_blockers(self, *, is_stopped: bool) -> None:
        run, problems = self.run, self.problems
        resume = _("To go on: manage.py zoho_mass_convert resume %s --wait") % run.pk
        report_blocked_connections(rows_of(run), problems)
        if run.paused_reason:
            problems.add(ExitCode.ERROR, _("It stands still: %s") % run.paused_reason)
        elif not is_stopped and is_workable(run.connection_id):
            problems.add(ExitCode.ERROR, _("The time is over, and not all is done."))
        problems.add(ExitCode.ERROR, resume)

    def report_outcome(self, *, to_be_sent: int = 0) -> None:
        """
        Note leads that were not converted, and those that are still in doubt.

        :param to_be_sent: how many leads were decided to be converted
        """
        rows = rows_of(self.run)
        unknown = rows.filter(status=Status.UNKNOWN).count()
        if unknown:
            self.problems.add(ExitCode.UNKNOWN, unknown_outcome_text(unknown))
        converted = self._converted() - self._converted_before
        missing = max(to_be_sent - converted, rows.filter(status__in=REFUSED).count())
        if missing and has_ended(self.run):
            message = ngettext(
                "%s lead was not converted.", "%s leads were not converted.", missing
            )
            self.problems.add(ExitCode.SOME_FAILED, message % missing)

    def _converted(self) -> int:
        return rows_of(self.run).filter(status=Status.CONVERTED).count()
