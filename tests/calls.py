"""The calls that reached a simulator."""

from __future__ import annotations

from zoho_crm.simulator import Simulator


def calls(zoho: Simulator) -> int:
    """Return the number of all calls that were answered."""
    return sum(call["count"] for call in zoho.stats()["calls"])
