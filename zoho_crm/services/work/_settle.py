"""The step that settles: read the leads whose conversion is in doubt, or scheduled."""

from __future__ import annotations

from collections.abc import Iterator

from zoho_crm.models import LeadConversion
from zoho_crm.models._moves import Move
from zoho_crm.services import lifecycle
from zoho_crm.services.settle import IN_DOUBT
from zoho_crm.services.work._context import Step
from zoho_crm.services.work._requests import ReadLead, Result, Work, WorkItem
from zoho_crm.types import Lead


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
    yield Result(move_after_read_back(row, lead))


def move_after_read_back(row: LeadConversion, lead: Lead | None) -> Move:
    """Return the move of a row in doubt whose lead was read."""
    return lifecycle.read_back(row, lead, is_conclusive=row.is_conclusive)
