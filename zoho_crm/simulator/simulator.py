"""The one brain behind both doors."""

from __future__ import annotations

from zoho_crm.simulator.calls import Answer, Call
from zoho_crm.simulator.control_api import CONTROL_PREFIX, ControlApi, answer_control_call


class Simulator(ControlApi):
    """
    A Zoho of our own, in memory: one organisation, one client (``1000.SIMULATOR``).

    Doors turn what they get into a :class:`Call` and hand the :class:`Answer` over; any number of
    threads may do so at once. Tests use the methods of :class:`ControlApi`.
    """

    def answer(self, call: Call) -> Answer:
        """Answer as Zoho would, or as the ordered faults want it."""
        if call.path.startswith(CONTROL_PREFIX):
            return answer_control_call(self, call)
        return self.engine.answer(call)
