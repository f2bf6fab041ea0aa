"""Work a mass conversion in the process of a command until it reaches a state, or is blocked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from zoho_crm.management._exits import ExitCode, Problems
from zoho_crm.management._runs import Stage, Status, progress_text
from zoho_crm.management._worker_loop import (
    WorkerCommand,
    is_workable,
    poll_delay,
    report_blocked_connections,
    stop_on_signals,
    unknown_outcome_text,
)
from zoho_crm.models import MassConversion
from zoho_crm.services.presentation import pause_text
from zoho_crm.services.run_statistics import REFUSED, rows_of

#: Time limit for applying recorded decisions to the rows of a run.
DECISIONS_MAX_SECONDS = 60.0


def decisions_applied(run: MassConversion) -> bool:
    """Return whether a worker applied all decisions that were recorded in REVIEW."""
    return run.stage != Stage.REVIEW or run.due_at is None


def is_previewed(run: MassConversion) -> bool:
    """Return whether every lead was previewed."""
    return run.stage not in (Stage.STAGING, Stage.PREVIEWING) and decisions_applied(run)


def has_ended(run: MassConversion) -> bool:
    """Return whether no lead of the run is in progress any more."""
    return run.ended_at is not None


def is_at_rest(run: MassConversion) -> bool:
    """Return whether the run has ended or waits for decisions."""
    return has_ended(run) or (run.stage == Stage.REVIEW and decisions_applied(run))


class RunWaiter:
    """Works the connection of one run and collects the problems that occur."""

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
        """Work until the run fulfils a condition or cannot advance; then note what blocks it."""
        with stop_on_signals() as stop:
            connection_id = self.run.connection_id
            worker = WorkerCommand(
                lambda: [connection_id], stop, self._on_progress, max_seconds=self._max_seconds
            )
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
            sentence = progress_text(self.run)
            if sentence != reported:
                yield sentence
                reported = sentence
            if not self._is_over(condition):
                worker.sleep(poll_delay(wait))
        self.run.refresh_from_db()

    def _is_over(self, condition: Callable[[MassConversion], bool]) -> bool:
        run = self.run
        is_blocked = bool(run.paused_reason) or not is_workable(run.connection_id)
        return condition(run) or is_blocked

    def _report_blockers(self, *, is_stopped: bool) -> None:
        run, problems = self.run, self.problems
        resume = _("To continue: manage.py zoho_mass_convert resume %s --wait") % run.pk
        report_blocked_connections(rows_of(run), problems)
        if run.paused_reason:
            problems.add(ExitCode.ERROR, _("It is paused. %s") % pause_text(run))
        elif not is_stopped and is_workable(run.connection_id):
            problems.add(
                ExitCode.ERROR, _("The time limit was reached before everything was done.")
            )
        problems.add(ExitCode.ERROR, resume)

    def report_outcome(self, *, to_be_sent: int = 0) -> None:
        """
        Add problems for leads that were not converted and for those with an unknown outcome.

        :param to_be_sent: number of leads that were started
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
