"""``manage.py zoho_doctor``: check settings, database, broker, connections and workers."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import chain
from typing import Any

from django.core.checks import WARNING, CheckMessage
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from zoho_crm import checks
from zoho_crm.management._command import ZohoCommand
from zoho_crm.management._exits import ExitCode, Problems
from zoho_crm.management._output import Row, Style
from zoho_crm.services import doctor
from zoho_crm.services.doctor import Check, Finding, Result

FIELDS = ("check", "result", "message", "fix")
SYMBOLS = {Result.OK: "✓", Result.WARN: "▲", Result.FAIL: "✗"}
COLUMNS = {
    "result": lambda row: f"{SYMBOLS[row['result']]} {row['result'].label}",
    "check": lambda row: row["label"],
    "message": lambda row: " → ".join(filter(None, [row["message"], row["fix"]])),
}
#: Widths of the table's columns, whose rows are shown as they come.
WIDTHS = {"result": 9, "check": 28}


class Command(ZohoCommand):
    help = gettext_noop(
        "Check settings, keys, database, broker, network, connections and workers; name the fix for"
        " each problem. Zoho is called once for each connection."
    )
    # The command reports the results of the system checks itself.
    requires_system_checks: tuple[str, ...] = ()

    def handle(self, *args: Any, **options: Any) -> None:
        findings: list[Finding] = []
        rows = self._rows(findings)
        self.open_output(options).show(
            rows, fields=FIELDS, columns=COLUMNS, styles=self._styles, widths=WIDTHS
        )
        _report(findings)

    def _rows(self, findings: list[Finding]) -> Iterator[Row]:
        """Yield a row for each finding when it is known, and add the finding to the list."""
        messages = checks.check_settings(None)
        for finding in chain(_settings(messages), _others(messages)):
            findings.append(finding)
            yield {
                "check": finding.name,
                "label": finding.label,
                "result": finding.result,
                "message": finding.message,
                "fix": finding.fix,
            }

    def _styles(self, row: Row) -> dict[str, Style]:
        styles: dict[Result, Style] = {
            Result.OK: self.style.SUCCESS,
            Result.WARN: self.style.WARNING,
            Result.FAIL: self.style.ERROR,
        }
        return {"result": styles[row["result"]]}


def _settings(messages: Collection[CheckMessage]) -> Iterator[Finding]:
    yield from map(_finding, messages)
    if all(message.level < WARNING for message in messages):
        yield Finding(check=Check.SETTINGS, result=Result.OK, message=_("no problem found"))


def _others(messages: Collection[CheckMessage]) -> Iterator[Finding]:
    """Yield the findings of all other checks, unless the settings make them impossible."""
    if checks.FATAL.isdisjoint(message.id for message in messages):
        yield from doctor.run_checks()
        return
    message = _("Nothing else can be examined with these settings.")
    fix = _("Correct them, then run this again.")
    yield Finding(check=Check.ALL_OTHERS, result=Result.WARN, message=message, fix=fix)


def _finding(message: CheckMessage) -> Finding:
    result = Result.FAIL if message.level > WARNING else Result.WARN
    if message.level < WARNING:
        result = Result.OK
    return Finding(
        check=Check.SETTINGS,
        result=result,
        message=message.msg,
        fix=message.hint or "",
        subject=message.id or "",
    )


def _report(findings: list[Finding]) -> None:
    problems = Problems()
    failed = [finding for finding in findings if finding.result == Result.FAIL]
    if failed:
        message = ngettext("%s check failed.", "%s checks failed.", len(failed))
        needs_person = any(finding.is_connection for finding in failed)
        code = ExitCode.NEEDS_PERSON if needs_person else ExitCode.ERROR
        problems.add(code, message % len(failed))
    problems.finish()
