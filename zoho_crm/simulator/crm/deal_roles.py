"""
Contacts of a deal and their roles.

`Contact roles of a deal
<https://www.zoho.com/crm/developer/docs/api/v8/get-contact-roles-of-a-specific-deal.html>`_
"""

from __future__ import annotations

from typing import Any

from zoho_crm.simulator import item_refusals, refusals
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.crm.items import act_on_each, items_of
from zoho_crm.simulator.crm.paging import page_slice
from zoho_crm.simulator.crm.reading import checked_id, project, requested_fields
from zoho_crm.simulator.records import Record
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

Json = dict[str, Any]


def list_roles(world: World, context: RequestContext) -> Answer:
    """``GET /Deals/{id}/Contact_Roles?fields=…``"""
    deal, fields = _deal(world, context), requested_fields(context)
    contacts = world.organisation.records["Contacts"]
    roles = world.organisation.deal_roles[deal.id].items()
    found = [
        {**project(contacts[contact_id], fields), "Contact_Role": _short(role)}
        for contact_id, role in roles
        if contact_id in contacts
    ]
    shown, info = page_slice(context, found)
    return Answer.json({"data": shown, "info": info}) if shown else Answer.no_content()


def set_role(world: World, context: RequestContext) -> Answer:
    """``PUT /Deals/{id}/Contact_Roles/{contact_id}``"""
    deal, contact_id = _deal(world, context), context.path["contact_id"]
    if contact_id not in world.organisation.records["Contacts"]:
        raise refusals.unknown_record()

    def set_it(item: Json, path: str) -> Json:
        wanted = item.get("Contact_Role")
        wanted_id = wanted.get("id") if isinstance(wanted, dict) else None
        role = world.organisation.contact_role(wanted_id)
        if role is None:
            raise item_refusals.bad_value("Contact_Role", f"{path}.Contact_Role.id")
        world.organisation.deal_roles[deal.id][contact_id] = role
        return refusals.success("relation updated", {"id": contact_id})

    return act_on_each(items_of(context)[:1], set_it)


def _deal(world: World, context: RequestContext) -> Record:
    deal = world.organisation.records["Deals"].get(checked_id(context))
    if deal is None:
        raise refusals.unknown_record()
    return deal


def _short(role: Json) -> Json:
    return {"name": role["name"], "id": role["id"]}
