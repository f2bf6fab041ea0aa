"""Records with values of Python, by the types of the module's fields."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.conftest import Transport
from zoho_crm.client import ModuleField, ZohoClient, field
from zoho_crm.client._typed import typed_by
from zoho_crm.types import Record, Reference

CET = timezone(timedelta(hours=1))
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
TYPES = (
    *("text", "textarea", "email", "picklist", "multiselectpicklist", "integer", "bigint"),
    *("double", "currency", "percent", "boolean", "date", "datetime", "event_reminder"),
    *("lookup", "ownerlookup", "userlookup", "multi_module_lookup", "subform", "ALARM", ""),
)


def typed(data_type: str, value: Any, **more: Any) -> Any:
    known = ModuleField(api_name="X", data_type=data_type, **more)
    return typed_by([known])(Record("1", {"id": "1", "X": value}))["X"]


def add_deal(transport: Transport) -> str:
    zoho = transport.simulator
    account = zoho.add("Accounts", Account_Name="Nordwind")
    deal = zoho.add(
        "Deals",
        Deal_Name="Refit",
        Stage="Qualification",
        Closing_Date="2027-01-31",
        Kick_Off="2027-01-31T09:30:00+01:00",
        Amount=1000.5,
        Probability=40,
        Is_Renewal=True,
        Interests=["A", "B"],
        External_Number="123456789012345678",
        Account_Name=dict(account.lookup()),
    )
    return deal.id


EXPECTED = {
    "Closing_Date": date(2027, 1, 31),
    "Kick_Off": datetime(2027, 1, 31, 9, 30, tzinfo=CET),
    "Amount": Decimal("1000.5"),
    "Probability": 40,
    "Is_Renewal": True,
    "Interests": ("A", "B"),
    "External_Number": 123456789012345678,
    "Deal_Name": "Refit",
    "Next_Step": None,
}


def test_every_way_to_read_gives_values_of_python(transport: Transport, crm: ZohoClient) -> None:
    deal_id, deals = add_deal(transport), crm.records("Deals")
    names = [*EXPECTED, "Account_Name", "Owner"]
    name = field("Deal_Name") == "Refit"

    found = [
        deals.get(deal_id, typed=True),
        deals.get_many([deal_id], fields=names, typed=True)[deal_id],
        *deals.list(fields=names, typed=True),
        *deals.search(criteria=name, fields=names, typed=True),
    ]

    assert len(found) == 4
    for record in found:
        assert record is not None
        assert {each: record[each] for each in EXPECTED} == EXPECTED
        assert (record.id, record["id"]) == (deal_id, deal_id)
        account, owner = record["Account_Name"], record["Owner"]
        assert (account.name, account.module) == ("Nordwind", "Accounts")
        assert (owner.name, owner.module) == ("Mara Lind", "")


def test_a_related_list_is_typed_by_its_module(transport: Transport, crm: ZohoClient) -> None:
    add_deal(transport)
    [account] = transport.simulator.records["Accounts"].values()

    record = crm.records("Accounts").record(account.id)
    [deal] = record.related("Deals", fields=["Closing_Date"], typed=True)
    [same] = record.related("Deals", fields=["Closing_Date"], typed=True, module="Deals")

    assert deal["Closing_Date"] == same["Closing_Date"] == date(2027, 1, 31)


def test_changes_are_typed(transport: Transport, crm: ZohoClient) -> None:
    add_deal(transport)

    changes = crm.changes("Deals", fields=["Closing_Date"], typed=True)

    [record] = [change.record for change in changes]
    assert record is not None
    assert record["Closing_Date"] == date(2027, 1, 31)
    assert not list(crm.changes("Deals", changes.cursor, fields=["Closing_Date"], typed=True))


def test_rows_of_a_query_are_typed(transport: Transport, crm: ZohoClient) -> None:
    deal = add_deal(transport)
    query = "select Amount, Closing_Date, Account_Name.Account_Name from Deals where id = :deal"

    [row] = crm.coql(query, typed=True, deal=deal)

    assert (row["id"], row["Amount"]) == (deal, Decimal("1000.5"))
    assert row["Closing_Date"] == date(2027, 1, 31)
    assert row["Account_Name.Account_Name"] == "Nordwind"
    assert [row] != list(crm.coql(query, deal=deal))


def test_by_default_values_are_as_zoho_sends_them(transport: Transport, crm: ZohoClient) -> None:
    record = crm.records("Deals").get(add_deal(transport))

    assert record is not None
    assert (record["Closing_Date"], record["Interests"]) == ("2027-01-31", ["A", "B"])


def test_what_was_read_with_types_can_be_written_back(
    transport: Transport, crm: ZohoClient
) -> None:
    deal_id, deals = add_deal(transport), crm.records("Deals")
    before = dict(transport.simulator.records["Deals"][deal_id])
    record = deals.get(deal_id, typed=True)
    assert record is not None

    names = [*EXPECTED, "Account_Name", "Owner"]
    [result] = deals.update([{"id": deal_id, **{name: record[name] for name in names}}])

    after = transport.simulator.records["Deals"][deal_id]
    changed = {name for name in names if after[name] != before.get(name)}
    assert result.error is None
    assert changed == {"Kick_Off", "External_Number"} or changed == {"External_Number"}
    assert after["Kick_Off"] == "2027-01-31T09:30:00+01:00"


@pytest.mark.parametrize(
    ("data_type", "value"),
    [
        ("date", "31.01.2027"),
        ("date", 7),
        ("datetime", "2027-01-31T09:30:00"),
        ("datetime", ["x"]),
        ("integer", "12"),
        ("integer", True),
        ("bigint", "12a"),
        ("currency", "much"),
        ("double", True),
        ("boolean", "true"),
        ("lookup", "Nordwind"),
        ("lookup", {"name": "Nordwind"}),
        ("lookup", {"id": "x"}),
        ("multiselectpicklist", "A;B"),
        ("multiselectpicklist", ["A", 1]),
        ("subform", [{"id": "1"}]),
        ("text", [{"name": "fair"}]),
        ("something new", 5),
    ],
)
def test_what_does_not_fit_its_type_stays_as_it_came(data_type: str, value: Any) -> None:
    assert typed(data_type, value) is value


def test_values_of_other_forms_are_typed() -> None:
    lookup = {"id": "7", "name": None, "module": {"api_name": "Leads", "id": "1"}}

    assert typed("picklist", "-None-") is None
    assert typed("picklist", "Cold Call") == "Cold Call"
    assert typed("currency", "12.50") == Decimal("12.50")
    assert typed("currency", 0.1) == Decimal("0.1")
    assert typed("datetime", "2027-01-31T09:30:00Z") == datetime(2027, 1, 31, 9, 30, tzinfo=UTC)
    assert typed("multi_module_lookup", lookup) == Reference(id="7", module="Leads")
    assert typed("multi_module_lookup", {"id": "7", "$se_module": "Deals"}).module == "Deals"
    assert typed("lookup", {"id": 7}, lookup_module="Accounts") == Reference(
        id="7", module="Accounts"
    )


@pytest.mark.slow
@given(data_type=st.sampled_from(TYPES), value=JSON)
def test_any_value_of_any_type_is_typed_or_stays(data_type: str, value: Any) -> None:
    typed(data_type, value)
