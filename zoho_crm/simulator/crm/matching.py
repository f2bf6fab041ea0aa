"""
Conversion options: the contacts and accounts that match a lead.

`Lead conversion options
<https://www.zoho.com/crm/developer/docs/api/v8/lead-conversion-options.html>`_
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from zoho_crm.simulator import refusals, schema
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.crm.reading import checked_id
from zoho_crm.simulator.organisation import Organisation
from zoho_crm.simulator.records import Record
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

Json = dict[str, Any]
MAX_MATCHES_PER_MODULE = 100

#: The fields of a match in the answer, besides unique fields.
_CONTACT_KEYS = ("Full_Name", "Email", "Layout", "Locked__s", "$editable", "id", "$approval_state")
_ACCOUNT_KEYS = (
    "Layout",
    "Phone",
    "Account_Type",
    "Website",
    "Account_Name",
    "$editable",
    "Locked__s",
    "$approval_state",
    "id",
)


@dataclass
class Matches:
    """The records of one module that match a lead, and the field they match by."""

    module: str
    records: list[Record] = field(default_factory=list)
    by: str = ""
    lead_value: str = ""


def matches(organisation: Organisation, lead: Record, module: str) -> Matches:
    """Return the matches by the first field that has any: unique fields, then the usual ones."""
    if organisation.is_hidden(module):
        return Matches(module)
    for own, theirs in _comparisons(organisation, module):
        found = organisation.records[module].find(theirs, lead.get(own))
        if found:
            return Matches(module, found[:MAX_MATCHES_PER_MODULE], theirs, str(lead[own]))
    return Matches(module)


def _comparisons(organisation: Organisation, module: str) -> Iterator[tuple[str, str]]:
    """Yield pairs of a lead field and the field of the module that it is compared with."""
    for unique in organisation.unique[module]:
        mapped = (each.name for each in schema.FIELDS["Leads"] if each.mapping[module] == unique)
        yield from ((name, unique) for name in mapped)
    if module == "Contacts":
        yield from (("Email", "Email"), ("Full_Name", "Full_Name"))
    else:
        yield ("Company", "Account_Name")


def options(world: World, context: RequestContext) -> Answer:
    """``GET /Leads/{id}/__conversion_options``: 204 if there is no match and no layout choice."""
    organisation = world.organisation
    lead = _readable_lead(organisation, context)
    contacts = matches(organisation, lead, "Contacts")
    accounts = matches(organisation, lead, "Accounts")
    layouts = _layout_choices(organisation, lead)
    if organisation.is_hidden("Contacts") or not (contacts.records or accounts.records or layouts):
        return Answer.no_content()
    return Answer.json(
        {
            "__conversion_options": {
                "module_preference": _preference(organisation, contacts, accounts),
                "Contacts": [_contact(organisation, each) for each in contacts.records] or None,
                "Accounts": [_account(organisation, each) for each in accounts.records] or None,
                "preference_field_matched_value": _matched_values(organisation, contacts, accounts),
                "modules_with_multiple_layouts": layouts or None,
            }
        }
    )


def _readable_lead(organisation: Organisation, context: RequestContext) -> Record:
    lead = organisation.records["Leads"].get(checked_id(context))
    if lead is not None and context.seen_at:
        lead = organisation.as_of(lead, context.seen_at)
    if lead is None:
        raise refusals.malformed_id()
    if lead["Converted__s"]:
        raise refusals.already_converted()
    if lead["$in_merge"]:
        raise refusals.in_merge()
    if lead["$approval_state"] != "approved":
        raise refusals.lead_not_approved("record not approved")
    return lead


def _layout_choices(organisation: Organisation, lead: Record) -> list[Json]:
    if lead["Layout"]["id"] != organisation.layout_with_choice["id"]:
        return []
    return [organisation.module("Deals")]


def _preference(organisation: Organisation, contacts: Matches, accounts: Matches) -> Json | None:
    """Return the preferred module: Contacts, unless only Accounts has a unique field."""
    ordered = [contacts, accounts]
    if organisation.unique["Accounts"] and not organisation.unique["Contacts"]:
        ordered.reverse()
    best = next((each.module for each in ordered if each.records), None)
    return organisation.module(best) if best else None


def _contact(organisation: Organisation, contact: Record) -> Json:
    unique = organisation.unique["Contacts"]
    account = organisation.account_of(contact)
    return {
        **{key: contact[key] for key in (*_CONTACT_KEYS, *unique)},
        "Account_Name": account and {**account.lookup(), "Locked__s": account["Locked__s"]},
        "Data_Processing_Basis": contact["Data_Processing_Basis"] or "null",
    }


def _account(organisation: Organisation, account: Record) -> Json:
    return {key: account[key] for key in (*_ACCOUNT_KEYS, *organisation.unique["Accounts"])}


def _matched_values(organisation: Organisation, *found: Matches) -> Json | None:
    """Return the matched fields by module; modules without a match are missing."""
    named = {
        each.module: [{"field": _field(organisation, each), "matched_lead_value": each.lead_value}]
        for each in found
        if each.records
    }
    return named or None


def _field(organisation: Organisation, found: Matches) -> Json:
    return {
        "api_name": found.by,
        "field_label": found.by.replace("_", " "),
        "unique": found.by in organisation.unique[found.module] or None,
        "id": organisation.field_id(found.module, found.by),
    }
