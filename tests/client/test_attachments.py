"""Files of a record: sent while they are read, saved while they arrive; over both transports."""

from __future__ import annotations

import io
import os
import socket
import tempfile
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.client.canned import Canned, client_of
from tests.client.conftest import Transport
from tests.client.raw import RawServer, answering, closing_after, dripping, whole
from zoho_crm.client import Api, Limits, TokenAuth, ZohoAuth, ZohoClient
from zoho_crm.client._attachments import AttachmentsClient
from zoho_crm.client._files import MultipartFile
from zoho_crm.client._transport import Pace
from zoho_crm.exceptions import (
    PermissionDeniedError,
    RequestRefusedError,
    ServerError,
    TransportError,
    UnknownOutcomeError,
)
from zoho_crm.types import Attachment, Secret

CONTENT = bytes(range(256)) * 1000
DONE = b'{"data": [{"code": "SUCCESS", "details": {"id": "77"}, "status": "success"}]}'


@pytest.fixture
def attachments(transport: Transport, crm: ZohoClient) -> AttachmentsClient:
    contact = transport.simulator.add("Contacts", Last_Name="King")
    return crm.records("Contacts").record(contact.id).attachments


def at(server: RawServer, session: requests.Session, **limits: float) -> AttachmentsClient:
    auth = TokenAuth(Secret("1000.token"))
    bounds = Limits(**{"connect": 1, "deadline": 1, **limits})  # type: ignore[arg-type]
    api = Api(origin=server.origin, session=session, auth=auth, limits=bounds)
    return AttachmentsClient(api=api, path="/crm/v8/Contacts/1/Attachments")


def limited(attachments: AttachmentsClient, **limits: int) -> AttachmentsClient:
    api = attachments.api
    return replace(attachments, api=replace(api, limits=replace(api.limits, **limits)))


# The way there and back


def test_a_file_is_attached_listed_downloaded_and_deleted(
    attachments: AttachmentsClient, tmp_path: Path
) -> None:
    source, target = tmp_path / "offer.pdf", tmp_path / "copy.pdf"
    source.write_bytes(CONTENT)

    attachment_id = attachments.upload(source)

    [found] = attachments.list()
    assert (found.id, found.name, found.size, found.url) == (
        attachment_id,
        "offer.pdf",
        len(CONTENT),
        "",
    )
    assert found.author
    assert found.created_at
    assert attachments.download(attachment_id, target) == len(CONTENT)
    assert target.read_bytes() == CONTENT
    assert sorted(os.listdir(tmp_path)) == ["copy.pdf", "offer.pdf"]
    attachments.delete(attachment_id)
    assert list(attachments.list()) == []


def test_open_files_are_read_and_written(attachments: AttachmentsClient) -> None:
    source, target = io.BytesIO(b"skipped" + CONTENT), io.BytesIO()
    source.seek(7)

    attachment_id = attachments.upload(source, name="Größe 🏛.bin")

    assert attachments.download(attachment_id, target) == len(CONTENT)
    assert target.getvalue() == CONTENT
    assert [each.name for each in attachments.list()] == ["Größe 🏛.bin"]
    assert not source.closed


@pytest.mark.parametrize("title", ["", "Größe 🏛"])
def test_a_link_is_attached_listed_and_deleted(attachments: AttachmentsClient, title: str) -> None:
    url = "https://files.example/offer?a=1&b=ä"

    attachment_id = attachments.add_link(url, title=title)

    [found] = attachments.list()
    assert (found.id, found.url, found.size) == (attachment_id, url, 0)
    assert found.name == (title or url)
    with pytest.raises(RequestRefusedError) as caught:
        attachments.download(attachment_id, io.BytesIO())
    assert caught.value.code == "DOWNLOAD_NOT_ALLOWED"
    attachments.delete(attachment_id)
    assert list(attachments.list()) == []


@pytest.mark.parametrize(
    ("url", "code"), [("no address", "INVALID_URL_PATTERN"), ("", "MANDATORY_NOT_FOUND")]
)
def test_a_link_that_is_none_is_refused(
    attachments: AttachmentsClient, url: str, code: str
) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        attachments.add_link(url, title="Offer")

    assert caught.value.code == code


def test_a_link_without_an_answer_may_be_attached(
    transport: Transport, attachments: AttachmentsClient
) -> None:
    transport.simulator.fail("upload", "close_after")

    with pytest.raises(UnknownOutcomeError):
        attachments.add_link("https://nordwind.example")
    assert len(list(attachments.list())) == 1


def test_an_empty_file_can_be_attached(attachments: AttachmentsClient) -> None:
    target = io.BytesIO()

    assert attachments.download(attachments.upload(io.BytesIO(), name="empty"), target) == 0


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ('a"b; filename="c.txt', "a%22b; filename=%22c.txt"),
        ("a\r\nX-Evil: 1", "a%0D%0AX-Evil: 1"),
        ("../../etc/passwd", "passwd"),
        (r"C:\files\offer.pdf", "offer.pdf"),
        ("x" * 300 + ".txt", "x" * 251 + ".txt"),
    ],
)
def test_a_name_cannot_change_the_form(
    attachments: AttachmentsClient, name: str, kept: str
) -> None:
    attachments.upload(io.BytesIO(b"text"), name=name)

    assert [each.name for each in attachments.list()] == [kept]


def test_a_file_without_a_name_is_no_attachment(attachments: AttachmentsClient) -> None:
    for name in ("", "folder/"):
        with pytest.raises(ValueError, match="Name the file"):
            attachments.upload(io.BytesIO(b"text"), name=name)


def test_links_are_listed_and_cannot_be_downloaded(transport: Transport, crm: ZohoClient) -> None:
    contact = transport.simulator.add("Contacts", Last_Name="King")
    attachments = crm.records("Contacts").record(contact.id).attachments
    url = "https://engine.example/plan"
    crm.api.call("POST", attachments.path, params={"attachmentUrl": url, "title": "Plan"})

    [link] = attachments.list()

    assert (link.name, link.size, link.url) == ("Plan", 0, url)
    with pytest.raises(RequestRefusedError) as caught:
        attachments.download(link.id, io.BytesIO())
    assert caught.value.code == "DOWNLOAD_NOT_ALLOWED"


def test_attachments_of_other_forms_are_read() -> None:
    body = b'{"data": [{"id": "1", "Size": 7, "Created_By": "x", "Created_Time": 5}]}'

    [found] = client_of(Canned(200, body)).records("Leads").record("1").attachments.list()

    assert found == Attachment(id="1", size=7)


def test_attachments_that_do_not_exist_are_refused(
    attachments: AttachmentsClient, tmp_path: Path
) -> None:
    target = tmp_path / "copy.pdf"
    target.write_bytes(b"former")

    with pytest.raises(RequestRefusedError) as caught:
        attachments.download("404", target)
    assert caught.value.code == "no_attachment"
    with pytest.raises(RequestRefusedError):
        attachments.delete("404")
    with pytest.raises(RequestRefusedError):
        attachments.download("../1", target)
    assert target.read_bytes() == b"former"
    assert os.listdir(tmp_path) == ["copy.pdf"]


def test_a_record_that_does_not_exist_gets_no_file(crm: ZohoClient) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        crm.records("Contacts").record("404").attachments.upload(io.BytesIO(b"x"), name="x")

    assert caught.value.code == "INVALID_DATA"


# Sizes


def test_a_file_over_the_limit_is_refused_without_a_call() -> None:
    canned = Canned(200, DONE)
    attachments = limited(client_of(canned).records("Leads").record("1").attachments, file=10)

    with pytest.raises(RequestRefusedError, match="10 bytes") as caught:
        attachments.upload(io.BytesIO(b"x" * 11), name="x")

    assert caught.value.may_repeat is False
    assert canned.requests == []
    assert attachments.upload(io.BytesIO(b"x" * 10), name="x") == "77"


def test_zohos_limit_holds_whatever_is_allowed(tmp_path: Path) -> None:
    canned = Canned(200, DONE)
    attachments = limited(client_of(canned).records("Leads").record("1").attachments, file=10**12)
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(100 * 1024 * 1024 + 1)

    with pytest.raises(RequestRefusedError, match="104857600 bytes"):
        attachments.upload(large)
    assert canned.requests == []


@pytest.mark.parametrize("headers", [{"Content-Length": "300"}, {}])
def test_a_download_over_the_limit_is_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    canned = Canned(200, b"x" * 300, headers)
    attachments = limited(client_of(canned).records("Leads").record("1").attachments, file=299)

    with pytest.raises(RequestRefusedError) as caught:
        attachments.download("1", tmp_path / "copy")

    assert caught.value.code == "file_too_large"
    assert os.listdir(tmp_path) == []


def test_zohos_own_refusal_of_a_size_is_told(
    transport: Transport, attachments: AttachmentsClient
) -> None:
    transport.simulator.organisation.max_attachment_bytes = 10

    with pytest.raises(RequestRefusedError) as caught:
        attachments.upload(io.BytesIO(CONTENT), name="x")

    assert caught.value.http_status == 413


def test_neither_way_needs_the_memory_of_the_file(
    session: requests.Session, tmp_path: Path
) -> None:
    size = 30_000_000
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.truncate(size)

    def read_and_forget(connection: socket.socket, server: RawServer) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(4096)
        names = {line.split(b":")[0].lower(): line for line in head.split(b"\r\n")}
        left = int(names[b"content-length"].split(b":")[1]) - len(head.split(b"\r\n\r\n", 1)[1])
        while left > 0:
            left -= len(connection.recv(65536))
        connection.sendall(whole(DONE))

    def send_zeros(connection: socket.socket, server: RawServer) -> None:
        server.receive(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _part in range(size // 100_000):
            connection.sendall(bytes(100_000))

    with RawServer(read_and_forget) as there, RawServer(send_zeros) as back:
        upload, download = (at(each, session, deadline=30) for each in (there, back))
        tracemalloc.start()
        assert upload.upload(source) == "77"
        assert download.download("77", tmp_path / "copy") == size
        _now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 3_000_000


# A file that changes while it is sent


class Changing(io.BytesIO):
    """A file whose content changes when its reading begins."""

    def __init__(self, content: bytes, later: bytes | None) -> None:
        super().__init__(content)
        self.later = later

    def read(self, size: int | None = -1) -> bytes:
        if self.later is None:
            raise OSError(5, "Input/output error")
        if self.tell() == 0:
            self.truncate(0)
            self.write(self.later)
            self.seek(0)
        return super().read(size)


@pytest.mark.parametrize(
    ("later", "code"),
    [
        (CONTENT + b"more", "file_changed"),
        (CONTENT[:-1], "file_changed"),
        (b"", "file_changed"),
        (None, "file_unreadable"),
    ],
)
def test_a_file_that_changes_while_it_is_sent_is_not_attached(
    transport: Transport, attachments: AttachmentsClient, later: bytes | None, code: str
) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        attachments.upload(Changing(CONTENT, later), name="log.txt")

    assert caught.value.code == code
    assert list(attachments.list()) == []
    assert attachments.upload(io.BytesIO(CONTENT), name="log.txt")


def test_what_cannot_be_read_anew_is_refused() -> None:
    canned = Canned(200, DONE)
    attachments = client_of(canned).records("Leads").record("1").attachments
    reader, writer = os.pipe()
    closed = io.BytesIO(b"x")
    closed.close()

    with os.fdopen(reader, "rb") as pipe, os.fdopen(writer, "wb"):
        for file in (pipe, closed):
            with pytest.raises(RequestRefusedError) as caught:
                attachments.upload(file, name="x")
            assert caught.value.code == "file_unreadable"
    with pytest.raises(TypeError, match="binary"):
        attachments.upload(io.StringIO("x"), name="x")  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        attachments.upload("/nowhere/offer.pdf")
    assert canned.requests == []


@pytest.mark.parametrize("size", [1, 7, 100_000, -1])
def test_the_body_is_the_same_in_parts_of_any_size(size: int) -> None:
    body = MultipartFile(io.BytesIO(b"0123456789"), "a.txt", Pace(idle=5))
    parts = []
    while part := body.read(size):
        parts.append(part)
    first = b"".join(parts)

    assert len(first) == len(body)
    assert body.is_read
    body.seek(0)
    assert not body.is_read
    assert b"".join(body) == first


# Lost answers and slow lines


def test_a_lost_answer_to_an_upload_is_in_doubt(
    transport: Transport, attachments: AttachmentsClient
) -> None:
    transport.simulator.fail("upload", "close_after")

    with pytest.raises(UnknownOutcomeError) as caught:
        attachments.upload(io.BytesIO(CONTENT), name="x")

    assert caught.value.may_repeat is False
    assert len(list(attachments.list())) == 1


@pytest.mark.parametrize("body", [b"{}", b'{"data": []}', b'{"data": [{"details": {}}]}', b"x"])
def test_an_answer_of_another_form_is_in_doubt(session: requests.Session, body: bytes) -> None:
    with RawServer(answering(whole(body))) as server, pytest.raises(UnknownOutcomeError):
        at(server, session).upload(io.BytesIO(b"x"), name="x")


def test_an_upload_that_ends_half_way_was_not_processed(session: requests.Session) -> None:
    def hang_up(connection: socket.socket, server: RawServer) -> None:
        connection.recv(4096)

    with RawServer(hang_up) as server, pytest.raises(TransportError) as caught:
        at(server, session).upload(io.BytesIO(bytes(20_000_000)), name="x")

    assert caught.value.may_repeat is True


def test_an_upload_to_a_server_that_does_not_read_ends(session: requests.Session) -> None:
    def rest(connection: socket.socket, server: RawServer) -> None:
        server.stopping.wait(30)

    with RawServer(rest) as server, pytest.raises(TransportError) as caught:
        at(server, session, deadline=0.2).upload(io.BytesIO(bytes(20_000_000)), name="x")

    assert caught.value.may_repeat is True


def test_an_upload_that_is_too_slow_as_a_whole_ends() -> None:
    pace = Pace(idle=0)
    body = MultipartFile(io.BytesIO(b"x"), "x", pace)

    with pytest.raises(TransportError):
        body.read(1)


def test_a_transfer_may_last_longer_than_a_deadline() -> None:
    pace = Pace(idle=30)

    pace.give_time_for(10_000_000)

    assert 125 < pace.seconds_left <= 130
    timeout: Any = pace.timeout(5)
    assert (timeout.connect_timeout, timeout.read_timeout) == (5, 30)


@pytest.mark.parametrize("on", ["truncate", "close_before", "html"])
def test_a_download_that_ends_half_way_leaves_nothing(
    transport: Transport, attachments: AttachmentsClient, tmp_path: Path, on: str
) -> None:
    attachment_id = attachments.upload(io.BytesIO(CONTENT), name="x")
    target = tmp_path / "copy"
    target.write_bytes(b"former")
    transport.simulator.fail("download", on)

    with pytest.raises((TransportError, ServerError)) as caught:
        attachments.download(attachment_id, target)

    assert caught.value.may_repeat is True
    assert target.read_bytes() == b"former"
    assert os.listdir(tmp_path) == ["copy"]
    attachments.download(attachment_id, target)
    assert target.read_bytes() == CONTENT


def test_a_download_that_stands_still_ends(session: requests.Session, tmp_path: Path) -> None:
    def begin(connection: socket.socket, server: RawServer) -> None:
        server.receive(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx")
        server.stopping.wait(30)

    with RawServer(begin) as server, pytest.raises(TransportError):
        at(server, session, deadline=0.2).download("1", tmp_path / "copy")

    assert os.listdir(tmp_path) == []


def test_a_download_byte_by_byte_ends(session: requests.Session, tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"

    with RawServer(dripping(head, pause=0.02)) as server, pytest.raises(TransportError):
        at(server, session, deadline=0.3).download("1", tmp_path / "copy")


def test_a_slow_download_may_take_longer_than_a_deadline(
    session: requests.Session, tmp_path: Path
) -> None:
    def slowly(connection: socket.socket, server: RawServer) -> None:
        server.receive(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n")
        for _part in range(10):
            connection.sendall(bytes(20_000))
            server.stopping.wait(0.06)

    with RawServer(slowly) as server:
        assert at(server, session, deadline=0.4).download("1", tmp_path / "copy") == 200_000


def test_a_refusal_of_a_download_is_told(session: requests.Session, tmp_path: Path) -> None:
    refusal = b'{"code": "NO_PERMISSION", "message": "no", "status": "error", "details": {}}'
    answer = whole(refusal, status="403 Forbidden")

    with RawServer(closing_after(answer)) as server, pytest.raises(PermissionDeniedError) as caught:
        at(server, session).download("1", tmp_path / "copy")

    assert caught.value.code == "NO_PERMISSION"
    assert os.listdir(tmp_path) == []


# Where a download goes


def test_zohos_name_of_a_file_is_no_path(session: requests.Session, tmp_path: Path) -> None:
    head = b'Content-Disposition: attachment; filename="../../evil.sh"\r\n'

    with RawServer(answering(whole(b"x", head=head))) as server:
        at(server, session).download("1", tmp_path / "copy")

    assert os.listdir(tmp_path) == ["copy"]


def test_a_downloaded_file_is_its_owners(attachments: AttachmentsClient, tmp_path: Path) -> None:
    attachment_id = attachments.upload(io.BytesIO(b"x"), name="x")

    attachments.download(attachment_id, str(tmp_path / "copy"))

    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
    with pytest.raises(IsADirectoryError):
        attachments.download(attachment_id, tmp_path)
    with pytest.raises(FileNotFoundError):
        attachments.download(attachment_id, tmp_path / "nowhere" / "copy")


def test_a_target_that_cannot_be_written_is_the_callers_error(
    attachments: AttachmentsClient, tmp_path: Path
) -> None:
    attachment_id = attachments.upload(io.BytesIO(CONTENT), name="x")

    class Full(io.BytesIO):
        def write(self, part: Any) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        attachments.download(attachment_id, Full())
    assert attachments.download(attachment_id, tmp_path / "copy") == len(CONTENT)


# A token that is renewed while a file is sent


def renewing(transport: Transport, make: Callable[[], Secret]) -> ZohoAuth:
    tokens = [make()]

    def renew(rejected: Secret) -> Secret:
        tokens.append(make())
        return tokens[-1]

    host = transport.simulator.origin.removeprefix("http://")
    return ZohoAuth(current=lambda: tokens[-1], renew=renew, hosts=[host])


def test_a_file_is_sent_once_more_with_a_new_token(transport: Transport) -> None:
    zoho = transport.simulator
    auth = renewing(transport, transport.token)
    client = ZohoClient(api=transport.api(auth))
    contact = zoho.add("Contacts", Last_Name="King")
    attachments = client.records("Contacts").record(contact.id).attachments
    zoho.world.grants.revoke(auth._current().reveal())

    with tempfile.TemporaryFile() as file:
        file.write(CONTENT)
        file.seek(100)
        attachments.upload(file, name="x")

    assert [each.size for each in attachments.list()] == [len(CONTENT) - 100]


def test_a_body_that_cannot_be_sent_again_is_not(transport: Transport) -> None:
    zoho = transport.simulator
    auth = renewing(transport, transport.token)
    zoho.world.grants.revoke(auth._current().reveal())
    url = f"{zoho.origin}/crm/v8/Contacts"

    answer = transport.session.post(url, data=iter([b'{"data": []}']), auth=auth)

    assert answer.status_code in {401, 413}
    assert answer.history == []
