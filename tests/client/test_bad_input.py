"""Whatever is wrong with a record, its error names record, field and way out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.client.conftest import Transport
from tests.client.stores import checking
from tests.client.test_writes import calls_of, codes
from zoho_crm.client import WriteResult, ZohoClient
from zoho_crm.exceptions import (
    PermissionDeniedError,
    RequestRefusedError,
    WriteInterruptedError,
    ZohoError,
)

DEAL = {"Deal_Name": "Refit", "Stage": "Qualification", "Pipeline": "Standard (Standard)"}


def said(result: WriteResult) -> str:
    assert result.error is not None
    assert result.error.may_repeat is False
    return result.error.explanation


@pytest.mark.parametrize(
    "call",
    [
        lambda crm: crm.records("Contact").get("1"),
        lambda crm: list(crm.records("Contact").list(fields=["Email"])),
        lambda crm: list(crm.records("Contact").search(word="King")),
        lambda crm: crm.records("Contact").create([{"Last_Name": "King"}])[0].raise_for_error(),
        lambda crm: crm.records("Contact").update([{"id": "1"}])[0].raise_for_error(),
        lambda crm: crm.records("Contact").delete(["1"]),
        lambda crm: crm.metadata.fields("Contact"),
    ],
    ids=["get", "list", "search", "create", "update", "delete", "fields"],
)
def test_of_an_unknown_module_it_is_said_where_the_names_are(
    transport: Transport, call: Callable[[ZohoClient], object]
) -> None:
    crm, _store = checking(transport.client())

    with pytest.raises(RequestRefusedError) as caught:
        call(crm)

    assert caught.value.code in {"INVALID_MODULE", "INVALID_DATA"}
    assert "manage.py zoho_metadata" in caught.value.explanation


def test_an_unknown_field_is_named_by_zoho_if_nothing_was_checked(crm: ZohoClient) -> None:
    good, bad = crm.records("Contacts").create([{"Last_Name": "A"}, {"Lastname": "B"}])

    assert good.error is None
    assert said(bad).startswith(
        "record 2, field Lastname: the field api name given seems to be invalid. "
    )


def test_an_unknown_field_is_named_with_the_right_one_if_it_was_checked(
    transport: Transport,
) -> None:
    crm, _store = checking(transport.client())

    [result] = crm.records("Contacts").create([{"Lastname": "B"}])

    assert said(result) == ("record 1: Contacts has no field “Lastname”; did you mean “Last_Name”?")


def test_ids_of_another_module_are_found_nowhere(transport: Transport, crm: ZohoClient) -> None:
    zoho, contacts = transport.simulator, crm.records("Contacts")
    account, contact = zoho.add("Accounts", Account_Name="N"), zoho.add("Contacts", Last_Name="K")
    ids = [account.id, contact.id]

    assert contacts.get(account.id) is None
    assert contacts.get_many(ids, fields=["Last_Name"]).keys() == {contact.id}
    updates = contacts.update([{"id": each, "Phone": "1"} for each in ids])
    deletions = contacts.delete(ids)

    for refused, done in (updates, deletions):
        assert (refused.id, done.error) == (account.id, None)
        assert "was deleted, or the id is one of another module" in said(refused)
    assert account.id in zoho.records["Accounts"]


def test_a_record_that_was_deleted_meanwhile_is_said_to_be(
    transport: Transport, crm: ZohoClient
) -> None:
    zoho, contacts = transport.simulator, crm.records("Contacts")
    gone, here = (zoho.add("Contacts", Last_Name=name) for name in ("A", "B"))
    [*_both] = contacts.get_many([gone.id, here.id], fields=["Last_Name"])
    zoho.organisation.remove("Contacts", gone.id)

    first, second = contacts.update([{"id": each.id, "Phone": "1"} for each in (gone, here)])
    twice = contacts.delete([gone.id])

    assert said(first).startswith("record 1, field id: the id given seems to be invalid. ")
    assert "was deleted" in said(first)
    assert "was deleted" in said(twice[0])
    assert (second.error, here["Phone"]) == (None, "1")
    with pytest.raises(ZohoError):
        list(contacts.record(gone.id).notes())


def test_a_hundred_and_one_ids_are_two_calls(transport: Transport, crm: ZohoClient) -> None:
    zoho, contacts = transport.simulator, crm.records("Contacts")
    ids = [zoho.add("Contacts", Last_Name=str(number)).id for number in range(101)]

    assert sorted(contacts.get_many(ids, fields=["Last_Name"])) == sorted(ids)
    assert codes(contacts.update({"id": each, "Phone": "1"} for each in ids)) == [""] * 101
    assert codes(contacts.add_tags(ids, ["fair"])) == [""] * 101
    assert codes(contacts.delete(ids)) == [""] * 101
    assert [calls_of(zoho, method) for method in ("GET", "PUT", "DELETE")] == [2, 2, 2]


def test_after_a_generator_that_raises_the_rest_can_be_written(
    transport: Transport, crm: ZohoClient
) -> None:
    def rows(first: int) -> Iterator[dict[str, str]]:
        for number in range(first, 150):
            if number == 120 and first == 0:
                raise OSError("the file ends here")
            yield {"Last_Name": str(number)}

    contacts = crm.records("Contacts")
    with pytest.raises(WriteInterruptedError, match="results of this error") as caught:
        contacts.create(rows(0))
    contacts.create(rows(len(caught.value.results)))

    stored = transport.simulator.records["Contacts"].values()
    assert [each["Last_Name"] for each in stored] == [str(number) for number in range(150)]


def test_a_duplicate_is_named_with_the_record_that_has_the_value(
    transport: Transport, crm: ZohoClient
) -> None:
    zoho = transport.simulator
    zoho.organisation.unique["Contacts"] = ["Email"]
    known = zoho.add("Contacts", Last_Name="King", Email="ada@engine.example")
    values = {"Last_Name": "B", "Email": "ada@engine.example"}

    good, bad = crm.records("Contacts").create([{"Last_Name": "A"}, values])
    [written] = crm.records("Contacts").upsert([values])

    assert good.error is None
    assert said(bad) == (
        "record 2, field Email: duplicate data. "
        f"The record {known.id} of Contacts has this value: update that one, or use upsert."
    )
    assert (written.id, written.error) == (known.id, None)


def test_of_a_record_that_was_changed_or_is_locked_it_is_said_what_to_do(
    transport: Transport, crm: ZohoClient
) -> None:
    zoho, contacts = transport.simulator, crm.records("Contacts")
    changed, locked, waiting = (zoho.add("Contacts", Last_Name=name) for name in "ABC")
    seen = datetime.fromisoformat(changed["Modified_Time"]) - timedelta(seconds=1)
    locked["Locked__s"] = True
    waiting["$approval_state"] = "approval_process_pending"

    [stale] = contacts.update([{"id": changed.id, "Phone": "1"}], if_unmodified_since=seen)
    refused = contacts.update([{"id": each.id, "Phone": "1"} for each in (locked, waiting)])

    assert stale.id == changed.id
    assert "read it again" in said(stale)
    assert [each.id for each in refused] == [locked.id, waiting.id]
    assert "unlock it there, or wait" in said(refused[0])
    assert "waits for an approval" in said(refused[1])


@pytest.mark.parametrize(
    ("permission", "call"),
    [
        ("View", lambda contacts, id: contacts.get(id)),
        ("View", lambda contacts, id: list(contacts.list(fields=["Email"]))),
        ("Create", lambda contacts, id: contacts.create([{"Last_Name": "King"}])),
        ("Create", lambda contacts, id: contacts.upsert([{"Last_Name": "King"}])),
        ("Edit", lambda contacts, id: contacts.update([{"id": id, "Phone": "1"}])),
        ("Delete", lambda contacts, id: contacts.delete([id])),
    ],
    ids=["get", "list", "create", "upsert", "update", "delete"],
)
def test_a_missing_permission_is_named_to_who_can_give_it(
    transport: Transport, permission: str, call: Callable[[Any, str], object]
) -> None:
    zoho = transport.simulator
    contact = zoho.add("Contacts", Last_Name="King")
    zoho.organisation.denied.add(f"Crm_Implied_{permission}_Contacts")

    with pytest.raises(PermissionDeniedError) as caught:
        call(transport.client().records("Contacts"), contact.id)

    assert f"this permission: Crm_Implied_{permission}_Contacts." in caught.value.explanation
    assert [*zoho.records["Contacts"]] == [contact.id]


def test_a_stage_that_was_renamed_is_named_and_a_value_of_another_picklist_is_new(
    transport: Transport,
) -> None:
    crm, _store = checking(transport.client())
    crm.metadata.fields("Deals")
    stage = transport.simulator.organisation.pipelines[0]["maps"][0]
    stage["actual_value"] = stage["display_value"] = "Qualified"

    old, good = crm.records("Deals").create([DEAL, {**DEAL, "Stage": "Closed Won"}])
    [new_source] = crm.records("Leads").create([{"Last_Name": "A", "Lead_Source": "Renamed"}])

    assert good.error is new_source.error is None
    assert said(old).startswith("record 1, field Stage: ")
    assert "zoho_metadata --pipelines" in said(old)


def test_emoji_and_characters_of_four_bytes_come_back_as_they_were(
    transport: Transport,
) -> None:
    crm, _store = checking(transport.client())
    name = "Åsa 👩🏽‍💻 𝔘𠜎"

    [result] = crm.records("Contacts").create([{"Last_Name": name}])
    record = crm.records("Contacts").get(result.id)

    assert record is not None
    assert record["Last_Name"] == name


def test_a_time_without_zone_names_record_and_field(transport: Transport) -> None:
    crm, _store = checking(transport.client())

    good, bad = crm.records("Deals").create([DEAL, {**DEAL, "Kick_Off": datetime(2027, 1, 31)}])

    assert good.error is None
    assert said(bad) == "record 2: The time for Kick_Off has no time zone; use an aware datetime."


def test_of_a_batch_with_everything_wrong_the_good_ones_are_written(
    transport: Transport,
) -> None:
    crm, _store = checking(transport.client())
    zoho = transport.simulator
    zoho.organisation.unique["Contacts"] = ["Email"]
    zoho.add("Contacts", Last_Name="King", Email="ada@engine.example")
    good: dict[str, Any] = {"Last_Name": "Good"}
    batch: list[Any] = [
        good,
        {"Last_Name": "x", "Lastname": "y"},
        {"Last_Name": 5},
        {"First_Name": "x"},
        {**good, "Phone": "👩🏽‍💻" * 3},
        {**good, "Email": "ada@engine.example"},
        {**good, "Full_Name": "x"},
        None,
        {**good, "Owner": "Mara"},
        {**good, "Title": "\0"},
        good,
    ]

    results = crm.records("Contacts").create(batch)

    assert codes(results) == [
        *("", "unknown_field_near", "wrong_type", "missing_value", "", "DUPLICATE_DATA"),
        *("read_only_field", "no_record", "wrong_type", "unusable_text", ""),
    ]
    assert len(zoho.records["Contacts"]) == 1 + 3
    refused = [result.error for result in results if result.error]
    assert [error.details["index"] for error in refused] == [1, 2, 3, 5, 6, 7, 8, 9]
