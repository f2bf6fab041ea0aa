"""Metadata is kept in Django's cache for each connection, and in the process for a minute."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache

from tests.services import test_choices
from zoho_crm.client import ZohoClient
from zoho_crm.exceptions import TransientError
from zoho_crm.models import Connection
from zoho_crm.services import metadata
from zoho_crm.services.choices import choices
from zoho_crm.services.clients import client_for
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.usefixtures("no_metadata_kept")


def asked(zoho: Simulator, part: str = "fields") -> int:
    """Return how often Zoho was asked for a part of the metadata."""
    paths = {f"/crm/v8/settings/{part}", f"/crm/v8/{part}"}
    return sum(call["count"] for call in zoho.stats()["calls"] if call["path"] in paths)


def codes(results: Any) -> list[str]:
    return [result.error.code if result.error else "" for result in results]


def read_all(crm: ZohoClient) -> list[Any]:
    known = crm.metadata
    return [
        *(known.modules(), known.fields("Leads"), known.layouts("Leads"), known.pipelines()),
        *(known.roles(), known.users(), known.organisation(), known.tags("Leads")),
        known.contact_roles(),
    ]


def test_every_part_is_the_same_from_zoho_from_the_cache_and_from_memory(
    connection: Connection, zoho: Simulator
) -> None:
    zoho.organisation.tag("Leads", "fair")
    first = read_all(client_for(connection))
    zoho.fail("any", "error_before", times=99)

    assert read_all(client_for(connection)) == first
    metadata.forget_memory()
    assert read_all(client_for(connection)) == first


def test_it_is_kept_for_each_connection(connection: Connection, zoho: Simulator) -> None:
    first = client_for(connection).metadata.users()
    zoho.reset()
    other = with_grant_code(code=zoho.grant_code(), data_center="local")

    assert client_for(other).metadata.users() != first


def test_what_one_user_sees_is_not_taken_for_what_another_one_sees(
    connection: Connection, zoho: Simulator
) -> None:
    [token] = connection.tokens.all()
    default = client_for(connection)
    default.metadata.fields("Leads")
    before = asked(zoho)

    client_for(connection, user=token.user_email).metadata.fields("Leads")
    assert asked(zoho) == before + 1
    metadata.forget_memory()
    client_for(connection, user=token.user_email).metadata.fields("Leads")
    assert asked(zoho) == before + 1


def test_what_was_cleared_is_read_again(connection: Connection, zoho: Simulator) -> None:
    client_for(connection).metadata.fields("Leads")
    choices(connection)
    before = asked(zoho), asked(zoho, "users")

    metadata.clear(connection)
    client_for(connection).metadata.fields("Leads")
    choices(connection)

    assert asked(zoho) > before[0]
    assert asked(zoho, "users") > before[1]


@pytest.mark.parametrize("stored", ["no JSON", "{}", '{"at": 1e99, "value": []}', b"\x80", 7, [1]])
def test_what_cannot_be_read_from_the_cache_is_asked_again(
    connection: Connection, zoho: Simulator, stored: Any
) -> None:
    first = client_for(connection).metadata.fields("Leads")
    key = f"zoho_crm.{connection.pk}.{connection.org_id}.metadata..fields.Leads"
    assert cache.get(key)
    cache.set(key, stored)
    metadata.forget_memory()

    assert client_for(connection).metadata.fields("Leads") == first
    assert asked(zoho) == 3  # connecting asks, too


@pytest.mark.parametrize("backend", ["JsonCache", "BrokenCache"])
def test_any_cache_is_good_enough(
    connection: Connection, zoho: Simulator, settings: Any, backend: str
) -> None:
    settings.CACHES = {"default": {"BACKEND": f"{test_choices.__name__}.{backend}"}}
    first = client_for(connection).metadata.fields("Leads")
    before = asked(zoho)

    assert client_for(connection).metadata.fields("Leads") == first
    metadata.forget_memory()
    assert client_for(connection).metadata.fields("Leads") == first

    assert asked(zoho) - before == (1 if backend == "BrokenCache" else 0)


def test_records_are_checked_by_fields_that_are_read_once(
    connection: Connection, zoho: Simulator
) -> None:
    before = asked(zoho)
    for number in range(3):
        leads = client_for(connection).records("Leads")
        results = leads.create([{"Last_Name": str(number)}, {"Last_Nmae": "King"}])
        assert codes(results) == ["", "unknown_field_near"]

    assert asked(zoho) - before == 1
    assert len(zoho.records["Leads"]) == 3


def test_without_metadata_zoho_alone_checks_and_is_not_asked_each_time(
    connection: Connection, zoho: Simulator
) -> None:
    zoho.fail("metadata", "error_before", times=99)
    before = asked(zoho)

    for _time in range(3):
        leads = client_for(connection).records("Leads")
        assert codes(leads.create([{"First_Name": "Ada"}])) == ["MANDATORY_NOT_FOUND"]

    assert asked(zoho) - before == 1


def test_a_check_can_be_switched_off(connection: Connection, zoho: Simulator) -> None:
    before = asked(zoho)
    leads = client_for(connection).records("Leads")

    assert codes(leads.create([{"First_Name": "Ada"}], check=False)) == ["MANDATORY_NOT_FOUND"]
    assert asked(zoho) == before


def test_metadata_that_cannot_be_read_is_an_error_of_its_own(
    connection: Connection, zoho: Simulator
) -> None:
    zoho.fail("metadata", "error_before")

    with pytest.raises(TransientError):
        client_for(connection).metadata.fields("Leads")
    assert client_for(connection).metadata.fields("Leads")


def test_a_process_keeps_a_limited_number_of_parts(connection: Connection, zoho: Simulator) -> None:
    store = metadata.CachedMetadata(connection=connection)
    for number in range(metadata.MAX_PARTS + 1):
        store.put(str(number), ())
    cache.clear()

    assert store.get("0", dict, None) is None
    assert store.get("1", dict, None) == ()


def test_that_a_part_cannot_be_read_is_remembered_beside_what_was_kept_of_it(
    connection: Connection,
) -> None:
    store = metadata.CachedMetadata(connection=connection)
    store.put("roles", ({"id": "1"},))
    store.note_failure("roles")

    assert store.get("roles", dict, None)
    assert store.has_failed("roles")
    store.put("roles", ())
    assert not store.has_failed("roles")
