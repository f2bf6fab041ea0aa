"""Work a mass conversion here and now until it is where it should be, or cannot get there alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from zoho_crm.management._exits import ExitCode, Problems
from zoho_crm.management._runs import REFUSED, Stage, Status, progress, rows_of
from zoho_crm.management._working import (
    Shift,
    can_be_worked,
    note_stuck,
    pause_of,
    stopping,
    unknown_outcome,
)
from zoho_crm.models import MassConversion

#: Seconds in which decisions are taken in.
PATIENCE = 60.0


def is_settled(run: MassConversion) -> bool:
    """Whether the last decisions are taken in."""
    return run.stage != Stage.REVIEW or run.due_at is None


def is_previewed(run: MassConversion) -> bool:
    """Whether every lead was looked at."""
    return run.stage not in (Stage.STAGING, Stage.PREVIEWING) and is_settled(run)


def has_ended(run: MassConversion) -> bool:
    """Whether nothing of it is under way any more."""
    return run.ended_at is not None


def is_at_rest(run: MassConversion) -> bool:
    """Whether it waits for a person, or has ended."""
    return has_ended(run) or (run.stage == Stage.REVIEW and is_settled(run))


class Watch:
    """Works the connection of one run."""

    def __init__(
        self,
        run: MassConversion,
        tell: Callable[[str], None],
        *,
        max_seconds: float | None = None,
    ) -> None:
        self.run = run
        self.problems = Problems()
        self._tell = tell
        self._max_seconds = max_seconds
        self._converted_before = self._converted()

    def until(self, has_arrived: Callable[[MassConversion], bool]) -> None:
        """Work until the run is there, or cannot get there now; note what stands in the way."""
        with stopping() as stop:
            connection_id = self.run.connection_id
            shift = Shift(lambda: [connection_id], stop, max_seconds=self._max_seconds)
            for sentence in self._work(shift, has_arrived):
                self._tell(sentence)
            stop.note(self.problems)
        if not has_arrived(self.run):
            self._note_obstacles(is_stopped=stop.is_set())

    def _work(self, shift: Shift, has_arrived: Callable[[MassConversion], bool]) -> Iterator[str]:
        told = ""
        while not shift.is_over and not self._is_over(has_arrived):
            wait = shift.work()
            self.run.refresh_from_db()
            said = progress(self.run)
            if said != told:
                yield said
                told = said
            if not self._is_over(has_arrived):
                shift.rest(pause_of(wait))
        self.run.refresh_from_db()

    def _is_over(self, has_arrived: Callable[[MassConversion], bool]) -> bool:
        run = self.run
        stands_still = bool(run.paused_reason) or not can_be_worked(run.connection_id)
        return has_arrived(run) or stands_still

    def _note_obstacles(self, *, is_stopped: bool) -> None:
        run, problems = self.run, self.problems
        resume = _("To go on: manage.py zoho_mass_convert resume %s --wait") % run.pk
        note_stuck(rows_of(run), problems)
        if run.paused_reason:
            problems.add(ExitCode.ERROR, _("It stands still: %s") % run.paused_reason)
        elif not is_stopped and can_be_worked(run.connection_id):
            problems.add(ExitCode.ERROR, _("The time is over, and not all is done."))
        problems.add(ExitCode.ERROR, resume)

    def note_outcome(self, *, to_be_sent: int = 0) -> None:
        """
        Note leads that were not converted, and those that are still in doubt.

        :param to_be_sent: how many leads were decided to be converted
        """
        rows = rows_of(self.run)
        unknown = rows.filter(status=Status.UNKNOWN).count()
        if unknown:
            self.problems.add(ExitCode.UNKNOWN, unknown_outcome(unknown))
        converted = self._converted() - self._converted_before
        missing = max(to_be_sent - converted, rows.filter(status__in=REFUSED).count())
        if missing and has_ended(self.run):
            message = ngettext(
                "%s lead was not converted.", "%s leads were not converted.", missing
            )
            self.problems.add(ExitCode.SOME_FAILED, message % missing)

    def _converted(self) -> int:
        return rows_of(self.run).filter(status=Status.CONVERTED).count()
