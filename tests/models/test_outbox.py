from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from zoho_crm.models import Connection, OutboxRecord, OutboxRecordEvent, from_now
from zoho_crm.models._outbox import OUTBOX_TRANSITIONS, OutboxMove

Status = OutboxRecord.Status


@pytest.fixture
def push(connection: Connection) -> Callable[..., OutboxRecord]:
    """Create one more row that is due."""

    def make(key: str = "", **columns: Any) -> OutboxRecord:
        given = {"action": "upsert", "module": "Leads", "due_at": from_now(-1), **columns}
        row = OutboxRecord.objects.create(connection=connection, key=key, values={}, **given)
        row.refresh_from_db()
        return row

    return make


def workable() -> list[int]:
    rows = OutboxRecord.objects.due().workable().order_by("pk")
    return list(rows.values_list("pk", flat=True))


@pytest.mark.parametrize("before", Status)
@pytest.mark.parametrize("after", Status)
def test_a_row_becomes_only_what_the_table_allows(
    push: Callable[..., OutboxRecord], before: Status, after: Status
) -> None:
    row = push(status=before)
    if after not in OUTBOX_TRANSITIONS[before]:
        with pytest.raises(ValueError, match="cannot become"):
            OutboxMove(row=row, to=after)
        return

    (move,) = OutboxRecord.objects.move([OutboxMove(row=row, to=after, details={"why": "test"})])

    assert move.row.version == row.version == 1
    event = OutboxRecordEvent.objects.get(record=row)
    assert (event.from_status, event.to_status, event.version) == (before, after, 1)
    assert event.details == {"why": "test"}


def test_a_row_that_was_moved_meanwhile_stays_as_it_is(push: Callable[..., OutboxRecord]) -> None:
    row = push()
    late = OutboxMove(row=OutboxRecord.objects.get(pk=row.pk), to=Status.SKIPPED)
    OutboxRecord.objects.move([OutboxMove(row=row, to=Status.RUNNING)])

    assert OutboxRecord.objects.move([late]) == []
    row.refresh_from_db()
    assert row.status == Status.RUNNING


@pytest.mark.parametrize("status", ["RUNNING", "UNKNOWN", "NEEDS_REVIEW"])
def test_a_row_waits_for_another_one_of_its_key(
    push: Callable[..., OutboxRecord], status: str
) -> None:
    push("a", status=status, due_at=None)
    later = push("a")
    others = [push("b"), push("a", module="Contacts"), push()]

    assert workable() == [row.pk for row in others]
    OutboxRecord.objects.filter(status=status).update(status=Status.SENT)
    assert workable() == [later.pk, *(row.pk for row in others)]


def test_rows_without_a_key_do_not_wait(push: Callable[..., OutboxRecord]) -> None:
    push(status=Status.NEEDS_REVIEW, due_at=None)

    row = push()

    assert workable() == [row.pk]


def test_a_row_waits_with_an_earlier_one_for_its_next_try(
    push: Callable[..., OutboxRecord],
) -> None:
    push("a", due_at=from_now(60))
    push("a")

    assert workable() == []


@pytest.mark.parametrize(
    ("refused", "action", "record_id", "waits"),
    [
        ("upsert", "upsert", "", False),
        ("create", "update", "", False),
        ("upsert", "tag", "", True),
        ("create", "note", "", True),
        ("create", "link", "", True),
        ("upsert", "untag", "", True),
        ("upsert", "delete", "", True),
        ("upsert", "note", "7", False),
        ("update", "note", "", False),
        ("note", "note", "", False),
    ],
)
def test_what_needs_a_record_waits_for_the_one_that_was_refused(
    push: Callable[..., OutboxRecord], refused: str, action: str, record_id: str, waits: bool
) -> None:
    push("a", action=refused, status=Status.REFUSED, due_at=None, record_id=record_id)
    later = push("a", action=action)

    assert workable() == ([] if waits else [later.pk])
