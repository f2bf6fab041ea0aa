"""What belongs to a record: its notes and related lists; over both transports."""

from __future__ import annotations

import pytest

from tests.client.canned import Canned, client_of
from tests.client.conftest import Transport
from zoho_crm.client import ZohoClient
from zoho_crm.exceptions import RequestRefusedError, UnknownOutcomeError
from zoho_crm.types import FieldChange, Note, Reference, TimelineEvent


def test_notes_are_added_and_read(transport: Transport, crm: ZohoClient) -> None:
    contact = transport.simulator.add("Contacts", Last_Name="King")
    around = crm.records("Contacts").record(contact.id)

    first = around.add_note("Wants a quote 🏛", title="Call")
    second = around.add_note("Sent it")

    notes = {note.id: note for note in around.notes()}
    assert notes.keys() == {first, second}
    assert (notes[first].title, notes[first].content) == ("Call", "Wants a quote 🏛")
    assert (notes[second].title, notes[second].content) == ("", "Sent it")
    assert notes[first].author
    assert notes[first].author.name == "Mara Lind"
    assert notes[first].created_at
    assert notes[first].created_at.utcoffset() is not None


def test_notes_are_read_page_by_page(in_process: Transport) -> None:
    contact = in_process.simulator.add("Contacts", Last_Name="King")
    around = in_process.client().records("Contacts").record(contact.id)
    for number in range(250):
        around.add_note(f"No. {number}")

    assert {note.content for note in around.notes()} == {f"No. {n}" for n in range(250)}


def test_a_record_without_notes_has_none(transport: Transport, crm: ZohoClient) -> None:
    contact = transport.simulator.add("Contacts", Last_Name="King")

    assert list(crm.records("Contacts").record(contact.id).notes()) == []


def test_a_note_without_text_or_record_is_refused(transport: Transport, crm: ZohoClient) -> None:
    contact = transport.simulator.add("Contacts", Last_Name="King")

    for around, content in (
        (crm.records("Contacts").record(contact.id), ""),
        (crm.records("Contacts").record("404"), "text"),
    ):
        with pytest.raises(RequestRefusedError):
            around.add_note(content)


def test_a_note_whose_answer_was_lost_is_in_doubt(transport: Transport) -> None:
    contact = transport.simulator.add("Contacts", Last_Name="King")
    around = transport.client().records("Contacts").record(contact.id)
    transport.simulator.fail("any", "close_after")

    with pytest.raises(UnknownOutcomeError) as caught:
        around.add_note("text")

    assert caught.value.may_repeat is False
    assert [note.content for note in around.notes()] == ["text"]


def test_notes_of_other_forms_are_read() -> None:
    body = b'{"data": [{"id": "1", "Owner": {"id": "7", "name": 5}, "Created_Time": "soon"}]}'

    [note] = client_of(Canned(200, body)).records("Leads").record("1").notes()

    assert note == Note(id="1", author=Reference(id="7"))


def test_related_records_are_read(transport: Transport, crm: ZohoClient) -> None:
    zoho = transport.simulator
    account = zoho.add("Accounts", Account_Name="Engine Ltd")
    ids = {
        zoho.add("Contacts", Last_Name=f"No. {n}", Account_Name=account.lookup()).id
        for n in range(3)
    }
    zoho.add("Contacts", Last_Name="Other")
    around = crm.records("Accounts").record(account.id)

    found = list(around.related("Contacts", fields=["Last_Name"]))

    assert {record.id for record in found} == ids
    assert all(record.keys() == {"id", "Last_Name"} for record in found)
    assert list(around.related("Deals", fields=["Deal_Name"])) == []


def test_many_related_records_are_read_page_by_page(in_process: Transport) -> None:
    zoho = in_process.simulator
    account = zoho.add("Accounts", Account_Name="Engine Ltd")
    for number in range(450):
        zoho.add("Contacts", Last_Name=f"No. {number}", Account_Name=account.lookup())

    around = in_process.client().records("Accounts").record(account.id)

    found = list(around.related("Contacts", fields=["Last_Name"]))
    assert len({record.id for record in found}) == len(found) == 450


def test_a_related_list_that_does_not_exist_is_refused(
    transport: Transport, crm: ZohoClient
) -> None:
    account = transport.simulator.add("Accounts", Account_Name="Engine Ltd")
    around = crm.records("Accounts").record(account.id)

    with pytest.raises(RequestRefusedError):
        list(around.related("Unicorns", fields=["Name"]))
    with pytest.raises(RequestRefusedError) as caught:
        around.related("../org", fields=["Name"])

    assert caught.value.code == "bad_module_name"


def test_what_cannot_be_an_id_has_nothing_around_it(crm: ZohoClient) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        crm.records("Accounts").record("1/../2")

    assert caught.value.code == "bad_record_id"


def test_the_timeline_says_what_changed_and_by_whom(transport: Transport, crm: ZohoClient) -> None:
    contacts = crm.records("Contacts")
    [created] = contacts.create([{"Last_Name": "King", "Phone": "1"}])
    contacts.update([{"id": created.id, "Phone": "2"}])

    events = {event.action: event for event in contacts.record(created.id).timeline()}

    updated = events["updated"]
    assert {"added", "updated"} <= events.keys()
    assert updated.source == "crm_api"
    assert updated.by
    assert updated.by.name == "Mara Lind"
    assert updated.at
    assert FieldChange(field="Phone", old="1", new="2") in updated.changes


def test_a_long_timeline_is_read_page_by_page(in_process: Transport) -> None:
    contacts = in_process.client().records("Contacts")
    [created] = contacts.create([{"Last_Name": "King"}])
    for number in range(230):
        contacts.update([{"id": created.id, "Phone": str(number)}])

    events = list(contacts.record(created.id).timeline())

    assert len({event.id for event in events}) == len(events) == 231


def test_a_timeline_without_people_or_changes_is_read() -> None:
    body = (
        b'{"__timeline": [{"id": "1", "action": "added", "done_by": null, "field_history": null,'
        b' "audited_time": "2027-02-01T09:00:00"}], "info": {}}'
    )

    [event] = client_of(Canned(200, body)).records("Leads").record("1").timeline()

    assert event == TimelineEvent(id="1", action="added")
