from __future__ import annotations

from collections.abc import Iterator

import pytest

from zoho_crm.simulator import Server, Simulator, SimulatorSettings


@pytest.fixture
def zoho() -> Iterator[Simulator]:
    """Yield a simulator with an HTTP server: the SDK opens its own sockets."""
    simulator = Simulator(SimulatorSettings(leads=0))
    with Server(simulator):
        yield simulator
