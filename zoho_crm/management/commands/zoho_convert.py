"""``manage.py zoho_convert``: convert leads, or show what that would do."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from zoho_crm.management import _arguments as arguments
from zoho_crm.management._cases import (
    FIELDS,
    Case,
    approved,
    looked_at,
    refreshed,
    rows_of,
)
from zoho_crm.management._command import (
    ZohoCommand,
    add_connection_argument,
    chosen_connection,
    stdin_of,
)
from zoho_crm.management._conversions import block, plan_in_words, sentences
from zoho_crm.management._deals import check_deal
from zoho_crm.management._exits import ExitCode, Problems
from zoho_crm.management._output import Output, Paint, Row
from zoho_crm.management._plans import Wish, add_plan_arguments, wish_of
from zoho_crm.management._working import Shift, note_stuck, stopping, workable
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
    "": lambda row: row["message"],
}


class Command(ZohoCommand):
    help = (
        "Show what converting leads would do; with --execute, convert them. Zoho cannot undo a"
        " conversion."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        arguments.add_lead_arguments(parser)
        add_connection_argument(parser)
        add_plan_arguments(parser)
        parser.add_argument("--execute", action="store_true", help="convert them now")
        parser.add_argument(
            "--max-seconds",
            type=arguments.seconds,
            metavar="N",
            help="wait no longer; what is approved is sent later by a worker",
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
        wish = wish_of(options, connection)
        cases = looked_at(connection.pk, ids, wish)
        output = self.open_output(options)
        if not execute:
            self._show_plans([replace(case, executed=False) for case in cases], wish, output)
            return
        problems = Problems()
        cases = self._send(cases, [connection.pk], max_seconds, problems)
        output.show(
            [_line(case) for case in cases], fields=FIELDS, columns=COLUMNS, paint=self._paint
        )
        _note(cases, problems)
        problems.finish()

    def _show_plans(self, cases: list[Case], wish: Wish, output: Output) -> None:
        if output.is_for_people:
            for case in cases:
                _show_plan(case, wish, output)
        else:
            output.show([_line(case) for case in cases], fields=FIELDS, columns=COLUMNS)
        if any(case.plan and case.row and case.row.status == Status.PREVIEWED for case in cases):
            self.hint(_("Nothing was sent. To convert, add --execute; Zoho cannot undo it."))
        else:
            self.hint(_("Nothing was sent, and nothing would be."))

    def _send(
        self,
        cases: list[Case],
        connection_ids: list[int],
        max_seconds: float | None,
        problems: Problems,
    ) -> list[Case]:
        with stopping() as stop:
            cases = [case if stop.is_set() else approved(case) for case in cases]
            if any(case.executed and case.is_under_way for case in cases):
                shift = Shift(lambda: connection_ids, stop, max_seconds=max_seconds)
                shift.go_on(partial(rows_of, cases), self.tell_under_way)
            stop.note(problems)
        note_stuck(rows_of(cases), problems)
        if not stop.is_set() and workable(rows_of(cases)).exists():
            message = _("The time is over. What is approved is sent by the next worker.")
            problems.add(ExitCode.ERROR, message)
        return [refreshed(case) for case in cases]

    def _paint(self, row: Row) -> dict[str, Paint]:
        colours: dict[str, Paint] = {
            Status.CONVERTED: self.style.SUCCESS,
            Status.FAILED: self.style.ERROR,
        }
        return {"result": colours.get(row["status"], self.style.WARNING)}


def _show_plan(case: Case, wish: Wish, output: Output) -> None:
    if case.row is None or not case.row.verdict:
        output.line(f"{case.lead_id}  {case.message}")
        return
    told = [case.message] if case.message else sentences(case.row, case.plan, wish.names)
    block(case.row, told, output)


def _line(case: Case) -> dict[str, Any]:
    row = case.row or LeadConversion(lead_id=case.lead_id)
    shown = {
        "name": row.lead_name if row.lead_snapshot else "",
        "verdict_shown": row.get_verdict_display(),
        "plan_shown": plan_in_words(case.plan),
        "result": row.get_status_display() if case.executed or row.contact_id else _("not sent"),
    }
    return {**case.as_line(), **shown}


def _note(cases: list[Case], problems: Problems) -> None:
    for code in {case.code for case in cases} - {ExitCode.OK}:
        number = sum(case.code == code for case in cases)
        if code == ExitCode.UNKNOWN:
            message = ngettext(
                "The outcome of %s lead is unknown; to find out: manage.py zoho_work --until-idle",
                "The outcome of %s leads is unknown; to find out: manage.py zoho_work --until-idle",
                number,
            )
        else:
            message = ngettext("%s lead was not converted.", "%s leads were not converted.", number)
        problems.add(code, message % number)
