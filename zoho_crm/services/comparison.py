"""A lead beside a record that matches it: which of their values are the same, and which differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from zoho_crm.models import LeadConversion
from zoho_crm.types import ConversionPlan, Lead, Match

#: The field of a lead that corresponds to a field of a match, where the names differ.
LEAD_FIELD_BY_MATCH_FIELD: Mapping[str, str] = {
    "Title": "Designation",
    "Employees": "No_of_Employees",
    "Billing_City": "City",
}
#: Fields that are shown first, in this order.
LEADING_FIELDS = ("Full_Name", "Account_Name", "Email", "Phone", "Website")


def lead_value(lead: Lead, name: str) -> str:
    """Return the lead's value that corresponds to a field of a match; empty if it has none."""
    own = {"Full_Name": lead.name, "Account_Name": lead.company, "Email": lead.email}
    return own.get(name) or lead.fields.get(LEAD_FIELD_BY_MATCH_FIELD.get(name, name), "")


def compared_fields(matches: Iterable[Match]) -> list[str]:
    """Return the API names of the fields in which at least one match has a value."""
    found = {name for match in matches for name, value in match.fields.items() if value}
    return [name for name in LEADING_FIELDS if name in found] + sorted(found - set(LEADING_FIELDS))


def comparison_result(lead: Lead, match: Match, name: str) -> str:
    """Return ``matched``, ``same`` or ``differs``; empty if one of the two has no value."""
    value, theirs = match.fields.get(name, ""), lead_value(lead, name)
    if name in match.matched_on:
        return "matched"
    if not value or not theirs:
        return ""
    return "same" if _is_same_text(value, theirs) else "differs"


def differing_fields(lead: Lead, match: Match) -> list[str]:
    """Return the API names of the fields in which lead and match have different values."""
    names = compared_fields([match])
    return [name for name in names if comparison_result(lead, match, name) == "differs"]


def written_fields(lead: Lead, match: Match) -> list[str]:
    """Return the API names of the fields in which the lead has a value and the match another."""
    found = [name for name in match.fields if name not in LEADING_FIELDS]
    names = [*(name for name in LEADING_FIELDS if name in match.fields), *sorted(found)]
    return [name for name in names if _is_written(lead_value(lead, name), match.fields[name])]


def _is_written(value: str, before: str) -> bool:
    return bool(value) and not _is_same_text(value, before)


def joined_matches(row: LeadConversion) -> list[tuple[str, Match]]:
    """Return the existing records that a row's plan attaches it to, each after its module."""
    plan, options = row.stored_plan() or ConversionPlan(), row.stored_options()
    found = (
        ("Contacts", match_by_id(options.contacts, plan.contact_id)),
        ("Accounts", match_by_id(options.accounts, plan.account_id)),
    )
    return [(module, match) for module, match in found if match]


def match_by_id(matches: Iterable[Match], record_id: str) -> Match | None:
    """Return the match with an id; ``None`` if there is none, or no id."""
    return next((match for match in matches if record_id and match.id == record_id), None)


def _is_same_text(one: str, other: str) -> bool:
    return one.casefold().split() == other.casefold().split()
