"""Simulated Zohos of another kind than the fixture ``zoho`` gives, for ``TRANSPORT``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from zoho_crm.contrib.pytest import ENCRYPTION_KEY, SHORT_DURATIONS, SimulatorAdapter
from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET, Simulator

_standing: list[Simulator] = []


def transport() -> SimulatorAdapter:
    """Return a way to the simulator that stands now: it gets every address."""
    return SimulatorAdapter(_standing[-1])


@contextmanager
def standing(simulator: Simulator, settings: Any, **more: object) -> Iterator[Simulator]:
    """Point the settings at this simulator."""
    settings.ZOHO_CRM = {
        **SHORT_DURATIONS,
        "CLIENT_ID": CLIENT_ID,
        "CLIENT_SECRET": CLIENT_SECRET,
        "ENCRYPTION_KEYS": [ENCRYPTION_KEY],
        "LOCAL_URL": simulator.origin,
        "TRANSPORT": f"{__name__}.transport",
        **more,
    }
    _standing.append(simulator)
    try:
        yield simulator
    finally:
        _standing.remove(simulator)
