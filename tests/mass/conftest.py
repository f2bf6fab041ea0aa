from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.connected import connected
from tests.mass.bench import Bench
from zoho_crm.models import Connection
from zoho_crm.simulator import Simulator

#: Seconds that no test takes: here ``work`` ends when nothing is due.
LONG_TIMES = {"CALL_DEADLINE": 10, "QUIET_PERIOD": 10, "LEASE": 600, "SLICE": 300}


@pytest.fixture
def connection(transactional_db: None, zoho: Simulator, settings: Any) -> Connection:
    connection = connected(zoho)
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, **LONG_TIMES}
    return connection


@pytest.fixture
def bench(connection: Connection, zoho: Simulator) -> Bench:
    person = User.objects.create_user("pat")
    return Bench(connection=connection, zoho=zoho, person=person)
