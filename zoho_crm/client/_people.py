"""People: what a lead or a contact says about who it is."""

from __future__ import annotations

from zoho_crm.client._answers import parse_answer
from zoho_crm.client._leads import MAX_NAME_LENGTH, lead_of, text_of
from zoho_crm.types import Person, PersonKind, Record


def person_of_lead(record: Record) -> Person:
    """
    Return the person that a lead is about.

    :raises ServerError: if a value of the lead does not have the documented form
    """
    lead = parse_answer(lead_of, dict(record))
    return Person(
        kind=PersonKind.CONVERTED_LEAD if lead.converted else PersonKind.LEAD,
        id=lead.id,
        name=lead.name,
        company=lead.company,
        converted=lead.converted,
    )


def person_of_contact(record: Record) -> Person:
    """Return the person that a contact is about."""
    return Person(
        kind=PersonKind.CONTACT,
        id=record.id,
        name=text_of(record.get("Full_Name") or record.get("Last_Name"))[:MAX_NAME_LENGTH],
        company=text_of(record.get("Account_Name"))[:MAX_NAME_LENGTH],
    )
