"""A public site keeps Zoho in step with what its visitors enter: by a form, and from Celery."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from django.test import Client

from testproject.celery import app
from testproject.demo.worker import run_worker
from testproject.models import Enquiry
from tests import messages
from tests.journeys.waiting import wait_until
from tests.services.outbox import records, statuses
from zoho_crm.models import Connection, OutboxRecord
from zoho_crm.services.connect import with_grant_code
from zoho_crm.shortcuts import client_for, push_record
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.slow

ADA = {
    "name": "Ada Lovelace",
    "company": "Nordwind GmbH",
    "email": "ada@nordwind.example",
    "message": "Can it weave algebraic patterns?",
}


@pytest.fixture(autouse=True)
def empty_queues() -> None:
    """What other tests sent is none of our business."""
    messages.take_all()


@pytest.fixture
def connection(transactional_db: None, zoho: Simulator) -> Connection:
    """Transactions are real here: the worker has connections to the database of its own."""
    return with_grant_code(code=zoho.grant_code(), data_center="local")


@pytest.fixture
def at_rest(connection: Connection) -> Callable[[], AbstractContextManager[None]]:
    """Return a block with a Celery worker, which ends when nothing more is to be sent."""
    moving = OutboxRecord.objects.workable().filter(due_at__isnull=False)

    @contextmanager
    def block() -> Iterator[None]:
        with run_worker(app):
            yield
            wait_until(lambda: not moving.exists())

    return block


def enquire(client: Client, **changes: str) -> None:
    """Send the form of the front page."""
    answer = client.post("/", {**ADA, **changes})
    assert answer.status_code == 302


def notes_of(connection: Connection, module: str, record_id: str) -> list[str]:
    notes = client_for(connection).records(module).record(record_id).notes()
    return sorted(note.content for note in notes)


def tags_of(record: dict[str, Any]) -> list[str]:
    return [tag["name"] for tag in record["Tag"]]


def test_who_fills_in_the_form_is_a_lead(
    client: Client, connection: Connection, zoho: Simulator, at_rest: Any
) -> None:
    with at_rest():
        enquire(client)
        wait_until(lambda: Enquiry.objects.get().zoho_lead_id != "")

    assert statuses() == ["SENT", "SENT", "SENT"]
    (lead,) = records(zoho, "Leads")
    assert Enquiry.objects.get().zoho_lead_id == lead["id"]
    assert (lead["First_Name"], lead["Last_Name"]) == ("Ada", "Lovelace")
    assert tags_of(lead) == ["Website"]
    assert notes_of(connection, "Leads", lead["id"]) == [ADA["message"]]


def test_who_comes_again_is_the_same_lead(
    client: Client, connection: Connection, zoho: Simulator, at_rest: Any
) -> None:
    with at_rest():
        enquire(client)
    with at_rest():
        enquire(client, company="Südwind GmbH", message="And now?")

    (lead,) = records(zoho, "Leads")
    assert lead["Company"] == "Südwind GmbH"
    assert notes_of(connection, "Leads", lead["id"]) == ["And now?", ADA["message"]]


def test_who_is_a_customer_already_is_no_lead(
    client: Client, connection: Connection, zoho: Simulator, at_rest: Any
) -> None:
    zoho.organisation.add("Contacts", {"Last_Name": "Lovelace", "Email": ADA["email"]})

    with at_rest():
        enquire(client)

    assert records(zoho, "Leads") == []
    assert statuses() == ["NEEDS_REVIEW", "PENDING", "PENDING"]
    assert OutboxRecord.objects.needs_review().get().error_code == "known_person"


def test_what_is_not_kept_is_not_sent(
    client: Client, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_enquiry: Enquiry) -> None:
        push(_enquiry)
        raise RuntimeError("a bug of the host")

    push = Enquiry.push
    monkeypatch.setattr(Enquiry, "push", fail)

    with pytest.raises(RuntimeError):
        client.post("/", ADA)

    assert not Enquiry.objects.exists()
    assert not OutboxRecord.objects.exists()
    assert messages.take_all() == []


@pytest.mark.django_db(transaction=True)
def test_an_enquiry_is_kept_before_the_site_is_connected(client: Client) -> None:
    enquire(client)

    assert Enquiry.objects.get().message == ADA["message"]


@app.task(name="tests.keep_member_in_step")
def keep_member_in_step(number: int, values: dict[str, str]) -> None:
    """Keep a member of the host in step with their contact, as a task of the host does it."""
    key = f"member:{number}"
    push_record("upsert", "Contacts", values, key=key, unique_field="Phone")
    push_record("tag", "Contacts", {"Tag": ["Member"]}, key=key)
    push_record("note", "Contacts", {"Note_Content": f"Member {number}"}, key=key)


def test_members_are_kept_in_step_from_celery(
    connection: Connection, zoho: Simulator, at_rest: Any
) -> None:
    """The member's number is in a unique field, so that a changed address changes the contact."""
    zoho.organisation.unique["Contacts"] = ["Phone"]
    known = zoho.organisation.add(
        "Contacts", {"Last_Name": "Byron", "Email": "old@nordwind.example", "Phone": "100"}
    )
    members = [
        (1, {"Last_Name": "Lovelace", "Email": ADA["email"], "Phone": "100"}),
        (2, {"Last_Name": "Babbage", "Email": "cb@nordwind.example", "Phone": "200"}),
    ]

    with at_rest():
        for number, values in members:
            keep_member_in_step.delay(number, values)
        wait_until(lambda: OutboxRecord.objects.count() == 6)

    by_phone = {record["Phone"]: record for record in records(zoho)}
    assert sorted(by_phone) == ["100", "200"]
    assert by_phone["100"]["id"] == known.id
    assert by_phone["100"]["Email"] == ADA["email"]
    assert [tags_of(by_phone[phone]) for phone in by_phone] == [["Member"], ["Member"]]
    assert notes_of(connection, "Contacts", known.id) == ["Member 1"]
    (person,) = client_for(connection).find_person("cb@nordwind.example")
    assert person.id == by_phone["200"]["id"]
