"""Take the leads of a run in: as a stream, in batches, and without losing a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from zoho_crm.models import (
    DbNow,
    LeadConversion,
    MassConversion,
    MassConversionLine,
    Move,
)
from zoho_crm.services import lifecycle
from zoho_crm.services.leads import matches_filters
from zoho_crm.types import Lead, is_record_id

Stage = MassConversion.Stage
Status = LeadConversion.Status
Reason = MassConversionLine.Reason
#: Lines that are written at a time.
BATCH = 1000
#: What a row of no run, or of one that has ended, may be to be taken into another.
FREE = frozenset({Status.NEW, Status.PREVIEWED, Status.SKIPPED, Status.FAILED})


def stage_lines(run: MassConversion, lines: Iterable[str]) -> int:
    """
    Make rows of a source's lines, each an id; return how many lines there were.

    A line that is no id, was named before, is converted already or belongs to another run is kept
    with its number and the reason. Empty lines do not count, and nothing does after a cancel.
    """
    number = found = 0
    staging = MassConversion.objects.filter(pk=run.pk, stage=Stage.STAGING)
    for batch in _batches(lines):
        if not staging.exists():
            break
        texts = {number + place: text for place, text in enumerate(batch, start=1) if text}
        _take_batch(run, texts)
        number += len(batch)
        found += len(texts)
    return found


def stage_page(run: MassConversion, leads: Sequence[Lead], *, next_page_token: str) -> None:
    """
    Make rows of a page of open leads, and remember how far that is; nothing after a cancel.

    With the last page the run goes on to its previews; one without any lead is cancelled.
    """
    is_last = not next_page_token
    numbers = {
        lead.id: number
        for number, lead in enumerate(leads, start=run.seen + 1)
        if matches_filters(lead, run.filters or {})
    }
    progress = {"page_token": next_page_token, "seen": run.seen + len(leads), "due_at": DbNow()}
    with transaction.atomic():
        if not run.advance(
            [Stage.STAGING], Stage.PREVIEWING if is_last else Stage.STAGING, **progress
        ):
            return
        left_out = _rows(run, numbers)
        # Pages shift while leads come in: what was on the last one may be on this one too.
        reasons = {number: why for number, why in left_out.items() if why != Reason.DOUBLE}
        _note(run, {number: lead_id for lead_id, number in numbers.items()}, reasons)
        if is_last and not run.rows.exists():
            run.advance([Stage.PREVIEWING], Stage.CANCELLED)


def _batches(lines: Iterable[str]) -> Iterator[list[str]]:
    stream = (line.strip() for line in lines)
    while batch := list(islice(stream, BATCH)):
        yield batch


def _take_batch(run: MassConversion, lines: Mapping[int, str]) -> None:
    wanted: dict[str, int] = {}
    left_out: dict[int, str] = {}
    for number, text in lines.items():
        if not is_record_id(text):
            left_out[number] = Reason.MALFORMED
        elif wanted.setdefault(text, number) != number:
            left_out[number] = Reason.DOUBLE
    _note(run, lines, left_out | _rows(run, wanted))


def _note(run: MassConversion, lines: Mapping[int, str], left_out: Mapping[int, str]) -> None:
    """Keep the lines that were left out, each with its reason."""
    MassConversionLine.objects.bulk_create(
        MassConversionLine(
            mass_conversion=run, number=number, text=lines[number][:50], reason=reason
        )
        for number, reason in left_out.items()
    )


def _rows(run: MassConversion, wanted: Mapping[str, int]) -> dict[int, str]:
    """Give each lead its row in the run; return why that cannot be, by line."""
    known = {row.lead_id: row for row in _rows_of(run, wanted)}
    reasons = {lead_id: _obstacle(run, row) for lead_id, row in known.items()}
    LeadConversion.objects.add(
        [lead_id for lead_id in wanted if lead_id not in known],
        connection_id=run.connection_id,
        mass_conversion_id=run.pk,
        due_at=DbNow(),
    )
    taken = [row for lead_id, row in known.items() if not reasons[lead_id]]
    LeadConversion.objects.move([taken_over(row, run) for row in taken])
    # Somebody else may have been faster; then the line is left out as well, and says why.
    mine = [lead_id for lead_id in wanted if not reasons.get(lead_id)]
    for row in _rows_of(run, mine).exclude(mass_conversion=run):
        reasons[row.lead_id] = _obstacle(run, row) or Reason.ON_ITS_WAY
    return {wanted[lead_id]: reason for lead_id, reason in reasons.items() if reason}


def _rows_of(run: MassConversion, lead_ids: Iterable[str]) -> QuerySet[LeadConversion]:
    rows = LeadConversion.objects.filter(
        connection_id=run.connection_id, lead_id__in=list(lead_ids)
    ).select_related("mass_conversion")
    return rows.defer("lead_snapshot", "options_snapshot", "plan")


def _obstacle(run: MassConversion, row: LeadConversion) -> str:
    """Say why a row that exists cannot be taken into the run."""
    if row.mass_conversion_id == run.pk:
        return Reason.DOUBLE
    if row.status == Status.CONVERTED:
        return Reason.CONVERTED
    if row.mass_conversion and row.mass_conversion.is_open:
        return Reason.IN_ANOTHER_RUN
    return "" if row.status in FREE else Reason.ON_ITS_WAY


def taken_over(row: LeadConversion, run: MassConversion) -> Move:
    """Let a row start afresh as the run's own."""
    move = lifecycle.reopened(row)
    values: dict[str, Any] = {**lifecycle.NO_RUN, "mass_conversion": run}
    details = {"mass_conversion": run.pk}
    return Move(row=row, to=move.to, values={**move.values, **values}, details=details)
