"""The checker of pushes sees what is lost, double or not as it was pushed last."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.outbox_run import Push, violations
from zoho_crm.models import Connection, OutboxRecord
from zoho_crm.services import outbox
from zoho_crm.simulator import Simulator
from zoho_crm.simulator.organisation import Attachment
from zoho_crm.simulator.records import Record

PUSH = Push("key1", "note")
RECORD = {
    "Last_Name": "key1",
    "Email": PUSH.email,
    "Phone": "phone key1",
    "Title": "title key1",
    "Tag": [{"name": "Pushed"}],
}


def found(zoho: Simulator, *records: dict[str, Any], notes: int = 1, links: int = 1) -> list[str]:
    """Return what the checker says of these contacts, of so many notes, and links of the first."""
    contacts = [zoho.organisation.add("Contacts", record) for record in records]
    link = Attachment(PUSH.url, Record({"$link_url": PUSH.url}), b"")
    for contact in contacts[:1]:
        zoho.organisation.attachments[contact.id] = [link] * links
    zoho.organisation.notes.clear()
    for number in range(notes):
        note = zoho.organisation.add("Leads", {"Note_Content": PUSH.note})
        zoho.organisation.notes[str(number)] = note
    return list(violations(zoho, [PUSH]))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("records", "notes", "links", "wrong"),
    [
        ([RECORD], 1, 1, None),
        ([], 1, 0, "exactly once: there are 0 records"),
        ([RECORD, RECORD], 1, 1, "exactly once: there are 2 records"),
        ([{**RECORD, "Phone": "phone of another"}], 1, 1, "last state: Phone"),
        ([{**RECORD, "Title": ""}], 1, 1, "last state: Title"),
        ([{**RECORD, "Tag": []}], 1, 1, "last state: the tags"),
        ([RECORD], 0, 1, "exactly once: there are 0 notes"),
        ([RECORD], 2, 1, "exactly once: there are 2 notes"),
        ([RECORD], 1, 0, "exactly once: the links"),
        ([RECORD], 1, 2, "exactly once: the links"),
    ],
)
def test_what_zoho_has_is_compared_with_what_was_pushed(
    zoho: Simulator, records: list[dict[str, Any]], notes: int, links: int, wrong: str | None
) -> None:
    said = found(zoho, *records, notes=notes, links=links)

    assert [wrong in text for text in said] == [True] if wrong else said == []


def test_a_row_that_was_not_sent_is_lost(zoho: Simulator, connection: Connection) -> None:
    outbox.push(connection.pk, "create", "Contacts", {"Last_Name": "key1"}, key="key1")

    (said,) = found(zoho, RECORD)

    assert said.startswith("lost: create Contacts key1 is PENDING")


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"status": "SENT", "record_id": "1"}, "correct outcome"),
        ({"version": 1}, "complete journal"),
    ],
)
def test_a_row_that_says_what_is_not_so_is_found(
    zoho: Simulator, connection: Connection, change: dict[str, Any], wrong: str
) -> None:
    outbox.push(connection.pk, "create", "Contacts", {"Last_Name": "key1"}, key="key1")
    OutboxRecord.objects.update(**change)

    assert any(text.startswith(wrong) for text in found(zoho, RECORD))
