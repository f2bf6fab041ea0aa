"""What was written and deleted since a cursor: nothing is lost, and nothing is told twice."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.canned import Canned, client_of
from tests.client.conftest import Transport
from zoho_crm.client import ZohoClient, open_session
from zoho_crm.client._changes import MAX_REMEMBERED, Track
from zoho_crm.contrib.pytest import SimulatorAdapter, new_simulator
from zoho_crm.exceptions import RequestRefusedError, ServerError, TransportError
from zoho_crm.simulator import Simulator
from zoho_crm.types import Change, Reference

FIELDS = ["Last_Name"]


def read(client: ZohoClient, cursor: str = "") -> tuple[list[Change], str]:
    """Return all changes of contacts since a cursor, and the next cursor."""
    changes = client.changes("Contacts", cursor, fields=FIELDS)
    return list(changes), changes.cursor


def told(changes: Iterable[Change]) -> list[tuple[str, str | None]]:
    return [(each.id, each.record["Last_Name"] if each.record else None) for each in changes]


def calls_of(zoho: Simulator) -> int:
    counts: list[dict[str, int]] = zoho.stats()["calls"]
    return sum(each["count"] for each in counts)


def test_without_a_cursor_all_records_are_given_and_no_deletions(
    transport: Transport, crm: ZohoClient
) -> None:
    zoho = transport.simulator
    gone, kept = (zoho.add("Contacts", Last_Name=name) for name in ("Gone", "Kept"))
    zoho.delete("Contacts", gone.id)

    changes, cursor = read(crm)

    assert told(changes) == [(kept.id, "Kept")]
    assert changes[0].at.utcoffset() is not None
    assert read(crm, cursor) == ([], cursor)


def test_what_was_written_and_deleted_since_comes_in_the_order_of_time(
    transport: Transport, crm: ZohoClient
) -> None:
    zoho = transport.simulator
    first, second = (zoho.add("Contacts", Last_Name=name) for name in ("A", "B"))
    _all, cursor = read(crm)
    zoho.advance(2)
    zoho.change(second, Last_Name="B2")
    zoho.advance(2)
    zoho.delete("Contacts", first.id)
    zoho.advance(2)
    new = zoho.add("Contacts", Last_Name="C")

    changes, cursor = read(crm, cursor)

    assert told(changes) == [(second.id, "B2"), (first.id, None), (new.id, "C")]
    assert [each.is_deletion for each in changes] == [False, True, False]
    assert read(crm, cursor)[0] == []


def test_values_are_those_of_python_if_that_is_wanted(
    transport: Transport, crm: ZohoClient
) -> None:
    contact = transport.simulator.add("Contacts", Last_Name="King", Email_Opt_Out=True)

    changes = crm.changes("Contacts", fields=["Owner", "Email_Opt_Out"], typed=True)

    [change] = changes
    assert change.record
    assert change.record["Modified_Time"] == change.at
    assert isinstance(change.record["Owner"], Reference)
    assert change.record["Owner"].id == contact["Owner"]["id"]
    assert read(crm, changes.cursor)[0] != []  # other fields
    assert list(crm.changes("Contacts", changes.cursor, fields=["Owner", "Email_Opt_Out"])) == []


def test_nothing_new_is_one_call_for_each_kind(in_process: Transport) -> None:
    zoho = in_process.simulator
    client = in_process.client()
    zoho.delete("Contacts", zoho.add("Contacts", Last_Name="A").id)
    zoho.add("Contacts", Last_Name="B")
    _all, cursor = read(client)
    zoho.advance(300)
    before = calls_of(zoho)

    assert read(client, cursor)[0] == []

    assert calls_of(zoho) == before + 2


def test_a_304_says_that_nothing_is_new(in_process: Transport) -> None:
    zoho = in_process.simulator
    zoho.delete("Contacts", zoho.add("Contacts", Last_Name="A").id)
    changes, cursor = read(in_process.client())
    zoho.fail("deleted", "error_before", status=304, body="")

    assert read(in_process.client(), cursor)[0] == []


def test_a_304_that_was_not_asked_for_is_an_error() -> None:
    with pytest.raises(ServerError):
        client_of(Canned(304, b"")).organisation()


def test_a_second_change_in_the_same_second_is_told(in_process: Transport) -> None:
    zoho, client = in_process.simulator, in_process.client()
    moment = zoho.organisation.clock.now()
    contact = zoho.add("Contacts", Last_Name="A")
    zoho.organisation.change(contact, {"Last_Name": "B"}, at=moment)
    _all, cursor = read(client)
    zoho.organisation.change(contact, {"Last_Name": "C"}, at=moment)

    changes, cursor = read(client, cursor)

    assert told(changes) == [(contact.id, "C")]
    assert read(client, cursor)[0] == []


def test_a_write_that_becomes_visible_late_is_told(in_process: Transport) -> None:
    zoho, client = in_process.simulator, in_process.client()
    early = zoho.organisation.clock.now()
    zoho.advance(30)
    zoho.add("Contacts", Last_Name="Late")
    _all, cursor = read(client)
    hidden = zoho.organisation.add("Contacts", {"Last_Name": "Early"}, at=early)

    assert told(read(client, cursor)[0]) == [(hidden.id, "Early")]


def test_a_restored_record_is_told_as_written(in_process: Transport) -> None:
    zoho, client = in_process.simulator, in_process.client()
    contact = zoho.add("Contacts", Last_Name="A")
    _all, cursor = read(client)
    zoho.advance(1)
    zoho.delete("Contacts", contact.id)
    deleted, cursor = read(client, cursor)
    zoho.advance(1)
    zoho.restore("Contacts", contact.id)

    restored, cursor = read(client, cursor)

    assert told(deleted) == [(contact.id, None)]
    assert told(restored) == [(contact.id, "A")]
    zoho.advance(1)
    zoho.delete("Contacts", contact.id)
    assert told(read(client, cursor)[0]) == [(contact.id, None)]


def test_a_record_restored_while_changes_are_read_is_not_told_as_deleted(
    in_process: Transport,
) -> None:
    zoho, client = in_process.simulator, in_process.client()
    first, second = (zoho.add("Contacts", Last_Name=name) for name in ("A", "B"))
    _all, cursor = read(client)
    zoho.advance(1)
    zoho.change(first, Last_Name="A2")
    zoho.advance(1)
    zoho.delete("Contacts", second.id)
    changes = client.changes("Contacts", cursor, fields=FIELDS)
    deletions = changes._deletions()
    assert [each.id for each in deletions] == [second.id]

    zoho.restore("Contacts", second.id)
    changes._deletions = lambda **_readings: deletions  # type: ignore[method-assign]

    assert told(changes) == [(first.id, "A2"), (second.id, "B")]


def test_a_cursor_kept_half_way_continues_there(in_process: Transport) -> None:
    zoho, client = in_process.simulator, in_process.client()
    ids = []
    for number in range(6):
        ids.append(zoho.add("Contacts", Last_Name=str(number)).id)
        zoho.advance(1)
    changes = client.changes("Contacts", fields=FIELDS)
    first_half = [next(changes).id for _number in range(3)]

    second_half = [each.id for each in read(client, changes.cursor)[0]]

    assert first_half + second_half == ids


def test_more_records_of_one_second_than_a_page_has_are_told_once(in_process: Transport) -> None:
    zoho, client = in_process.simulator, in_process.client()
    moment = zoho.organisation.clock.now()
    for number in range(450):
        zoho.organisation.add("Contacts", {"Last_Name": str(number)}, at=moment)
    zoho.advance(2)
    zoho.add("Contacts", Last_Name="last")

    changes, cursor = read(client)

    assert len({each.id for each in changes}) == len(changes) == 451
    assert changes[-1].record
    assert changes[-1].record["Last_Name"] == "last"
    assert read(client, cursor)[0] == []


def test_many_deletions_are_told(in_process: Transport) -> None:
    zoho, client = in_process.simulator, in_process.client()
    ids = [zoho.add("Contacts", Last_Name=str(number)).id for number in range(450)]
    _all, cursor = read(client)
    for contact_id in ids:
        zoho.delete("Contacts", contact_id)

    changes, cursor = read(client, cursor)

    assert {each.id for each in changes} == set(ids)
    assert len(changes) == 450
    assert read(client, cursor)[0] == []


def test_changes_while_pages_are_read_are_not_lost(in_process: Transport) -> None:
    zoho, client = in_process.simulator, in_process.client()
    contacts = []
    for number in range(500):
        contacts.append(zoho.add("Contacts", Last_Name=str(number)))
        zoho.advance(1)
    changes = client.changes("Contacts", fields=FIELDS)
    found = [next(changes) for _number in range(200)]

    for contact in contacts[:150]:
        zoho.delete("Contacts", contact.id)
    zoho.change(contacts[160], Last_Name="changed")
    zoho.change(contacts[420], Last_Name="changed")
    found += changes

    ids = {each.id for each in found}
    assert ids == {contact.id for contact in contacts}
    assert told(found)[-2:] == [(contacts[160].id, "changed"), (contacts[420].id, "changed")]
    later, _cursor = read(client, changes.cursor)
    assert {each.id for each in later if each.is_deletion} == {each.id for each in contacts[:150]}


def test_a_lost_answer_can_be_asked_for_again(transport: Transport, crm: ZohoClient) -> None:
    zoho = transport.simulator
    contact = zoho.add("Contacts", Last_Name="A")
    for kind in ("deleted", "coql"):
        zoho.fail(kind, "close_before")
        with pytest.raises(TransportError):
            read(crm)

    assert told(read(crm)[0]) == [(contact.id, "A")]


@pytest.mark.parametrize(
    "cursor",
    ["yesterday", "[]", "{}", '{"version": 1}', '{"version": 2, "module": "Contacts"}', "1" * 5000],
)
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        client_of(Canned(204, b"")).changes("Contacts", cursor, fields=FIELDS)

    assert caught.value.code == "bad_cursor"


def test_a_cursor_of_another_module_is_refused(in_process: Transport) -> None:
    _all, cursor = read(in_process.client())

    with pytest.raises(RequestRefusedError, match="Contacts, not of Leads"):
        in_process.client().changes("Leads", cursor, fields=FIELDS)


@pytest.mark.parametrize(
    "row", [{}, {"id": "x"}, {"id": "1"}, {"id": "1", "Modified_Time": "soon"}]
)
def test_changes_of_an_unknown_form_are_an_error(row: dict[str, str]) -> None:
    body = json.dumps({"data": [row], "info": {}}).encode()

    with pytest.raises(ServerError):
        list(client_of(Canned(200, body)).changes("Contacts", fields=FIELDS))


def test_a_cursor_stays_small_however_many_changes_a_minute_has() -> None:
    track = Track()
    base = 1_800_000_000
    for number in range(3 * MAX_REMEMBERED):
        at = datetime.fromtimestamp(base + number // 1000, UTC)
        track.add(at, f"{number:08}")

    assert sum(map(len, track.seen.values())) <= MAX_REMEMBERED
    assert track.start == datetime.fromtimestamp(min(track.seen), UTC)
    assert Track.from_json(json.loads(json.dumps(track.as_json()))) == track


ACTIONS = st.lists(
    st.one_of(
        st.just(("add", 0)),
        st.tuples(st.sampled_from(["change", "delete", "restore"]), st.integers(0, 5)),
        st.tuples(st.just("advance"), st.sampled_from([0, 1, 1, 61, 3600])),
        st.just(("read", 0)),
        st.tuples(st.just("read some"), st.integers(1, 3)),
    ),
    max_size=30,
)


class Replica:
    """A copy of the module that applies the changes it is told."""

    def __init__(self, client: ZohoClient) -> None:
        self.client = client
        self.cursor = ""
        self.copy: dict[str, str | None] = {}

    def update(self, most: int = 1000) -> list[Change]:
        changes = self.client.changes("Contacts", self.cursor, fields=FIELDS)
        applied = [change for _number, change in zip(range(most), changes, strict=False)]
        for change in applied:
            if change.record is None:
                self.copy.pop(change.id, None)
            else:
                self.copy[change.id] = change.record["Last_Name"]
        self.cursor = changes.cursor
        return applied


def act(zoho: Simulator, action: str, number: int, step: int) -> bool:
    """Do one thing to the contacts, and return whether it could be done."""
    if action == "add":
        zoho.add("Contacts", Last_Name=f"new {step}")
        return True
    if action == "restore":
        gone = [each.record.id for each in zoho.organisation.deletions["Contacts"]]
        if number >= len(gone):
            return False
        zoho.restore("Contacts", gone[number])
        return True
    there = list(zoho.records["Contacts"].values())
    if number >= len(there):
        return False
    if action == "change":
        zoho.change(there[number], Last_Name=f"step {step}")
    else:
        zoho.delete("Contacts", there[number].id)
    return True


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(actions=ACTIONS)
def test_a_copy_that_is_told_the_changes_is_like_the_original(
    actions: list[tuple[str, int]],
) -> None:
    zoho = new_simulator()
    zoho.tune(token_seconds=10**9)
    transport = Transport(simulator=zoho, session=open_session(partial(SimulatorAdapter, zoho)))
    replica = Replica(transport.client())
    for step, (action, number) in enumerate(actions):
        if action == "advance":
            zoho.advance(number)
        elif action.startswith("read"):
            found = replica.update(number or 1000)
            times = [each.at for each in found]
            assert times == sorted(times)
        else:
            act(zoho, action, number, step)
    replica.update()

    original = {each.id: each["Last_Name"] for each in zoho.records["Contacts"].values()}
    assert replica.copy == original
    assert replica.update() == []
