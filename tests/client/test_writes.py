"""Records are created, updated and deleted: each has a result or an error, over both transports."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.canned import Canned, client_of
from tests.client.conftest import Transport
from tests.client.test_answers import BODIES, STATUSES
from zoho_crm.client import WriteResult, ZohoClient
from zoho_crm.exceptions import (
    PermissionDeniedError,
    RequestRefusedError,
    ServerError,
    TransientError,
    TransportError,
    UnknownOutcomeError,
    WriteInterruptedError,
    ZohoError,
)
from zoho_crm.simulator import Simulator
from zoho_crm.types import Record, Reference


def calls_of(zoho: Simulator, method: str) -> int:
    """Return how many CRM calls of a method the simulator got."""
    calls = [call for call in zoho.stats()["calls"] if call["path"].startswith("/crm/")]
    return sum(call["count"] for call in calls if call["method"] == method)


def codes(results: tuple[WriteResult, ...]) -> list[str]:
    """Return the code of each error, empty for what was written."""
    return [result.error.code if result.error else "" for result in results]


def test_records_are_created_in_order(transport: Transport, crm: ZohoClient) -> None:
    results = crm.records("Contacts").create([{"Last_Name": "King"}, {"Last_Name": "Lovelace"}])

    stored = transport.simulator.records["Contacts"]
    assert [stored[result.id]["Last_Name"] for result in results] == ["King", "Lovelace"]
    assert [result.action for result in results] == ["insert", "insert"]
    assert codes(results) == ["", ""]
    for result in results:
        result.raise_for_error()


def test_of_many_records_the_good_ones_are_written_and_each_other_has_its_error(
    transport: Transport, crm: ZohoClient
) -> None:
    records = [{"Last_Name": f"No. {number}"} for number in range(250)]
    records[3] = {"First_Name": "Ada"}
    records[120] = {"Last_Name": "x" * 81}

    results = crm.records("Contacts").create(record for record in records)

    stored = transport.simulator.records["Contacts"]
    assert len(results) == 250
    assert len(stored) == 248
    assert calls_of(transport.simulator, "POST") == 3
    refused = {number: code for number, code in enumerate(codes(results)) if code}
    assert refused == {3: "MANDATORY_NOT_FOUND", 120: "INVALID_DATA"}
    assert [stored[result.id]["Last_Name"] for result in results if result.id] == [
        record["Last_Name"] for number, record in enumerate(records) if number not in refused
    ]


def test_the_error_of_a_record_names_the_field_and_may_not_be_repeated(crm: ZohoClient) -> None:
    [result] = crm.records("Contacts").create([{"First_Name": "Ada"}])

    assert isinstance(result.error, RequestRefusedError)
    assert (result.id, result.action) == ("", "")
    assert (result.error.field, result.error.path) == ("Last_Name", "$.data[0].Last_Name")
    assert result.error.may_repeat is False
    with pytest.raises(RequestRefusedError):
        result.raise_for_error()


def test_a_duplicate_names_the_record_that_exists(transport: Transport, crm: ZohoClient) -> None:
    zoho = transport.simulator
    zoho.organisation.unique["Contacts"] = ["Email"]
    known = zoho.add("Contacts", Last_Name="King", Email="ada@engine.example")

    _new, twice = crm.records("Contacts").create(
        [{"Last_Name": "A"}, {"Last_Name": "B", "Email": "ada@engine.example"}]
    )

    assert isinstance(twice.error, RequestRefusedError)
    assert twice.error.duplicate == Reference(id=known.id, name="Contacts")
    assert twice.id == ""


def test_values_of_python_are_sent_as_zoho_takes_them(
    transport: Transport, crm: ZohoClient
) -> None:
    account = transport.simulator.add("Accounts", Account_Name="Nordwind")
    [result] = crm.records("Deals").create(
        [
            {
                "Deal_Name": "Straße 🏛",
                "Stage": "Qualification",
                "Pipeline": "Standard (Standard)",
                "Closing_Date": date(2027, 1, 31),
                "Kick_Off": datetime(2027, 1, 31, 9, 30, 0, 999, tzinfo=UTC),
                "Budget": Decimal("1000.50"),
                "Is_Renewal": True,
                "Interests": ("A", "B"),
                "Account_Name": Record(account.id, {}),
                "Next_Step": None,
            }
        ]
    )

    deal = transport.simulator.records["Deals"][result.id]
    assert deal["Deal_Name"] == "Straße 🏛"
    assert deal["Closing_Date"] == "2027-01-31"
    assert deal["Kick_Off"] == "2027-01-31T09:30:00+00:00"
    assert (deal["Budget"], deal["Is_Renewal"]) == (1000.5, True)
    assert deal["Interests"] == ["A", "B"]
    assert deal["Account_Name"]["name"] == "Nordwind"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (datetime(2027, 1, 1), "unusable_zone"),
        (float("inf"), "unusable_number"),
        (Decimal("NaN"), "unusable_number"),
        ("a\0b", "unusable_text"),
        (["\ud800"], "unusable_text"),
        ({1, 2}, "unusable_type"),
        ({"rows": [b"bytes"]}, "unusable_type"),
    ],
    ids=repr,
)
def test_a_value_that_cannot_be_sent_costs_its_own_record_only(
    transport: Transport, crm: ZohoClient, value: object, code: str
) -> None:
    results = crm.records("Contacts").create(
        [{"Last_Name": "A"}, {"Last_Name": "B", "Title": value}, {"Last_Name": "C"}]
    )

    stored = transport.simulator.records["Contacts"]
    assert codes(results) == ["", code, ""]
    assert "Title" in str(results[1].error)
    assert [stored[results[place].id]["Last_Name"] for place in (0, 2)] == ["A", "C"]


def test_what_is_no_record_or_has_no_name_costs_itself_only(crm: ZohoClient) -> None:
    records: list[Any] = ["King", None, {"": 1}, {"Last_Name": "A"}]

    assert codes(crm.records("Contacts").create(records)) == [
        "no_record",
        "no_record",
        "bad_field_name",
        "",
    ]


def test_nothing_is_sent_for_nothing(transport: Transport, crm: ZohoClient) -> None:
    contacts = crm.records("Contacts")

    assert contacts.create([]) == contacts.update([]) == contacts.delete([]) == ()
    assert codes(contacts.delete(["x"])) == ["bad_record_id"]
    assert calls_of(transport.simulator, "POST") == 0


def test_what_an_iterable_gave_before_its_error_is_written_once(
    transport: Transport, crm: ZohoClient
) -> None:
    def broken() -> Iterator[dict[str, str]]:
        for number in range(130):
            yield {"Last_Name": f"No. {number}"}
        raise LookupError("no more")

    with pytest.raises(WriteInterruptedError) as caught:
        crm.records("Contacts").create(broken())

    stored = transport.simulator.records["Contacts"]
    assert [record["Last_Name"] for record in stored.values()] == [f"No. {n}" for n in range(130)]
    assert [result.id for result in caught.value.results] == list(stored)
    assert isinstance(caught.value.__cause__, LookupError)
    assert caught.value.may_repeat is False


def test_if_the_iterable_and_the_call_fail_both_errors_are_known(transport: Transport) -> None:
    zoho, crm = transport.simulator, transport.client()
    zoho.fail("any", "close_after")

    def broken() -> Iterator[dict[str, str]]:
        yield {"Last_Name": "King"}
        yield {"": "no name"}
        raise LookupError("no more")

    with pytest.raises(WriteInterruptedError) as caught:
        crm.records("Contacts").create(broken())

    lost, refused = caught.value.results
    assert isinstance(lost.error, UnknownOutcomeError)
    assert refused.error.code == "bad_field_name"
    assert isinstance(caught.value.__cause__, LookupError)
    assert len(zoho.records["Contacts"]) == 1


def test_what_ends_the_program_passes_and_nothing_more_is_sent(
    transport: Transport, crm: ZohoClient
) -> None:
    def interrupted() -> Iterator[dict[str, str]]:
        yield {"Last_Name": "King"}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crm.records("Contacts").create(interrupted())

    assert not transport.simulator.records["Contacts"]


def test_automations_and_assignment_rule_are_named() -> None:
    canned = Canned(400, b'{"code": "X", "status": "error", "message": ""}')
    leads = client_of(canned).records("Leads")
    for options in ({}, {"trigger": []}, {"trigger": ["workflow"], "assignment_rule": "77"}):
        with pytest.raises(RequestRefusedError):
            leads.create([{"Last_Name": "King"}], **options)  # type: ignore[arg-type]

    bodies = [json.loads(request.body or b"") for request in canned.requests]
    data = {"data": [{"Last_Name": "King"}]}
    assert bodies == [
        data,
        {**data, "trigger": []},
        {**data, "trigger": ["workflow"], "lar_id": "77"},
    ]


def test_one_text_is_no_list_of_automations(crm: ZohoClient) -> None:
    with pytest.raises(TypeError, match="not one text"):
        crm.records("Leads").create([{"Last_Name": "King"}], trigger="workflow")


# Update


def test_only_the_given_fields_change(transport: Transport, crm: ZohoClient) -> None:
    zoho = transport.simulator
    ada = zoho.add("Contacts", Last_Name="King", Phone="1", Fax="2")

    [result] = crm.records("Contacts").update([{"id": ada.id, "Phone": "3", "Fax": None}])

    assert (result.id, result.action, result.error) == (ada.id, "update", None)
    assert [zoho.records["Contacts"][ada.id][name] for name in ("Last_Name", "Phone", "Fax")] == [
        "King",
        "3",
        None,
    ]


def test_an_update_of_what_is_gone_locked_or_has_no_id_costs_itself_only(
    transport: Transport, crm: ZohoClient
) -> None:
    zoho = transport.simulator
    ada, eve = (zoho.add("Contacts", Last_Name=name) for name in ("Ada", "Eve"))
    eve["Locked__s"] = True

    results = crm.records("Contacts").update(
        [
            {"id": ada.id, "Phone": "1"},
            {"id": "404", "Phone": "1"},
            {"id": eve.id, "Phone": "1"},
            {"Phone": "1"},
            {"id": 5, "Phone": "1"},
        ]
    )

    assert codes(results) == ["", "INVALID_DATA", "RECORD_LOCKED", "bad_record_id", "bad_record_id"]
    assert [result.id for result in results] == [ada.id, "404", eve.id, "", ""]
    assert zoho.records["Contacts"][ada.id]["Phone"] == "1"


def test_a_record_that_was_changed_since_is_not_overwritten(
    transport: Transport, crm: ZohoClient
) -> None:
    zoho = transport.simulator
    ada = zoho.add("Contacts", Last_Name="King", Phone="1")
    seen = datetime.fromisoformat(ada["Modified_Time"])
    change = [{"id": ada.id, "Phone": "2"}]
    contacts = crm.records("Contacts")

    [late] = contacts.update(change, if_unmodified_since=seen - timedelta(seconds=1))
    [in_time] = contacts.update(change, if_unmodified_since=seen)

    assert isinstance(late.error, RequestRefusedError)
    assert late.error.code == "ALREADY_MODIFIED"
    assert late.error.may_repeat is False
    assert in_time.error is None


def test_a_time_without_zone_is_no_condition(transport: Transport, crm: ZohoClient) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        crm.records("Contacts").update([{"id": "1"}], if_unmodified_since=datetime(2027, 1, 1))

    assert caught.value.code == "unusable_zone"
    assert calls_of(transport.simulator, "PUT") == 0


# Upsert


def test_an_upsert_updates_what_is_known_and_creates_the_rest(
    transport: Transport, crm: ZohoClient
) -> None:
    zoho = transport.simulator
    ada = zoho.add("Contacts", Last_Name="King", Email="ada@engine.example", Phone="1")

    known, new = crm.records("Contacts").upsert(
        [
            {"Last_Name": "Lovelace", "Email": "ada@engine.example"},
            {"Last_Name": "Babbage", "Email": "charles@engine.example"},
        ],
        duplicate_check_fields=["Email"],
    )

    stored = zoho.records["Contacts"]
    assert (known.id, known.action, known.duplicate_field) == (ada.id, "update", "Email")
    assert (new.action, new.duplicate_field, new.error) == ("insert", "", None)
    assert (stored[ada.id]["Last_Name"], stored[ada.id]["Phone"]) == ("Lovelace", "1")
    assert stored[new.id]["Last_Name"] == "Babbage"


def test_many_records_are_upserted_and_each_that_is_refused_has_its_error(
    transport: Transport, crm: ZohoClient
) -> None:
    zoho = transport.simulator
    for number in range(0, 230, 2):
        zoho.add("Contacts", Last_Name="old", Email=f"{number}@engine.example")
    records: list[dict[str, Any]] = [
        {"Last_Name": "new", "Email": f"{number}@engine.example"} for number in range(230)
    ]
    records[101]["Last_Name"] = "x" * 81

    results = crm.records("Contacts").upsert(records, duplicate_check_fields=["Email"])

    expected = [("update", "insert")[number % 2] for number in range(230)]
    expected[101] = ""
    assert [result.action for result in results] == expected
    assert {number: code for number, code in enumerate(codes(results)) if code} == {
        101: "INVALID_DATA"
    }
    assert len(zoho.records["Contacts"]) == 229


def test_the_lost_answer_to_an_upsert_is_in_doubt_and_the_next_one_finds_the_record(
    transport: Transport,
) -> None:
    zoho, crm = transport.simulator, transport.client()
    zoho.fail("any", "close_after")
    records = [{"Last_Name": "King", "Email": "ada@engine.example"}]

    with pytest.raises(UnknownOutcomeError) as caught:
        crm.records("Contacts").upsert(records)
    [result] = crm.records("Contacts").upsert(records)

    assert caught.value.may_repeat is False
    assert result.action == "update"
    assert len(zoho.records["Contacts"]) == 1


def test_an_upsert_names_its_fields_and_conditions() -> None:
    canned = Canned(400, b'{"code": "X", "status": "error", "message": ""}')
    with pytest.raises(RequestRefusedError):
        client_of(canned).records("Leads").upsert(
            [{"Last_Name": "King"}],
            duplicate_check_fields=("Email", "Key"),
            trigger=[],
            if_unmodified_since=datetime(2027, 1, 1, tzinfo=UTC),
        )

    [request] = canned.requests
    assert str(request.url).endswith("/crm/v8/Leads/upsert")
    assert json.loads(request.body or b"") == {
        "data": [{"Last_Name": "King"}],
        "duplicate_check_fields": ["Email", "Key"],
        "trigger": [],
    }
    assert request.headers["If-Unmodified-Since"] == "2027-01-01T00:00:00+00:00"


# Delete


def test_records_are_deleted_and_what_is_gone_already_says_so(
    transport: Transport, crm: ZohoClient
) -> None:
    zoho = transport.simulator
    ids = [zoho.add("Accounts", Account_Name=f"No. {number}").id for number in range(150)]

    results = crm.records("Accounts").delete([*ids, "404", "x"])

    assert len(zoho.records["Accounts"]) == 0
    assert calls_of(zoho, "DELETE") == 2
    assert [result.id for result in results] == [*ids, "404", ""]
    assert codes(results) == [*[""] * 150, "INVALID_DATA", "bad_record_id"]
    assert {result.action for result in results[:150]} == {"delete"}


def test_workflows_of_a_deletion_can_be_left_out() -> None:
    canned = Canned(400, b'{"code": "X", "status": "error", "message": ""}')
    for run in (True, False):
        with pytest.raises(RequestRefusedError):
            client_of(canned).records("Leads").delete(["1", "2"], run_workflows=run)

    queries = [str(request.url).partition("?")[2] for request in canned.requests]
    assert queries == ["ids=1%2C2&wf_trigger=true", "ids=1%2C2&wf_trigger=false"]


# What became of a write whose answer does not come, or refuses it as a whole

WRITES: dict[str, Callable[[ZohoClient, str], tuple[WriteResult, ...]]] = {
    "insert": lambda crm, _id: crm.records("Contacts").create([{"Last_Name": "New"}]),
    "update": lambda crm, id: crm.records("Contacts").update([{"id": id, "Phone": "1"}]),
    "delete": lambda crm, id: crm.records("Contacts").delete([id]),
}


@pytest.mark.parametrize("do", ["close_before", "close_after", "truncate", "html", "error_after"])
@pytest.mark.parametrize(
    ("kind", "error"),
    [("insert", UnknownOutcomeError), ("update", TransientError), ("delete", TransientError)],
)
def test_a_lost_answer_says_whether_the_write_may_be_repeated(
    transport: Transport, do: str, kind: str, error: type[ZohoError]
) -> None:
    ada = transport.simulator.add("Contacts", Last_Name="King")
    crm = transport.client()
    transport.simulator.fail(kind, do)

    with pytest.raises(error) as caught:
        WRITES[kind](crm, ada.id)

    assert caught.value.may_repeat is (error is TransientError)


@pytest.mark.parametrize("kind", WRITES)
def test_a_write_has_a_deadline(transport: Transport, kind: str) -> None:
    ada = transport.simulator.add("Contacts", Last_Name="King")
    crm = transport.client(deadline=0.5)
    transport.simulator.fail(kind, "delay", seconds=2)

    with pytest.raises((TransportError, UnknownOutcomeError)):
        WRITES[kind](crm, ada.id)


def test_an_update_that_adds_rows_is_not_repeated(in_process: Transport) -> None:
    ada = in_process.simulator.add("Contacts", Last_Name="King")
    crm = in_process.client()
    in_process.simulator.fail("update", "close_after", times=2)

    with pytest.raises(UnknownOutcomeError):
        crm.records("Contacts").update([{"id": ada.id, "Rows": [{"Title": "new"}]}])
    with pytest.raises(TransportError):
        crm.records("Contacts").update([{"id": ada.id, "Rows": [{"id": "5", "Title": "known"}]}])


@pytest.mark.parametrize("kind", WRITES)
def test_a_refusal_of_the_whole_call_is_raised(transport: Transport, kind: str) -> None:
    crm = transport.client("ZohoCRM.modules.READ")

    with pytest.raises(PermissionDeniedError) as caught:
        WRITES[kind](crm, "1")

    assert caught.value.may_repeat is False


def test_after_a_call_that_failed_as_a_whole_nothing_is_sent_and_each_record_says_so(
    transport: Transport,
) -> None:
    zoho, crm = transport.simulator, transport.client()
    records: list[Any] = [{"Last_Name": f"No. {number}"} for number in range(350)]
    records[320] = "no record"

    def given() -> Iterator[Any]:
        for number, record in enumerate(records):
            if number == 100:  # the first hundred has been sent
                zoho.fail("insert", "close_after")
            yield record

    results = crm.records("Contacts").create(given())

    kinds = [type(result.error) for result in results]
    assert kinds[:100] == [type(None)] * 100
    assert kinds[100:200] == [UnknownOutcomeError] * 100
    assert set(kinds[200:]) == {TransientError, RequestRefusedError}
    assert codes(results)[200:320] == ["not_sent"] * 120
    assert codes(results)[320] == "no_record"
    assert all(result.error and result.error.may_repeat for result in results[200:320])
    assert len(zoho.records["Contacts"]) == 200


# Answers of other forms

OK = {"code": "SUCCESS", "details": {"id": "1"}, "message": "record added", "status": "success"}
NO = {"code": "INVALID_DATA", "details": {}, "message": "invalid data", "status": "error"}


def create_two(status: int, body: Any) -> tuple[WriteResult, ...] | ZohoError:
    canned = Canned(status, json.dumps(body).encode())
    try:
        return client_of(canned).records("Contacts").create([{"Last_Name": "A"}] * 2)
    except ZohoError as error:
        return error


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (201, {"data": [OK]}, UnknownOutcomeError),
        (207, {"data": [NO, OK, OK]}, UnknownOutcomeError),
        (207, {"data": [NO, {"code": "SCHEDULED"}]}, UnknownOutcomeError),
        (201, {"data": "none"}, UnknownOutcomeError),
        (201, {}, UnknownOutcomeError),
        (204, {}, UnknownOutcomeError),
        (400, {"data": [NO]}, RequestRefusedError),
        (202, NO, RequestRefusedError),
        (500, {"data": []}, UnknownOutcomeError),
    ],
    ids=str,
)
def test_an_answer_that_is_not_about_each_record_is_a_refusal_only_if_all_of_it_is(
    status: int, body: Any, expected: type[ZohoError]
) -> None:
    assert type(create_two(status, body)) is expected


def test_an_item_that_failed_inside_zoho_is_in_doubt_alone() -> None:
    broken = {"code": "INTERNAL_ERROR", "details": {}, "message": "oops", "status": "error"}

    results = create_two(207, {"data": [broken, OK]})

    assert isinstance(results, tuple)
    assert [type(result.error) for result in results] == [UnknownOutcomeError, type(None)]


@pytest.mark.parametrize("details", [{}, {"id": "12a"}, {"id": None}, [], "1"], ids=str)
def test_a_success_without_an_id_is_in_doubt(details: Any) -> None:
    results = create_two(201, {"data": [{**OK, "details": details}, OK]})

    assert isinstance(results, tuple)
    assert [type(result.error) for result in results] == [UnknownOutcomeError, type(None)]


def test_an_update_in_an_unknown_form_may_be_repeated() -> None:
    crm = client_of(Canned(200, b'{"data": [1]}'))

    with pytest.raises(ServerError) as caught:
        crm.records("Contacts").update([{"id": "1"}])

    assert caught.value.may_repeat is True


@pytest.mark.slow
@given(status=STATUSES, body=BODIES | st.sampled_from([OK, NO]).map(json.dumps).map(str.encode))
def test_any_answer_to_a_write_is_results_or_one_of_our_errors(status: int, body: bytes) -> None:
    contacts = client_of(Canned(status, body)).records("Contacts")

    for write in (
        lambda: contacts.create([{"Last_Name": "A"}]),
        lambda: contacts.update([{"id": "1"}]),
        lambda: contacts.upsert([{"Last_Name": "A"}]),
        lambda: contacts.delete(["1"]),
    ):
        try:
            [result] = write()
        except ZohoError:
            continue
        assert result.id or result.error
