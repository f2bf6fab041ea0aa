"""Read back the leads whose conversion is in doubt, or scheduled."""

from __future__ import annotations

from zoho_crm.services.settle import IN_DOUBT
from zoho_crm.services.work._desk import Desk
from zoho_crm.services.work._errands import settled


class Settling:
    """One part of a slice."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def hand_out(self) -> None:
        """Have a call read what is due to be settled."""
        if not self._desk.free:
            return
        rows = self._desk.due(*IN_DOUBT, defer=("lead_snapshot", "options_snapshot", "plan"))
        if rows:
            self._desk.read(rows, settled, self._desk.lay_down)
