from __future__ import annotations

import signal

import pytest

from zoho_crm.models import Connection
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Simulator

pytest_plugins = ["zoho_crm.contrib.pytest"]

# A suite that is started in the background would ignore Ctrl-C, and so would all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def connection(db: None, zoho: Simulator) -> Connection:
    """Connected to the simulated Zoho."""
    return with_grant_code(code=zoho.grant_code(), data_center="local")
