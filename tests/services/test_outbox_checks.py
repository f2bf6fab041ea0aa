"""Pushed records are checked by the fields of their modules before the worker sends them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from django.core.cache.backends.locmem import LocMemCache

from tests.kept import forget_metadata, grow_older
from tests.services.outbox import Push, records, run_until_nothing_is_due, statuses
from zoho_crm.models import Connection, OutboxRecord
from zoho_crm.services import metadata, outbox
from zoho_crm.services.presentation import outbox_error_text, outbox_event_text
from zoho_crm.simulator import Simulator, schema

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_metadata_kept")]

STAGE = "Negotiation"


def asked(zoho: Simulator, path: str = "/crm/v8/settings/fields") -> int:
    """Return how often a path was asked for; the fields of leads are also read to connect."""
    return sum(call["count"] for call in zoho.stats()["calls"] if call["path"] == path)


def deal(zoho: Simulator, **more: Any) -> dict[str, Any]:
    pipeline = zoho.organisation.pipelines[0]["actual_value"]
    return {"Deal_Name": "Fair", "Stage": "Qualification", "Pipeline": pipeline, **more}


@pytest.mark.parametrize(
    ("values", "code", "said"),
    [
        (
            {"Deal_Nmae": "x"},
            "unknown_field_near",
            "field Deal Nmae (Deal_Nmae), value “x”, did you mean “Deal_Name”?",
        ),
        ({"Qqqqq": "x"}, "unknown_field", "The module has no such field: field Qqqqq, value “x”"),
        ({"Closing_Date": "31.1."}, "wrong_type", "value “31.1.”, expected: date, 2027-01-31"),
        ({"Next_Step": "é" * 201}, "too_long", "at most 200 characters"),
        ({"Deal_Name": ""}, "missing_value", "needs a value: field Deal Name (Deal_Name)"),
        ({"Created_Time": "x"}, "read_only_field", "cannot be written: field Created"),
        ({"Stage": "Won"}, "not_in_picklist", "value “Won”, allowed: Qualification, Needs"),
    ],
)
def test_what_does_not_fit_is_refused_without_a_call_and_holds_nothing_up(
    push: Push, run: Any, zoho: Simulator, values: dict[str, Any], code: str, said: str
) -> None:
    push("create", "Deals", deal(zoho))
    bad = push("create", "Deals", deal(zoho, **values))
    push("create", "Deals", deal(zoho))

    run()

    assert statuses() == ["SENT", "REFUSED", "SENT"]
    assert len(records(zoho, "Deals")) == 2
    assert asked(zoho, "/crm/v8/Deals") == 1
    bad.refresh_from_db()
    assert (bad.error_code, bad.error_message, bad.due_at, bad.attempts) == (code, "", None, 0)
    assert bad.error_details[0]["api_name"] in values
    assert said in outbox_error_text(bad, with_values=True)
    assert "value “" not in outbox_error_text(bad)
    assert outbox_event_text(bad.events.get()) == outbox_error_text(bad)


def test_what_is_kept_of_several_problems_names_no_value(push: Push, run: Any) -> None:
    bad = push("create", "Contacts", {"Phone": "secret" * 10, "Qqqqq": "private"})

    run()

    bad.refresh_from_db()
    kept = json.dumps([bad.error_details, bad.events.get().details])
    assert "secret" not in kept
    assert "private" not in kept
    text = outbox_error_text(bad, with_values=True)
    for said in ("too long: field Phone, value “secret", "“private”", "needs a value: field Last"):
        assert said in text


def test_fields_are_read_once_for_all_and_by_no_thread_from_the_cache(
    push: Push, run: Any, zoho: Simulator, settings: Any
) -> None:
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.WatchedCache"}}
    before = asked(zoho)

    for number in range(130):
        push("create", "Contacts", {"Last_Name": str(number)})
    push("update", "Contacts", {"Phone": "1", "id": "7"})
    run()
    push("upsert", "Contacts", {"Last_Name": "A"})
    run()

    assert sorted(set(statuses())) == ["REFUSED", "SENT"]
    assert asked(zoho) == before + 1
    assert WatchedCache.threads == {threading.main_thread()}


class WatchedCache(LocMemCache):
    """A cache that notes who uses it: it could be one in a table, which no thread may read."""

    threads: ClassVar[set[threading.Thread]] = set()

    def get(self, *args: Any, **kwargs: Any) -> Any:
        self.threads.add(threading.current_thread())
        return super().get(*args, **kwargs)

    def set(self, *args: Any, **kwargs: Any) -> None:
        self.threads.add(threading.current_thread())
        super().set(*args, **kwargs)


def test_what_zoho_takes_by_now_is_looked_up_again_before_it_is_refused(
    push: Push, run: Any, zoho: Simulator, connection: Connection
) -> None:
    push("create", "Deals", deal(zoho))
    run()
    [stages] = [each["maps"] for each in zoho.organisation.pipelines[:1]]
    stages.append({**stages[0], "actual_value": STAGE, "display_value": STAGE})
    grow_older(connection, "fields.Deals", 120)
    before = asked(zoho)

    push("create", "Deals", deal(zoho, Stage=STAGE))
    push("create", "Deals", deal(zoho))
    push("create", "Deals", deal(zoho, Stage="Won"))
    run()

    assert statuses() == ["SENT", "SENT", "SENT", "REFUSED"]
    assert asked(zoho) == before + 1


def hide_title(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let contacts not have one of their fields."""
    fields = schema.FIELDS["Contacts"]
    shown = tuple(each for each in fields if each.name != "Title")
    monkeypatch.setitem(schema.FIELDS, "Contacts", shown)


def test_fields_that_were_read_before_a_push_are_read_again_before_it_is_refused(
    push: Push, run: Any, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as former:
        hide_title(former)
        push("create", "Contacts", {"Last_Name": "A", "Title": "x"})
        run()
    grow_older(connection, "fields.Contacts", 40)

    push("create", "Contacts", {"Last_Name": "B", "Title": "x"})
    run()

    assert statuses() == ["REFUSED", "SENT"]


def test_what_a_person_sends_again_is_judged_by_zoho(
    push: Push, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as former:
        hide_title(former)
        row = push("create", "Contacts", {"Last_Name": "A", "Title": "x"})
        run()
    row.refresh_from_db()
    assert row.error_code.startswith("unknown_field")
    outbox.send_again(record_id=row.pk, version=row.version)

    run()

    assert statuses() == ["SENT"]


def test_a_wrong_name_does_not_hold_back_later_pushes_of_the_key(
    push: Push, run: Any, zoho: Simulator
) -> None:
    push("create", "Contacts", {"Last_Name": "A"}, key="k")
    run()
    push("update", "Contacts", {"Qqqqq": "x"}, key="k")
    run()
    push("update", "Contacts", {"Phone": "2"}, key="k")
    run()

    assert statuses() == ["SENT", "REFUSED", "SENT"]
    assert [each["Phone"] for each in records(zoho)] == ["2"]


def test_a_refused_push_does_not_bring_back_what_was_sent_after_it(
    push: Push, run: Any, zoho: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    contact = zoho.organisation.add("Contacts", {"Last_Name": "A"})
    with monkeypatch.context() as former:
        hide_title(former)
        bad = {"id": contact.id, "Title": "x", "Phone": "1"}
        refused = push("update", "Contacts", bad, key="k")
        run()
        push("update", "Contacts", {"id": contact.id, "Phone": "2"}, key="k")
        run()
    forget_metadata()
    push("update", "Contacts", {"id": contact.id, "Mobile": "3"}, key="k")
    run()
    assert statuses() == ["REFUSED", "SENT", "SENT"]
    refused.refresh_from_db()
    outbox.send_again(record_id=refused.pk, version=refused.version)

    run()

    assert statuses() == ["SENT"] * 3
    [found] = records(zoho)
    assert (found["Title"], found["Phone"], found["Mobile"]) == ("x", "2", "3")


def test_a_later_push_that_does_not_fit_is_refused_with_the_former_one(
    push: Push, run: Any
) -> None:
    for name in ("Qqqqq", "Rrrrr"):
        push("upsert", "Contacts", {"Last_Name": "A", name: "x"}, key="k")
        run()

    assert statuses() == ["REFUSED", "REFUSED"]


EMAIL = "f@nordwind.example"
LEAD = {"Last_Name": "Frost", "Company": "Nordwind", "Email": EMAIL, "Industry": "Shipping"}
#: What the organisation maps to the description of contacts.
MAPPING = {"Industry": "Description", "Description": None}


@pytest.fixture
def contact(zoho: Simulator) -> dict[str, Any]:
    """The values of a contact whom Zoho knows by the address."""
    return zoho.organisation.add("Contacts", {"Last_Name": "Frost", "Email": EMAIL}).data


def set_mapping(monkeypatch: pytest.MonkeyPatch, mapping: dict[str, str | None]) -> None:
    """Let conversions give these fields of leads to those fields of contacts."""
    fields = schema.FIELDS["Leads"]
    mapped = (replace(each, contact=mapping.get(each.name, each.contact)) for each in fields)
    monkeypatch.setitem(schema.FIELDS, "Leads", tuple(mapped))


@pytest.mark.parametrize("fault", ["throttle", "error_before"])
def test_a_contact_waits_for_the_mapping_while_it_cannot_be_read(
    push: Push,
    run: Any,
    zoho: Simulator,
    connection: Connection,
    later: Callable[[float], None],
    contact: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    set_mapping(monkeypatch, MAPPING)
    push("update", "Contacts", {"id": contact["id"], "Phone": "1"})
    run()  # the fields of contacts are known now
    zoho.fail("metadata", fault)
    row = push("upsert", "Leads", LEAD, when_known="update_contact")
    OutboxRecord.objects.filter(pk=row.pk).update(record_module="Contacts", record_id=contact["id"])
    run()
    assert statuses() == ["SENT", "PENDING"]
    metadata.forget_memory()

    run_until_nothing_is_due(connection, later)

    assert statuses() == ["SENT", "SENT"]
    assert contact["Description"] == "Shipping"


def test_a_contact_gets_values_by_an_older_mapping_while_no_younger_one_can_be_read(
    push: Push,
    run: Any,
    zoho: Simulator,
    connection: Connection,
    contact: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_mapping(monkeypatch, MAPPING)
    push("upsert", "Leads", LEAD, when_known="update_contact", key="k")
    run()
    grow_older(connection, "fields.Leads", 600)
    metadata.CachedMetadata(connection=connection).note_failure("fields.Leads")

    push("update", "Leads", {"Industry": "Fishing"}, key="k")
    run()

    assert statuses() == ["SENT", "SENT"]
    assert contact["Description"] == "Fishing"


def test_a_mapping_is_read_again_before_a_contact_is_refused_by_it(
    push: Push,
    run: Any,
    connection: Connection,
    contact: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as former:
        set_mapping(former, {"Industry": "Old_Field"})
        push("upsert", "Leads", {**LEAD, "Industry": None}, when_known="update_contact", key="k")
        run()
    set_mapping(monkeypatch, MAPPING)
    for module in ("Leads", "Contacts"):
        grow_older(connection, f"fields.{module}", 600)

    push("update", "Leads", {"Industry": "Shipping"}, key="k")
    run()

    assert statuses()[1:] == ["SENT"]
    assert contact["Description"] == "Shipping"


def test_what_was_read_a_moment_ago_is_believed(push: Push, run: Any, zoho: Simulator) -> None:
    push("create", "Contacts", {"Qqqqq": "x", "Last_Name": "A"})
    run()
    before = asked(zoho)

    push("create", "Contacts", {"Qqqqq": "x", "Last_Name": "A"})
    run()

    assert statuses() == ["REFUSED", "REFUSED"]
    assert asked(zoho) == before


@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_without_fields_zoho_alone_checks_and_the_connection_goes_on(
    push: Push, run: Any, zoho: Simulator, connection: Connection, status: int
) -> None:
    codes = {400: "INVALID_MODULE", 401: "OAUTH_SCOPE_MISMATCH", 403: "NO_PERMISSION"}
    body = {"code": codes.get(status, "INTERNAL_ERROR"), "status": "error", "message": "no"}
    zoho.fail("metadata", "error_before", times=99, status=status, body={**body, "details": {}})
    before = asked(zoho)

    push("create", "Contacts", {"Phone": "1"})
    push("create", "Contacts", {"Last_Name": "A"})
    run()
    push("create", "Contacts", {"Last_Name": "B"})
    run()

    assert statuses() == ["REFUSED", "SENT", "SENT"]
    assert OutboxRecord.objects.refused().get().error_code == "MANDATORY_NOT_FOUND"
    assert asked(zoho) == before + 1
    connection.work.refresh_from_db()
    assert connection.work.backoff_until is None


@pytest.mark.parametrize(("status", "code"), [(403, "NO_PERMISSION"), (500, "INTERNAL_ERROR")])
def test_fields_that_cannot_be_read_again_are_asked_for_once_and_zoho_checks(
    push: Push, run: Any, zoho: Simulator, connection: Connection, status: int, code: str
) -> None:
    push("create", "Contacts", {"Last_Name": "A"})
    run()
    grow_older(connection, "fields.Contacts", 120)
    body = {"code": code, "status": "error", "message": "no", "details": {}}
    zoho.fail("metadata", "error_before", times=None, status=status, body=body)
    before = asked(zoho)

    push("create", "Contacts", {"Phone": "1"})
    run()

    assert asked(zoho) == before + 1
    assert statuses() == ["SENT", "REFUSED"]
    assert OutboxRecord.objects.refused().get().error_code == "MANDATORY_NOT_FOUND"
    connection.work.refresh_from_db()
    assert connection.work.backoff_until is None


def test_a_new_access_token_does_not_switch_the_check_off(
    push: Push, run: Any, zoho: Simulator
) -> None:
    body = {"code": "INVALID_TOKEN", "status": "error", "message": "no", "details": {}}
    zoho.fail("metadata", "error_before", status=401, body=body)
    bad = push("create", "Contacts", {"Phone": "1"})

    run()

    bad.refresh_from_db()
    assert bad.error_code == "missing_value"


def test_what_zoho_may_have_processed_is_judged_by_zoho(
    push: Push,
    run: Any,
    zoho: Simulator,
    connection: Connection,
    later: Callable[[float], None],
) -> None:
    contact = zoho.organisation.add("Contacts", {"Last_Name": "Frost"})
    zoho.fail("metadata", "error_before")
    zoho.fail("update", "close_after")
    row = push("update", "Contacts", {"id": contact.id, "Last_Name": "x" * 81})
    run()
    assert statuses() == ["UNKNOWN"]
    metadata.forget_memory()

    run_until_nothing_is_due(connection, later)

    row.refresh_from_db()
    assert (row.status, row.error_code) == ("REFUSED", "INVALID_DATA")


def test_a_later_push_of_the_key_corrects_what_was_refused_by_the_check(
    push: Push, run: Any, zoho: Simulator
) -> None:
    push("create", "Contacts", {"Phone": "1"}, key="person:1")
    push("tag", "Contacts", {"Tag": ["Fair"]}, key="person:1")
    run()
    assert statuses() == ["REFUSED", "PENDING"]

    push("update", "Contacts", {"Last_Name": "Frost"}, key="person:1")
    run()

    assert statuses() == ["SENT", "SENT", "SENT"]
    assert [each["Phone"] for each in records(zoho)] == ["1"]
