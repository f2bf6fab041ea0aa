"""Records of any module: read by id, listed, counted, searched; over both transports."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from tests.client.canned import Canned, client_of
from tests.client.conftest import Transport
from zoho_crm.client import ZohoClient, field
from zoho_crm.exceptions import RequestRefusedError, ServerError, TransientError
from zoho_crm.simulator import Simulator
from zoho_crm.types import Record


def paths_called(zoho: Simulator) -> dict[str, int]:
    """Return how often each CRM path was called."""
    calls = [call for call in zoho.stats()["calls"] if call["path"].startswith("/crm/")]
    return {call["path"].removeprefix("/crm/v8/"): call["count"] for call in calls}


def test_a_record_is_a_mapping_with_an_id(transport: Transport, crm: ZohoClient) -> None:
    ada = transport.simulator.add("Contacts", Full_Name="Ada King", Email="ada@engine.example")

    record = crm.records("Contacts").get(ada.id)

    assert record
    assert (record.id, record["id"]) == (ada.id, ada.id)
    assert (record["Last_Name"], record["Email"]) == ("King", "ada@engine.example")
    assert record["Owner"]["name"] == "Mara Lind"
    assert dict(record)["Phone"] is None


def test_a_record_shows_no_value_in_logs_and_can_be_pickled() -> None:
    record = Record("7", {"id": "7", "Last_Name": "King"})

    assert repr(record) == "Record(id='7', 2 fields)"
    assert pickle.loads(pickle.dumps(record)) == record == {"id": "7", "Last_Name": "King"}


def test_some_fields_of_a_record_are_read(transport: Transport, crm: ZohoClient) -> None:
    ada = transport.simulator.add("Contacts", Full_Name="Ada King")

    record = crm.records("Contacts").get(ada.id, fields=["Last_Name", "Phone"])

    assert record == {"id": ada.id, "Last_Name": "King", "Phone": None}


def test_a_record_that_does_not_exist_is_none(crm: ZohoClient) -> None:
    assert crm.records("Contacts").get("404") is None


def test_a_converted_lead_is_read_too(transport: Transport, crm: ZohoClient) -> None:
    lead_id = transport.simulator.story("no_match")
    transport.simulator.convert_elsewhere(lead_id)

    record = crm.records("Leads").get(lead_id)

    assert record
    assert record["Converted__s"] is True
    assert lead_id in crm.records("Leads").get_many([lead_id], fields=["Last_Name"])


def test_any_number_of_records_is_read_by_id(transport: Transport, crm: ZohoClient) -> None:
    ids = [transport.simulator.add("Accounts", Account_Name=f"No. {n}").id for n in range(230)]

    found = crm.records("Accounts").get_many((*ids, "404"), fields=["Account_Name"])

    assert found.keys() == set(ids)
    assert found[ids[7]] == {"id": ids[7], "Account_Name": "No. 7"}
    assert paths_called(transport.simulator) == {"Accounts": 3}


def test_no_records_are_asked_for_without_a_call(transport: Transport, crm: ZohoClient) -> None:
    transport.simulator.add("Accounts", Account_Name="Nordwind")

    assert crm.records("Accounts").get_many([], fields=["Account_Name"]) == {}
    assert paths_called(transport.simulator) == {}


def test_all_records_are_listed_page_by_page(transport: Transport, crm: ZohoClient) -> None:
    ids = [transport.simulator.add("Accounts", Account_Name=f"No. {n}").id for n in range(450)]

    records = crm.records("Accounts").list(fields=["Account_Name"], sort_by="id")

    assert paths_called(transport.simulator) == {}
    assert next(records).id == ids[0]
    assert paths_called(transport.simulator) == {"Accounts": 1}
    assert [record.id for record in records] == ids[1:]
    assert paths_called(transport.simulator) == {"Accounts": 3}


def test_a_list_is_longer_than_the_2000_of_numbered_pages(in_process: Transport) -> None:
    for number in range(2_300):
        in_process.simulator.add("Accounts", Account_Name=f"No. {number}")

    records = list(in_process.client().records("Accounts").list(fields=["Account_Name"]))

    assert len({record.id for record in records}) == len(records) == 2_300
    assert records[0]["Account_Name"] == "No. 2299"


def test_a_list_ends_where_zoho_refuses_the_next_page(in_process: Transport) -> None:
    """The 100,001st record is refused; here Zoho's refusal is ordered for the third page."""
    zoho, crm = in_process.simulator, in_process.client()
    for number in range(450):
        zoho.add("Accounts", Account_Name=f"No. {number}")
    records = crm.records("Accounts").list(fields=["Account_Name"])
    first = [next(records) for _ in range(400)]
    details = {"param_name": "page_token"}
    body = {"code": "PAGINATION_LIMIT_EXCEEDED", "details": details, "status": "error"}
    zoho.fail("any", "error_before", status=400, body={**body, "message": "limit"})

    with pytest.raises(RequestRefusedError) as caught:
        next(records)

    assert len(first) == 400
    assert caught.value.code == "PAGINATION_LIMIT_EXCEEDED"


def test_a_list_whose_pages_repeat_is_given_up() -> None:
    body = b'{"data": [{"id": "1"}], "info": {"next_page_token": "again", "more_records": true}}'
    canned = Canned(200, body)

    with pytest.raises(ServerError) as caught:
        list(client_of(canned).records("Accounts").list(fields=["Account_Name"]))

    assert caught.value.code == "endless_list"
    assert len(canned.requests) == 2


@pytest.mark.parametrize(
    ("sort_by", "expected"),
    [
        ("", "CBA"),
        ("id", "ABC"),
        ("-id", "CBA"),
        ("Modified_Time", "BCA"),
        ("-Modified_Time", "ACB"),
    ],
)
def test_a_list_is_sorted(
    transport: Transport, crm: ZohoClient, sort_by: str, expected: str
) -> None:
    added = [transport.simulator.add("Accounts", Account_Name=name) for name in "ABC"]
    for seconds, record in enumerate((added[1], added[2], added[0]), 1):
        record["Modified_Time"] = f"2027-02-01T09:00:0{seconds}+01:00"

    found = crm.records("Accounts").list(fields=["Account_Name"], sort_by=sort_by)

    assert "".join(record["Account_Name"] for record in found) == expected


@pytest.mark.parametrize(
    ("converted", "expected"), [(False, ["open"]), (True, ["done"]), (None, ["done", "open"])]
)
def test_leads_are_listed_and_searched_open_converted_or_both(
    transport: Transport, crm: ZohoClient, converted: bool | None, expected: list[str]
) -> None:
    zoho, email = transport.simulator, "jo@brandt.example"
    zoho.add_lead(Last_Name="open", Email=email)
    zoho.convert_elsewhere(zoho.add_lead(Last_Name="done", Email=email).id)
    zoho.advance(60)
    leads = crm.records("Leads")

    listed = leads.list(fields=["Last_Name"], converted=converted)
    searched = leads.search(email=email, fields=["Last_Name"], converted=converted)

    assert sorted(lead["Last_Name"] for lead in listed) == expected
    assert sorted(lead["Last_Name"] for lead in searched) == expected


@pytest.mark.parametrize("fields", [[], [f"Field_{number}" for number in range(51)]])
def test_a_list_reads_1_to_50_fields(crm: ZohoClient, fields: list[str]) -> None:
    with pytest.raises(ValueError, match="1 to 50 fields"):
        crm.records("Accounts").list(fields=fields)
    with pytest.raises(ValueError, match="1 to 50 fields"):
        crm.records("Accounts").get_many(["1"], fields=fields)


def test_one_text_is_no_list_of_fields(crm: ZohoClient) -> None:
    with pytest.raises(TypeError, match="not one text"):
        crm.records("Accounts").list(fields="Account_Name")


def test_a_list_is_not_sorted_by_every_field(crm: ZohoClient) -> None:
    with pytest.raises(ValueError, match="Created_Time, Modified_Time, id"):
        crm.records("Accounts").list(fields=["Phone"], sort_by="Phone")


def test_an_empty_module_lists_nothing(crm: ZohoClient) -> None:
    assert list(crm.records("Deals").list(fields=["Deal_Name"])) == []


@pytest.mark.parametrize("record_id", ["", "12a", "1/../2", "1,2", "1" * 20, "１２"])
def test_what_cannot_be_an_id_is_refused_without_a_call(
    transport: Transport, crm: ZohoClient, record_id: str
) -> None:
    contacts = crm.records("Contacts")

    with pytest.raises(RequestRefusedError) as by_get:
        contacts.get(record_id)
    with pytest.raises(RequestRefusedError) as by_many:
        contacts.get_many(["1", record_id], fields=["Phone"])

    assert by_get.value.code == by_many.value.code == "bad_record_id"
    assert paths_called(transport.simulator) == {}


@pytest.mark.parametrize("module", ["", "Contacts/1", "../org", "Contacts?x=1", "Größe", "a" * 101])
def test_what_cannot_be_a_module_is_refused_without_a_call(crm: ZohoClient, module: str) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        crm.records(module)

    assert caught.value.code == "bad_module_name"
    assert "not the API name of a module" in str(caught.value)


def test_an_unknown_module_is_refused_by_zoho(crm: ZohoClient) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        crm.records("Unicorns").get("1")

    assert caught.value.code == "INVALID_MODULE"


def test_records_are_found_by_the_whole_address(transport: Transport, crm: ZohoClient) -> None:
    zoho = transport.simulator
    first = zoho.add("Contacts", Last_Name="A", Email="jo@brandt.example")
    second = zoho.add("Contacts", Last_Name="B", Secondary_Email="JO@brandt.example")
    zoho.add("Contacts", Last_Name="C", Email="majo@brandt.example")
    zoho.advance(60)

    found = list(crm.records("Contacts").search(email=" Jo@Brandt.example"[1:], fields=["Email"]))

    assert {record.id for record in found} == {first.id, second.id}
    assert all(record.keys() == {"id", "Email"} for record in found)


def test_all_fields_of_what_is_found_are_read(transport: Transport, crm: ZohoClient) -> None:
    transport.simulator.add("Contacts", Last_Name="A", Email="jo@brandt.example")
    transport.simulator.advance(60)

    [found] = crm.records("Contacts").search(email="jo@brandt.example")

    assert found["Last_Name"] == "A"


def test_records_are_found_by_the_whole_number(transport: Transport, crm: ZohoClient) -> None:
    zoho = transport.simulator
    wanted = zoho.add("Contacts", Last_Name="A", Mobile="+49 (30) 1234-56")
    zoho.add("Contacts", Last_Name="B", Phone="+49 (30) 1234-567")
    zoho.add("Contacts", Last_Name="C", Phone="+49 (30) 1234-56 ext. 7")
    zoho.advance(60)

    found = crm.records("Contacts").search(phone="+49 (30) 1234-56")

    assert [record.id for record in found] == [wanted.id]


def test_records_are_found_by_a_word(transport: Transport, crm: ZohoClient) -> None:
    wanted = transport.simulator.add("Accounts", Account_Name="Nordwind Trading")
    transport.simulator.add("Accounts", Account_Name="Brandt")
    transport.simulator.advance(60)

    found = list(crm.records("Accounts").search(word="wind", fields=["Account_Name"]))

    assert found == [{"id": wanted.id, "Account_Name": "Nordwind Trading"}]


def test_records_are_found_by_criteria_and_equals_is_equal(
    transport: Transport, crm: ZohoClient
) -> None:
    zoho = transport.simulator
    wanted = zoho.add("Contacts", Last_Name="O'Neil (jr.)", Mailing_City="Bonn")
    zoho.add("Contacts", Last_Name="O'Neil (jr.)-King", Mailing_City="Bonn")
    zoho.add("Contacts", Last_Name="O'Neil (jr.)", Mailing_City="Ulm")
    zoho.advance(60)
    criteria = (field("Last_Name") == "O'Neil (jr.)") & field("Mailing_City").in_(["Bonn", "Köln"])

    found = list(crm.records("Contacts").search(criteria=criteria, fields=["Email"]))

    assert [record.id for record in found] == [wanted.id]
    assert found[0].keys() >= {"id", "Email"}


def test_what_was_just_written_may_not_be_found_yet(transport: Transport, crm: ZohoClient) -> None:
    transport.simulator.tune(search_lag=30)
    transport.simulator.add("Accounts", Account_Name="Nordwind")
    search = crm.records("Accounts").search

    assert list(search(word="Nordwind")) == []
    transport.simulator.advance(60)
    assert len(list(search(word="Nordwind"))) == 1


@pytest.mark.parametrize(
    "ways", [{}, {"email": ""}, {"email": "a@b.example", "word": "abc"}], ids=str
)
def test_a_search_is_by_one_thing(crm: ZohoClient, ways: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Search by one of"):
        crm.records("Contacts").search(**ways)


@pytest.mark.parametrize("number", [2_000, 2_001])
def test_a_search_that_may_have_found_more_than_2000_says_so(
    in_process: Transport, number: int
) -> None:
    zoho, crm = in_process.simulator, in_process.client()
    for each in range(number):
        zoho.add("Accounts", Account_Name=f"Nordwind {each}")
    zoho.advance(60)
    found = []

    with pytest.raises(RequestRefusedError) as caught:
        found.extend(crm.records("Accounts").search(word="Nordwind", fields=["Phone"]))

    assert caught.value.code == "search_limit"
    assert "2000" in str(caught.value)


def test_a_record_that_moves_to_the_next_page_is_found_once() -> None:
    page = b'{"data": [{"id": "1"}, {"id": "2"}], "info": {"more_records": %b}}'
    found = client_of(Canned(200, page % b"true")).records("Accounts").search(word="ab")

    assert [next(found).id, next(found).id] == ["1", "2"]
    with pytest.raises(RequestRefusedError):
        next(found)


def test_records_are_counted(transport: Transport, crm: ZohoClient) -> None:
    for city in ("Bonn", "Bonn", "Ulm"):
        transport.simulator.add("Accounts", Account_Name="Nordwind", Billing_City=city)
    transport.simulator.advance(900)
    accounts = crm.records("Accounts")

    assert accounts.count() == 3
    assert accounts.count(field("Billing_City") == "Bonn") == 2
    assert accounts.count(field("Billing_City") == "Köln") == 0


@pytest.mark.parametrize(("body", "number"), [(b'{"count": 42}', 42), (b'{"count": 0}', 0)])
def test_records_are_counted_by_criteria(body: bytes, number: int) -> None:
    canned = Canned(200, body)
    contacts = client_of(canned).records("Contacts")

    assert contacts.count(field("City") == "Bonn, Rhine") == contacts.count() == number
    by_criteria, all_of_them = (request.url for request in canned.requests)
    query = "?criteria=%28City%3Aequals%3ABonn%5C%2C+Rhine%29"
    assert all_of_them == "https://www.zohoapis.eu/crm/v8/Contacts/actions/count"
    assert by_criteria == all_of_them + query


@pytest.mark.parametrize("do", ["close_before", "truncate", "html", "error_before"])
def test_a_read_that_went_wrong_may_be_repeated(transport: Transport, do: str) -> None:
    ada = transport.simulator.add("Contacts", Last_Name="King")
    contacts = transport.client().records("Contacts")
    transport.simulator.fail("any", do)

    with pytest.raises(TransientError):
        contacts.get(ada.id)

    assert contacts.get(ada.id)


@pytest.mark.parametrize("record_id", [b'"12a"', b"null", b"[]", b'"1\\u0000"'])
def test_a_record_with_an_odd_id_is_an_answer_of_unknown_form(record_id: bytes) -> None:
    crm = client_of(Canned(200, b'{"data": [{"id": %b}]}' % record_id))

    with pytest.raises(ServerError) as caught:
        crm.records("Contacts").get("1")

    assert caught.value.code == "unknown_form"
