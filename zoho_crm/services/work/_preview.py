"""The step that previews new rows: their leads 100 a call, then the options of each lead."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from functools import partial

from django.utils.timezone import localdate

from zoho_crm import matching
from zoho_crm.client import ZohoClient
from zoho_crm.matching import Decision, DecisionContext, Policy, Preview
from zoho_crm.models import LeadConversion, Move
from zoho_crm.services import lifecycle, mass_convert
from zoho_crm.services.policies import context_for, find_policy
from zoho_crm.services.preview import assess_with_options, needs_no_options
from zoho_crm.services.work._context import MAX_LEADS_PER_READ, WorkContext
from zoho_crm.services.work._pool import PendingCall
from zoho_crm.types import Lead

Status = LeadConversion.Status
#: Leads of the first read of a slice. Later reads have twice as many leads as options were read so
#: far, so that few leads were read in vain when the slice ends.
FIRST_READ_LEADS = 20


@dataclass(frozen=True, kw_only=True)
class PreviewResult:
    """The move of a previewed row, and the decision of its own policy, if it makes one."""

    move: Move
    decision: Decision | None = None


@dataclass(frozen=True, kw_only=True)
class Rules:
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


class PreviewStep:
    """Previews due NEW rows."""

    def __init__(self, context: WorkContext) -> None:
        self._context = context
        #: Rows whose lead was read and whose options are to be read.
        self._without_options: deque[tuple[LeadConversion, Lead]] = deque()
        self._rules = RulesCache()
        self._options_read = 0

    def start_calls(self) -> None:
        """Start reads of options while calls are free, and of more leads when few are left."""
        if len(self._without_options) < self._context.free_calls:
            self._read_leads()
        while self._without_options and self._context.free_calls:
            row, lead = self._without_options.popleft()
            self._context.kept_row_ids.discard(row.pk)
            self._read_options(row, lead)

    def _read_leads(self) -> None:
        limit = min(MAX_LEADS_PER_READ, max(FIRST_READ_LEADS, 2 * self._options_read))
        rows = self._context.due_rows(Status.NEW, limit=limit)
        if rows:
            leads: dict[int, Lead] = {}
            move_for, take_move = partial(self._move_for, leads), partial(self._take_move, leads)
            self._context.read_leads(rows, move_for, take_move)

    def _move_for(
        self, leads: dict[int, Lead], row: LeadConversion, lead: Lead | None
    ) -> Move | None:
        """Return the move that the lead alone determines, or keep the lead if it needs options."""
        if needs_no_options(lead) or lead is None:
            # No policy decides about a lead that cannot be converted; a run stores more with it.
            rules = self._rules.rules_of_run(row)
            return preview_result(row, matching.assess(lead), rules).move
        if row.empty_reads:
            return lifecycle.found_again(row)
        leads[row.pk] = lead
        return None

    def _take_move(self, leads: dict[int, Lead], row: LeadConversion, move: Move | None) -> None:
        self._context.collect(row, move)
        if row.pk in leads:
            self._context.kept_row_ids.add(row.pk)
            self._without_options.append((row, leads.pop(row.pk)))

    def _read_options(self, row: LeadConversion, lead: Lead) -> None:
        client, rules = self._context.client, self._rules.rules_for(row)
        self._options_read += 1

        def read() -> PreviewResult:
            preview = assess_with_options(client, lead)
            return preview_result(row, preview, rules and rules.with_context(client, preview))

        postpone = self._context.postpone
        call = PendingCall(rows=(row,), on_result=self._on_result, on_error=postpone)
        self._context.pool.start(call, read)

    def _on_result(self, _call: PendingCall, result: PreviewResult) -> None:
        self._context.health.record_success()
        self._context.moves.append(result.move)
        if result.decision:
            self._context.decisions[result.move.row.pk] = result.decision


def preview_result(row: LeadConversion, preview: Preview, rules: Rules | None) -> PreviewResult:
    """Return the move of a previewed row, with the decision of its run or of its own policy."""
    if preview.lead is None and lifecycle.may_appear_later(row):
        return PreviewResult(move=lifecycle.not_found_yet(row))
    if rules and row.mass_conversion:
        move = mass_convert.previewed_in_run(row, preview, rules.policy, rules.context)
        return PreviewResult(move=move)
    move = lifecycle.previewed(row, preview)
    if rules is None or move.to != Status.PREVIEWED or row.decided_by_id is not None:
        return PreviewResult(move=move)
    decision = matching.decide_by(rules.policy, preview, rules.context)
    if decision.reason:
        move = replace(move, values={**move.values, "reason": decision.reason})
    is_made = decision.plan is not None or decision.skip
    return PreviewResult(move=move, decision=decision if is_made else None)
