"""Records are checked before they are sent, by the fields of their module."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.conftest import Transport
from tests.client.stores import MemoryStore, checking
from tests.client.test_writes import calls_of, codes
from zoho_crm.client import ModuleField, RecordsClient, WriteResult, ZohoClient
from zoho_crm.client import open_session as new_session
from zoho_crm.client._checks import MAX_NEAREST_NAMES, FieldRules, Purpose
from zoho_crm.contrib.pytest import SimulatorAdapter, new_simulator
from zoho_crm.exceptions import InvalidRecordError
from zoho_crm.types import Record, Reference, Stage

DEAL = {"Deal_Name": "Refit", "Stage": "Qualification", "Pipeline": "Standard (Standard)"}


@pytest.fixture
def checked(crm: ZohoClient) -> ZohoClient:
    """A client that knows the fields of modules."""
    return checking(crm)[0]


def error_of(result: WriteResult) -> InvalidRecordError:
    assert isinstance(result.error, InvalidRecordError)
    return result.error


@pytest.mark.parametrize(
    ("values", "code", "field", "said"),
    [
        ({"Lastname": "x"}, "unknown_field_near", "Lastname", "did you mean “Last_Name”?"),
        ({"E_mail": "x"}, "unknown_field_near", "E_mail", "did you mean “Email”?"),
        ({"Qqqqq": 1}, "unknown_field", "Qqqqq", "Deals has no field “Qqqqq”"),
        ({"Created_Time": "x"}, "read_only_field", "Created_Time", "cannot be written"),
        ({"Deal_Name": 5}, "wrong_type", "Deal_Name", "not “5”"),
        ({"Deal_Name": ["x"]}, "wrong_type", "Deal_Name", "not “['x']”"),
        ({"Deal_Name": "x" * 121}, "too_long", "Deal_Name", "at most 120 are allowed"),
        ({"Deal_Name": ""}, "missing_value", "Deal_Name", "needs a value"),
        ({"Deal_Name": None}, "missing_value", "Deal_Name", "needs a value"),
        ({"Closing_Date": "31.01.2027"}, "wrong_type", "Closing_Date", "date, 2027-01-31"),
        ({"Closing_Date": ""}, "wrong_type", "Closing_Date", "date, 2027-01-31"),
        (
            {"Closing_Date": datetime(2027, 1, 31, tzinfo=UTC)},
            "wrong_type",
            "Closing_Date",
            "not “2027-01-31T00:00:00+00:00”",
        ),
        ({"Kick_Off": date(2027, 1, 31)}, "wrong_type", "Kick_Off", "datetime"),
        ({"Kick_Off": "2027-01-31T09:00:00"}, "wrong_type", "Kick_Off", "+01:00"),
        ({"Probability": 12.5}, "wrong_type", "Probability", "int"),
        ({"Probability": True}, "wrong_type", "Probability", "int"),
        ({"Probability": 1000}, "too_long", "Probability", "at most 3 are allowed"),
        ({"External_Number": "1 000"}, "wrong_type", "External_Number", "int"),
        ({"Amount": "much"}, "wrong_type", "Amount", "Decimal"),
        ({"Is_Renewal": "yes"}, "wrong_type", "Is_Renewal", "True, False"),
        ({"Interests": "A;B"}, "wrong_type", "Interests", '["text", "text"]'),
        ({"Account_Name": "Nordwind"}, "wrong_type", "Account_Name", "Reference"),
        ({"Owner": {"id": "x"}}, "wrong_type", "Owner", "Reference"),
        ({"Stage": "Won"}, "not_in_picklist", "Stage", "allowed are: “Qualification”, “Needs"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_does_not_fit_is_refused_without_a_call(
    transport: Transport,
    checked: ZohoClient,
    values: dict[str, Any],
    code: str,
    field: str,
    said: str,
) -> None:
    module = "Contacts" if field in ("Lastname", "E_mail") else "Deals"
    known = {"Last_Name": "King"} if module == "Contacts" else DEAL

    [result] = checked.records(module).create([{**known, **values}])

    error = error_of(result)
    assert (error.code, error.field, error.index) == (code, field, 0)
    assert said in str(error)
    assert error.details["module"] == module
    assert error.may_repeat is False
    assert calls_of(transport.simulator, "POST") == 0
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_of_a_batch_the_good_records_are_written_and_each_other_names_its_place(
    transport: Transport, checked: ZohoClient
) -> None:
    records: list[dict[str, Any]] = [{"Last_Name": str(number)} for number in range(230)]
    records[7] = {"First_Name": "Ada"}
    records[205] = {"Last_Name": "King", "Email": 5}

    results = checked.records("Contacts").create(iter(records))

    refused = {number: error_of(each) for number, each in enumerate(results) if each.error}
    assert {number: error.code for number, error in refused.items()} == {
        7: "missing_value",
        205: "wrong_type",
    }
    assert [error.index for error in refused.values()] == [7, 205]
    stored = transport.simulator.records["Contacts"]
    assert [each["Last_Name"] for each in stored.values()] == [
        str(number) for number in range(230) if number not in refused
    ]


def test_an_error_of_zohos_names_the_place_of_its_record_too(
    transport: Transport, crm: ZohoClient
) -> None:
    records = [{"Last_Name": str(number)} for number in range(130)]
    records[4], records[110] = {"": "no name"}, {"First_Name": "Ada"}

    results = crm.records("Contacts").create(records)

    refused = [result.error for result in results if result.error]
    assert [getattr(error, "index", None) for error in refused] == [4, 110]


def test_all_problems_of_a_record_are_named(checked: ZohoClient) -> None:
    [result] = checked.records("Deals").create([{"Stage": "Won", "Amount": "x", "Nope_": 1}])

    error = error_of(result)
    assert [(each["code"], each["api_name"]) for each in error.problems] == [
        ("not_in_picklist", "Stage"),
        ("wrong_type", "Amount"),
        ("unknown_field", "Nope_"),
        ("missing_value", "Deal_Name"),
    ]
    assert error.problems[0]["supported_values"][0] == "Qualification"


def test_an_update_need_not_name_what_a_new_record_must_have(
    transport: Transport, checked: ZohoClient
) -> None:
    contact = transport.simulator.add("Contacts", Last_Name="King", Email="a@b.example")
    contacts = checked.records("Contacts")

    by_id = contacts.update([{"id": contact.id, "Phone": "1"}, {"id": contact.id, "Last_Name": ""}])
    by_address = contacts.upsert([{"Email": "a@b.example", "Phone": "2"}, {"Last_Name": None}])

    assert codes(by_id) == codes(by_address) == ["", "missing_value"]
    assert contact["Phone"] == "2"


def test_values_of_python_fit_and_are_sent_in_zohos_form(
    transport: Transport, checked: ZohoClient
) -> None:
    account = transport.simulator.add("Accounts", Account_Name="Nordwind")
    values = {
        **DEAL,
        "Deal_Name": "Straße 🏛 𝔘",
        "Closing_Date": date(2027, 1, 31),
        "Kick_Off": datetime(2027, 1, 31, 9, 30, 0, 999, tzinfo=UTC),
        "Budget": Decimal("1000.50"),
        "Probability": Decimal("40"),
        "External_Number": 123456789012345678,
        "Is_Renewal": True,
        "Interests": ("A", "new"),
        "Lead_Source": "A value that is new",
        "Account_Name": Reference(id=account.id),
        "Owner": Record(transport.simulator.organisation.current_user["id"], {}),
        "Tag": [{"name": "fair"}],
        "Next_Step": None,
        "$approved": True,
    }

    [result] = checked.records("Deals").create([values])

    deal = transport.simulator.records["Deals"][result.id]
    assert result.error is None
    assert deal["Deal_Name"] == "Straße 🏛 𝔘"
    assert deal["Kick_Off"] == "2027-01-31T09:30:00+00:00"
    assert deal["Interests"] == ["A", "new"]
    assert (deal["Account_Name"]["name"], deal["Owner"]["name"]) == ("Nordwind", "Mara Lind")


def test_a_time_without_a_zone_is_refused_by_name(checked: ZohoClient) -> None:
    [result] = checked.records("Deals").create([{**DEAL, "Kick_Off": datetime(2027, 1, 31)}])

    assert codes((result,)) == ["unusable_zone"]
    assert "Kick_Off has no time zone; use an aware datetime" in str(result.error)


def test_before_a_value_is_refused_old_fields_are_read_again(transport: Transport) -> None:
    crm, store = checking(transport.client())
    deals, zoho = crm.records("Deals"), transport.simulator
    assert codes(deals.create([DEAL])) == [""]
    stage = zoho.organisation.pipelines[0]["maps"][0]
    stage["actual_value"] = stage["display_value"] = "Qualified"
    renamed = {**DEAL, "Stage": "Qualified"}

    store.age = 30
    assert codes(deals.create([renamed])) == ["not_in_picklist"]
    store.age = 100
    assert codes(deals.create([renamed, renamed, {**DEAL, "Stage": "Old"}])) == [
        *("", "", "not_in_picklist")
    ]
    asked = calls_of(zoho, "GET")
    deals.create([{**DEAL, "Stage": "Old"}] * 3)
    assert calls_of(zoho, "GET") == asked


def test_if_old_fields_cannot_be_read_again_zoho_decides(transport: Transport) -> None:
    crm, store = checking(transport.client())
    crm.metadata.fields("Contacts")
    store.age = 100
    transport.simulator.fail("metadata", "error_before", times=9)

    results = crm.records("Contacts").create([{"Lastname": "A"}, {"Last_Name": "B"}])

    assert codes(results) == ["INVALID_DATA", ""]


def test_without_a_store_nothing_is_checked_or_asked(transport: Transport, crm: ZohoClient) -> None:
    crm.records("Contacts").create([{"Last_Name": "King"}])

    assert calls_of(transport.simulator, "GET") == 0


@pytest.mark.parametrize(
    ("data_type", "json_type"), [("something new", "string"), ("boolean", "jsonarray"), ("", "")]
)
def test_a_field_whose_values_are_not_known_takes_any(
    crm: ZohoClient, data_type: str, json_type: str
) -> None:
    store = MemoryStore()
    field = ModuleField(api_name="Last_Name", data_type=data_type, json_type=json_type)
    store.put("fields.Contacts", (field,))
    client = ZohoClient(api=crm.api, metadata_store=store)

    assert codes(client.records("Contacts").create([{"Last_Name": "King"}])) == [""]


def test_what_zoho_may_take_is_left_to_it(crm: ZohoClient) -> None:
    store = MemoryStore()
    stage = Stage(value="Id. Decision Makers", label="Identify Decision Makers")
    known = (
        ModuleField(api_name="Deal_Name", data_type="text", json_type="string", length=120),
        ModuleField(api_name="Owner", data_type="ownerlookup", required=True),
        ModuleField(api_name="Pipeline", data_type="picklist"),
        ModuleField(api_name="Stage", data_type="picklist", choices=(stage,), is_closed=True),
    )
    store.put("fields.Deals", known)
    deals = ZohoClient(api=crm.api, metadata_store=store).records("Deals")

    results = deals.create([{**DEAL, "Stage": name} for name in (stage.value, stage.label, "Won")])

    assert codes(results)[2] == "not_in_picklist"
    assert not {"missing_value", "not_in_picklist"} & set(codes(results)[:2])


# What the check lets pass, Zoho takes

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=130)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "Deal_Name": TEXTS,
    "Next_Step": TEXTS | st.integers(),
    "Stage": st.sampled_from(["Qualification", "Closed Won", "Won", ""]),
    "Closing_Date": st.dates() | TEXTS | st.datetimes(timezones=st.just(UTC)),
    "Kick_Off": st.datetimes(timezones=st.timezones()) | st.dates() | TEXTS,
    "Amount": st.decimals(allow_nan=False, allow_infinity=False, places=2) | TEXTS | st.booleans(),
    "Probability": st.integers(-10, 1100) | st.floats(0, 100) | TEXTS,
    "Is_Renewal": st.booleans() | st.integers(0, 1),
    "Interests": st.lists(TEXTS, max_size=2) | TEXTS | st.lists(st.integers(), min_size=1),
    "Lead_Source": TEXTS,
    "Unknown": TEXTS,
    "Modified_Time": st.datetimes(timezones=st.just(UTC)),
}
RECORDS = st.fixed_dictionaries(
    {"Pipeline": st.just("Standard (Standard)")},
    optional={name: st.none() | values for name, values in VALUES.items()},
)


@pytest.fixture(scope="module")
def in_simulator() -> Iterator[ZohoClient]:
    """A client that knows the fields of modules, of a simulator for all examples."""
    simulator = new_simulator()
    with new_session(partial(SimulatorAdapter, simulator)) as session:
        yield checking(Transport(simulator=simulator, session=session).client())[0]


def check_is_right(deals: RecordsClient, record: dict[str, Any]) -> None:
    """Zoho takes what the check lets pass, and would refuse what it refuses."""
    [checked] = deals.create([record])
    if not isinstance(checked.error, InvalidRecordError):
        assert checked.error is None or checked.error.code == "unusable_text"
    elif not {each["api_name"] for each in checked.error.problems} & {"Unknown", "Modified_Time"}:
        [unchecked] = deals.create([record], check=False)
        assert unchecked.error is not None


@settings(max_examples=40, deadline=None)
@given(record=RECORDS)
def test_the_check_says_what_zoho_would_say(
    in_simulator: ZohoClient, record: dict[str, Any]
) -> None:
    check_is_right(in_simulator.records("Deals"), record)


@pytest.mark.long
@settings(max_examples=5_000, deadline=None)
@given(record=RECORDS)
def test_the_check_says_what_zoho_would_say_of_many_records(
    in_simulator: ZohoClient, record: dict[str, Any]
) -> None:
    check_is_right(in_simulator.records("Deals"), record)


def test_the_nearest_name_is_looked_for_of_a_limited_number_of_unknown_ones(
    checked: ZohoClient,
) -> None:
    fields = {each.api_name: each for each in checked.metadata.fields("Deals")}
    rules = FieldRules(module="Deals", fields=fields, purpose=Purpose.UPDATE)
    names = [f"Deal_Name_{number}" for number in range(MAX_NEAREST_NAMES + 1)]

    def code_of(name: str) -> str:
        error = rules.error_of({name: "x"})
        assert error
        return error.code

    assert rules.fits({"Deal_Name": "Refit"})
    assert not rules.fits({"Deal_Name": "Refit", names[0]: "x"})
    found = list(map(code_of, names))
    assert found == ["unknown_field_near"] * MAX_NEAREST_NAMES + ["unknown_field"]
    # Those that were looked for are known.
    assert code_of(names[0]) == "unknown_field_near"
