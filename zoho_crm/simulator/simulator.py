"""The one brain behind both doors."""

from __future__ import annotations

from zoho_crm.simulator import control
from zoho_crm.simulator.calls import Answer, Call
from zoho_crm.simulator.workbench import Workbench


class Simulator(Workbench):
    """
    A Zoho of our own, in memory: one organisation, one client (``1000.SIMULATOR``).

    Doors turn what they get into a :class:`Call` and hand the :class:`Answer` over; any number of
    threads may do so at once. Tests use the methods of :class:`Workbench`.
    """

    def answer(self, call: Call) -> Answer:
        """Answer as Zoho would, or as the ordered faults want it."""
        if call.path.startswith(control.PREFIX):
            return control.answer(self, call)
        return self.engine.answer(call)
