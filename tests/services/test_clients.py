"""Clients of a connection: they sign their calls, and refresh their access token themselves."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.services.test_tokens import refreshes, stored
from zoho_crm.conf import SCOPES
from zoho_crm.contrib.pytest import SimulatorAdapter
from zoho_crm.exceptions import AuthorizationError, ConnectionLostError
from zoho_crm.models import Connection
from zoho_crm.services.clients import auth_for, client_for, client_with_token
from zoho_crm.services.connect import with_grant_code
from zoho_crm.services.connections import default_connection
from zoho_crm.services.tokens import access_token
from zoho_crm.simulator import Simulator


def test_a_client_refreshes_its_token_itself(connection: Connection, zoho: Simulator) -> None:
    zoho.world.grants.revoke(stored(connection).reveal("access_token").reveal())

    assert client_for(connection).organisation().id == connection.org_id
    assert refreshes(zoho) == 1


def test_a_client_with_one_token_uses_no_database(
    connection: Connection, zoho: Simulator, django_assert_num_queries: Any
) -> None:
    token = access_token(connection_id=connection.pk)
    heard: list[tuple[str, bool]] = []

    def on_call(kind: str, was_refused: bool) -> None:
        heard.append((kind, was_refused))

    with django_assert_num_queries(0):
        client = client_with_token(connection, token, on_call)
        assert client.organisation().id == connection.org_id
    assert heard == [("other", False)]


def test_a_client_asks_for_the_fields_that_the_organisation_maps(connection: Connection) -> None:
    Connection.objects.update(mapped_fields=["Special__c"])
    connection.refresh_from_db()

    assert client_for(connection).leads.mapped_fields == ("Special__c",)


def test_the_default_connection_is_used_when_none_is_named(
    connection: Connection, zoho: Simulator
) -> None:
    other = Connection.objects.create(name="other", data_center="local", org_id="1")

    assert client_for().organisation().id == connection.org_id
    other.set_default()
    assert default_connection() == other


def test_without_any_connection_there_is_a_clear_error(db: None) -> None:
    with pytest.raises(ConnectionLostError, match="connect to Zoho first") as caught:
        client_for()

    assert caught.value.code == "no_connection"


def test_an_unknown_data_center_is_an_authorization_error(
    connection: Connection, settings: Any
) -> None:
    settings.ZOHO_CRM |= {"LOCAL_URL": ""}

    with pytest.raises(AuthorizationError, match="LOCAL_URL") as caught:
        client_for(connection)

    assert caught.value.code == "unknown_data_center"


# Calls of the host project


@pytest.fixture
def session(zoho: Simulator) -> Any:
    with requests.Session() as session:
        session.mount("http://", SimulatorAdapter(zoho))
        session.mount("https://", SimulatorAdapter(zoho))
        yield session


def test_a_project_can_sign_its_own_calls(
    connection: Connection, zoho: Simulator, session: requests.Session
) -> None:
    url = f"{zoho.origin}/crm/v8/org"

    answer = session.get(url, auth=auth_for(connection))

    assert answer.json()["org"][0]["id"] == connection.org_id


def test_auth_for_refreshes_an_expired_token(
    connection: Connection, zoho: Simulator, session: requests.Session
) -> None:
    zoho.world.grants.revoke(stored(connection).reveal("access_token").reveal())

    answer = session.get(f"{zoho.origin}/crm/v8/org", auth=auth_for())

    assert (answer.status_code, len(answer.history)) == (200, 1)
    assert refreshes(zoho) == 1


@pytest.mark.parametrize(("host", "signed"), [("desk.zoho.eu", True), ("evil.example", False)])
def test_calls_to_hosts_of_other_products_are_signed_if_the_settings_name_them(
    connection: Connection, settings: Any, session: requests.Session, host: str, signed: bool
) -> None:
    settings.ZOHO_CRM |= {"EXTRA_API_HOSTS": ["desk.zoho.eu"]}

    answer = session.get(f"https://{host}/", auth=auth_for(connection))

    assert ("Authorization" in answer.request.headers) is signed


def test_the_scopes_that_are_asked_for_are_enough_for_all_endpoints_of_records(
    zoho: Simulator, db: None
) -> None:
    connection = with_grant_code(code=zoho.grant_code(",".join(SCOPES)), data_center="local")
    client = client_for(connection)
    contacts = client.records("Contacts")

    [created] = contacts.create([{"Last_Name": "King"}])
    contact = contacts.record(created.id)
    contact.add_note("text")
    contacts.update([{"id": created.id, "Phone": "1"}])
    contacts.upsert([{"Last_Name": "King", "Email": "ada@engine.example"}])
    contacts.add_tags([created.id], ["fair"])
    contacts.remove_tags([created.id], ["fair"])

    assert len(list(contact.notes())) == 1
    assert list(contact.related("Deals", fields=["Deal_Name"])) == []
    assert (
        len(list(client.coql("select id from Contacts where Last_Name = :name", name="King"))) == 2
    )
    assert len(list(contacts.list(fields=["Phone"]))) == 2
    assert contacts.count() >= 0
    assert client.find_person("nobody@engine.example") == ()
    [deleted] = contacts.delete([created.id])
    assert deleted.error is None
