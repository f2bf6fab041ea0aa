from __future__ import annotations

from collections.abc import Iterator

import pytest

from zoho_crm.simulator import Server, Simulator, SimulatorSettings


@pytest.fixture
def zoho() -> Iterator[Simulator]:
    """A simulator behind its HTTP door: the SDK opens sockets of its own."""
    simulator = Simulator(SimulatorSettings(leads=0))
    with Server(simulator):
        yield simulator
