"""``manage.py zoho_work``: the work of the Celery tasks, for cron and sites without a broker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Count, Max, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from zoho_crm.management import _arguments as arguments
from zoho_crm.management._command import ZohoCommand, named_connection
from zoho_crm.management._exits import ExitCode, Problems
from zoho_crm.management._output import Row
from zoho_crm.management._working import (
    Shift,
    note_stuck,
    stopping,
    unknown_outcome,
    workable,
)
from zoho_crm.models import Connection, LeadConversion, LeadConversionEvent, MassConversion
from zoho_crm.services import work

Status = LeadConversion.Status

FIELDS = ("connection", "converted", "failed", "unknown", "needs_review", "waiting")
COLUMNS = {name.replace("_", " "): lambda row, name=name: str(row[name]) for name in FIELDS}


class Command(ZohoCommand):
    help = (
        "Work what is due: preview, convert, and find out what became of it. Without options it"
        " ends when nothing is due now."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--connection", metavar="NAME", help="only this one")
        how_long = parser.add_mutually_exclusive_group()
        how_long.add_argument(
            "--until-idle", action="store_true", help="end when no lead is on its way any more"
        )
        how_long.add_argument(
            "--loop",
            type=arguments.seconds,
            metavar="SECONDS",
            help="never end; look for new work at least so often",
        )
        parser.add_argument(
            "--max-seconds", type=arguments.seconds, metavar="N", help="end after so long"
        )

    def handle(
        self,
        *args: Any,
        connection: str | None,
        until_idle: bool,
        loop: float | None,
        max_seconds: float | None,
        **options: Any,
    ) -> None:
        chosen = Connection.objects.exclude(status=Connection.Status.DISABLED).order_by("pk")
        if connection is not None:
            chosen = chosen.filter(pk=named_connection(connection).pk)
        problems, tally = Problems(), Tally(chosen)
        with stopping() as stop:
            everywhere = connection is None
            shift = Shift(lambda: _ids(chosen, everywhere), stop, max_seconds=max_seconds)
            if loop:
                _loop(shift, loop)
            elif until_idle:
                shift.go_on(tally.unfinished, self.tell_under_way, runs=tally.runs())
            else:
                _once(shift)
            stop.note(problems)
        rows = tally.rows()
        self.open_output(options).show(rows, fields=FIELDS, columns=COLUMNS)
        if not rows:
            self.hint(_("There is no connection to work. Connect with: manage.py zoho_connect"))
        if until_idle and workable(tally.unfinished()).exists():
            problems.add(ExitCode.ERROR, _("The time is over, and not all is done."))
        _note(rows, problems)
        note_stuck(tally.unfinished(), problems)
        problems.finish()


class Tally:
    """What happened to the leads of some connections since now."""

    def __init__(self, connections: QuerySet[Connection]) -> None:
        self._connections = connections
        newest = LeadConversionEvent.objects.aggregate(pk=Max("pk"))["pk"]
        self._events = LeadConversionEvent.objects.filter(pk__gt=newest or 0)

    def unfinished(self) -> QuerySet[LeadConversion]:
        """Return the rows that are not at rest."""
        rows: QuerySet[LeadConversion] = LeadConversion.objects.unfinished()
        return rows.filter(connection__in=self._connections.values("pk"))

    def runs(self) -> QuerySet[MassConversion]:
        """Return the mass conversions of the connections."""
        return MassConversion.objects.filter(connection__in=self._connections.values("pk"))

    def rows(self) -> list[Row]:
        """Return a line for each connection: what became of leads since, and what is left now."""
        converted, failed, needs_review = (
            self._became(status)
            for status in (Status.CONVERTED, Status.FAILED, Status.NEEDS_REVIEW)
        )
        unknown = self._left(self.unfinished().filter(status=Status.UNKNOWN))
        waiting = self._left(self.unfinished().exclude(status=Status.UNKNOWN))
        return [
            {
                "connection": connection.name,
                "converted": converted.get(connection.pk, 0),
                "failed": failed.get(connection.pk, 0),
                "unknown": unknown.get(connection.pk, 0),
                "needs_review": needs_review.get(connection.pk, 0),
                "waiting": waiting.get(connection.pk, 0),
            }
            for connection in self._connections
        ]

    def _became(self, status: str) -> dict[int, int]:
        events = self._events.filter(to_status=status, conversion__status=status)
        events = events.exclude(from_status=status)
        counts = events.values_list("conversion__connection_id")
        return dict(counts.annotate(Count("conversion", distinct=True)))

    def _left(self, rows: QuerySet[LeadConversion]) -> dict[int, int]:
        return dict(rows.values_list("connection_id").annotate(Count("pk")))


def _ids(chosen: QuerySet[Connection], everywhere: bool) -> list[int]:
    """Return whom to work; to look at all of them is what a sweep does, so one is noted."""
    if everywhere:
        work.sweep()
    return list(chosen.values_list("pk", flat=True))


def _once(shift: Shift) -> None:
    wait: float | None = 0.0
    while wait == 0.0 and not shift.is_over:
        wait = shift.work()


def _loop(shift: Shift, longest: float) -> None:
    while not shift.is_over:
        wait = shift.work()
        shift.rest(longest if wait is None else min(wait, longest))


def _note(rows: Iterable[Row], problems: Problems) -> None:
    unknown = sum(row["unknown"] for row in rows)
    if unknown:
        problems.add(ExitCode.UNKNOWN, unknown_outcome(unknown))
    failed = sum(row["failed"] + row["needs_review"] for row in rows)
    if failed:
        message = ngettext(
            "%s lead was refused or needs a person.",
            "%s leads were refused or need a person.",
            failed,
        )
        problems.add(ExitCode.SOME_FAILED, message % failed)
