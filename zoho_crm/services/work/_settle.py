"""The step that settles: read the leads whose conversion is in doubt, or scheduled."""

from __future__ import annotations

from zoho_crm.models import LeadConversion, Move
from zoho_crm.services import lifecycle
from zoho_crm.services.settle import IN_DOUBT
from zoho_crm.services.work._context import WorkContext
from zoho_crm.types import Lead


class SettleStep:
    """Reads due rows that are in doubt, up to 100 leads with one call."""

    def __init__(self, context: WorkContext) -> None:
        self._context = context

    def start_calls(self) -> None:
        """Start a call that reads the leads of due rows in doubt, if a call is free."""
        if not self._context.free_calls:
            return
        unneeded = ("lead_snapshot", "options_snapshot", "plan")
        rows = self._context.due_rows(*IN_DOUBT, defer=unneeded)
        if rows:
            self._context.read_leads(rows, move_after_read_back, self._context.collect)


def move_after_read_back(row: LeadConversion, lead: Lead | None) -> Move:
    """Return the move of a row in doubt whose lead was read."""
    return lifecycle.read_back(row, lead, is_conclusive=row.is_conclusive)
