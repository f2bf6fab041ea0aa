"""Pushed records are sent by the worker: merged, in order, in batches, and nothing is lost."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.db import connection as database
from django.db import transaction
from django.db.models import Q
from django.test.utils import CaptureQueriesContext

from tests.calls import calls
from tests.services.outbox import Push, records, statuses
from tests.signals import heard
from zoho_crm import tasks
from zoho_crm.exceptions import RequestRefusedError, TransientError
from zoho_crm.models import Connection, ConnectionWork, OutboxRecord, from_now
from zoho_crm.services import outbox
from zoho_crm.services.outbox import _lifecycle
from zoho_crm.services.outbox._deliveries import MAX_ROWS_OF_KEYS, delivery_of
from zoho_crm.services.signals import send_signals
from zoho_crm.services.work._context import WorkContext
from zoho_crm.services.work._outbox import claim
from zoho_crm.services.work._outbox_calls import send
from zoho_crm.shortcuts import client_for, push_record
from zoho_crm.signals import record_pushed, record_refused
from zoho_crm.simulator import Simulator

Status = OutboxRecord.Status

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def writes(zoho: Simulator) -> list[str]:
    """Return the calls that wrote contacts, with how often they were made."""
    return [
        f"{call['method']} {call['path']} {call['count']}"
        for call in zoho.stats()["calls"]
        if call["method"] != "GET" and "/Contacts" in call["path"]
    ]


def test_a_push_is_sent_and_its_record_known(push: Push, run: Any, zoho: Simulator) -> None:
    row = push("create", "Contacts", {"Last_Name": "Frost", "Email": "f@nordwind.example"})
    before = calls(zoho)

    run()

    assert calls(zoho) == before + 2  # one reads the fields, by which it is checked

    row.refresh_from_db()
    (contact,) = records(zoho)
    assert (row.status, row.record_id, row.record_module) == (
        Status.SENT,
        contact["id"],
        "Contacts",
    )
    assert contact["Last_Name"] == "Frost"
    assert [event.to_status for event in row.events.order_by("version")] == ["RUNNING", "SENT"]


def test_a_push_is_one_insert(push: Push, connection: Connection) -> None:
    with CaptureQueriesContext(database) as queries:
        push_record("create", "Contacts", {"Last_Name": "A"}, connection=connection, wake=False)

    assert [query["sql"].split()[0] for query in queries] == ["INSERT"]


def test_a_push_is_due_now(push: Push) -> None:
    row = push("create", "Contacts", {"Last_Name": "Frost"})

    assert row.due_at is not None
    assert OutboxRecord.objects.due().get() == row


def test_a_rollback_takes_a_push_back(push: Push, run: Any, zoho: Simulator) -> None:
    with transaction.atomic():
        push("create", "Contacts", {"Last_Name": "Frost"})
        transaction.set_rollback(True)

    run()

    assert not OutboxRecord.objects.exists()
    assert records(zoho) == []


def test_values_get_the_form_of_zoho(push: Push, run: Any, zoho: Simulator) -> None:
    account = zoho.organisation.add("Accounts", {"Account_Name": "Nordwind"})
    push(
        "create",
        "Deals",
        {
            "Deal_Name": "Fair",
            "Stage": "Qualification",
            "Pipeline": zoho.organisation.pipelines[0]["actual_value"],
            "Closing_Date": date(2027, 3, 1),
            "Amount": Decimal("12345678901.25"),
            "Account_Name": {"id": account.id},
            "Description": datetime(2027, 3, 1, 12, tzinfo=UTC),
        },
    )

    run()

    (deal,) = zoho.organisation.records["Deals"].values()
    assert deal["Closing_Date"] == "2027-03-01"
    assert str(deal["Amount"]) == "12345678901.25"
    assert deal["Description"] == "2027-03-01T12:00:00+00:00"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"Last_Name": "A\0"}, "unusable_text"),
        ({"Last_Name": "\ud800"}, "unusable_text"),
        ({"Last_Name": {1, 2}}, "unusable_type"),
        ({"Last_Name": float("nan")}, "unusable_number"),
        ({"Last_Name": datetime(2027, 1, 1)}, "unusable_zone"),  # noqa: DTZ001
    ],
)
def test_a_value_that_cannot_be_sent_is_refused_with_its_field(
    push: Push, values: dict[str, Any], code: str
) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        push("create", "Contacts", values)

    assert (caught.value.code, caught.value.field) == (code, "Last_Name")
    assert not OutboxRecord.objects.exists()


@pytest.mark.parametrize(
    ("action", "values", "code"),
    [
        ("update", {"Last_Name": "A"}, "no_record_named"),
        ("delete", {}, "no_record_named"),
        ("tag", {"Tag": ["A"]}, "no_record_named"),
        ("update", {"id": "x", "Last_Name": "A"}, "bad_record_id"),
        ("create", {}, "nothing_pushed"),
        ("update", {"id": "1"}, "nothing_pushed"),
        ("create", {"id": "1", "Last_Name": "A"}, "field_not_pushed"),
        ("delete", {"id": "1", "Last_Name": "A"}, "field_not_pushed"),
        ("tag", {"id": "1"}, "unusable_type"),
        ("tag", {"id": "1", "Tag": "A"}, "unusable_type"),
        ("note", {"id": "1"}, "unusable_type"),
        ("untag", {"Tag": ["A"]}, "no_record_named"),
        ("untag", {"id": "1", "Tag": []}, "unusable_type"),
        ("link", {"attachmentUrl": "https://nordwind.example"}, "no_record_named"),
        ("link", {"id": "1", "title": "Offer"}, "unusable_type"),
        ("link", {"id": "1", "attachmentUrl": "https://x.example", "Tag": []}, "field_not_pushed"),
    ],
)
def test_values_have_to_fit_the_action(
    push: Push, action: str, values: dict[str, Any], code: str
) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        push(action, "Contacts", values)

    assert caught.value.code == code


@pytest.mark.parametrize("given", [{"action": "merge"}, {"when_known": "ask"}, {"key": "k" * 201}])
def test_a_programming_error_is_a_value_error(push: Push, given: dict[str, str]) -> None:
    arguments: dict[str, Any] = {"action": "create", "module": "Contacts", **given}

    with pytest.raises(ValueError, match="merge|ask|longer"):
        push(values={"Last_Name": "A"}, **arguments)


# Merging and order


def test_waiting_pushes_of_a_key_go_out_once_merged(push: Push, run: Any, zoho: Simulator) -> None:
    push("create", "Contacts", {"Last_Name": "Frost", "Phone": "1"}, key="person:1")
    push("update", "Contacts", {"Phone": "2"}, key="person:1")
    push("update", "Contacts", {"Mailing_City": "Kiel", "Phone": "3"}, key="person:1")

    run()

    (contact,) = records(zoho)
    assert (contact["Last_Name"], contact["Phone"]) == ("Frost", "3")
    assert statuses() == ["SENT"] * 3
    assert set(OutboxRecord.objects.values_list("record_id", flat=True)) == {contact["id"]}
    assert writes(zoho) == ["POST /crm/v8/Contacts 1"]


def test_of_very_many_pushes_of_a_key_the_oldest_go_first(
    push: Push, connection: Connection, run_to_the_end: Any, zoho: Simulator
) -> None:
    columns = {"action": "upsert", "module": "Contacts", "due_at": from_now(-1)}
    OutboxRecord.objects.bulk_create(
        OutboxRecord(
            connection=connection, key=f"k{i % 2}", values={"Last_Name": str(i)}, **columns
        )
        for i in range(MAX_ROWS_OF_KEYS + 6)
    )

    run_to_the_end()

    assert set(statuses()) == {"SENT"}
    assert [each["Last_Name"] for each in records(zoho)] == ["2004", "2005"]
    assert writes(zoho) == ["POST /crm/v8/Contacts/upsert 1", "PUT /crm/v8/Contacts 1"]


def test_a_later_push_of_the_key_updates_its_record(push: Push, run: Any, zoho: Simulator) -> None:
    upsert = partial(push, "upsert", "Contacts", key="person:1")
    upsert({"Last_Name": "Frost", "Email": "old@nordwind.example"})
    run()

    upsert({"Last_Name": "Frost", "Email": "new@nordwind.example"})
    run()

    (contact,) = records(zoho)
    assert contact["Email"] == "new@nordwind.example"


def test_actions_of_a_key_are_in_order(push: Push, run: Any, zoho: Simulator) -> None:
    about = {"module": "Contacts", "key": "person:1"}
    push("tag", values={"Tag": ["Fair"]}, **about)
    push("upsert", values={"Last_Name": "Frost"}, **about)
    push("tag", values={"Tag": ["Fair"]}, **about)
    push("tag", values={"Tag": ["Kiel"]}, **about)
    push("note", values={"Note_Content": "Wants a quote"}, **about)
    push("update", values={"Phone": "1"}, **about)
    push("delete", values={}, **about)
    push("upsert", values={"Last_Name": "Frost again"}, **about)

    for _slice in range(3):
        run()

    # There was no record yet for the first one.
    assert statuses() == ["REFUSED", *["SENT"] * 7]
    (contact,) = records(zoho)
    assert contact["Last_Name"] == "Frost again"
    (deletion,) = zoho.organisation.deletions["Contacts"]
    assert [tag["name"] for tag in deletion.record["Tag"]] == ["Fair", "Kiel"]
    assert deletion.record["Phone"] == "1"
    (note,) = zoho.organisation.notes.values()
    assert OutboxRecord.objects.get(action="note").added_id == note.id


def test_tags_are_removed_and_links_attached_in_their_order(
    push: Push, run: Any, zoho: Simulator
) -> None:
    about = {"module": "Contacts", "key": "person:1"}
    url = "https://files.example/offer.pdf"
    push("upsert", values={"Last_Name": "Frost"}, **about)
    push("tag", values={"Tag": ["Fair", "Kiel", "Bonn"]}, **about)
    push("untag", values={"Tag": ["Fair"]}, **about)
    push("untag", values={"Tag": ["Bonn", "Nowhere"]}, **about)
    push("link", values={"attachmentUrl": url, "title": "Offer"}, **about)
    push("tag", values={"Tag": ["Bonn"]}, **about)

    for _slice in range(3):
        run()

    assert statuses() == ["SENT"] * 6
    (contact,) = records(zoho)
    assert [tag["name"] for tag in contact["Tag"]] == ["Kiel", "Bonn"]
    (link,) = zoho.organisation.attachments[contact["id"]]
    assert (link, link.values["$link_url"]) == ("Offer", url)
    row = OutboxRecord.objects.get(action="link")
    assert (row.added_id, row.record_id) == (link.values.id, contact["id"])
    removals = [call for call in zoho.stats()["calls"] if call["path"].endswith("remove_tags")]
    assert [call["count"] for call in removals] == [1]


def test_a_link_that_zoho_refuses_holds_nothing_up(push: Push, run: Any, zoho: Simulator) -> None:
    contact = zoho.organisation.add("Contacts", {"Last_Name": "Frost"})
    push("link", "Contacts", {"id": contact.id, "attachmentUrl": "no address"})
    push("link", "Contacts", {"id": contact.id, "attachmentUrl": "https://nordwind.example"})
    push("link", "Contacts", {"id": "7", "attachmentUrl": "https://nordwind.example"})

    run()

    assert statuses() == ["REFUSED", "SENT", "REFUSED"]
    codes = OutboxRecord.objects.order_by("pk").values_list("error_code", flat=True)
    assert list(codes) == ["INVALID_URL_PATTERN", "", "INVALID_DATA"]


def test_another_push_waits_while_one_is_in_flight(push: Push, run: Any, zoho: Simulator) -> None:
    push("create", "Contacts", {"Last_Name": "Frost", "Phone": "1"}, key="person:1")
    seen: list[str] = []

    def push_meanwhile(_seconds: float) -> None:
        push("update", "Contacts", {"Phone": "2"}, key="person:1")
        push("update", "Contacts", {"Phone": "3"}, key="person:1")
        seen.extend(statuses())
        database.close()

    zoho.fail("insert", "delay", seconds=0.1)
    zoho.engine.sleep = push_meanwhile

    run()

    assert seen == ["RUNNING", "PENDING", "PENDING"]
    (contact,) = records(zoho)
    assert contact["Phone"] == "3"
    assert statuses() == ["SENT"] * 3
    assert writes(zoho) == ["POST /crm/v8/Contacts 1", "PUT /crm/v8/Contacts 1"]


# Batches


def test_different_keys_go_together_up_to_a_hundred(push: Push, run: Any, zoho: Simulator) -> None:
    for number in range(130):
        push("create", "Contacts", {"Last_Name": f"N{number}"}, key=f"person:{number}")

    run()

    assert sorted(each["Last_Name"] for each in records(zoho)) == sorted(
        f"N{number}" for number in range(130)
    )
    assert writes(zoho) == ["POST /crm/v8/Contacts 2"]


def test_a_refused_one_does_not_hold_up_the_others(push: Push, run: Any, zoho: Simulator) -> None:
    zoho.organisation.unique["Contacts"] = ["Phone"]
    zoho.organisation.add("Contacts", {"Last_Name": "Old", "Phone": "7"})
    push("create", "Contacts", {"Last_Name": "A"})
    bad = push("create", "Contacts", {"Last_Name": "B", "Phone": "7"})
    push("create", "Contacts", {"Last_Name": "C"})

    run()

    assert statuses() == ["SENT", "REFUSED", "SENT"]
    bad.refresh_from_db()
    assert bad.error_code == "DUPLICATE_DATA"
    assert bad.error_details[0]["api_name"] == "Phone"
    assert bad.due_at is None


def test_a_later_push_of_the_key_takes_a_refused_one_along(
    push: Push, run: Any, zoho: Simulator
) -> None:
    push("create", "Contacts", {"Mailing_City": "Kiel", "Last_Name": "x" * 300}, key="person:1")
    run()
    assert statuses() == ["REFUSED"]

    push("upsert", "Contacts", {"Last_Name": "Frost"}, key="person:1")
    run()

    (contact,) = records(zoho)
    assert contact["Last_Name"] == "Frost"
    assert statuses() == ["SENT", "SENT"]


def test_what_waits_for_a_refused_record_follows_the_push_that_corrects_it(
    push: Push, run: Any, zoho: Simulator
) -> None:
    push("create", "Contacts", {"Last_Name": "x" * 300}, key="person:1")
    push("tag", "Contacts", {"Tag": ["Fair"]}, key="person:1")
    run()
    push("note", "Contacts", {"Note_Content": "Wants a quote"}, key="person:1")
    run()
    assert statuses() == ["REFUSED", "PENDING", "PENDING"]

    push("update", "Contacts", {"Last_Name": "Frost"}, key="person:1")
    run()

    (contact,) = records(zoho)
    assert statuses() == ["SENT"] * 4
    assert [tag["name"] for tag in contact["Tag"]] == ["Fair"]
    assert len(zoho.organisation.notes) == 1


def test_what_is_refused_as_a_whole_is_sent_one_by_one(
    push: Push, run: Any, zoho: Simulator
) -> None:
    for number in range(3):
        push("create", "Contacts", {"Last_Name": f"N{number}"})
    refusal = {"code": "INVALID_DATA", "status": "error", "message": "no", "details": {}}
    zoho.fail("insert", "error_before", status=400, body=refusal)

    run()

    assert statuses() == ["SENT"] * 3
    assert sum(call["count"] for call in zoho.stats()["calls"] if call["method"] == "POST") >= 4


def test_a_module_that_does_not_exist_costs_only_its_own_push(
    push: Push, run: Any, zoho: Simulator
) -> None:
    push("create", "Nonsense", {"Last_Name": "A"})
    push("create", "Contacts", {"Last_Name": "B"})

    run()

    assert statuses() == ["REFUSED", "SENT"]


def test_a_missing_permission_refuses_the_push_and_stops_nothing_else(
    push: Push, run: Any, zoho: Simulator, connection: Connection
) -> None:
    refusal = {"code": "NO_PERMISSION", "status": "error", "message": "no", "details": {}}
    zoho.fail("upsert", "error_before", status=403, body=refusal)
    push("upsert", "Contacts", {"Last_Name": "A"})
    push("create", "Contacts", {"Last_Name": "B"})

    run()

    assert statuses() == ["REFUSED", "SENT"]
    connection.work.refresh_from_db()
    assert connection.work.backoff_until is None


def test_a_call_that_was_not_processed_is_made_again(
    push: Push, run: Any, run_to_the_end: Any, zoho: Simulator
) -> None:
    zoho.fail("insert", "throttle")
    row = push("create", "Contacts", {"Last_Name": "A"})

    wait = run()

    row.refresh_from_db()
    assert (row.status, row.attempts) == (Status.PENDING, 0)
    assert wait is not None
    assert wait <= 2

    run_to_the_end()

    assert len(records(zoho)) == 1
    assert statuses() == ["SENT"]


@pytest.mark.parametrize("action", ["create", "upsert", "note"])
def test_nothing_is_sent_when_it_is_too_late_for_the_lease(
    push: Push, connection: Connection, zoho: Simulator, action: str
) -> None:
    values = {"Last_Name": "A"} if action != "note" else {"id": "7", "Note_Content": "A"}
    delivery = delivery_of([push(action, "Contacts", values)])
    before = calls(zoho)

    with pytest.raises(TransientError, match="too late"):
        send(client_for(connection), deliveries=[delivery], latest=time.monotonic() - 0.1)

    assert calls(zoho) == before


def test_only_what_was_claimed_as_a_whole_is_sent(
    push: Push, connection: Connection, zoho: Simulator
) -> None:
    first, second = (
        push("upsert", "Contacts", {"Last_Name": name}, key="person:1") for name in "AB"
    )
    other = push("upsert", "Contacts", {"Last_Name": "C"})
    deliveries = [delivery_of([first, second]), delivery_of([other])]
    claims = [
        _lifecycle.claimed(row, record=each.record, sent="")
        for each in deliveries
        for row in each.rows
    ]
    outbox.leave_out(record_id=second.pk, version=0)

    claimed = claim(deliveries, claims, only_if=Q(connection=connection))

    assert claimed == [deliveries[1]]
    assert statuses() == ["PENDING", "SKIPPED", "RUNNING"]
    first.refresh_from_db()
    assert (first.attempts, first.is_at_rest) == (0, False)


def test_nothing_is_claimed_without_the_lease(
    push: Push, connection: Connection, zoho: Simulator
) -> None:
    lease = ConnectionWork.acquire(connection.pk, owner="first", seconds=10)
    assert lease is not None
    lease_is_held = WorkContext(lease).lease_is_held
    delivery = delivery_of([push("create", "Contacts", {"Last_Name": "A"})])
    claims = [_lifecycle.claimed(row, record=("Contacts", ""), sent="") for row in delivery.rows]
    ConnectionWork.objects.update(lease_until=from_now(1))  # less than a call may take

    assert claim([delivery], claims, only_if=lease_is_held) == []
    assert statuses() == ["PENDING"]
    ConnectionWork.objects.update(lease_until=from_now(10))
    assert claim([delivery], claims, only_if=lease_is_held) == [delivery]


# What the host project hears


def test_the_host_project_is_told_what_became_of_each_push(
    push: Push, run: Any, zoho: Simulator
) -> None:
    push("create", "Contacts", {"Last_Name": "Frost"}, key="person:1")
    push("update", "Contacts", {"Phone": "1"}, key="person:1")
    push("create", "Contacts", {"Phone": "2"}, key="person:2")
    run()

    with heard(record_pushed, "record") as pushed, heard(record_refused, "record") as refused:
        assert send_signals() == 3
        assert send_signals() == 0
        push("update", "Contacts", {"Phone": "3"}, key="person:2")
        run()
        assert send_signals() == 1
        push("update", "Contacts", {"Last_Name": "Winter"}, key="person:2")
        run()
        assert send_signals() == 3

    assert [row.key for row in pushed] == [*["person:1"] * 2, *["person:2"] * 3]
    assert [row.error_code for row in refused] == ["missing_value"] * 2


def test_a_worker_is_woken_on_commit(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(tasks.broker, "send", lambda *given, **options: sent.append(options))

    with transaction.atomic():
        push_record("create", "Contacts", {"Last_Name": "Frost"})
        assert sent == []

    assert [each["kwargs"] for each in sent] == [{"connection_id": connection.pk}]


# Our own errors


@pytest.mark.parametrize("status", ["PENDING", "UNKNOWN"])
def test_a_row_of_an_odd_form_costs_only_itself(
    push: Push, run: Any, zoho: Simulator, status: str
) -> None:
    _good, bad, _other = (push("create", "Contacts", {"Last_Name": name}) for name in "ABC")
    odd = {"Last_Name": {"decimal": "x"}}
    OutboxRecord.objects.filter(pk=bad.pk).update(values=odd, status=status)

    run()

    assert statuses() == ["SENT", "NEEDS_REVIEW", "SENT"]
    bad.refresh_from_db()
    assert bad.error_code == "INTERNAL"


def test_an_error_of_ours_in_a_call_costs_only_its_own_record(
    push: Push, run: Any, zoho: Simulator
) -> None:
    contact = zoho.organisation.add("Contacts", {"Last_Name": "Frost"})
    bad = push("note", "Contacts", {"id": contact.id, "Note_Content": "A"})
    push("create", "Contacts", {"Last_Name": "B"})
    # A note that is looked for, but says a number.
    OutboxRecord.objects.filter(pk=bad.pk).update(
        values={"id": contact.id, "Note_Content": 5}, status=Status.UNKNOWN, record_id=contact.id
    )

    run()

    assert statuses() == ["NEEDS_REVIEW", "SENT"]
