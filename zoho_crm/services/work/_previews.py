"""Preview new rows: their leads a hundred a call, then the options of each."""

from __future__ import annotations

from collections import deque
from functools import partial

from zoho_crm import matching
from zoho_crm.models import LeadConversion, Move
from zoho_crm.services.preview import assess_with_options, needs_no_options
from zoho_crm.services.work._crew import Errand
from zoho_crm.services.work._desk import BATCH, Desk
from zoho_crm.services.work._errands import Rules, Sight, seen
from zoho_crm.types import Lead

Status = LeadConversion.Status
#: Leads that are read first in a slice; then twice as many as could be asked for so far, so that
#: not too many were read in vain when the slice ends.
FEW = 20


class Previews:
    """One part of a slice."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        #: Rows whose lead was read, and whose options are to be asked.
        self._waiting: deque[tuple[LeadConversion, Lead]] = deque()
        self._rules = Rules()
        self._asked_for = 0

    def hand_out(self) -> None:
        """Ask for options as many as may be, and read more leads when few are waiting."""
        if len(self._waiting) < self._desk.free:
            self._read_more()
        while self._waiting and self._desk.free:
            row, lead = self._waiting.popleft()
            self._desk.kept.discard(row.pk)
            self._ask(row, lead)

    def _read_more(self) -> None:
        rows = self._desk.due(Status.NEW, most=min(BATCH, max(FEW, 2 * self._asked_for)))
        if rows:
            leads: dict[int, Lead] = {}
            self._desk.read(rows, partial(self._first_look, leads), partial(self._looked, leads))

    def _first_look(
        self, leads: dict[int, Lead], row: LeadConversion, lead: Lead | None
    ) -> Move | None:
        """Say what the lead alone decides; else its options have to be asked."""
        if needs_no_options(lead) or lead is None:
            return seen(row, matching.assess(lead), self._rules.of(row)).move
        leads[row.pk] = lead
        return None

    def _looked(self, leads: dict[int, Lead], row: LeadConversion, move: Move | None) -> None:
        self._desk.lay_down(row, move)
        if row.pk in leads:
            self._desk.kept.add(row.pk)
            self._waiting.append((row, leads.pop(row.pk)))

    def _ask(self, row: LeadConversion, lead: Lead) -> None:
        client, rules = self._desk.client, self._rules.of(row)
        self._asked_for += 1

        def call() -> Sight:
            found = assess_with_options(client, lead)
            return seen(row, found, rules and rules.knowing(client, found))

        errand = Errand(rows=(row,), done=self._asked, failed=self._desk.put_off)
        self._desk.crew.send(errand, call)

    def _asked(self, _errand: Errand, sight: Sight) -> None:
        self._desk.condition.succeeded()
        self._desk.moves.append(sight.move)
        if sight.plan:
            self._desk.plans[sight.move.row.pk] = sight.plan
