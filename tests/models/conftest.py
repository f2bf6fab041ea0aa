from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from zoho_crm.models import Connection, LeadConversion


@pytest.fixture
def connection(db: None) -> Connection:
    """A connection without tokens, because no test here calls Zoho."""
    return Connection.objects.create(
        name="Nordwind", data_center="eu", environment="production", org_id="60001"
    )


@pytest.fixture
def new_row(connection: Connection) -> Callable[..., LeadConversion]:
    """Create the row of one more lead."""
    ids = count(1001)

    def make(**columns: Any) -> LeadConversion:
        return LeadConversion.objects.create(
            connection=connection, lead_id=str(next(ids)), **columns
        )

    return make
