from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.mass.bench import Bench
from zoho_crm.models import Connection
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Simulator

#: Waiting times, in seconds, so short that a run is a matter of a moment.
SHORT = {
    "CALL_DEADLINE": 0.5,
    "QUIET_PERIOD": 0.5,
    "MASS_QUIET_PERIOD": 0.5,
    "JOB_HORIZON": 3,
    "READ_SPACING": 0.1,
    "LEASE": 4,
    "SLICE": 1,
}


@pytest.fixture
def connection(transactional_db: None, zoho: Simulator, settings: Any) -> Connection:
    connection = with_grant_code(code=zoho.grant_code(), data_center="local")
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, **SHORT}
    return connection


@pytest.fixture
def bench(connection: Connection, zoho: Simulator) -> Bench:
    person = User.objects.create_user("pat")
    return Bench(connection=connection, zoho=zoho, person=person)
