"""Export the results of a run as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from zoho_crm.models import LeadConversion, MassConversion, MassConversionLine, batches
from zoho_crm.services.csv_text import csv_line
from zoho_crm.services.presentation import error_text

COLUMNS = tuple(
    """
    line lead_id lead status verdict reason contact_id account_id deal_id by evidence attempts
    error_code error_message finished_at
    """.split()  # noqa: SIM905
)


def export(*, run_id: int) -> Iterator[str]:
    """Yield the lines of a CSV file: a fixed header, the rows, the lines that were left out."""
    run = MassConversion.objects.get(pk=run_id)
    yield csv_line(COLUMNS)
    rows = LeadConversion.objects.filter(mass_conversion=run)
    for row in chain.from_iterable(batches(rows)):
        yield _line(_row(row))
    for line in chain.from_iterable(batches(run.lines.all())):
        yield _line(_left_out(line))


def _line(values: dict[str, Any]) -> str:
    return csv_line(values.get(name, "") for name in COLUMNS)


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
        "error_message": error_text(row, with_values=True),
        "finished_at": row.finished_at.isoformat() if row.finished_at else "",
    }


def _left_out(line: MassConversionLine) -> dict[str, Any]:
    return {
        "line": line.number,
        "lead_id": line.text,
        "status": "LEFT_OUT",
        "reason": line.reason,
    }
