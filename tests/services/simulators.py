"""Simulators with other settings than those of the fixture ``zoho``, for ``TRANSPORT``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from zoho_crm.contrib.pytest import ENCRYPTION_KEY, SHORT_DURATIONS, SimulatorAdapter
from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET, Simulator

_simulators: list[Simulator] = []


def transport() -> SimulatorAdapter:
    """Return an adapter that sends every request to the simulator in use."""
    return SimulatorAdapter(_simulators[-1])


@contextmanager
def using_simulator(simulator: Simulator, settings: Any, **more: object) -> Iterator[Simulator]:
    """Let the settings use this simulator."""
    settings.ZOHO_CRM = {
        **SHORT_DURATIONS,
        "CLIENT_ID": CLIENT_ID,
        "CLIENT_SECRET": CLIENT_SECRET,
        "ENCRYPTION_KEYS": [ENCRYPTION_KEY],
        "LOCAL_URL": simulator.origin,
        "TRANSPORT": f"{__name__}.transport",
        **more,
    }
    _simulators.append(simulator)
    try:
        yield simulator
    finally:
        _simulators.remove(simulator)
