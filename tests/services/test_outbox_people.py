"""Before a lead is created, people whom Zoho knows are looked for; a person decides about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import AbstractBaseUser

from tests.kept import forget_metadata
from tests.services.outbox import Push, records, run_until_nothing_is_due, statuses
from zoho_crm.exceptions import RequestRefusedError, StaleDecisionError
from zoho_crm.models import Connection, OutboxRecord
from zoho_crm.services import outbox
from zoho_crm.services.states import can_be_left_out, can_be_sent_again, describe_outbox_record
from zoho_crm.shortcuts import convert_lead
from zoho_crm.simulator import Simulator, schema

Status = OutboxRecord.Status

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.usefixtures("no_metadata_kept"),
]

EMAIL = "f@nordwind.example"
FROST = {"Last_Name": "Frost", "Company": "Nordwind", "Email": EMAIL, "Designation": "Buyer"}
#: What an organisation's own mapping of leads to contacts has instead of Zoho's.
OWN = {"Designation": None, "Industry": "Description", "Description": None}


@pytest.fixture
def contact(zoho: Simulator) -> str:
    """A contact with the address, by id."""
    return zoho.organisation.add("Contacts", {"Last_Name": "Frost", "Email": EMAIL}).id


@pytest.fixture
def converted(connection: Connection, zoho: Simulator, later: Callable[[float], None]) -> str:
    """A contact that was a lead with the address, by id; it has another address now."""
    lead = zoho.organisation.add("Leads", dict(FROST))
    conversion = convert_lead(lead.id, connection=connection, wake=False)
    run_until_nothing_is_due(connection, later)
    conversion.refresh_from_db()
    contact = zoho.organisation.records["Contacts"][conversion.contact_id]
    zoho.organisation.change(contact, {"Email": "other@nordwind.example"})
    return conversion.contact_id


def open_leads(zoho: Simulator) -> list[dict[str, Any]]:
    return [lead for lead in records(zoho, "Leads") if not lead.get("Converted__s")]


def held() -> OutboxRecord:
    return OutboxRecord.objects.needs_review().get()


@pytest.mark.parametrize("action", ["create", "upsert"])
@pytest.mark.parametrize("known", ["contact", "converted"])
def test_a_lead_of_a_known_person_is_held(
    push: Push,
    run: Any,
    zoho: Simulator,
    request: pytest.FixtureRequest,
    action: str,
    known: str,
) -> None:
    contact_id = request.getfixturevalue(known)
    push(action, "Leads", {**FROST, "Email": EMAIL.upper()})
    push(action, "Leads", {**FROST, "Email": "someone.else@nordwind.example"})

    run()

    assert statuses() == ["NEEDS_REVIEW", "SENT"]
    assert len(open_leads(zoho)) == 1
    row = held()
    assert (row.error_code, row.due_at) == ("known_person", None)
    assert outbox.known_contacts(row) == {contact_id: "Frost"}
    event = row.events.get()
    assert event.details == {
        "known": ["contact" if known == "contact" else "converted_lead"],
        "why": "known_person",
    }


def test_an_upsert_updates_the_open_lead_of_a_known_person(
    push: Push, run: Any, zoho: Simulator, contact: str
) -> None:
    lead = zoho.organisation.add("Leads", dict(FROST))
    push("upsert", "Leads", {**FROST, "Phone": "7"})

    run()

    assert statuses() == ["SENT"]
    assert lead["Phone"] == "7"


def test_a_second_open_lead_is_not_created(push: Push, run: Any, zoho: Simulator) -> None:
    zoho.organisation.add("Leads", dict(FROST))
    push("create", "Leads", FROST)

    run()

    assert (statuses(), len(open_leads(zoho))) == (["NEEDS_REVIEW"], 1)


def test_the_record_of_the_key_is_updated_without_a_search(
    push: Push, run: Any, zoho: Simulator
) -> None:
    push("upsert", "Leads", FROST, key="enquiry:1")
    run()
    zoho.organisation.add("Contacts", {"Last_Name": "Frost", "Email": EMAIL})

    push("upsert", "Leads", {**FROST, "Phone": "7"}, key="enquiry:1")
    run()

    assert statuses() == ["SENT", "SENT"]
    assert [lead["Phone"] for lead in open_leads(zoho)] == ["7"]


@pytest.mark.parametrize(
    ("action", "values"),
    [("tag", {"Tag": ["Fair"]}), ("note", {"Note_Content": "Hello"}), ("update", {"Phone": "7"})],
)
def test_while_a_person_is_looked_for_the_rest_of_the_key_waits(
    push: Push, run: Any, zoho: Simulator, action: str, values: dict[str, Any]
) -> None:
    zoho.fail("search", "delay", seconds=1.5)  # the tables are read again meanwhile
    push("upsert", "Leads", FROST, key="enquiry:1")
    push(action, "Leads", values, key="enquiry:1")
    push("upsert", "Contacts", {"Last_Name": "Frost"}, key="enquiry:1")

    run()

    assert statuses() == ["SENT"] * 3
    (lead,) = open_leads(zoho)
    assert {row.record_id for row in OutboxRecord.objects.filter(module="Leads")} == {lead["id"]}


def test_others_are_not_looked_for(push: Push, run: Any, zoho: Simulator, contact: str) -> None:
    push("upsert", "Contacts", {"Last_Name": "Frost", "Email": EMAIL, "Phone": "7"})
    push("create", "Leads", {**FROST, "Email": None})
    push("create", "Leads", FROST, when_known="create")

    run()

    assert statuses() == ["SENT"] * 3
    assert not [call for call in zoho.stats()["calls"] if call["path"].endswith("/search")]


@pytest.mark.parametrize("known", ["contact", "converted"])
def test_the_contact_is_updated_if_that_was_wanted(
    push: Push, run: Any, zoho: Simulator, request: pytest.FixtureRequest, known: str
) -> None:
    contact_id = request.getfixturevalue(known)
    before = len(records(zoho, "Leads"))
    wanted = {"key": "enquiry:1", "when_known": "update_contact"}
    push("upsert", "Leads", {**FROST, "Phone": "7"}, **wanted)
    run()
    push("upsert", "Leads", {"Phone": "8"}, **wanted)
    push("note", "Leads", {"Note_Content": "Wants a quote"}, key="enquiry:1")
    run()

    assert statuses() == ["SENT"] * 3
    assert len(records(zoho, "Leads")) == before
    found = zoho.organisation.records["Contacts"][contact_id]
    assert (found["Phone"], found["Title"], found["Email"]) == ("8", "Buyer", EMAIL)
    (note,) = zoho.organisation.notes.values()
    assert note["Parent_Id"]["id"] == contact_id
    assert set(OutboxRecord.objects.values_list("record_module", flat=True)) == {"Contacts"}


def test_several_contacts_are_for_a_person(
    push: Push, run: Any, zoho: Simulator, contact: str
) -> None:
    zoho.organisation.add("Contacts", {"Last_Name": "Frost jr.", "Email": EMAIL})
    push("upsert", "Leads", FROST, when_known="update_contact")

    run()

    assert len(outbox.known_contacts(held())) == 2


def test_later_pushes_wait_for_the_decision_and_go_with_it(
    push: Push, run: Any, zoho: Simulator, contact: str, olga: AbstractBaseUser
) -> None:
    push("upsert", "Leads", FROST, key="enquiry:1")
    run()
    push("update", "Leads", {"Phone": "8"}, key="enquiry:1")
    run()
    assert statuses() == ["NEEDS_REVIEW", "PENDING"]
    row = held()

    outbox.update_contact(record_id=row.pk, version=row.version, contact_id=contact, by=olga)
    run()

    assert statuses() == ["SENT", "SENT"]
    found = zoho.organisation.records["Contacts"][contact]
    assert (found["Phone"], found["Title"]) == ("8", "Buyer")
    assert row.events.get(version=row.version + 1).by == str(olga)
    assert open_leads(zoho) == []


def test_a_person_lets_the_lead_be_created(
    push: Push, run: Any, zoho: Simulator, contact: str, olga: AbstractBaseUser
) -> None:
    push("upsert", "Leads", FROST)
    run()
    row = held()

    outbox.create_anyway(record_id=row.pk, version=row.version, by=olga)
    run()

    assert (statuses(), len(open_leads(zoho))) == (["SENT"], 1)
    row.refresh_from_db()
    assert row.known_people is None


def test_sent_again_it_is_looked_for_again(
    push: Push, run: Any, zoho: Simulator, contact: str
) -> None:
    push("upsert", "Leads", FROST)
    run()
    row = held()
    outbox.send_again(record_id=row.pk, version=row.version)
    run()
    assert statuses() == ["NEEDS_REVIEW"]

    zoho.organisation.remove("Contacts", contact)
    outbox.send_again(record_id=row.pk, version=held().version)
    run()
    assert statuses() == ["SENT"]


def test_what_is_left_out_is_not_sent_and_frees_its_key(
    push: Push, run: Any, zoho: Simulator, contact: str, olga: AbstractBaseUser
) -> None:
    push("upsert", "Leads", FROST, key="enquiry:1")
    run()
    push("upsert", "Leads", {**FROST, "Email": "new@nordwind.example"}, key="enquiry:1")
    row = held()

    outbox.leave_out(record_id=row.pk, version=row.version, by=olga, note="knows us\0")
    run()

    assert statuses() == ["SKIPPED", "SENT"]
    assert [lead["Email"] for lead in open_leads(zoho)] == ["new@nordwind.example"]
    assert row.events.get(to_status="SKIPPED").details == {"note": "knows us\ufffd"}


def test_a_refused_one_is_sent_again_by_a_person(push: Push, run: Any, zoho: Simulator) -> None:
    zoho.organisation.unique["Contacts"] = ["Phone"]
    old = zoho.organisation.add("Contacts", {"Last_Name": "Old", "Phone": "7"})
    row = push("create", "Contacts", {"Last_Name": "B", "Phone": "7"})
    run()
    zoho.organisation.remove("Contacts", old.id)
    row.refresh_from_db()
    assert can_be_sent_again(row)

    outbox.send_again(record_id=row.pk, version=row.version)
    run()

    row.refresh_from_db()
    assert (row.status, row.error_code, can_be_sent_again(row)) == ("SENT", "", False)


def test_a_person_names_what_was_found(push: Push, run: Any, later: Any, zoho: Simulator) -> None:
    zoho.fail("insert", "close_after")
    push("create", "Contacts", {"Last_Name": "B"}, key="person:1")
    wait = run()
    later(wait + 0.01)
    run()
    row, (found,) = held(), records(zoho)

    with pytest.raises(RequestRefusedError):
        outbox.found_at_zoho(record_id=row.pk, version=row.version, zoho_id="x")
    outbox.found_at_zoho(record_id=row.pk, version=row.version, zoho_id=found["id"])
    push("update", "Contacts", {"Phone": "2"}, key="person:1")
    run()

    assert [each["Phone"] for each in records(zoho)] == ["2"]


@pytest.mark.parametrize(
    "decide",
    [
        outbox.send_again,
        outbox.create_anyway,
        outbox.leave_out,
        partial(outbox.found_at_zoho, zoho_id="1"),
    ],
)
def test_a_decision_about_what_has_changed_is_refused(
    push: Push, run: Any, contact: str, decide: Callable[..., Any]
) -> None:
    push("upsert", "Leads", FROST)
    run()
    row = held()
    outbox.leave_out(record_id=row.pk, version=row.version)

    with pytest.raises(StaleDecisionError):
        decide(record_id=row.pk, version=row.version)
    with pytest.raises(StaleDecisionError):
        decide(record_id=row.pk, version=row.version + 1)


def test_only_a_lead_that_is_held_is_created_anyway(push: Push, run: Any, zoho: Simulator) -> None:
    push("upsert", "Leads", {"Company": "Nordwind", "Email": EMAIL})
    run()
    row = OutboxRecord.objects.refused().get()

    with pytest.raises(StaleDecisionError):
        outbox.create_anyway(record_id=row.pk, version=row.version)

    row.refresh_from_db()
    assert (row.status, row.when_known) == ("REFUSED", "hold")


def test_a_contact_that_was_not_found_is_refused(push: Push, run: Any, contact: str) -> None:
    push("upsert", "Leads", FROST)
    run()
    row = held()

    with pytest.raises(RequestRefusedError):
        outbox.update_contact(record_id=row.pk, version=row.version, contact_id="1")


def test_leads_are_sent_however_long_the_searches_take_together(
    push: Push, run_to_the_end: Any, zoho: Simulator, settings: Any
) -> None:
    short = {"CALL_DEADLINE": 2, "SLICE": 2, "MAX_CONCURRENCY": 4}
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, **short}
    zoho.fail("search", "delay", seconds=0.25, times=None)
    for number in range(20):
        push("create", "Leads", {**FROST, "Email": f"p{number}@nordwind.example"})

    run_to_the_end()

    assert statuses() == ["SENT"] * 20


def test_a_search_that_fails_sends_nothing(
    push: Push, run: Any, later: Any, zoho: Simulator, contact: str
) -> None:
    zoho.fail("search", "error_before")
    push("upsert", "Leads", FROST)

    later(run() + 0.01)

    row = OutboxRecord.objects.get()
    assert (row.status, row.attempts, row.retry_count) == ("PENDING", 0, 1)
    run()
    assert statuses() == ["NEEDS_REVIEW"]


def test_each_status_is_described(push: Push, connection: Connection) -> None:
    for status in Status:
        row = push("upsert", "Leads", FROST)
        OutboxRecord.objects.filter(pk=row.pk).update(status=status, error_code="known_person")
        row.refresh_from_db()

        state = describe_outbox_record(row)

        assert state.sentences
        if status in ("NEEDS_REVIEW", "REFUSED"):
            assert "Zoho knows this person" in str(state.sentences[0])
            assert can_be_left_out(row)


@pytest.mark.parametrize("is_known", [True, False], ids=["own mapping", "standard mapping"])
def test_a_contact_gets_what_a_conversion_would_give_it(
    push: Push, run: Any, zoho: Simulator, contact: str, is_known: bool
) -> None:
    if not is_known:
        body = {"code": "NO_PERMISSION", "status": "error", "message": "no", "details": {}}
        zoho.fail("metadata", "error_before", times=9, status=403, body=body)
    # Zoho's standard mapping has no field of contacts for the opt-out, as ours for want of it has.
    values = {**FROST, "City": "Kiel", "Website": "nordwind.example", "Email_Opt_Out": True}
    push("upsert", "Leads", values, when_known="update_contact")

    run()

    assert statuses() == ["SENT"]
    found = zoho.organisation.records["Contacts"][contact]
    assert (found["Title"], found["Mailing_City"]) == ("Buyer", "Kiel")
    assert found["Email_Opt_Out"] is not is_known


def test_a_mapping_of_its_own_is_looked_up_when_a_person_decides_later(
    push: Push, run: Any, zoho: Simulator, contact: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads = schema.FIELDS["Leads"]
    own = [replace(each, contact=OWN.get(each.name, each.contact)) for each in leads]
    monkeypatch.setitem(schema.FIELDS, "Leads", tuple(own))
    push("upsert", "Leads", {**FROST, "Industry": "Shipping"})
    run()
    row = held()
    forget_metadata()

    outbox.update_contact(record_id=row.pk, version=row.version, contact_id=contact)
    run()

    assert statuses() == ["SENT"]
    found = zoho.organisation.records["Contacts"][contact]
    assert (found["Description"], found["Title"]) == ("Shipping", None)
