"""People are found by their address, whatever kind of record they are; over both transports."""

from __future__ import annotations

import pytest

from tests.client.canned import Canned, client_of
from tests.client.conftest import Transport
from zoho_crm.client import ZohoClient
from zoho_crm.exceptions import ServerError
from zoho_crm.types import Converted, Person, PersonKind

EMAIL = "ada@engine.example"


def test_all_records_of_a_person_are_found(transport: Transport, crm: ZohoClient) -> None:
    zoho = transport.simulator
    account = zoho.add("Accounts", Account_Name="Engine Ltd")
    contact = zoho.add("Contacts", Full_Name="Ada King", Email=EMAIL, Account_Name=account.lookup())
    lead = zoho.add_lead(Full_Name="Ada Lovelace", Company="Engines", Secondary_Email=EMAIL.upper())
    zoho.add_lead(Email=f"l{EMAIL}")
    zoho.add("Contacts", Last_Name="Other", Email=f"{EMAIL}.example")
    zoho.advance(60)

    assert crm.find_person(EMAIL) == (
        Person(kind=PersonKind.LEAD, id=lead.id, name="Ada Lovelace", company="Engines"),
        Person(kind=PersonKind.CONTACT, id=contact.id, name="Ada King", company="Engine Ltd"),
    )


def test_a_converted_lead_is_found_with_what_it_became(
    transport: Transport, crm: ZohoClient
) -> None:
    zoho = transport.simulator
    lead = zoho.add_lead(Email=EMAIL)
    zoho.convert_elsewhere(lead.id)
    [entry] = zoho.conversions_of(lead.id)
    zoho.advance(60)

    converted, contact = crm.find_person(EMAIL)

    assert (converted.kind, converted.id) == (PersonKind.CONVERTED_LEAD, lead.id)
    became = Converted(contact_id=entry["contact_id"], account_id=entry["account_id"] or "")
    assert converted.converted == became
    assert (contact.kind, contact.id) == (PersonKind.CONTACT, entry["contact_id"])


def test_nobody_is_found(crm: ZohoClient) -> None:
    assert crm.find_person(EMAIL) == ()


def test_nobody_is_looked_for_without_an_address(crm: ZohoClient) -> None:
    with pytest.raises(ValueError, match="Search by one of"):
        crm.find_person("")


def test_values_of_odd_types_are_no_names() -> None:
    body = b'{"data": [{"id": "1", "Email": "ada@engine.example", "Full_Name": [1, {"name": 2}]}]}'

    lead, contact = client_of(Canned(200, body)).find_person(EMAIL)

    assert (lead.id, contact.id, contact.name) == ("1", "1", "1, 2")


@pytest.mark.parametrize("values", [b'"id": "x"', b'"id": "1", "Owner": "Mara"'])
def test_an_answer_of_unknown_form_is_no_person(values: bytes) -> None:
    crm = client_of(Canned(200, b'{"data": [{%b, "Email": "ada@engine.example"}]}' % values))

    with pytest.raises(ServerError) as caught:
        crm.find_person(EMAIL)

    assert caught.value.code == "unknown_form"
