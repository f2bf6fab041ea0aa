"""Bulk reads: jobs, polls, archives that are unpacked while they are read; over both transports."""

from __future__ import annotations

import io
import random
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.client.conftest import Transport
from zoho_crm.client import ZohoClient, field
from zoho_crm.client._bulk import MAX_JOB_SECONDS, reading, records_of
from zoho_crm.exceptions import (
    RateLimitError,
    RequestRefusedError,
    ServerError,
    TransientError,
    TransportError,
)
from zoho_crm.simulator import Simulator
from zoho_crm.types import BulkProgress, Record, Reference

NAMES = ["Last_Name", "Company"]


def read(transport: Transport, *criteria: Any, **options: Any) -> list[Record]:
    """Return the leads of a bulk read, whose waiting takes no time."""
    client = options.pop("client", None) or transport.client()
    fields = options.pop("fields", NAMES)
    options = {"wait": transport.simulator.advance, **options}
    return list(client.bulk_read("Leads", fields, *criteria, **options))


def archive(text: bytes, name: str = "1.csv") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(name, text)
    return file.getvalue()


def rows_in(content: bytes, max_bytes: int = 10_000_000) -> Iterator[Record]:
    with reading(io.BytesIO(content), max_bytes) as rows:
        yield from records_of(rows)


def test_all_records_are_read_as_texts(transport: Transport) -> None:
    zoho = transport.simulator
    first = zoho.add_lead(Last_Name='O"Neil,\nJr.', Company="Größe 🏛", Annual_Revenue=900)
    second = zoho.add_lead(Last_Name="B", Company="C")
    fields = [*NAMES, "Annual_Revenue", "Owner", "Converted__s"]

    found = read(transport, fields=fields)

    assert [each.id for each in found] == [first.id, second.id]
    assert dict(found[0]) == {
        "id": first.id,
        "Last_Name": 'O"Neil,\nJr.',
        "Company": "Größe 🏛",
        "Annual_Revenue": "900",
        "Owner": first["Owner"]["id"],
        "Converted__s": "false",
    }
    assert found[1]["Annual_Revenue"] is None


def test_values_are_those_of_python_if_that_is_wanted(transport: Transport) -> None:
    zoho = transport.simulator
    lead = zoho.add_lead(Last_Name="A", Annual_Revenue=900.5, No_of_Employees=7, Email_Opt_Out=True)
    fields = ["Annual_Revenue", "No_of_Employees", "Email_Opt_Out", "Owner", "Created_Time"]

    [found] = read(transport, fields=fields, typed=True)

    assert found["Annual_Revenue"] == Decimal("900.5")
    assert found["No_of_Employees"] == 7
    assert found["Email_Opt_Out"] is True
    assert isinstance(found["Owner"], Reference)
    assert found["Owner"].id == lead["Owner"]["id"]
    assert found["Created_Time"].utcoffset() is not None


def test_a_module_without_records_has_none(transport: Transport) -> None:
    assert read(transport) == []


def test_criteria_are_values(transport: Transport) -> None:
    zoho = transport.simulator
    names = ["O'Neil", "Albrecht", "Alba", "Okafor"]
    ids = {
        name: zoho.add_lead(Last_Name=name, Annual_Revenue=number * 100).id
        for number, name in enumerate(names)
    }

    def names_of(criteria: Any) -> set[str]:
        found = {each.id for each in read(transport, criteria)}
        return {name for name in names if ids[name] in found}

    name, revenue = field("Last_Name"), field("Annual_Revenue")
    assert names_of(name == "O'Neil") == {"O'Neil"}
    assert names_of(name != "O'Neil") == {"Albrecht", "Alba", "Okafor"}
    assert names_of(name.starts_with("Alb") & (revenue >= 200)) == {"Alba"}
    assert names_of((name == "Alba") | (name == "Okafor")) == {"Alba", "Okafor"}
    assert names_of(name.in_(["Alba", "Okafor"])) == {"Alba", "Okafor"}
    assert names_of(revenue.between(100, 200)) == {"Albrecht", "Alba"}
    assert names_of(field("Created_Time") < datetime(2000, 1, 1, tzinfo=UTC)) == set()


def test_what_zoho_does_not_take_is_refused_without_a_call(in_process: Transport) -> None:
    client = in_process.client()
    many = field("City") == "a"
    for _number in range(25):
        many = many | (field("City") == "a")
    calls = in_process.simulator.stats()["calls"]

    with pytest.raises(RequestRefusedError, match="25 conditions"):
        client.bulk_read("Leads", NAMES, many)
    with pytest.raises(RequestRefusedError, match="20 values"):
        client.bulk_read("Leads", NAMES, field("City").in_([str(n) for n in range(21)]))
    with pytest.raises(RequestRefusedError):
        client.bulk_read("Leads", ["Last Name"])
    with pytest.raises(RequestRefusedError):
        client.bulk_read("../Leads", NAMES)
    for fields in ([], [f"F{number}" for number in range(201)]):
        with pytest.raises(ValueError, match="1 to 200"):
            client.bulk_read("Leads", fields)
    assert in_process.simulator.stats()["calls"] == calls


def test_zohos_refusals_are_told(transport: Transport, crm: ZohoClient) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        list(crm.bulk_read("Leads", ["No_Such_Field"]))
    assert caught.value.code == "FIELD_NOT_AVAILABLE"
    with pytest.raises(RequestRefusedError):
        list(crm.bulk_read("Nonsense", NAMES))


def test_progress_is_told(in_process: Transport) -> None:
    zoho = in_process.simulator
    zoho.tune(bulk_seconds=10)
    zoho.add_lead()
    told: list[BulkProgress] = []
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        zoho.advance(seconds)

    read(in_process, on_progress=told.append, wait=wait)

    assert [each.state for each in told] == ["QUEUED", "QUEUED", "IN PROGRESS", "COMPLETED"]
    assert (told[-1].number, told[-1].rows, told[-1].expected) == (1, 1, 1)
    assert waits == [2, 4, 8]


@pytest.mark.parametrize("with_token", [True, False])
def test_several_jobs_read_more_than_one_can(transport: Transport, with_token: bool) -> None:
    zoho = transport.simulator
    zoho.tune(bulk_rows=3)
    ids = [zoho.add_lead().id for _number in range(8)]
    if not with_token:
        zoho.fail("bulk_status", "amend", times=3, body={"data.0.result.next_page_token": "null"})
    told: list[BulkProgress] = []

    found = read(transport, on_progress=told.append)

    assert [each.id for each in found] == ids
    assert [(each.number, each.rows) for each in told] == [(1, 3), (2, 6), (3, 8)]


def test_a_record_that_two_jobs_have_comes_once(in_process: Transport) -> None:
    zoho = in_process.simulator
    zoho.tune(bulk_rows=3)
    ids = [zoho.add_lead().id for _number in range(6)]
    client = in_process.client()
    found = client.bulk_read("Leads", NAMES, wait=zoho.advance)
    seen = [next(found).id for _number in range(3)]
    older = zoho.organisation.records["Leads"]
    extra = zoho.add_lead()
    older.data = {extra.id: older.data.pop(extra.id), **older.data}  # it moves the rest on

    seen += [each.id for each in found]

    assert seen == ids


def test_a_job_that_fails_is_an_error(transport: Transport) -> None:
    failure = '{"error_message": {"code": "%s", "message": "no luck", "details": {}}}'
    for code, kind in (("INTERNAL_SERVER_ERROR", ServerError), ("BAD", RequestRefusedError)):
        body = {"data.0.state": '"FAILURE"', "data.0.result": failure % code}
        transport.simulator.fail("bulk_status", "amend", body=body)

        with pytest.raises(kind, match="no luck") as caught:
            read(transport)

        assert caught.value.details["id"]


def test_a_job_that_is_never_done_is_given_up(in_process: Transport) -> None:
    in_process.simulator.tune(bulk_seconds=10**9)
    waits: list[float] = []

    with pytest.raises(TransientError) as caught:
        read(in_process, wait=waits.append)

    assert caught.value.code == "bulk_too_slow"
    assert MAX_JOB_SECONDS <= sum(waits) < MAX_JOB_SECONDS + 60


@pytest.mark.parametrize("on", ["bulk_create", "bulk_status", "bulk_result"])
@pytest.mark.parametrize("do", ["close_before", "throttle", "html", "truncate"])
def test_a_call_without_an_answer_is_made_again(transport: Transport, on: str, do: str) -> None:
    lead = transport.simulator.add_lead()
    transport.simulator.fail(on, do)

    assert [each.id for each in read(transport)] == [lead.id]


def test_calls_are_not_made_again_for_ever(in_process: Transport) -> None:
    for do, kind in (("close_before", TransportError), ("throttle", RateLimitError)):
        in_process.simulator.fail("bulk_status", do, times=5)
        waits: list[float] = []

        with pytest.raises(kind):
            read(in_process, wait=waits.append)

        assert sum(waits) == 130


def test_an_archive_that_is_not_whole_is_asked_for_again(in_process: Transport) -> None:
    zoho = in_process.simulator
    lead = zoho.add_lead()
    contents: list[bytes] = []

    def break_first(progress: BulkProgress) -> None:
        [job] = zoho.world.bulk_jobs.values()
        contents.append(job.content)
        job.content = job.content[:-30]

    def mend(seconds: float) -> None:
        zoho.advance(seconds)
        if contents and seconds == 10:
            [job] = zoho.world.bulk_jobs.values()
            job.content = contents[0]

    zoho.tune(bulk_seconds=1)

    found = read(in_process, on_progress=lambda p: p.rows or break_first(p), wait=mend)

    assert [each.id for each in found] == [lead.id]
    assert len(contents) >= 1


@pytest.mark.parametrize(
    "content",
    [
        b"no archive at all",
        archive(b"Id,Last_Name\n1,A\n")[:-1],
        archive(b"Id,Last_Name\n1,A,B\n"),
        archive(b"Id,Last_Name\nx,A\n"),
        archive(b"Last_Name\nA\n"),
        archive(b"Id,Last_Name\n1," + b"x" * 200_000),
    ],
)
def test_a_file_of_another_form_is_an_error(content: bytes) -> None:
    with pytest.raises(ServerError) as caught:
        list(rows_in(content))

    assert caught.value.code == "bad_archive"


def test_a_damaged_archive_is_an_error() -> None:
    text = b"Id,Last_Name\n" + b"".join(b"%d,name\n" % n for n in range(1, 5000))
    whole = archive(text)
    damaged = whole[:2000] + bytes([whole[2000] ^ 255]) + whole[2001:]

    with pytest.raises(ServerError) as caught:
        list(rows_in(damaged))

    assert caught.value.code == "bad_archive"


def test_several_files_in_an_archive_are_an_error() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("1.csv", "Id\n1\n")
        packed.writestr("../2.csv", "Id\n2\n")

    with pytest.raises(ServerError):
        list(rows_in(file.getvalue()))


@pytest.mark.parametrize(
    "text", [b"", b"Id,Last_Name\n", b"\xef\xbb\xbfid,Last_Name\r\n\r\n", b"ID\n"]
)
def test_a_file_without_rows_has_no_records(text: bytes) -> None:
    assert list(rows_in(archive(text))) == []
    assert list(rows_in(b"")) == []


def test_texts_are_those_that_every_database_stores() -> None:
    [record] = rows_in(archive("Id,A,B\r\n1,a\0b,\xff\n".encode("latin-1")))

    assert dict(record) == {"id": "1", "A": "a�b", "B": "�"}


def lines(number: int) -> bytes:
    return b"Id,Last_Name\n" + b"1,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n" * number


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", [lines(3_000_000), b"Id\n" + bytes(100_000_000)], ids=["rows", "one line"]
)
def test_an_archive_that_unpacks_to_too_much_is_refused_without_memory(text: bytes) -> None:
    content = archive(text)
    # What the archive says of its size is not believed.
    size = len(text).to_bytes(4, "little")
    lying = content.replace(size, (1000).to_bytes(4, "little"))
    assert lying != content
    del text

    tracemalloc.start()
    for each in (content, lying):
        with pytest.raises((RequestRefusedError, ServerError)) as caught:
            for _record in rows_in(each, 1_000_000):
                pass
        assert caught.value.code in {"bulk_too_large", "bad_archive"}
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 5_000_000


@pytest.mark.slow
def test_memory_stays_flat() -> None:
    rows = "".join(f"{n},{random.Random(n).random()}\n" for n in range(1, 20_000))
    content = archive(b"Id,Last_Name\n" + rows.encode())
    del rows

    tracemalloc.start()
    number = sum(1 for _record in rows_in(content))
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert number == 19_999
    assert peak < 700_000 + len(content) * 1.1


def test_a_file_over_the_limit_is_not_downloaded(transport: Transport) -> None:
    zoho: Simulator = transport.simulator
    for _number in range(50):
        zoho.add_lead()

    with pytest.raises(RequestRefusedError):
        read(transport, max_bytes=100)
