"""The step that sends READY rows one by one: read the lead again, claim the row, convert it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from math import inf

from zoho_crm import matching
from zoho_crm.client import ZohoClient
from zoho_crm.exceptions import (
    AccessTokenRejectedError,
    AlreadyConvertedError,
    AuthorizationError,
    PermissionDeniedError,
    RequestRefusedError,
    TransientError,
    UnknownOutcomeError,
)
from zoho_crm.matching import Preview
from zoho_crm.models import LeadConversion, MassConversion, Move
from zoho_crm.services import lifecycle
from zoho_crm.services.preview import fetch_preview, stored_preview
from zoho_crm.services.work._context import MAX_LEADS_PER_READ, WorkContext, priority
from zoho_crm.services.work._pool import PendingCall
from zoho_crm.types import (
    ConversionPlan,
    Converted,
    Lead,
    Scheduled,
    Verdict,
)

Status = LeadConversion.Status


class SendStep:
    """Sends due READY rows; the first rows of a run one at a time."""

    def __init__(self, context: WorkContext) -> None:
        self._context = context
        #: The refresh after which due rows were read last.
        self._refresh_count = 0
        #: Claims of rows whose lead was just read and has not changed, each with the time of that
        #: read on the monotonic clock.
        self._claims: list[tuple[float, Move]] = []
        self._in_flight_by_run: Counter[int] = Counter()
        self._module_ids = ModuleIds()

    def start_calls(self) -> None:
        """Start reads of the leads of READY rows, and conversions of those that may be sent."""
        context = self._context
        if context.free_calls > len(self._claims) or (
            context.free_calls and self._refresh_count != context.refresh_count
        ):
            self._refresh_count = context.refresh_count
            self._read_leads()
        self._convert()

    def _read_leads(self) -> None:
        # Even with many claims some rows are read: more urgent ones may have become due.
        limit = max(self._context.free_calls, MAX_LEADS_PER_READ - len(self._claims))
        without_runs = self._runs_waiting_for_canaries()
        rows = self._context.due_rows(Status.READY, limit=limit, without_runs=without_runs)
        ready = [row for row in rows if not row.is_old]
        if ready:
            take_move = partial(self._take_move, time.monotonic())
            self._context.read_leads(ready, move_before_sending, take_move)
        for row in [row for row in rows if row.is_old]:
            if self._context.free_calls:
                self._renew_preview(row)

    def _runs_waiting_for_canaries(self) -> set[int]:
        """Return the runs that have claims here and whose canaries have not passed."""
        runs = {claim.row.mass_conversion for _read_at, claim in self._claims}
        return {run.pk for run in runs if run and not self._context.canaries_passed(run)}

    def _take_move(self, read_at: float, row: LeadConversion, move: Move | None) -> None:
        if move and move.to == Status.RUNNING:
            self._claims.append((read_at, move))
            self._context.kept_row_ids.add(row.pk)
        else:
            self._context.collect(row, move)

    def _renew_preview(self, row: LeadConversion) -> None:
        client, leader = self._context.client, row.follows

        def read() -> Move:
            return move_after_renewal(row, fetch_preview(client, row.lead_id), leader)

        on_result, on_error = self._on_preview_renewed, self._context.postpone
        call = PendingCall(rows=(row,), on_result=on_result, on_error=on_error)
        self._context.pool.start(call, read)

    def _on_preview_renewed(self, _call: PendingCall, move: Move) -> None:
        self._context.health.record_success()
        self._context.moves.append(move)

    def _convert(self) -> None:
        """Write claims, as many as calls are free, and start the conversion of their rows."""
        context = self._context
        claims = self._take_claims()
        if not claims:
            return
        latest = time.monotonic() + context.settings.LEASE - context.settings.CALL_DEADLINE
        for claim in LeadConversion.objects.move(claims, only_if=context.may_be_claimed):
            call = PendingCall(
                rows=(claim.row,), on_result=self._on_answer, on_error=self._on_error
            )
            send = partial(convert, context.client, claim.row, latest, self._module_ids)
            context.pool.start(call, send)
            self._in_flight_by_run[claim.row.mass_conversion_id or 0] += 1

    def _take_claims(self) -> list[Move]:
        """Return the claims that may be sent now; drop those whose lead was read too long ago."""
        oldest = time.monotonic() - self._context.settings.CALL_DEADLINE
        fresh = [(read_at, claim) for read_at, claim in self._claims if read_at > oldest]
        fresh.sort(key=lambda checked: priority(checked[1].row))
        now: list[Move] = []
        later: list[tuple[float, Move]] = []
        capacities: dict[int, float] = {}
        for read_at, claim in fresh:
            is_free = len(now) < self._context.free_calls
            if is_free and self._may_send(claim.row.mass_conversion, capacities):
                now.append(claim)
            else:
                later.append((read_at, claim))
        self._context.kept_row_ids -= {claim.row.pk for _read_at, claim in self._claims}
        self._context.kept_row_ids |= {claim.row.pk for _read_at, claim in later}
        self._claims = later
        return now

    def _may_send(self, run: MassConversion | None, capacities: dict[int, float]) -> bool:
        """
        Return whether one more row of a run may be sent: the canaries go one at a time.

        :param capacities: by run, how many more rows may be sent now; is updated
        """
        if run is None:
            return True
        if run.pk not in capacities:
            passed = self._context.canaries_passed(run)
            capacities[run.pk] = inf if passed else 1 - self._in_flight_by_run[run.pk]
        capacities[run.pk] -= 1
        return capacities[run.pk] >= 0

    def _on_answer(self, call: PendingCall, answer: Converted | Scheduled) -> None:
        self._remove_from_flight(call)
        self._context.health.record_success()
        self._context.moves += [lifecycle.answered(row, answer) for row in call.rows]

    def _on_error(self, call: PendingCall, error: BaseException) -> None:
        """Collect the move of a row that was refused, certainly not processed, or is in doubt."""
        self._remove_from_flight(call)
        context, (row,) = self._context, call.rows
        if isinstance(error, AlreadyConvertedError):
            context.health.record_success()
            context.moves.append(lifecycle.already_converted(row, error))
        elif isinstance(error, RequestRefusedError):
            context.health.record_success()
            context.moves.append(lifecycle.refused(row, error))
        elif isinstance(error, TransientError | AuthorizationError):
            context.health.record_failure(error, started=call.started)
            at_once = isinstance(error, AccessTokenRejectedError)
            context.moves.append(lifecycle.not_processed(row, error, at_once=at_once))
        elif isinstance(error, UnknownOutcomeError):
            in_flight = call.started + context.settings.CALL_DEADLINE - time.monotonic()
            move = lifecycle.answer_lost(row, error, in_flight=max(0.0, in_flight))
            context.moves.append(move)
        else:
            context.internal_error(row, error)

    def _remove_from_flight(self, call: PendingCall) -> None:
        for row in call.rows:
            self._in_flight_by_run[row.mass_conversion_id or 0] -= 1


class ModuleIds:
    """The ids of an organisation's modules, read once, when a conversion first needs them."""

    def __init__(self) -> None:
        self._ids: Mapping[str, str] | None = None

    def read(self, client: ZohoClient) -> Mapping[str, str]:
        """
        Return the ids by API name; none if the user may not read the modules.

        :raises TransientError: if they cannot be read now
        """
        if self._ids is None:
            try:
                self._ids = client.jobs.module_ids()
            except (PermissionDeniedError, RequestRefusedError):
                self._ids = {}
        return self._ids


def convert(
    client: ZohoClient, row: LeadConversion, latest: float, module_ids: ModuleIds
) -> Converted | Scheduled:
    """
    Convert a row's lead as planned.

    :param latest: the time on the monotonic clock after which nothing is sent any more
    """
    plan = row.stored_plan() or ConversionPlan()
    return client.leads.convert(
        row.lead_id,
        plan,
        module_ids=module_ids.read(client) if plan.move_attachments_to else None,
        may_send=lambda: time.monotonic() <= latest,
    )


def move_before_sending(row: LeadConversion, lead: Lead | None, *, sent: str | None = None) -> Move:
    """
    Return the move of a READY row whose lead was read: the claim, if it has not changed.

    :param sent: SHA-256 of the request body, if it is not that of the row's own plan
    """
    if lead is None:
        if lifecycle.may_appear_later(row):
            return lifecycle.not_found_yet(row)
        return lifecycle.reset_to_new(row, gone=True)
    if lead.converted:
        return lifecycle.read_converted(row, lead.converted)
    approved = row.stored_lead()
    changed = matching.changed_fields(approved, lead) if approved else ("id",)
    if changed:
        return lifecycle.reset_to_new(row, changed=list(changed))
    if row.empty_reads:
        return lifecycle.found_again(row)
    return lifecycle.claimed(row, sent)


def move_after_renewal(
    row: LeadConversion, preview: Preview, leader: LeadConversion | None
) -> Move:
    """
    Return the move of an approved row with a new preview: it stays READY if nothing has changed.

    :param leader: the row that it follows in its run
    """
    if preview.lead and preview.lead.converted:
        return lifecycle.read_converted(row, preview.lead.converted)
    approved = stored_preview(row)
    is_same_lead = (
        approved.lead and preview.lead and not matching.changed_fields(approved.lead, preview.lead)
    )
    if is_same_lead and matching.same_matches(approved, _without_records_of(leader, preview)):
        return lifecycle.preview_renewed(row, preview)
    return lifecycle.reset_to_new(row, changed=["matches"])


def _without_records_of(leader: LeadConversion | None, preview: Preview) -> Preview:
    """Return a preview without the matches that the conversion of the leader has created."""
    if leader is None:
        return preview
    created = {leader.contact_id, leader.account_id}
    options = replace(
        preview.options,
        contacts=tuple(match for match in preview.options.contacts if match.id not in created),
        accounts=tuple(match for match in preview.options.accounts if match.id not in created),
    )
    refusal = preview.reason if preview.verdict == Verdict.NOT_CONVERTIBLE else ""
    return matching.assess(preview.lead, options, refusal)
