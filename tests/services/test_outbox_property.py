"""Whatever is pushed, and whatever goes wrong: each record ends in its last state, and once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.services.outbox import links_of, records, run_until_nothing_is_due
from zoho_crm.models import Connection, OutboxRecord, from_now
from zoho_crm.models._outbox import OutboxMove
from zoho_crm.services import work
from zoho_crm.shortcuts import push_record
from zoho_crm.simulator import Simulator

Status = OutboxRecord.Status

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

KEYS = ("a", "b", "c")
PUSHES = st.tuples(
    st.sampled_from(
        ["upsert", "upsert", "upsert", "update", "update", "tag", "untag", "link", "delete"]
    ),
    st.sampled_from(KEYS),
    st.sampled_from(["Phone", "Title", "Fax"]),
    st.integers(1, 9),
)
FAULTS = st.tuples(
    st.just("fault"),
    st.sampled_from(["upsert", "update", "delete", "tags", "upload", "coql", "any"]),
    st.sampled_from(
        ["close_after", "close_before", "late", "error_before", "error_after", "throttle", "html"]
    ),
)
EVENTS = st.one_of(
    PUSHES,
    PUSHES,
    FAULTS,
    st.just(("run",)),
    st.just(("dead worker",)),
    st.tuples(st.just("later"), st.sampled_from([0.5, 3.0])),
)


@dataclass
class Expected:
    """What Zoho should have of one key."""

    record: dict[str, Any] | None = None
    #: Values of refused updates, which the next push that creates the record takes along.
    refused: dict[str, Any] = field(default_factory=dict)
    created: int = 0

    def push(self, action: str, name: str, value: int) -> None:
        values = {name: str(value)}
        if action == "upsert":
            if self.record is None:
                self.record = {"Tag": set(), "Links": [], **self.refused}
                self.refused = {}
                self.created += 1
            self.record |= values
        elif self.record is None:
            self.refused |= values if action == "update" else {}
        elif action == "update":
            self.record |= values
        elif action == "tag":
            self.record["Tag"].add(str(value))
        elif action == "untag":
            self.record["Tag"].discard(str(value))
        elif action == "link":
            self.record["Links"].append(url_of(value))
        else:
            self.record = None


def url_of(value: int) -> str:
    """Return an address; the same one can be attached several times."""
    return f"https://files.example/{value % 3}"


def values_of(action: str, key: str, name: str, value: int) -> dict[str, Any]:
    """Return what is pushed."""
    named = {"Last_Name": key, "Email": f"{key}@nordwind.example", name: str(value)}
    tags = {"Tag": [str(value)]}
    link = {"attachmentUrl": url_of(value)}
    values = {"upsert": named, "tag": tags, "untag": tags, "link": link, "delete": {}}
    return values.get(action, {name: str(value)})


def die_before_sending() -> None:
    """Leave what may be sent as a worker does that dies after its claim."""
    due = OutboxRecord.objects.due().workable().filter(status=Status.PENDING)
    row = due.order_by("pk").first()
    if row is not None and row.action != "upsert":
        columns = {"due_at": from_now(-0.1), "attempts": row.attempts + 1}
        if row.record_id:
            OutboxRecord.objects.move([OutboxMove(row=row, to=Status.RUNNING, values=columns)])


def check(zoho: Simulator, expected: dict[str, Expected]) -> None:
    """Compare what Zoho has with what it should have."""
    found = {contact["Last_Name"]: contact for contact in records(zoho)}
    assert len(found) == len(records(zoho)), "a record is there twice"
    assert found.keys() == {key for key, each in expected.items() if each.record is not None}
    for key, contact in found.items():
        wanted = dict(expected[key].record or {})
        assert {tag["name"] for tag in contact.get("Tag") or ()} == wanted.pop("Tag")
        assert links_of(zoho, contact["id"]) == sorted(wanted.pop("Links"))
        assert {name: contact.get(name) for name in wanted} == wanted
    created = len(found) + len(zoho.organisation.deletions["Contacts"])
    assert created == sum(each.created for each in expected.values()), "one was created twice"


def play(
    zoho: Simulator,
    connection: Connection,
    later: Callable[[float], None],
    events: Iterable[tuple[Any, ...]],
) -> None:
    """Let the events happen, then work until nothing is due, and compare."""
    OutboxRecord.objects.all().delete()
    zoho.organisation.records["Contacts"].clear()
    zoho.organisation.deletions["Contacts"].clear()
    zoho.engine.faults.clear()
    expected = {key: Expected() for key in KEYS}
    for event in events:
        if event == ("run",):
            work.work(connection_id=connection.pk)
        elif event == ("dead worker",):
            die_before_sending()
        elif event[0] == "later":
            later(event[1])
        elif event[0] == "fault":
            zoho.fail(event[1], event[2])
        else:
            action, key, name, value = event
            values = values_of(action, key, name, value)
            options = {"key": key, "unique_field": "Email", "connection": connection, "wake": False}
            push_record(action, "Contacts", values, **options)
            expected[key].push(action, name, value)
    run_until_nothing_is_due(connection, later, slices=200)
    assert not OutboxRecord.objects.exclude(status__in=("SENT", "REFUSED")).exists()
    check(zoho, expected)


@pytest.fixture
def patient(zoho: Simulator, settings: Any) -> None:
    """No person is needed, however often an answer is lost."""
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "MAX_ATTEMPTS": 1000}


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    # To shrink an example takes minutes.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(events=st.lists(EVENTS, min_size=6, max_size=18))
def test_each_key_ends_in_its_last_state(
    patient: None,
    connection: Connection,
    zoho: Simulator,
    later: Callable[[float], None],
    events: list[tuple[Any, ...]],
) -> None:
    play(zoho, connection, later, events)


@pytest.mark.long
@settings(
    max_examples=120,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(events=st.lists(EVENTS, min_size=6, max_size=30))
def test_each_of_many_keys_ends_in_its_last_state(
    patient: None,
    connection: Connection,
    zoho: Simulator,
    later: Callable[[float], None],
    events: list[tuple[Any, ...]],
) -> None:
    play(zoho, connection, later, events)
