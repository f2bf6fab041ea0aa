"""
A simulator of Zoho CRM, for development and tests without a Zoho account.

It is written from Zoho's public pages only, imports the standard library only, and knows nothing
of the app that calls it. :class:`Simulator` answers a :class:`Call` with an :class:`Answer`;
:class:`Server` serves it over HTTP.

Where to look: ``oauth`` is Zoho Accounts, ``crm`` has one module per resource, ``refusals``,
``item_refusals`` and ``mass_refusals`` make every error answer, ``engine`` processes a call.

Not simulated (``docs/simulator.md`` has the whole table):

==================  ============================================================================
authorization       logging in, several clients, device flow, client credentials
limits              per function and per user; the rate at which refresh tokens may be made
options             ``Deals`` among the matches, ``include_inner_details``
convert             ``add_to_existing_record``, activities and notes, workflows
mass convert        open activities, assignment thresholds, inviting portal users
records             custom views besides "all", triggers, layout rules, restoring by a call
metadata            custom fields; changing anything
other resources     notifications, composite, bulk write, Zoho's Files API
==================  ============================================================================
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
