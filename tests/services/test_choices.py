"""The choices for a conversion, as far as the connection has permissions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.db import transaction

from zoho_crm.exceptions import TransientError
from zoho_crm.models import Connection
from zoho_crm.services.choices import Choices, choices
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Simulator


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def calls(zoho: Simulator) -> int:
    return sum(call["count"] for call in zoho.stats()["calls"])


def test_pipelines_fields_roles_and_owners_are_offered(
    connection: Connection, zoho: Simulator
) -> None:
    offered = choices(connection)

    assert [pipeline.value for pipeline in offered.pipelines] == [
        "Standard (Standard)",
        "Partners (Standard)",
    ]
    assert {"Deal_Name", "Stage"} <= {field.api_name for field in offered.deal_fields}
    assert len(offered.contact_roles) == len(zoho.organisation.contact_roles)
    assert "Mara Lind" in {user.name for user in offered.users}


def test_users_and_roles_are_known_by_name(connection: Connection, zoho: Simulator) -> None:
    names = choices(connection).names

    assert names[zoho.organisation.current_user["id"]] == "Mara Lind"
    assert names[zoho.organisation.contact_roles[0]["id"]] == "Decision Maker"


def test_without_pipelines_there_are_stages(connection: Connection, zoho: Simulator) -> None:
    zoho.organisation.pipelines.clear()

    [only] = choices(connection).pipelines

    assert (only.value, only.is_default) == ("", True)
    assert "Qualification" in {stage.value for stage in only.stages}


def test_choices_are_cached_for_each_connection(connection: Connection, zoho: Simulator) -> None:
    first = choices(connection)
    asked = calls(zoho)

    assert choices(connection) == first
    assert calls(zoho) == asked
    zoho.reset()
    other = with_grant_code(code=zoho.grant_code(), data_center="local")
    assert choices(other).users != first.users


def test_choices_without_permission_are_empty(db: None, zoho: Simulator) -> None:
    code = zoho.grant_code("ZohoCRM.modules.ALL,ZohoCRM.users.READ,ZohoCRM.org.READ")

    offered = choices(with_grant_code(code=code, data_center="local"))

    assert offered.pipelines == ()
    assert offered.deal_fields == ()
    assert offered.contact_roles
    assert offered.users


def test_errors_are_not_cached(connection: Connection, zoho: Simulator) -> None:
    zoho.fail("metadata", "error_before")

    with pytest.raises(TransientError):
        choices(connection)

    assert choices(connection) != Choices()


def test_fetching_inside_a_transaction_is_refused(connection: Connection) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError):
        choices(connection)
