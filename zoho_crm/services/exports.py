"""Lists as CSV: conversions and outgoing records with their results, runs with their numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from zoho_crm.models import LeadConversion, MassConversion, OutboxRecord
from zoho_crm.services.csv_text import csv_line
from zoho_crm.services.presentation import error_text, outbox_error_text, source_text
from zoho_crm.services.run_statistics import lead_count, status_counts

#: The result of one lead.
RESULT_COLUMNS = tuple(
    """
    lead_id lead status verdict reason contact_id account_id deal_id by evidence attempts
    error_code error_message finished_at
    """.split()  # noqa: SIM905
)
CONVERSION_COLUMNS = ("connection", "run", *RESULT_COLUMNS)
RUN_COLUMNS = (
    *("run", "name", "connection", "stage", "paused", "source", "leads"),
    *(status.lower() for status in LeadConversion.Status),
    *("created_at", "started_at", "ended_at"),
)

OUTBOX_COLUMNS = tuple(
    """
    connection action module key status record_module record_id added_id attempts error_code
    error_message pushed_at finished_at
    """.split()  # noqa: SIM905
)


def result_values(row: LeadConversion, *, with_values: bool) -> dict[str, Any]:
    """
    Return the result of a lead by column.

    :param with_values: whether the message of an error names the values that Zoho refused
    """
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
        "error_message": error_text(row, with_values=with_values),
        "finished_at": instant_text(row.finished_at),
    }


def csv_of_conversions(
    batches: Iterable[Sequence[int]], *, may_see_values: Callable[[LeadConversion], bool]
) -> Iterator[str]:
    """
    Yield the lines of a CSV file: a fixed header, then a line for each lead.

    :param batches: of ids of conversions; the rows of one batch are in memory at a time
    :param may_see_values: whether values of a lead that Zoho refused may be in it
    """
    yield csv_line(CONVERSION_COLUMNS)
    rows = LeadConversion.objects.select_related("connection").defer("options_snapshot", "plan")
    for ids in batches:
        for row in rows.filter(pk__in=ids).order_by("pk"):
            values = {"connection": row.connection.name, "run": row.mass_conversion_id}
            values |= result_values(row, with_values=may_see_values(row))
            yield csv_line(values[name] for name in CONVERSION_COLUMNS)


def csv_of_runs(
    batches: Iterable[Sequence[int]], *, may_see_source: Callable[[MassConversion], bool]
) -> Iterator[str]:
    """
    Yield the lines of a CSV file: a fixed header, then a line for each run, with its numbers.

    :param batches: of ids of runs
    :param may_see_source: whether values of leads may be in it, which the filters of a run have
    """
    yield csv_line(RUN_COLUMNS)
    for ids in batches:
        runs = MassConversion.objects.select_related("connection").filter(pk__in=ids)
        found = list(runs.order_by("pk"))
        counts = status_counts(found)
        for run in found:
            numbers = {status.lower(): counts[run.pk][status] for status in LeadConversion.Status}
            values = {**_run_values(run), **numbers, "leads": lead_count(counts[run.pk])}
            if run.filters and not may_see_source(run):
                values["source"] = ""
            yield csv_line(values[name] for name in RUN_COLUMNS)


def csv_of_outbox(batches: Iterable[Sequence[int]]) -> Iterator[str]:
    """
    Yield the lines of a CSV file: a fixed header, then a line for each outgoing record.

    The values that are sent are not in it.

    :param batches: of ids of outgoing records
    """
    yield csv_line(OUTBOX_COLUMNS)
    rows = OutboxRecord.objects.select_related("connection").defer("values", "known_people")
    for ids in batches:
        for row in rows.filter(pk__in=ids).order_by("pk"):
            values = {name: getattr(row, name, "") for name in OUTBOX_COLUMNS} | {
                "connection": row.connection.name,
                "error_message": outbox_error_text(row),
                "pushed_at": instant_text(row.created_at),
                "finished_at": instant_text(row.finished_at),
            }
            yield csv_line(values[name] for name in OUTBOX_COLUMNS)


def _run_values(run: MassConversion) -> dict[str, Any]:
    return {
        "run": run.pk,
        "name": run.name,
        "connection": run.connection.name,
        "stage": run.stage,
        "paused": run.paused_reason,
        "source": source_text(run),
        "created_at": instant_text(run.created_at),
        "started_at": instant_text(run.started_at),
        "ended_at": instant_text(run.ended_at),
    }


def instant_text(at: datetime | None) -> str:
    """Return an instant as files have it; empty if there is none."""
    return at.isoformat() if at else ""
