"""Pushed records whose answer was lost: none is lost, and none is created twice."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import pytest
from django.db.models import F

from tests.services.outbox import Push, links_of, records, statuses
from zoho_crm.models import OutboxRecord, from_now
from zoho_crm.simulator import Simulator

Status = OutboxRecord.Status

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

#: Faults after which no answer comes: the call was processed, was not, and will be in a second.
LOST = ["close_after", "close_before", "late"]
UNIQUE = {"unique_field": "Email"}
URL = "https://files.example/offer?a=1&b=ä"
FROST = {"Last_Name": "Frost", "Email": "f@nordwind.example"}


@pytest.fixture
def contact(zoho: Simulator) -> str:
    """A contact that is there, by id."""
    return zoho.organisation.add("Contacts", dict(FROST)).id


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("action", ["create", "upsert"])
def test_a_record_is_created_once(
    push: Push, run: Any, run_to_the_end: Any, zoho: Simulator, fault: str, action: str
) -> None:
    zoho.fail("insert" if action == "create" else "upsert", fault)
    row = push(action, "Contacts", FROST, **UNIQUE)

    run()
    row.refresh_from_db()
    assert (row.status, row.in_doubt) == (Status.UNKNOWN, True)
    run_to_the_end()

    (contact,) = records(zoho)
    row.refresh_from_db()
    assert (row.status, row.record_id, row.in_doubt) == (Status.SENT, contact["id"], False)


@pytest.mark.parametrize("fault", LOST)
def test_an_upsert_of_a_record_that_was_there_is_written(
    push: Push, run_to_the_end: Any, zoho: Simulator, contact: str, fault: str
) -> None:
    zoho.fail("upsert", fault)
    push("upsert", "Contacts", {**FROST, "Phone": "2"})

    run_to_the_end()

    (found,) = records(zoho)
    assert (found["id"], found["Phone"]) == (contact, "2")
    assert statuses() == ["SENT"]


@pytest.mark.parametrize("fault", LOST)
def test_an_update_is_made_again_with_what_was_pushed_meanwhile(
    push: Push, run: Any, run_to_the_end: Any, zoho: Simulator, contact: str, fault: str
) -> None:
    zoho.fail("update", fault)
    push(
        "update", "Contacts", {"id": contact, "Phone": "1", "Mailing_City": "Kiel"}, key="person:1"
    )
    run()
    push("update", "Contacts", {"Phone": "2"}, key="person:1")
    run()
    assert statuses() == ["UNKNOWN", "PENDING"]

    run_to_the_end()

    (found,) = records(zoho)
    assert found["Phone"] == "2"
    assert statuses() == ["SENT", "SENT"]


@pytest.mark.parametrize("fault", LOST)
def test_tags_are_added_again(
    push: Push, run_to_the_end: Any, zoho: Simulator, contact: str, fault: str
) -> None:
    zoho.fail("tags", fault)
    push("tag", "Contacts", {"id": contact, "Tag": ["Fair"]})

    run_to_the_end()

    (found,) = records(zoho)
    assert [tag["name"] for tag in found["Tag"]] == ["Fair"]
    assert statuses() == ["SENT"]


@pytest.mark.parametrize("fault", LOST)
def test_tags_are_removed_again(
    push: Push, run_to_the_end: Any, zoho: Simulator, contact: str, fault: str
) -> None:
    push("tag", "Contacts", {"id": contact, "Tag": ["Fair", "Kiel"]})
    run_to_the_end()
    zoho.fail("tags", fault)
    push("untag", "Contacts", {"id": contact, "Tag": ["Fair"]})

    run_to_the_end()

    (found,) = records(zoho)
    assert [tag["name"] for tag in found["Tag"]] == ["Kiel"]
    assert statuses() == ["SENT", "SENT"]


@pytest.mark.parametrize("fault", LOST)
def test_a_link_is_attached_once(
    push: Push, run_to_the_end: Any, zoho: Simulator, contact: str, fault: str
) -> None:
    for title in ("Offer", "Contract"):
        push("link", "Contacts", {"id": contact, "attachmentUrl": URL, "title": title})
    run_to_the_end()
    zoho.fail("upload", fault)
    push("link", "Contacts", {"id": contact, "attachmentUrl": URL, "title": "Offer"})

    run_to_the_end()

    # Both were pushed: that the first one is the same proves nothing of the other.
    assert sorted(zoho.organisation.attachments[contact]) == ["Contract", "Offer", "Offer"]
    assert links_of(zoho, contact) == [URL] * 3
    assert statuses() == ["SENT"] * 3
    assert OutboxRecord.objects.values("added_id").distinct().count() == 3


@pytest.mark.parametrize("fault", LOST)
def test_a_deletion_is_made_again(
    push: Push, run_to_the_end: Any, zoho: Simulator, contact: str, fault: str
) -> None:
    zoho.fail("delete", fault)
    push("delete", "Contacts", {"id": contact})

    run_to_the_end()

    assert records(zoho) == []
    assert statuses() == ["SENT"]


@pytest.mark.parametrize("fault", LOST)
def test_a_note_is_added_once(
    push: Push, run_to_the_end: Any, zoho: Simulator, contact: str, fault: str
) -> None:
    note = {"id": contact, "Note_Title": "Fair", "Note_Content": "Wants a quote"}
    push("note", "Contacts", note)
    run_to_the_end()
    zoho.fail("note_write", fault)
    push("note", "Contacts", note)

    run_to_the_end()

    # Both were pushed: that the first one says the same proves nothing of the second.
    assert len(zoho.organisation.notes) == 2
    assert statuses() == ["SENT", "SENT"]
    assert OutboxRecord.objects.values("added_id").distinct().count() == 2


class Adding(NamedTuple):
    """What adds something to a record, and the kind of its call."""

    action: str
    values: dict[str, str]
    call: str


@pytest.fixture(
    params=[
        Adding("link", {"attachmentUrl": URL}, "upload"),
        Adding("note", {"Note_Content": "Wants a quote"}, "note_write"),
    ],
    ids=lambda adding: adding.action,
)
def adding(request: Any) -> Adding:
    return request.param


@pytest.fixture
def add(push: Push, contact: str, adding: Adding) -> Push:
    """Push what adds something to the contact."""
    return partial(push, adding.action, "Contacts", {"id": contact, **adding.values})


def added_to(zoho: Simulator, contact: str) -> int:
    """Return how many notes and links a contact has, which is the only one with notes."""
    return len(links_of(zoho, contact)) + len(zoho.organisation.notes)


def test_what_an_equal_push_adds_meanwhile_proves_nothing(
    add: Push,
    adding: Adding,
    run: Any,
    run_to_the_end: Any,
    zoho: Simulator,
    contact: str,
) -> None:
    run()
    zoho.fail(adding.call, "close_before")
    first = add(key="a")
    run()
    zoho.fail(adding.call, "delay", seconds=1.8)
    add(key="b")
    OutboxRecord.objects.filter(pk=first.pk).update(due_at=from_now(0.9))

    run()
    run_to_the_end()

    assert statuses() == ["SENT", "SENT"]
    assert added_to(zoho, contact) == 2


def test_equal_ones_in_doubt_are_not_proven_by_the_same(
    add: Push,
    adding: Adding,
    run: Any,
    run_to_the_end: Any,
    zoho: Simulator,
    contact: str,
) -> None:
    zoho.fail(adding.call, "close_after")
    zoho.fail(adding.call, "close_before")
    for key in "ab":
        add(key=key)
        run()
    assert statuses() == ["UNKNOWN", "UNKNOWN"]
    OutboxRecord.objects.update(due_at=from_now(0))

    run_to_the_end()

    assert statuses() == ["SENT", "SENT"]
    assert added_to(zoho, contact) == 2


def test_what_is_settled_waits_for_another_worker_that_adds_to_the_record(
    add: Push,
    adding: Adding,
    run: Any,
    run_to_the_end: Any,
    zoho: Simulator,
    contact: str,
) -> None:
    zoho.fail(adding.call, "close_before")
    add()
    run()
    other = add()
    run()
    assert statuses() == ["UNKNOWN", "SENT"]
    # As if its answer was still to come.
    OutboxRecord.objects.update(due_at=from_now(0))
    others = OutboxRecord.objects.filter(pk=other.pk)
    others.update(status=Status.RUNNING, added_id="", due_at=from_now(600))

    run()

    assert statuses() == ["UNKNOWN", "RUNNING"]
    others.update(due_at=from_now(0))
    run_to_the_end()
    assert statuses() == ["SENT", "SENT"]
    assert added_to(zoho, contact) == 2


def test_what_was_there_long_before_proves_nothing(
    add: Push,
    adding: Adding,
    run_to_the_end: Any,
    zoho: Simulator,
    contact: str,
) -> None:
    add()
    run_to_the_end()
    OutboxRecord.objects.all().delete()  # as if a person had added it
    zoho.fail(adding.call, "close_before")
    add()
    OutboxRecord.objects.update(created_at=from_now(3600))

    run_to_the_end()

    assert statuses() == ["SENT"]
    assert added_to(zoho, contact) == 2


@pytest.mark.parametrize("fault", LOST)
def test_without_a_unique_field_a_person_looks(
    push: Push, run_to_the_end: Any, zoho: Simulator, fault: str
) -> None:
    zoho.fail("insert", fault)
    push("create", "Contacts", FROST)

    run_to_the_end()

    assert statuses() == ["NEEDS_REVIEW"]
    assert OutboxRecord.objects.get().error_code == "no_unique_field"
    assert len(records(zoho)) == (fault != "close_before")


def test_several_records_with_the_value_are_for_a_person(
    push: Push, run_to_the_end: Any, zoho: Simulator, contact: str
) -> None:
    zoho.organisation.add("Contacts", dict(FROST))
    zoho.fail("insert", "close_before")
    push("create", "Contacts", FROST, **UNIQUE)

    run_to_the_end()

    assert statuses() == ["NEEDS_REVIEW"]
    assert OutboxRecord.objects.get().error_code == "several_records"


def test_a_value_that_no_query_takes_is_for_a_person(
    push: Push, run_to_the_end: Any, zoho: Simulator
) -> None:
    zoho.fail("insert", "close_before")
    push("create", "Contacts", {"Last_Name": "A\\B"}, unique_field="Last_Name")
    push("create", "Contacts", {"Last_Name": "C"}, unique_field="Last_Name")

    run_to_the_end()

    assert statuses() == ["NEEDS_REVIEW", "SENT"]
    assert OutboxRecord.objects.first().error_code == "unreadable"  # type: ignore[union-attr]


@pytest.fixture
def slow_times(zoho: Simulator, settings: Any) -> None:
    """Durations beside which those of a test on a busy machine do not count."""
    times = {"CALL_DEADLINE": 200, "QUIET_PERIOD": 4000, "READ_SPACING": 900, "LEASE": 600}
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, **times, "REFRESH_LEASE": 300}


@pytest.mark.usefixtures("slow_times")
def test_nothing_is_looked_for_before_the_quiet_period_is_over(
    push: Push, run: Any, later: Any, zoho: Simulator
) -> None:
    zoho.fail("insert", "close_before")
    push("create", "Contacts", FROST, **UNIQUE)

    wait = run()
    # The deadline of the call, and QUIET_PERIOD after it.
    assert 4100 < wait <= 4200
    later(wait - 500)
    run()
    row = OutboxRecord.objects.get()
    assert (row.status, row.negative_reads) == (Status.UNKNOWN, 0)

    later(501)
    assert 800 < run() <= 900
    row.refresh_from_db()
    assert (row.status, row.negative_reads) == (Status.UNKNOWN, 1)


def test_after_the_last_attempt_a_person_looks(
    push: Push, run_to_the_end: Any, zoho: Simulator
) -> None:
    zoho.fail("insert", "close_before", times=None)
    push("create", "Contacts", FROST, **UNIQUE)

    run_to_the_end()

    row = OutboxRecord.objects.get()
    assert (row.status, row.error_code, row.attempts) == ("NEEDS_REVIEW", "MAX_ATTEMPTS", 3)


def test_a_read_that_fails_is_repeated(push: Push, run_to_the_end: Any, zoho: Simulator) -> None:
    zoho.fail("insert", "close_after")
    zoho.fail("coql", "error_before", times=2)
    push("create", "Contacts", FROST, **UNIQUE)

    run_to_the_end()

    assert (statuses(), len(records(zoho))) == (["SENT"], 1)


@pytest.mark.usefixtures("slow_times")
@pytest.mark.parametrize("was_created", [True, False])
def test_what_a_dead_worker_left_running_is_settled(
    push: Push, run: Any, run_to_the_end: Any, zoho: Simulator, was_created: bool
) -> None:
    row = push("create", "Contacts", FROST, **UNIQUE)
    OutboxRecord.objects.filter(pk=row.pk).update(
        status=Status.RUNNING, version=F("version") + 1, attempts=1, due_at=from_now(-0.1)
    )
    if was_created:
        zoho.organisation.add("Contacts", dict(FROST))

    wait = run()

    row.refresh_from_db()
    assert (row.status, row.in_doubt) == (Status.UNKNOWN, True)
    assert 3900 < wait <= 4000
    run_to_the_end()
    assert (statuses(), len(records(zoho))) == (["SENT"], 1)


def test_a_hundred_in_doubt_are_looked_for_together(
    push: Push, run_to_the_end: Any, zoho: Simulator
) -> None:
    zoho.fail("insert", "close_after")
    for number in range(60):
        push("create", "Contacts", {**FROST, "Email": f"{number}@x.example"}, **UNIQUE)

    run_to_the_end()

    assert (set(statuses()), len(records(zoho))) == ({"SENT"}, 60)
    queries = [call for call in zoho.stats()["calls"] if call["path"].endswith("/coql")]
    assert sum(call["count"] for call in queries) == 2


def test_an_answer_about_some_costs_only_these(
    push: Push, run: Any, run_to_the_end: Any, zoho: Simulator
) -> None:
    push("create", "Contacts", {"Last_Name": "A", "Email": "a@x.example"}, **UNIQUE)
    push("create", "Contacts", {"Last_Name": "B", "Email": "b@x.example"}, **UNIQUE)
    error = '{"code": "INTERNAL_ERROR", "details": {}, "message": "no", "status": "error"}'
    zoho.fail("insert", "amend", body={"data.1": error})

    run()

    assert statuses() == ["SENT", "UNKNOWN"]
    run_to_the_end()
    assert (statuses(), len(records(zoho))) == (["SENT", "SENT"], 2)
