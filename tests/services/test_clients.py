"""Clients of a connection: they sign their calls, and refresh their access token themselves."""

from __future__ import annotations

import io
from typing import Any

import pytest
import requests
from django.db import transaction

from tests.services.test_tokens import refreshes, stored
from zoho_crm.client import TokenAuth
from zoho_crm.conf import SCOPES
from zoho_crm.contrib.pytest import SimulatorAdapter
from zoho_crm.exceptions import AuthorizationError, ConnectionLostError, RequestRefusedError
from zoho_crm.models import Connection
from zoho_crm.services._zoho import client_of
from zoho_crm.services.clients import auth_for, client_for
from zoho_crm.services.connect import with_grant_code
from zoho_crm.services.connections import default_connection
from zoho_crm.services.tokens import access_token
from zoho_crm.simulator import Simulator
from zoho_crm.types import ApiCall


def test_a_client_refreshes_its_token_itself(connection: Connection, zoho: Simulator) -> None:
    zoho.world.grants.revoke(stored(connection).reveal("access_token").reveal())

    assert client_for(connection).organisation().id == connection.org_id
    assert refreshes(zoho) == 1


def test_a_client_with_one_token_uses_no_database(
    connection: Connection, zoho: Simulator, django_assert_num_queries: Any
) -> None:
    token = access_token(connection_id=connection.pk)
    heard: list[ApiCall] = []

    with django_assert_num_queries(0):
        client = client_of(connection, TokenAuth(token), heard.append)
        assert client.organisation().id == connection.org_id
    assert heard == [ApiCall("other")]


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


def test_the_largest_file_is_a_setting(connection: Connection, settings: Any) -> None:
    settings.ZOHO_CRM |= {"MAX_ATTACHMENT_SIZE": 3}
    attachments = client_for().records("Contacts").record("1").attachments

    with pytest.raises(RequestRefusedError, match="3 bytes"):
        attachments.upload(io.BytesIO(b"text"), name="a.txt")


@pytest.mark.django_db(transaction=True)
def test_no_file_is_attached_inside_a_transaction(connection: Connection) -> None:
    attachments = client_for().records("Contacts").record("1").attachments

    with transaction.atomic(), pytest.raises(RuntimeError):
        attachments.upload(io.BytesIO(b"text"), name="a.txt")


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
    attachment_id = contact.attachments.upload(io.BytesIO(b"text"), name="a.txt")
    assert contact.attachments.download(attachment_id, io.BytesIO()) == 4
    contact.attachments.delete(attachment_id)
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
    assert len(list(client.bulk_read("Contacts", ["Phone"]))) == 2
    assert len(list(client.changes("Contacts", fields=["Phone"]))) == 2
    assert client.find_person("nobody@engine.example") == ()
    [deleted] = contacts.delete([created.id])
    assert deleted.error is None


# Writes of which several calls are in flight


def people(number: int) -> list[dict[str, str]]:
    return [{"Last_Name": f"No. {each}", "Email": f"{each}@a.example"} for each in range(number)]


def test_the_calls_of_a_write_use_no_table_in_their_threads(
    connection: Connection, zoho: Simulator
) -> None:
    """In this test no other thread would see the connection, as it is in a transaction."""
    zoho.world.grants.revoke(stored(connection).reveal("access_token").reveal())
    contacts = client_for(connection).records("Contacts")
    assert contacts.api.concurrency > 1

    results = contacts.create(people(450))

    assert not any(result.error for result in results)
    assert len(zoho.records["Contacts"]) == 450
    assert refreshes(zoho) == 1


@pytest.mark.django_db(transaction=True)
def test_nothing_is_written_inside_a_transaction(connection: Connection, zoho: Simulator) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="rollback"):
        client_for(connection).records("Contacts").create(people(450))

    assert not zoho.records["Contacts"]
