"""``manage.py zoho_work``: work due rows as the Celery tasks do, for cron or without a broker."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Count, Max, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from zoho_crm.management import _arguments as arguments
from zoho_crm.management._command import ZohoCommand, named_connection
from zoho_crm.management._exits import ExitCode, Problems
from zoho_crm.management._output import Output, Row
from zoho_crm.management._worker_loop import (
    MAX_OUTAGES,
    WorkerCommand,
    report_blocked_connections,
    stop_on_signals,
    unknown_outcome_text,
    workable_rows,
)
from zoho_crm.models import Connection, LeadConversion, LeadConversionEvent, MassConversion
from zoho_crm.services import work
from zoho_crm.services.outages import OUTAGE_ERRORS

Status = LeadConversion.Status

FIELDS = ("connection", "converted", "failed", "unknown", "needs_review", "waiting")
COLUMNS = {name.replace("_", " "): lambda row, name=name: str(row[name]) for name in FIELDS}


class Command(ZohoCommand):
    help = gettext_noop(
        "Work due leads: preview, convert, and find out unknown outcomes. Without options it"
        " ends when nothing is due now."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--connection", metavar="NAME", help=_("only this one"))
        how_long = parser.add_mutually_exclusive_group()
        how_long.add_argument(
            "--until-idle", action="store_true", help=_("end when no lead is in progress any more")
        )
        how_long.add_argument(
            "--loop",
            type=arguments.seconds,
            metavar="SECONDS",
            help=_("never end; look for new work at least every SECONDS"),
        )
        parser.add_argument(
            "--max-seconds", type=arguments.seconds, metavar="N", help=_("end after N seconds")
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
        problems, report = Problems(), WorkReport(chosen)
        with stop_on_signals() as stop:
            is_sweep = connection is None
            worker = WorkerCommand(
                lambda: _connection_ids(chosen, is_sweep),
                stop,
                self.hint,
                max_seconds=max_seconds,
                max_outages=inf if loop else MAX_OUTAGES,
            )
            if loop:
                _work_in_a_loop(worker, loop)
            elif until_idle:
                worker.work_until_done(report.unfinished, self.hint_in_progress, runs=report.runs())
            else:
                _work_due(worker)
            stop.report(problems)
            try:
                self._report(report, problems, self.open_output(options), until_idle)
            except OUTAGE_ERRORS:
                if not stop.is_set():
                    raise
        problems.finish()

    def _report(
        self, report: WorkReport, problems: Problems, output: Output, until_idle: bool
    ) -> None:
        rows = report.rows()
        output.show(rows, fields=FIELDS, columns=COLUMNS)
        if not rows:
            self.hint(_("There is no connection to work. Connect with: manage.py zoho_connect"))
        if until_idle and workable_rows(report.unfinished()).exists():
            problems.add(
                ExitCode.ERROR, _("The time limit was reached before everything was done.")
            )
        _add_problems(rows, problems)
        report_blocked_connections(report.unfinished(), problems)


class WorkReport:
    """Counts what happens to the leads of some connections from its creation on."""

    def __init__(self, connections: QuerySet[Connection]) -> None:
        self._connections = connections
        newest = LeadConversionEvent.objects.aggregate(pk=Max("pk"))["pk"]
        self._events = LeadConversionEvent.objects.filter(pk__gt=newest or 0)

    def unfinished(self) -> QuerySet[LeadConversion]:
        """Return the connections' rows that are in progress."""
        rows: QuerySet[LeadConversion] = LeadConversion.objects.unfinished()
        return rows.filter(connection__in=self._connections.values("pk"))

    def runs(self) -> QuerySet[MassConversion]:
        """Return the connections' mass conversions."""
        return MassConversion.objects.filter(connection__in=self._connections.values("pk"))

    def rows(self) -> list[Row]:
        """Return a row for each connection: outcomes since the start, and what is left now."""
        converted, failed, needs_review = (
            self._moved_to(status)
            for status in (Status.CONVERTED, Status.FAILED, Status.NEEDS_REVIEW)
        )
        unknown = self._count(self.unfinished().filter(status=Status.UNKNOWN))
        waiting = self._count(self.unfinished().exclude(status=Status.UNKNOWN))
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

    def _moved_to(self, status: str) -> dict[int, int]:
        events = self._events.filter(to_status=status, conversion__status=status)
        events = events.exclude(from_status=status)
        counts = events.values_list("conversion__connection_id")
        return dict(counts.annotate(Count("conversion", distinct=True)))

    def _count(self, rows: QuerySet[LeadConversion]) -> dict[int, int]:
        return dict(rows.values_list("connection_id").annotate(Count("pk")))


def _connection_ids(chosen: QuerySet[Connection], is_sweep: bool) -> list[int]:
    """Return the ids of the connections to work; record a sweep if these are all of them."""
    if is_sweep:
        work.sweep()
    return list(chosen.values_list("pk", flat=True))


def _work_due(worker: WorkerCommand) -> None:
    wait: float | None = 0.0
    while wait == 0.0 and not worker.is_over:
        wait = worker.work()


def _work_in_a_loop(worker: WorkerCommand, max_sleep: float) -> None:
    while not worker.is_over:
        wait = worker.work()
        worker.sleep(max_sleep if wait is None else min(wait, max_sleep))


def _add_problems(rows: Iterable[Row], problems: Problems) -> None:
    unknown = sum(row["unknown"] for row in rows)
    if unknown:
        problems.add(ExitCode.UNKNOWN, unknown_outcome_text(unknown))
    failed = sum(row["failed"] + row["needs_review"] for row in rows)
    if failed:
        message = ngettext(
            "%s lead was refused or needs a person.",
            "%s leads were refused or need a person.",
            failed,
        )
        problems.add(ExitCode.SOME_FAILED, message % failed)
