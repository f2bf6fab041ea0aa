"""
The steps for one lead at a time: send it, and settle it if it is in doubt what became of that.

To send is to read the lead again, claim its row and convert it; to settle is to read it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

from zoho_crm import matching
from zoho_crm.client import MAX_IDS_PER_CALL, ZohoClient
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
from zoho_crm.models import LeadConversion
from zoho_crm.models._moves import Move
from zoho_crm.services import lifecycle
from zoho_crm.services.preview import fetch_preview, stored_preview
from zoho_crm.services.settle import IN_DOUBT
from zoho_crm.services.work._context import Step, WorkContext
from zoho_crm.services.work._requests import Call, ReadLead, Result, Turn, Work, WorkItem
from zoho_crm.types import ConversionPlan, Converted, Lead, Scheduled, Verdict

Status = LeadConversion.Status


class SendStep(Step):
    """Sends due READY rows; the first rows of a run one at a time."""

    def __init__(self, context: WorkContext) -> None:
        super().__init__(context)
        self._module_ids = ModuleIds()

    def due(self) -> Iterator[WorkItem]:
        """Yield what is to be done for due READY rows, if few of those that were found wait."""
        context = self._context
        # Even if many wait, some are read after a refresh: more urgent ones may have become due.
        if not self._is_refreshed() and context.free_calls <= len(self.waiting):
            return
        limit = max(context.free_calls, MAX_IDS_PER_CALL - len(self.waiting))
        without_runs = self._runs_waiting_for_canaries()
        for row in context.due_rows(Status.READY, limit=limit, without_runs=without_runs):
            yield WorkItem(renew_preview(row) if row.is_old else self._send(row), row)

    def _runs_waiting_for_canaries(self) -> set[int]:
        """Return the runs that have rows waiting here and whose canaries have not passed."""
        runs = {item.rows[0].mass_conversion for item in self.waiting}
        return {run.pk for run in runs if run and not self._context.canaries_passed(run)}

    def _send(self, row: LeadConversion) -> Work:
        """Read the lead once more, claim its row, convert it, and record what Zoho answered."""
        read_at = time.monotonic()
        lead: Lead | None = yield ReadLead(row)
        move = move_before_sending(row, lead)
        if move.to != Status.RUNNING:
            yield Result(move)
            return
        latest: float | None = yield Turn(read_at=read_at, claim=move)
        if latest is None:
            return  # a row that is still due is read again
        sent_at = time.monotonic()
        try:
            answer: Converted | Scheduled = yield Call(
                partial(convert, row=row, latest=latest, module_ids=self._module_ids),
                answers=(AlreadyConvertedError, RequestRefusedError),
            )
        except AlreadyConvertedError as error:
            move = lifecycle.already_converted(row, error)
        except RequestRefusedError as error:
            move = lifecycle.refused(row, error)
        except (TransientError, AuthorizationError) as error:
            at_once = isinstance(error, AccessTokenRejectedError)
            move = lifecycle.not_processed(row, error, at_once=at_once)
        except UnknownOutcomeError as error:
            in_flight = sent_at + self._context.settings.CALL_DEADLINE - time.monotonic()
            move = lifecycle.answer_lost(row, error, in_flight=max(0.0, in_flight))
        else:
            move = lifecycle.answered(row, answer)
        yield Result(move)


def renew_preview(row: LeadConversion) -> Work:
    """Preview an approved row again, as its preview is old; it is sent if nothing has changed."""
    leader = row.follows
    preview: Preview = yield Call(lambda client: fetch_preview(client, row.lead_id))
    yield Result(move_after_renewal(row, preview, leader))


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
    client: ZohoClient, *, row: LeadConversion, latest: float, module_ids: ModuleIds
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


class SettleStep(Step):
    """Settles due rows that are in doubt."""

    def due(self) -> Iterator[WorkItem]:
        """Yield what is to be done for due rows in doubt."""
        unneeded = ("lead_snapshot", "options_snapshot", "plan")
        for row in self._context.due_rows(*IN_DOUBT, defer=unneeded):
            yield WorkItem(settle(row), row)


def settle(row: LeadConversion) -> Work:
    """Read the lead of a row in doubt, and record what that shows."""
    lead: Lead | None = yield ReadLead(row)
    yield Result(lifecycle.read_back(row, lead, is_conclusive=row.is_conclusive))
