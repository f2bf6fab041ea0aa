"""
The steps that prepare rows for a decision: stage the open leads of runs, and preview new rows.

Open leads are read by pages, new rows 100 a call, and then the options of each lead.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from django.utils.timezone import localdate

from zoho_crm import matching
from zoho_crm.client import MAX_IDS_PER_CALL, LeadPage, ZohoClient
from zoho_crm.exceptions import RequestRefusedError, ZohoError
from zoho_crm.matching import DecisionContext, Policy, Preview
from zoho_crm.models import LeadConversion, MassConversion, from_now
from zoho_crm.models._database import DbNow
from zoho_crm.services import lifecycle
from zoho_crm.services.leads import filter_fields
from zoho_crm.services.mass_convert._decisions import previewed_in_run
from zoho_crm.services.mass_convert._staging import FIRST_PAGE, stage_page
from zoho_crm.services.policies import context_for, find_policy
from zoho_crm.services.presentation import reason_of
from zoho_crm.services.preview import assess_with_options, needs_no_options
from zoho_crm.services.work._context import Step, WorkContext
from zoho_crm.services.work._requests import (
    Call,
    ReadLead,
    Result,
    Transaction,
    UnexpectedError,
    Work,
    WorkItem,
)
from zoho_crm.types import Lead, ValueObject

logger = logging.getLogger(__name__)

Stage = MassConversion.Stage
Status = LeadConversion.Status
#: Leads of the first read of a slice. Later reads have twice as many leads as options were read so
#: far, so that few leads were read in vain when the slice ends.
FIRST_READ_LEADS = 20
#: Seconds until a page of open leads whose read failed is read again.
PAGE_RETRY_SECONDS = 10.0


class Rules(ValueObject):
    """The policy that decides about a row, of its run or its own, and what decisions depend on."""

    policy: Policy
    context: DecisionContext
    #: Whether the users who may own records are to be read, as no run has stored them.
    reads_owners: bool = False

    def with_context(self, client: ZohoClient, preview: Preview) -> Rules:
        """Return the rules with what the decision on a preview depends on; it may be read."""
        owners = None if self.reads_owners else self.context.active_owners
        return replace(self, context=context_for(client, self.policy, preview, owners))


class RulesCache:
    """The rules of rows; those of runs are created once in a slice."""

    def __init__(self) -> None:
        self._of_runs: dict[int, Rules] = {}

    def rules_of_run(self, row: LeadConversion) -> Rules | None:
        """Return the rules of a row's run, if it belongs to one; without a query."""
        run = row.mass_conversion
        if run is None:
            return None
        if run.pk not in self._of_runs:
            context = DecisionContext(today=localdate(), active_owners=frozenset(run.active_owners))
            self._of_runs[run.pk] = Rules(policy=run.rules, context=context)
        return self._of_runs[run.pk]

    def rules_for(self, row: LeadConversion) -> Rules | None:
        """Return the rules of a row's run, or of its own policy; ``None`` if a person decides."""
        policy = find_policy(row.policy) if row.policy and row.mass_conversion is None else None
        if policy is None:
            return self.rules_of_run(row)
        return Rules(policy=policy, context=DecisionContext(today=localdate()), reads_owners=True)


class PreviewStep(Step):
    """Previews due NEW rows."""

    def __init__(self, context: WorkContext) -> None:
        super().__init__(context)
        self._rules = RulesCache()
        self._options_read = 0

    def due(self) -> Iterator[WorkItem]:
        """Yield what is to be done for due NEW rows, if few of those that were found wait."""
        if len(self.waiting) < self._context.free_calls:
            limit = min(MAX_IDS_PER_CALL, max(FIRST_READ_LEADS, 2 * self._options_read))
            for row in self._context.due_rows(Status.NEW, limit=limit):
                yield WorkItem(self._preview(row), row)

    def _preview(self, row: LeadConversion) -> Work:
        """Read the lead, then its conversion options if needed, and record verdict and plan."""
        lead: Lead | None = yield ReadLead(row)
        if lead is None or needs_no_options(lead):
            # No policy decides about a lead that cannot be converted; a run stores more with it.
            rules = self._rules.rules_of_run(row)
            yield preview_result(row, matching.assess(lead), rules)
        elif row.empty_reads:
            yield Result(lifecycle.found_again(row))
        else:
            rules = self._rules.rules_for(row)
            preview, rules = yield Call(partial(read_options, lead=lead, rules=rules))
            self._options_read += 1
            yield preview_result(row, preview, rules)


def read_options(
    client: ZohoClient, *, lead: Lead, rules: Rules | None
) -> tuple[Preview, Rules | None]:
    """Read a lead's conversion options, and what the decision about its preview depends on."""
    preview = assess_with_options(client, lead)
    return preview, rules and rules.with_context(client, preview)


def preview_result(row: LeadConversion, preview: Preview, rules: Rules | None) -> Result:
    """Return the move of a previewed row, with the decision of its run or of its own policy."""
    if preview.lead is None and lifecycle.may_appear_later(row):
        return Result(lifecycle.not_found_yet(row))
    if rules and row.mass_conversion:
        move = previewed_in_run(row, preview, rules.policy, rules.context)
        return Result(move)
    move = lifecycle.previewed(row, preview)
    if rules is None or move.to != Status.PREVIEWED or row.decided_by_id is not None:
        return Result(move)
    decision = matching.decide_by(rules.policy, preview, rules.context)
    if decision.reason:
        move = replace(move, values={**move.values, "reason": decision.reason})
    is_made = decision.plan is not None or decision.skip
    return Result(move, decision if is_made else None)


class StageLeadsStep(Step):
    """Reads pages of open leads for runs in the stage STAGING."""

    def due(self) -> Iterator[WorkItem]:
        """Yield the read of the next page for each due run."""
        runs = self._context.runs
        if self._is_refreshed() and any(run.stage == Stage.STAGING for run in runs):
            due = MassConversion.objects.filter(
                connection=self._context.connection,
                stage=Stage.STAGING,
                paused_reason="",
                due_at__lte=DbNow(),
            )
            for run in due:
                yield WorkItem(self._stage_page(run), key=run)

    def _stage_page(self, run: MassConversion) -> Work:
        """Read a page of open leads, and stage them in the run."""
        rows = MassConversion.objects.filter(pk=run.pk, stage=Stage.STAGING)  # not cancelled
        try:
            fields, token = filter_fields(run.filters or {}), run.page_token
            page: LeadPage = yield Call(
                lambda client: client.leads.page(fields=fields, page_token=token),
                answers=(RequestRefusedError,),
            )
            stage = partial(stage_page, run, page.leads)
            yield Transaction(partial(stage, next_page_token=page.next_page_token))
        except RequestRefusedError as error:
            # A person has to look at it; after a resume it starts from the first page.
            reason = reason_of(error)
            pause = {"paused_reason": reason.code, "paused_details": reason.details}
            yield Transaction(partial(rows.update, **pause, **FIRST_PAGE, due_at=None))
        except (ZohoError, UnexpectedError) as error:
            if isinstance(error, UnexpectedError):
                logger.error("Open leads for run %s could not be read", run.pk, exc_info=error)
            yield Transaction(partial(rows.update, due_at=from_now(PAGE_RETRY_SECONDS)))
        self._look_again()
