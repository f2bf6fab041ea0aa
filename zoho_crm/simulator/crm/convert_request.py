"""
Parsing and validation of a convert request.

`Convert lead <https://www.zoho.com/crm/developer/docs/api/v8/convert-lead.html>`_
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoho_crm.simulator import item_refusals, refusals
from zoho_crm.simulator.crm.items import items_of
from zoho_crm.simulator.crm.matching import matches
from zoho_crm.simulator.crm.values import check_stage, check_value
from zoho_crm.simulator.organisation import Organisation
from zoho_crm.simulator.records import Record
from zoho_crm.simulator.request_context import RequestContext

Json = dict[str, Any]
ITEM_PATH = "$.data[0]"
TARGET_MODULES = ("Contacts", "Accounts", "Deals")
_FLAGS = ("overwrite", "notify_lead_owner", "notify_new_entity_owner", "add_to_existing_record")
_KEY_TYPES: Mapping[str, tuple[type, str]] = {
    **dict.fromkeys(_FLAGS, (bool, "boolean")),
    "move_attachments_to": (dict, "jsonobject"),
    "Accounts": (dict, "jsonobject"),
    "Contacts": (dict, "jsonobject"),
    "assign_to": (dict, "jsonobject"),
    "Deals": (dict, "jsonobject"),
    "carry_over_tags": (dict, "jsonobject"),
}


@dataclass(frozen=True, kw_only=True)
class ConvertRequest:
    """A valid request: every record and user that it names exists."""

    contact: Record | None = None
    account: Record | None = None
    deal: Json | None = None
    assign_to: Json | None = None
    overwrite: bool = False
    notify_lead_owner: bool = False
    notify_new_owner: bool = False
    attachments_to: str = "Contacts"
    portal_user_type: Json | None = None
    tags: Mapping[str, list[str]] = field(default_factory=dict)


def single_item(context: RequestContext) -> Json:
    """
    Return the one item of ``data``.

    :raises RefusedError: if the body is anything else
    """
    items = items_of(context)
    if len(items) != 1:
        raise refusals.at_root(item_refusals.too_long("data", "$.data", 1))
    if not isinstance(items[0], dict):
        raise refusals.at_root(item_refusals.wrong_type("data", ITEM_PATH, "jsonobject"))
    return items[0]


def parse_convert_request(organisation: Organisation, lead: Record, item: Json) -> ConvertRequest:
    """
    Validate an item against the lead and the organisation.

    :raises ItemRefusedError: for the first key that is invalid
    """
    _check_types(item)
    contact = _existing_match(organisation, lead, item, "Contacts")
    account = _existing_match(organisation, lead, item, "Accounts")
    if contact and account and organisation.account_of(contact) is not account:
        raise _mismatch("Accounts")
    return ConvertRequest(
        contact=contact,
        account=account,
        deal=checked_deal(organisation, item["Deals"], ITEM_PATH) if "Deals" in item else None,
        assign_to=_assignee(organisation, item),
        overwrite=item.get("overwrite", False),
        notify_lead_owner=item.get("notify_lead_owner", False),
        notify_new_owner=item.get("notify_new_entity_owner", False),
        attachments_to=_attachments_to(organisation, item),
        tags=_tags(item),
    )


def _check_types(item: Json) -> None:
    for name, (kind, expected) in _KEY_TYPES.items():
        if name in item and not isinstance(item[name], kind):
            raise item_refusals.wrong_type(name, f"{ITEM_PATH}.{name}", expected)


def _existing_match(
    organisation: Organisation, lead: Record, item: Json, module: str
) -> Record | None:
    """
    Return the contact or account that the item names, or None.

    :raises ItemRefusedError: if it cannot be used, or does not match the lead
    :raises RefusedError: if the user may not edit it
    """
    if module not in item:
        return None
    path = f"{ITEM_PATH}.{module}.id"
    if "id" not in item[module]:
        raise item_refusals.missing_value("id", path)
    record = organisation.records[module].get(str(item[module]["id"]))
    if record is None:
        raise item_refusals.bad_value("id", path)
    if record["Locked__s"]:
        raise item_refusals.record_locked(path)
    if record["$approval_state"] != "approved":
        raise item_refusals.record_not_approved(path)
    if not record["$editable"]:
        raise refusals.no_permission(f"Crm_Implied_Edit_{module}")
    if record not in matches(organisation, lead, module).records:
        raise _mismatch(module)
    return record


def _mismatch(module: str) -> refusals.ItemRefusedError:
    singular = module.removesuffix("s").lower()
    message = f"give {singular} id is mismatched with the data"
    return item_refusals.bad_value("id", f"{ITEM_PATH}.{module}.id", message)


def _assignee(organisation: Organisation, item: Json) -> Json | None:
    if "assign_to" not in item:
        return None
    path = f"{ITEM_PATH}.assign_to.id"
    if "id" not in item["assign_to"]:
        raise item_refusals.missing_value("id", path)
    user = organisation.active_user(item["assign_to"]["id"])
    if user is None:
        raise item_refusals.bad_value("id", path)
    if not organisation.may_assign_to(user):
        raise item_refusals.not_subordinate()
    return user


def _attachments_to(organisation: Organisation, item: Json) -> str:
    if item.get("Deals", {}).get("$move_attachments"):
        return "Deals"
    if "move_attachments_to" not in item:
        return "Contacts"
    given, path = item["move_attachments_to"], f"{ITEM_PATH}.move_attachments_to"
    target = given.get("api_name")
    if target is None:
        raise item_refusals.missing_value("api_name", f"{path}.api_name")
    if target not in TARGET_MODULES or (target == "Deals" and "Deals" not in item):
        raise item_refusals.bad_value("api_name", f"{path}.api_name")
    if "id" not in given and organisation.convert_needs_module_id:
        raise item_refusals.missing_value("id", f"{path}.id")
    if "id" in given and given["id"] != organisation.modules[target]["id"]:
        raise item_refusals.bad_value("id", f"{path}.id")
    return str(target)


def _tags(item: Json) -> Json:
    wanted: Json = item.get("carry_over_tags", {})
    for module, names in wanted.items():
        path = f"{ITEM_PATH}.carry_over_tags.{module}"
        if module not in TARGET_MODULES:
            raise item_refusals.bad_value(module, path)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise item_refusals.wrong_type(module, path, "jsonarray")
    return wanted


def needed_deal_fields(organisation: Organisation) -> list[str]:
    """Return the fields that ``Deals`` must have, in the order in which they are checked."""
    pipeline = ("Pipeline",) if organisation.pipelines else ()
    return ["Deal_Name", "Closing_Date", *pipeline, "Stage", *organisation.required["Deals"]]


def checked_deal(organisation: Organisation, deal: Json, under: str) -> Json:
    """
    Return the deal if it is valid; ``under`` is the JSON path of its parent.

    :raises ItemRefusedError: for the first field that is invalid
    """
    path = f"{under}.Deals"
    for name in needed_deal_fields(organisation):
        if deal.get(name) in (None, ""):
            raise item_refusals.missing_value(name, f"{path}.{name}")
    if not isinstance(deal.get("$move_attachments", False), bool):
        name = "$move_attachments"
        raise item_refusals.wrong_type(name, f"{path}.{name}", "boolean")
    for name, value in deal.items():
        check_value("Deals", name, value, f"{path}.{name}")
    check_stage(organisation, deal, path, mapping=under)
    _check_contact_role(organisation, deal, under)
    return deal


def _check_contact_role(organisation: Organisation, deal: Json, under: str) -> None:
    wanted = deal.get("Contact_Role")
    if wanted is not None and organisation.contact_role(wanted) is None:
        raise item_refusals.bad_value("Contact_Role", f"{under}.Deals.Contact_Role")
