"""The simulator: what transports call, and what tests use."""

from __future__ import annotations

from zoho_crm.simulator.calls import Answer, Call
from zoho_crm.simulator.control_api import CONTROL_PREFIX, ControlApi, answer_control_call


class Simulator(ControlApi):
    """
    A simulated Zoho in memory, with one organisation and one client (``1000.SIMULATOR``).

    Transports pass a :class:`Call` to :meth:`answer` and deliver the :class:`Answer`; any number of
    threads may call it. Tests use the methods of :class:`ControlApi`.
    """

    def answer(self, call: Call) -> Answer:
        """Answer a control request, or a call as Zoho does or as a fault demands."""
        if call.path.startswith(CONTROL_PREFIX):
            return answer_control_call(self, call)
        return self.engine.answer(call)
