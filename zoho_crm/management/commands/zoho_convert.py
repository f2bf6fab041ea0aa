"""``manage.py zoho_convert``: show what converting leads would do, or convert them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from zoho_crm.management import _arguments as arguments
from zoho_crm.management._command import (
    ZohoCommand,
    add_connection_argument,
    chosen_connection,
    stdin_of,
)
from zoho_crm.management._command_items import (
    FIELDS,
    CommandItem,
    approve_item,
    awaited_rows,
    preview_items,
    refresh_item,
)
from zoho_crm.management._conversions import lead_sentences, plan_summary, show_lead
from zoho_crm.management._deals import check_deal
from zoho_crm.management._exits import ExitCode, Problems
from zoho_crm.management._output import Output, Row, Style
from zoho_crm.management._plans import PlanOptions, add_plan_arguments, plan_options_from
from zoho_crm.management._worker_loop import (
    WorkerCommand,
    report_blocked_connections,
    stop_on_signals,
    workable_rows,
)
from zoho_crm.models import LeadConversion

Status = LeadConversion.Status

COLUMNS = {
    "lead": lambda row: row["lead_id"],
    "name": lambda row: row["name"],
    "verdict": lambda row: row["verdict_shown"] or "–",
    "plan": lambda row: row["plan_shown"],
    "result": lambda row: row["result"],
    "contact": lambda row: row["contact_id"] or "–",
    "account": lambda row: row["account_id"] or "–",
    "deal": lambda row: row["deal_id"] or "–",
    "": lambda row: row["message_shown"],
}


class Command(ZohoCommand):
    help = gettext_noop(
        "Show what converting leads would do; with --execute, convert them. Zoho cannot undo a"
        " conversion."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        arguments.add_lead_arguments(parser)
        add_connection_argument(parser)
        add_plan_arguments(parser)
        parser.add_argument("--execute", action="store_true", help=_("convert them now"))
        parser.add_argument(
            "--max-seconds",
            type=arguments.seconds,
            metavar="N",
            help=_("wait at most N seconds; a worker sends the remaining approved leads later"),
        )

    def handle(
        self,
        *args: Any,
        leads: list[str],
        ids_file: str | None,
        execute: bool,
        max_seconds: float | None,
        **options: Any,
    ) -> None:
        ids = arguments.lead_ids(leads, ids_file, stdin_of(options))
        check_deal(options)
        connection = chosen_connection(options["connection"])
        plan_options = plan_options_from(options, connection)
        for notice in plan_options.notices:
            self.hint(notice)
        items = preview_items(connection.pk, ids, plan_options)
        output = self.open_output(options)
        if not execute:
            self._show_plans(
                [replace(item, executed=False) for item in items], plan_options, output
            )
            return
        problems = Problems()
        items = self._send(items, [connection.pk], max_seconds, problems)
        output.show(
            [_output_row(item) for item in items],
            fields=FIELDS,
            columns=COLUMNS,
            styles=self._styles,
        )
        _report(items, problems)
        problems.finish()

    def _show_plans(
        self, items: list[CommandItem], plan_options: PlanOptions, output: Output
    ) -> None:
        if output.is_table:
            for item in items:
                _show_plan(item, plan_options, output)
        else:
            output.show([_output_row(item) for item in items], fields=FIELDS, columns=COLUMNS)
        if any(item.plan and item.row and item.row.status == Status.PREVIEWED for item in items):
            self.hint(_("Nothing was sent. To convert, add --execute; Zoho cannot undo it."))
        else:
            self.hint(_("Nothing was sent, and nothing would be."))

    def _send(
        self,
        items: list[CommandItem],
        connection_ids: list[int],
        max_seconds: float | None,
        problems: Problems,
    ) -> list[CommandItem]:
        with stop_on_signals() as stop:
            items = [item if stop.is_set() else approve_item(item) for item in items]
            if any(item.executed and item.is_in_progress for item in items):
                worker = WorkerCommand(
                    lambda: connection_ids, stop, self.hint, max_seconds=max_seconds
                )
                worker.work_until_done(partial(awaited_rows, items), self.hint_in_progress)
            stop.report(problems)
        report_blocked_connections(awaited_rows(items), problems)
        if not stop.is_set() and workable_rows(awaited_rows(items)).exists():
            message = _("The time limit was reached. The next worker sends what is approved.")
            problems.add(ExitCode.ERROR, message)
        return [refresh_item(item) for item in items]

    def _styles(self, row: Row) -> dict[str, Style]:
        colours: dict[str, Style] = {
            Status.CONVERTED: self.style.SUCCESS,
            Status.FAILED: self.style.ERROR,
        }
        return {"result": colours.get(row["status"], self.style.WARNING)}


def _show_plan(item: CommandItem, plan_options: PlanOptions, output: Output) -> None:
    if item.row is None or not item.row.verdict:
        output.write_line(f"{item.lead_id}  {item.message}")
        return
    sentences = (
        [item.message] if item.message else lead_sentences(item.row, item.plan, plan_options.names)
    )
    show_lead(item.row, sentences, output)


def _output_row(item: CommandItem) -> dict[str, Any]:
    row = item.row or LeadConversion(lead_id=item.lead_id)
    values = item.as_row()
    code, message = values["error_code"], values["message"]
    shown = {
        "message_shown": f"{message} ({code})" if code and message else message,
        "name": row.lead_name if row.lead_snapshot else "",
        "verdict_shown": row.get_verdict_display(),
        "plan_shown": plan_summary(item.plan),
        "result": row.get_status_display() if item.executed or row.contact_id else _("not sent"),
    }
    return {**values, **shown}


def _report(items: list[CommandItem], problems: Problems) -> None:
    for code in {item.code for item in items} - {ExitCode.OK}:
        number = sum(item.code == code for item in items)
        if code == ExitCode.UNKNOWN:
            message = ngettext(
                "The outcome of %s lead is unknown; to find out: manage.py zoho_work --until-idle",
                "The outcome of %s leads is unknown; to find out: manage.py zoho_work --until-idle",
                number,
            )
        else:
            message = ngettext("%s lead was not converted.", "%s leads were not converted.", number)
        problems.add(code, message % number)
