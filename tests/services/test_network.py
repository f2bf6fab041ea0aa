"""A host that only a proxy leads out of, and a data center that is newer than the table."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.raw import RawServer, Treatment, tunnel
from tests.client.tls import Certificate, certificate
from zoho_crm.exceptions import TransportError, WrongSettingsError
from zoho_crm.models import Connection, ConnectionWork
from zoho_crm.services import clients, work
from zoho_crm.services._zoho import api
from zoho_crm.services.connect import check_connection, with_grant_code
from zoho_crm.services.convert import request
from zoho_crm.simulator import Simulator
from zoho_crm.types import Secret

ACCOUNTS, API, CONTENT = HOSTS = (
    "accounts.zoho.example",
    "www.zohoapis.example",
    "content.zohoapis.example",
)


def forwarding(origin: str) -> Treatment:
    """Pass the requests of one connection on to an HTTP server, one by one."""
    host = origin.rpartition("/")[2].encode()
    name, _colon, port = host.partition(b":")

    def treat(connection: socket.socket, server: RawServer) -> None:
        while True:
            sent = re.sub(rb"(?i)host: [^\r]+", b"Host: " + host, server.receive(connection))
            sent = re.sub(rb"(?i)connection: [^\r]+", b"Connection: close", sent)
            with socket.create_connection((name, int(port))) as onwards:
                onwards.sendall(sent)
                answer = b"".join(iter(lambda: onwards.recv(65536), b""))
            connection.sendall(answer)

    return treat


@pytest.fixture
def trusted(tmp_path: Path) -> Certificate:
    return certificate(tmp_path / "trusted.pem", *HOSTS)


@pytest.fixture
def proxy(live_zoho: Simulator, trusted: Certificate) -> Iterator[RawServer]:
    """The only way to the simulator under the names of a newer data center, over TLS."""
    with (
        RawServer(forwarding(live_zoho.origin), trusted.server()) as zoho,
        RawServer(tunnel(zoho)) as proxy,
    ):
        yield proxy


@pytest.fixture
def connection(
    transactional_db: None,
    live_zoho: Simulator,
    proxy: RawServer,
    trusted: Certificate,
    settings: Any,
) -> Connection:
    """Connected in the newer data center, through the proxy."""
    local = with_grant_code(code=live_zoho.grant_code(), data_center="local").tokens.get()
    granted = {name: local.reveal(name).reveal() for name in ("access_token", "refresh_token")}
    answer = {**granted, "api_domain": f"https://{API}", "expires_in": 3600}
    live_zoho.fail("exchange", "error_before", status=200, body=answer)
    settings.ZOHO_CRM = {
        **settings.ZOHO_CRM,
        "EXTRA_DATA_CENTERS": {"uk": HOSTS},
        "PROXY": Secret(f"http://somebody:hunter2@{proxy.host}"),
        "CA_BUNDLE": str(trusted.path),
    }
    return with_grant_code(code=live_zoho.grant_code(), data_center="uk", name="Newer")


def test_connecting_and_reading_go_through_the_proxy_to_the_newer_data_center(
    connection: Connection, proxy: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")

    assert connection.data_center == "uk"
    assert clients.client_for(connection).organisation().id == connection.org_id
    named = {head.split()[1] for head in proxy.requests}
    assert named == {f"{ACCOUNTS}:443".encode(), f"{API}:443".encode()}


def test_only_the_hosts_of_the_newer_data_center_are_signed_for(connection: Connection) -> None:
    auth = clients.auth_for(connection)

    assert all(auth._may_sign(f"https://{host}/crm") for host in (API, CONTENT))
    assert not auth._may_sign(f"https://{ACCOUNTS}/oauth")
    assert not auth._may_sign("https://www.zohoapis.com/crm")


def test_the_local_zoho_is_called_without_the_proxy(
    connection: Connection, proxy: RawServer, live_zoho: Simulator
) -> None:
    asked = len(proxy.requests)

    assert check_connection(connection_id=Connection.objects.get(data_center="local").pk) == ""

    assert len(proxy.requests) == asked


def test_an_error_names_host_class_and_number(connection: Connection, settings: Any) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "PROXY": "http://somebody:hunter2@127.0.0.1:1"}

    with pytest.raises(TransportError) as caught:
        clients.client_for(connection).organisation()

    expected = f"GET {API}/crm/v8/org: ProxyError (ConnectionRefusedError, errno 111)"
    assert str(caught.value) == expected


@pytest.mark.parametrize("path", ["no/such/file.pem", "."])
def test_without_its_certificates_nothing_is_called(settings: Any, path: str) -> None:
    settings.ZOHO_CRM = {"CA_BUNDLE": path}

    with pytest.raises(WrongSettingsError, match="CA_BUNDLE"):
        api("https://www.zohoapis.example")


def test_a_worker_without_its_certificates_waits_for_a_person(
    connection: Connection, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "CA_BUNDLE": "no/such/file.pem"}
    row = request(connection_id=connection.pk, lead_id="1")

    work.work(connection_id=connection.pk)

    waiting = ConnectionWork.objects.get(connection=connection)
    assert (waiting.backoff_reason, waiting.backoff_kind) == ("no_ca_bundle", "person")
    row.refresh_from_db()
    assert row.status == "NEW"
