"""The outcome of each lead as a table, and its comparison with the simulator's ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from zoho_crm.models import LeadConversion
from zoho_crm.types import ConversionPlan

#: A conversion: whether the app did it, and the ids of contact, account and deal.
Entry: TypeAlias = tuple[bool, str, str, str]

COLUMNS = ("lead", "verdict", "plan", "result", "contact", "account", "deal")
EMPTY = "-"


def table(rows: Iterable[LeadConversion]) -> Iterator[str]:
    """Yield the lines of a table of the rows, with aligned columns."""
    lines = [COLUMNS, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for cells in lines:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        yield "  ".join(padded).rstrip()


def _cells(row: LeadConversion) -> tuple[str, ...]:
    ids = (row.contact_id, row.account_id, row.deal_id)
    return (
        row.lead_id,
        row.verdict,
        _plan(row.stored_plan()),
        _result(row),
        *(record_id or EMPTY for record_id in ids),
    )


def _plan(plan: ConversionPlan | None) -> str:
    if plan is None:
        return EMPTY
    target = "contact" if plan.contact_id else "account" if plan.account_id else ""
    words = f"attach {target}" if target else "create"
    return f"{words} + deal" if plan.deal else words


def _result(row: LeadConversion) -> str:
    note = row.reason
    if row.status == LeadConversion.Status.CONVERTED:
        elsewhere = row.converted_by == LeadConversion.By.ELSEWHERE
        read_back = row.evidence == LeadConversion.Evidence.READ
        note = "elsewhere" if elsewhere else "read back" if read_back else ""
    return f"{row.status} ({note})" if note else row.status


def compare_with_ledger(rows: Iterable[LeadConversion], ledger: dict[str, Any]) -> dict[str, bool]:
    """Return for each lead in rows or ledger whether both have the same conversion of it."""
    ours = {row.lead_id: _ours(row) for row in rows}
    theirs: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in ledger["conversions"]:
        theirs[entry["lead_id"]].append(_theirs(entry))
    return {
        lead_id: ours.get(lead_id, []) == theirs[lead_id] for lead_id in ours.keys() | theirs.keys()
    }


def _ours(row: LeadConversion) -> list[Entry]:
    if row.status != LeadConversion.Status.CONVERTED:
        return []
    by_us = row.converted_by == LeadConversion.By.US
    return [(by_us, row.contact_id, row.account_id, row.deal_id)]


def _theirs(entry: dict[str, Any]) -> Entry:
    contact, account, deal = (
        entry[f"{module}_id"] or "" for module in ("contact", "account", "deal")
    )
    return entry["via"] != "elsewhere", contact, account, deal
