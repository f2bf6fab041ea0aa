"""Export the results of a run as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

from zoho_crm.models import LeadConversion, MassConversion, MassConversionLine
from zoho_crm.services.presentation import error_text

COLUMNS = tuple(
    """
    line lead_id lead status verdict reason contact_id account_id deal_id by evidence attempts
    error_code error_message finished_at
    """.split()  # noqa: SIM905
)
#: First characters by which a spreadsheet recognises a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def export(*, run_id: int) -> Iterator[str]:
    """
    Yield the lines of a CSV file: a fixed header, the rows, and the lines that were left out.

    A value that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    run = MassConversion.objects.get(pk=run_id)
    writer = csv.DictWriter(_Echo(), COLUMNS, restval="")
    yield writer.writeheader()
    rows = LeadConversion.objects.filter(mass_conversion=run).order_by("pk")
    for row in rows.iterator(chunk_size=500):
        yield writer.writerow(_safe(_row(row)))
    for line in run.lines.order_by("number").iterator(chunk_size=500):
        yield writer.writerow(_safe(_left_out(line)))


class _Echo:
    """A file for ``csv`` whose ``write`` returns the text that it is given."""

    def write(self, text: str) -> str:
        return text


def _row(row: LeadConversion) -> dict[str, Any]:
    return {
        "lead_id": row.lead_id,
        "lead": row.lead_name,
        "status": row.status,
        "verdict": row.verdict,
        "reason": row.reason,
        "contact_id": row.contact_id,
        "account_id": row.account_id,
        "deal_id": row.deal_id,
        "by": row.converted_by,
        "evidence": row.evidence,
        "attempts": row.attempts,
        "error_code": row.error_code,
        "error_message": error_text(row),
        "finished_at": row.finished_at.isoformat() if row.finished_at else "",
    }


def _left_out(line: MassConversionLine) -> dict[str, Any]:
    return {
        "line": line.number,
        "lead_id": line.text,
        "status": "LEFT_OUT",
        "reason": line.reason,
    }


def _safe(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _escaped(value) for name, value in values.items()}


def _escaped(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
