"""Make the rows of a run from the lines of a source, or from pages of open leads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from django.db.models import QuerySet

from zoho_crm import client as zoho
from zoho_crm.models import LeadConversion, MassConversion, MassConversionLine, atomic
from zoho_crm.models._database import DbNow
from zoho_crm.models._moves import Move
from zoho_crm.services import lifecycle
from zoho_crm.services.lead_ids import read_lead_ids
from zoho_crm.services.leads import matches_filters
from zoho_crm.types import Lead, is_record_id, storable

Stage = MassConversion.Stage
Status = LeadConversion.Status
Reason = MassConversionLine.Reason
#: Columns of a run whose open leads are read from the first page on.
FIRST_PAGE: Mapping[str, Any] = {"page_token": "", "page_digests": []}
#: Hex digits that are stored of a token's SHA-256.
DIGEST_DIGITS = 16
#: Lines that are written in one batch.
BATCH_LINES = 1000


def stage_lines(run: MassConversion, lines: Iterable[str]) -> int:
    """
    Make a row of the run for each line of a source, and return the number of lines with text.

    A line that is no lead id, was named before, is converted already or belongs to another run is
    stored with its number and the reason instead. Once the run is cancelled, reading stops.
    """
    number = found = 0
    staging = MassConversion.objects.filter(pk=run.pk, stage=Stage.STAGING)
    for batch in _batches(lines):
        if not staging.exists():
            break
        texts = {number + index: text for index, text in enumerate(batch, start=1) if text}
        _stage_batch(run, texts)
        number += len(batch)
        found += len(texts)
    return found


def stage_page(run: MassConversion, leads: Sequence[Lead], *, next_page_token: str) -> None:
    """
    Make a row of the run for each lead of a page that matches its filters, and store the progress.

    A lead whose id is an odd one is left out. With the last page the run goes on to PREVIEWING, or
    is cancelled if it has no rows. If the list does not end, the run is paused. Nothing is done if
    the run was cancelled meanwhile.

    :param next_page_token: Zoho's token for the next page; empty after the last
    """
    is_last = not next_page_token
    numbers = {
        lead.id: number
        for number, lead in enumerate(leads, start=run.seen + 1)
        if matches_filters(lead, run.filters or {})
    }
    progress = {**_next_page(run, next_page_token), "seen": run.seen + len(leads)}
    progress["counted_from"] = DbNow()
    with atomic():
        if not run.advance(
            [Stage.STAGING], Stage.PREVIEWING if is_last else Stage.STAGING, **progress
        ):
            return
        wanted = {lead_id: at for lead_id, at in numbers.items() if is_record_id(lead_id)}
        odd = dict.fromkeys(set(numbers.values()) - set(wanted.values()), Reason.MALFORMED)
        left_out = odd | _stage_leads(run, wanted)
        # New leads shift the pages: a lead of the last page can be on this one again.
        reasons = {number: why for number, why in left_out.items() if why != Reason.DOUBLE}
        _save_left_out(run, {number: lead_id for lead_id, number in numbers.items()}, reasons)
        if is_last and not run.rows.exists():
            run.advance([Stage.PREVIEWING], Stage.CANCELLED)


def _next_page(run: MassConversion, token: str) -> dict[str, Any]:
    """Return the columns that make a worker read the next page, or that pause an endless list."""
    digest = hashlib.sha256(token.encode()).hexdigest()[:DIGEST_DIGITS]
    if token and zoho.is_endless(digest, run.page_digests):
        return {**FIRST_PAGE, "paused_reason": "endless_list", "paused_details": {}, "due_at": None}
    digests = [*run.page_digests, digest] if token else []
    return {"page_token": token, "page_digests": digests, "due_at": DbNow()}


def _batches(lines: Iterable[str]) -> Iterator[list[str]]:
    stream = (str(line).strip() for line in lines)  # a project may store ids as numbers
    while batch := list(islice(stream, BATCH_LINES)):
        yield batch


def _stage_batch(run: MassConversion, lines: Mapping[int, str]) -> None:
    wanted: dict[str, int] = {}
    left_out: dict[int, str] = {}
    for number, read in read_lead_ids(lines).items():
        if read.reason:
            left_out[number] = read.reason
        elif wanted.setdefault(read.lead_id, number) != number:
            left_out[number] = Reason.DOUBLE
    _save_left_out(run, lines, left_out | _stage_leads(run, wanted))


def _save_left_out(
    run: MassConversion, lines: Mapping[int, str], left_out: Mapping[int, str]
) -> None:
    """Store the lines that did not become rows, each with its number and the reason."""
    MassConversionLine.objects.bulk_create(
        MassConversionLine(
            mass_conversion=run, number=number, text=storable(lines[number], 50), reason=reason
        )
        for number, reason in left_out.items()
    )


def _stage_leads(run: MassConversion, wanted: Mapping[str, int]) -> dict[int, str]:
    """
    Add new rows to the run, and move existing ones into it.

    :param wanted: line numbers by lead id
    :return: why a lead was left out, by line number
    """
    known = {row.lead_id: row for row in _existing_rows(run, wanted)}
    reasons = {lead_id: _reason_to_leave_out(run, row) for lead_id, row in known.items()}
    LeadConversion.objects.add(
        [lead_id for lead_id in wanted if lead_id not in known],
        connection_id=run.connection_id,
        mass_conversion_id=run.pk,
        due_at=DbNow(),
    )
    movable = [row for lead_id, row in known.items() if not reasons[lead_id]]
    LeadConversion.objects.move([_moved_into_run(row, run) for row in movable])
    # Another process may have moved or added a row meanwhile; then its line is left out as well.
    staged = [lead_id for lead_id in wanted if not reasons.get(lead_id)]
    for row in _existing_rows(run, staged).exclude(mass_conversion=run):
        reasons[row.lead_id] = _reason_to_leave_out(run, row) or Reason.ON_ITS_WAY
    return {wanted[lead_id]: reason for lead_id, reason in reasons.items() if reason}


def _existing_rows(run: MassConversion, lead_ids: Iterable[str]) -> QuerySet[LeadConversion]:
    rows = LeadConversion.objects.filter(
        connection_id=run.connection_id, lead_id__in=list(lead_ids)
    ).select_related("mass_conversion")
    return rows.defer("lead_snapshot", "options_snapshot", "plan")


def _reason_to_leave_out(run: MassConversion, row: LeadConversion) -> str:
    """Return why an existing row cannot be moved into the run; empty if it can."""
    if row.mass_conversion_id == run.pk:
        return Reason.DOUBLE
    if row.status == Status.CONVERTED:
        return Reason.CONVERTED
    if row.mass_conversion and row.mass_conversion.is_open:
        return Reason.IN_ANOTHER_RUN
    return "" if row.status in lifecycle.MOVABLE else Reason.ON_ITS_WAY


def _moved_into_run(row: LeadConversion, run: MassConversion) -> Move:
    """Return the move that reopens a row as one of the run."""
    move = lifecycle.reopened(row)
    values: dict[str, Any] = {**lifecycle.NO_RUN, "mass_conversion": run}
    details = {"mass_conversion": run.pk}
    return Move(row=row, to=move.to, values={**move.values, **values}, details=details)
