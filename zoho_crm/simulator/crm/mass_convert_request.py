"""
Parsing and validation of a mass convert request; its keys are at the root of the body.

`Mass convert <https://www.zoho.com/crm/developer/docs/api/v8/mass-convert-lead.html>`_
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from zoho_crm.simulator import item_refusals, mass_refusals
from zoho_crm.simulator.crm.convert_request import (
    TARGET_MODULES,
    ConvertRequest,
    checked_deal,
    needed_deal_fields,
)
from zoho_crm.simulator.ids import is_id
from zoho_crm.simulator.organisation import Organisation
from zoho_crm.simulator.records import Record

Json = dict[str, Any]
MAX_LEADS_PER_JOB = 50
MAX_MODULES_PER_KEY = 3
ACTIVITIES = ("Tasks", "Events", "Calls")
_KEY_TYPES: Mapping[str, tuple[type, str]] = {
    "ids": (list, "jsonarray"),
    "Deals": (dict, "jsonobject"),
    "assign_to": (dict, "jsonobject"),
    "related_modules": (list, "jsonarray"),
    "carry_over_tags": (list, "jsonarray"),
    "move_attachments_to": (dict, "jsonobject"),
    "portal_user_type": (dict, "jsonobject"),
}


@dataclass(frozen=True, kw_only=True)
class MassConvertRequest:
    """A valid request: one template for all leads, except their tags."""

    lead_ids: tuple[str, ...]
    template: ConvertRequest
    tag_modules: tuple[str, ...] = ()
    """The modules whose new records get all tags of the lead."""

    def for_lead(self, lead: Record) -> ConvertRequest:
        """Return the request for one lead, with its tags."""
        names = [tag["name"] for tag in lead["Tag"]]
        return replace(self.template, tags=dict.fromkeys(self.tag_modules, names))


def parse_mass_convert_request(organisation: Organisation, body: Json) -> MassConvertRequest:
    """
    Validate a body against the organisation.

    :raises ItemRefusedError: for the first key that is invalid
    """
    for name, (kind, expected) in _KEY_TYPES.items():
        if name in body and not isinstance(body[name], kind):
            raise item_refusals.wrong_type(name, f"$.{name}", expected)
    lead_ids = _lead_ids(organisation, body)
    assignee = _assignee(organisation, body)
    deal = _deal(organisation, body)
    _modules(organisation, body, "related_modules", ACTIVITIES)
    tag_modules = _modules(organisation, body, "carry_over_tags", TARGET_MODULES)
    _check_threshold(body)
    template = ConvertRequest(
        deal=deal,
        assign_to=assignee,
        attachments_to=_attachments_to(organisation, body),
        portal_user_type=_portal_user_type(organisation, body),
    )
    return MassConvertRequest(lead_ids=lead_ids, template=template, tag_modules=tag_modules)


def _lead_ids(organisation: Organisation, body: Json) -> tuple[str, ...]:
    """Return the ids, which must exist; whether leads are convertible is checked later."""
    if not body.get("ids"):
        raise item_refusals.missing_value("ids", "$.ids")
    if len(body["ids"]) > MAX_LEADS_PER_JOB:
        raise mass_refusals.too_many("ids", MAX_LEADS_PER_JOB)
    for number, lead_id in enumerate(body["ids"]):
        path = f"$.ids[{number}]"
        if not is_id(str(lead_id)):
            raise item_refusals.wrong_type("ids", path, "long")
        if str(lead_id) not in organisation.records["Leads"]:
            raise item_refusals.bad_value("ids", path)
    return tuple(map(str, body["ids"]))


def _assignee(organisation: Organisation, body: Json) -> Json | None:
    if "assign_to" not in body and not organisation.mass_convert_needs_assign_to:
        return None
    if "assign_to" not in body:
        raise item_refusals.missing_value("assign_to", "$.assign_to")
    given = body["assign_to"]
    if "id" not in given:
        raise item_refusals.missing_value("id", "$.assign_to.id")
    user = organisation.active_user(given["id"])
    if user is None or given.get("name", user["full_name"]) != user["full_name"]:
        raise mass_refusals.wrong_assignee()
    if not organisation.may_assign_to(user):
        raise mass_refusals.not_subordinate()
    return user


def _deal(organisation: Organisation, body: Json) -> Json | None:
    if "Deals" not in body:
        return None
    for name in needed_deal_fields(organisation):
        if body["Deals"].get(name) in (None, ""):
            raise mass_refusals.missing_deal_field(name)
    if "Contact_Role" in body["Deals"]:  # it is no field of a deal, and no key of this call
        raise item_refusals.bad_value("Contact_Role", "$.Deals.Contact_Role")
    return checked_deal(organisation, body["Deals"], "$")


def _modules(
    organisation: Organisation, body: Json, key: str, allowed: tuple[str, ...]
) -> tuple[str, ...]:
    given = body.get(key, [])
    if len(given) > MAX_MODULES_PER_KEY:
        raise mass_refusals.too_many(key, MAX_MODULES_PER_KEY)
    paths = {f"$.{key}[{number}]": each for number, each in enumerate(given)}
    for path, each in paths.items():
        if not isinstance(each, dict):
            raise item_refusals.wrong_type(key, path, "jsonobject")
    return tuple(_module(organisation, each, path, allowed) for path, each in paths.items())


def _module(organisation: Organisation, given: Json, path: str, allowed: tuple[str, ...]) -> str:
    """Return the name of a module that is given by name and id; both are required."""
    missing = [name for name in ("id", "api_name") if name not in given]
    if missing:
        raise mass_refusals.incomplete_module(path, missing)
    if given["api_name"] not in allowed:
        raise item_refusals.bad_value("api_name", f"{path}.api_name")
    if str(given["id"]) != organisation.modules[given["api_name"]]["id"]:
        raise mass_refusals.mismatched_module(path)
    return str(given["api_name"])


def _attachments_to(organisation: Organisation, body: Json) -> str:
    if "move_attachments_to" not in body:
        return "Contacts"
    path = "$.move_attachments_to"
    target = _module(organisation, body["move_attachments_to"], path, TARGET_MODULES)
    if target == "Deals" and "Deals" not in body:
        raise item_refusals.bad_value("api_name", f"{path}.api_name")
    return target


def _portal_user_type(organisation: Organisation, body: Json) -> Json | None:
    if "portal_user_type" not in body:
        return None
    path = "$.portal_user_type.id"
    if "id" not in body["portal_user_type"]:
        raise item_refusals.missing_value("id", path)
    wanted = str(body["portal_user_type"]["id"])
    known = {each["id"]: each for each in organisation.portal_user_types}
    if wanted not in known:
        raise item_refusals.bad_value("id", path)
    return known[wanted]


def _check_threshold(body: Json) -> None:
    name = "apply_assignment_threshold"
    if not isinstance(body.get(name, True), bool):
        raise item_refusals.bad_value(name, f"$.{name}")
