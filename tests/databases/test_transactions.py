"""Zoho is read inside a transaction, and changed only outside of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import Client
from django.urls import path

from zoho_crm.client import ZohoClient
from zoho_crm.exceptions import ConnectionLostError, TransientError
from zoho_crm.models import ApiUsage, Connection, LeadConversion, Policy, Token, from_now
from zoho_crm.services import clients, connect, leads, preview, settle, tokens, usage, work
from zoho_crm.services.choices import choices
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Simulator
from zoho_crm.types import ConversionPlan, Effect

pytestmark = pytest.mark.django_db(transaction=True)


def show_organisation(request: HttpRequest) -> HttpResponse:
    """Read at Zoho, as a view of a host project."""
    return JsonResponse({"name": clients.client_for().organisation().name})


def convert_a_lead(request: HttpRequest) -> HttpResponse:
    clients.client_for().leads.convert(request.GET["lead"], ConversionPlan())
    return HttpResponse()


urlpatterns = [path("organisation/", show_organisation), path("convert/", convert_a_lead)]


@pytest.fixture
def connection(zoho: Simulator) -> Connection:
    return with_grant_code(code=zoho.grant_code(), data_center="local")


@pytest.fixture
def expired(connection: Connection) -> Connection:
    """The connection, whose access token has expired."""
    connection.tokens.update(expires_at=from_now(-1))
    return connection


@pytest.fixture
def deferred(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """On SQLite, a transaction locks the database only when it writes, as by Django's default."""
    if connections["default"].vendor == "sqlite":
        connections["default"].ensure_connection()
        monkeypatch.setattr(connections["default"], "transaction_mode", "DEFERRED")


@pytest.fixture
def atomic_requests(settings: Any) -> Iterator[Client]:
    """Return a browser of a host project that sets ATOMIC_REQUESTS."""
    settings.ROOT_URLCONF = __name__
    options = connections.settings["default"], connections["default"].settings_dict
    for each in options:
        each["ATOMIC_REQUESTS"] = True
    yield Client()
    for each in options:
        each["ATOMIC_REQUESTS"] = False


READS: dict[str, Callable[[Connection, str], object]] = {
    "organisation": lambda connection, lead: clients.client_for(connection).organisation(),
    "open leads": lambda connection, lead: list(leads.open_leads(connection)),
    "leads by e-mail": lambda connection, lead: leads.find_leads(
        connection_id=connection.pk, email="jo@example.example"
    ),
    "choices": lambda connection, lead: choices(connection),
    "test": lambda connection, lead: connect.check_connection(connection_id=connection.pk),
    "preview": lambda connection, lead: preview.preview(connection_id=connection.pk, lead_id=lead),
}


@pytest.mark.parametrize("read", READS)
def test_zoho_is_read_inside_a_transaction(
    connection: Connection, zoho: Simulator, read: str
) -> None:
    lead_id = zoho.story("no_match")

    with transaction.atomic():
        READS[read](connection, lead_id)

    assert {call["status"] for call in zoho.stats()["calls"]} <= {200, 204}


def test_a_conversion_in_doubt_is_settled_inside_a_transaction(
    connection: Connection, zoho: Simulator
) -> None:
    row = LeadConversion.objects.create(
        connection=connection, lead_id=zoho.story("converted"), status="UNKNOWN"
    )

    with transaction.atomic():
        settled = settle.settle(conversion_id=row.pk)

    assert settled.status == LeadConversion.Status.CONVERTED


CHANGES: dict[str, Callable[[Connection, ZohoClient, Simulator], object]] = {
    "convert": lambda connection, client, zoho: client.leads.convert(
        zoho.story("no_match"), ConversionPlan()
    ),
    "mass convert": lambda connection, client, zoho: client.jobs.start(
        [zoho.story("no_match")], Effect(owner_id=zoho.organisation.id), module_ids={}
    ),
    "connect": lambda connection, client, zoho: with_grant_code(
        code=zoho.grant_code(), data_center="local"
    ),
    "disconnect": lambda connection, client, zoho: connect.disconnect(connection_id=connection.pk),
    "renew": lambda connection, client, zoho: tokens.refresh(
        connection_id=connection.pk, generation=1
    ),
    "work": lambda connection, client, zoho: work.work(connection_id=connection.pk),
}


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_is_changed_at_zoho_inside_a_transaction(
    connection: Connection, zoho: Simulator, change: str
) -> None:
    client = clients.client_for(connection)
    before = Token.objects.values().get()

    with transaction.atomic(), pytest.raises(RuntimeError, match="outside of the transaction"):
        CHANGES[change](connection, client, zoho)

    assert zoho.ledger()["calls"] == zoho.ledger()["conversions"] == []
    assert Token.objects.values().get() == before
    assert zoho.stats()["tokens"]["exchanged"] == 1


# Access tokens


def test_a_token_that_ends_soon_is_used_as_it_is(connection: Connection, zoho: Simulator) -> None:
    connection.tokens.update(expires_at=from_now(200))

    with transaction.atomic():
        clients.client_for(connection).organisation()

    assert zoho.stats()["tokens"]["refreshed"] == 0


def test_an_expired_token_is_renewed_beside_the_transaction(
    deferred: None, expired: Connection, zoho: Simulator
) -> None:
    with transaction.atomic():
        client = clients.client_for(expired)
        client.organisation()
        client.organisation()
        transaction.set_rollback(True)

    token = expired.tokens.get()
    assert (zoho.stats()["tokens"]["refreshed"], token.generation) == (1, 2)
    assert tokens.access_token(connection_id=expired.pk) == token.reveal("access_token")


def test_a_token_that_zoho_rejects_is_renewed_beside_the_transaction(
    deferred: None, connection: Connection, zoho: Simulator
) -> None:
    rejected = connection.tokens.get().reveal("access_token").reveal()
    zoho.world.grants.revoke(rejected)

    with transaction.atomic():
        assert clients.client_for(connection).organisation().id == connection.org_id

    assert connection.tokens.get().generation == 2


@pytest.mark.slow
def test_where_the_transaction_has_written_sqlite_cannot_and_says_so(
    deferred: None, expired: Connection, zoho: Simulator
) -> None:
    if connections["default"].vendor != "sqlite":
        pytest.skip("other databases lock rows only")
    with transaction.atomic():
        Policy.objects.create(name="mine", rules={})
        with pytest.raises(TransientError, match="or before it writes") as caught:
            clients.client_for(expired).organisation()

    assert caught.value.code == "database_locked"
    assert zoho.stats()["tokens"]["refreshed"] == 0
    assert clients.client_for(expired).organisation().id == expired.org_id


@pytest.mark.slow
def test_where_a_reader_locks_sqlite_too_it_says_so(
    expired: Connection, zoho: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = connections["default"]
    if database.vendor != "sqlite":
        pytest.skip("other databases lock rows only")
    options = database.settings_dict["OPTIONS"]
    monkeypatch.setitem(options, "transaction_mode", "DEFERRED")
    monkeypatch.setitem(options, "init_command", "PRAGMA journal_mode = DELETE")
    database.close()

    with transaction.atomic(), pytest.raises(TransientError) as caught:
        clients.client_for(expired).organisation()

    database.close()
    assert caught.value.code == "database_locked"
    assert zoho.stats()["tokens"]["refreshed"] == 0


@pytest.mark.slow
def test_a_withdrawn_consent_is_not_waited_for_by_the_transaction_that_it_waits_for(
    expired: Connection, zoho: Simulator
) -> None:
    zoho.world.grants.revoke(expired.tokens.get().reveal("refresh_token").reveal())

    with transaction.atomic():
        LeadConversion.objects.create(connection=expired, lead_id="1")
        with pytest.raises((ConnectionLostError, TransientError)):
            clients.client_for(expired).organisation()

    with pytest.raises((ConnectionLostError, TransientError)):
        clients.client_for(expired).organisation()


# ATOMIC_REQUESTS


def test_a_view_of_a_host_with_atomic_requests_reads(
    deferred: None, atomic_requests: Client, expired: Connection, zoho: Simulator
) -> None:
    answer = atomic_requests.get("/organisation/")

    assert answer.json() == {"name": expired.org_name}
    assert zoho.stats()["tokens"]["refreshed"] == 1


def test_a_view_of_a_host_with_atomic_requests_does_not_convert(
    atomic_requests: Client, connection: Connection, zoho: Simulator
) -> None:
    with pytest.raises(RuntimeError, match="non_atomic_requests"):
        atomic_requests.get("/convert/", {"lead": zoho.story("no_match")})

    assert zoho.ledger()["calls"] == []


# The use of the API


def test_calls_are_written_when_the_transaction_has_ended(connection: Connection) -> None:
    with transaction.atomic():
        for _ in range(usage.MAX_CALLS):
            clients.client_for(connection).organisation()
        assert not ApiUsage.objects.exists()
    clients.client_for(connection).organisation()

    assert ApiUsage.objects.get().calls == usage.MAX_CALLS + 1


def test_a_rollback_loses_no_calls(connection: Connection) -> None:
    with transaction.atomic():
        clients.client_for(connection).organisation()
        transaction.set_rollback(True)
    usage.write_counts()

    assert ApiUsage.objects.get().calls == 1
