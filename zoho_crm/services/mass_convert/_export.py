"""Export a run: its results, and what was read of leads and existing records before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from django.db.models import QuerySet

from zoho_crm.models import LeadConversion, MassConversion, MassConversionLine, batches
from zoho_crm.services.comparison import joined_matches, lead_value, written_fields
from zoho_crm.services.csv_text import csv_line
from zoho_crm.services.exports import RESULT_COLUMNS, instant_text, result_values
from zoho_crm.types import as_json

COLUMNS = ("line", *RESULT_COLUMNS)
CHANGE_COLUMNS = (
    *("lead_id", "lead", "module", "record_id", "record"),
    *("field", "before", "from_lead"),
)


def export(*, run_id: int, with_values: bool = True) -> Iterator[str]:
    """
    Yield the lines of a CSV file: a fixed header, the rows, the lines that were left out.

    :param with_values: whether personal data are in it besides names: the texts of these lines, and
        values that Zoho refused
    """
    yield from _csv(_results(run_id, with_values))


def export_rows(rows: QuerySet[LeadConversion], *, with_values: bool = True) -> Iterator[str]:
    """Yield the lines of the same CSV file with these rows of a run alone."""
    yield from _csv(_rows(rows, with_values))


def _csv(results: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield csv_line(COLUMNS)
    for values in results:
        yield csv_line(values.get(name, "") for name in COLUMNS)


def export_json(*, run_id: int, with_values: bool = True) -> Iterator[str]:
    """Yield the same as lines of JSON, one object each."""
    for values in _results(run_id, with_values):
        yield json.dumps(values, ensure_ascii=False) + "\n"


def export_changes(*, run_id: int) -> Iterator[str]:
    """
    Yield the lines of a CSV file: a fixed header, then a line for each field of a record that a
    converted lead joined in which the lead had another value.

    ``before`` is what the record had, as it was read for the preview; which of the lead's values
    Zoho took over is not known. Previews that were purged have no line.
    """
    yield csv_line(CHANGE_COLUMNS)
    rows = LeadConversion.objects.filter(
        mass_conversion=run_id,
        status=LeadConversion.Status.CONVERTED,
        converted_by=LeadConversion.By.US,
        lead_snapshot__isnull=False,
    )
    for row in chain.from_iterable(batches(rows)):
        yield from _changes(row)


def export_before(*, run_id: int, decided_only: bool = False) -> Iterator[str]:
    """
    Yield lines of JSON, one object for each lead that is not left out: as it was read for its
    preview, and the existing records that it joins as they were then.

    Previews that were purged have no line.

    :param decided_only: leave out those that a start would not send, as they were converted before
    """
    rows = LeadConversion.objects.filter(
        mass_conversion=run_id, lead_snapshot__isnull=False, plan__isnull=False
    ).exclude(status=LeadConversion.Status.SKIPPED)
    if decided_only:
        rows = rows.decided()
    for row in chain.from_iterable(batches(rows)):
        joined = [{"module": module, **as_json(match)} for module, match in joined_matches(row)]
        values = {
            "lead_id": row.lead_id,
            "read_at": instant_text(row.previewed_at),
            "lead": row.lead_snapshot,
            "joins": joined,
        }
        yield json.dumps(values, ensure_ascii=False) + "\n"


def _results(run_id: int, with_values: bool) -> Iterator[dict[str, Any]]:
    run = MassConversion.objects.get(pk=run_id)
    rows = LeadConversion.objects.filter(mass_conversion=run)
    yield from _rows(rows, with_values)
    for line in chain.from_iterable(batches(run.lines.all())):
        yield _left_out(line, with_values)


def _rows(rows: QuerySet[LeadConversion], with_values: bool) -> Iterator[dict[str, Any]]:
    for row in chain.from_iterable(batches(rows)):
        yield result_values(row, with_values=with_values)


def _changes(row: LeadConversion) -> Iterator[str]:
    lead = row.stored_lead()
    if lead is None:
        return
    for module, match in joined_matches(row):
        for name in written_fields(lead, match):
            before, from_lead = match.fields.get(name, ""), lead_value(lead, name)
            values = row.lead_id, lead.name, module, match.id, match.name, name, before, from_lead
            yield csv_line(values)


def _left_out(line: MassConversionLine, with_text: bool) -> dict[str, Any]:
    return {
        "line": line.number,
        "lead_id": line.text if with_text else "",
        "status": "LEFT_OUT",
        "reason": line.reason,
    }
