from __future__ import annotations

from collections.abc import Iterator

import pytest
from zohocrmsdk.src.com.zoho.crm.api import Initializer

from zoho_crm.simulator import Simulator


@pytest.fixture
def zoho(live_zoho: Simulator) -> Simulator:
    """A simulator with an HTTP server: the SDK opens its own sockets."""
    return live_zoho


@pytest.fixture(autouse=True)
def sdk_without_a_user() -> Iterator[None]:
    """Leave nothing of a test in the SDK, which keeps its user for the whole process."""
    yield
    Initializer.initializer = None
    Initializer.LOCAL.init = None
