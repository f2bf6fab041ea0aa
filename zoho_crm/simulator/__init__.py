"""
A Zoho CRM of our own, for trying, testing and breaking without a Zoho account.

It is written from Zoho's public pages only, imports the standard library only, and knows nothing
of the app that talks to it. :class:`Simulator` answers a :class:`Call` with an :class:`Answer`;
:class:`Server` is its door for HTTP.
"""

from __future__ import annotations

from zoho_crm.simulator.calls import Answer, Call, Delivery
from zoho_crm.simulator.server import Server
from zoho_crm.simulator.settings import CLIENT_ID, CLIENT_SECRET, SimulatorSettings
from zoho_crm.simulator.simulator import Simulator
from zoho_crm.simulator.world import Addresses

__all__ = [
    "CLIENT_ID",
    "CLIENT_SECRET",
    "Addresses",
    "Answer",
    "Call",
    "Delivery",
    "Server",
    "Simulator",
    "SimulatorSettings",
]
