"""
Insertion of records, or update of those that have the same value in a field.

`Upsert <https://www.zoho.com/crm/developer/docs/api/v8/upsert-records.html>`_,
`its OpenAPI <https://github.com/zoho/crm-oas/tree/main/v8.0/record>`_
"""

from __future__ import annotations

from typing import Any

from zoho_crm.simulator import item_refusals, refusals
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.crm.items import act_on_each, items_of, object_of
from zoho_crm.simulator.crm.writing import add_record, listed_table_of, success, update_record
from zoho_crm.simulator.records import Record, Table
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

Json = dict[str, Any]
#: The field of each module by which records are compared if the call names none.
SYSTEM_FIELDS = {
    "Leads": "Email",
    "Contacts": "Email",
    "Accounts": "Account_Name",
    "Deals": "Deal_Name",
}


def upsert(world: World, context: RequestContext) -> Answer:
    """``POST /{module}/upsert``: 200 also if all are inserted, 207 if only some succeed."""
    table = listed_table_of(world, context)
    fields = _compared_fields(world, table.module, object_of(context))

    def act(item: Json, path: str) -> Json:
        found, field = _match(table, item, fields)
        if found is None:
            made = add_record(world.organisation, context, table.module, item, path)
            return {**success(made, "record added"), "action": "insert", "duplicate_field": None}
        _update(world, context, found, item, path)
        return {**success(found, "record updated"), "action": "update", "duplicate_field": field}

    return act_on_each(items_of(context), act)


def _compared_fields(world: World, module: str, body: Json) -> list[str]:
    """
    Return the fields by which records are compared, in that order.

    The named ones come first; unique fields are always compared, the system's field only if it is
    named or nothing is.

    :raises RefusedError: in the list, for a field that is neither unique nor the system's
    """
    unique, system = world.organisation.unique[module], SYSTEM_FIELDS[module]
    named = body.get("duplicate_check_fields", [system])
    name = "duplicate_check_fields"
    if not isinstance(named, list):
        raise refusals.in_list("data", item_refusals.wrong_type(name, f"$.{name}", "jsonarray"))
    for number, each in enumerate(named):
        if each not in (system, *unique):
            raise refusals.in_list("data", item_refusals.bad_value(name, f"$.{name}[{number}]"))
    return list(dict.fromkeys([*(named or [system]), *unique]))


def _match(table: Table, item: Json, fields: list[str]) -> tuple[Record | None, str | None]:
    """
    Return the record that the item updates, and the field that both have in common.

    An id comes first. A converted lead is not found; of several records the oldest one is.
    """
    if str(item.get("id")) in table:
        return table[str(item["id"])], "id"
    for field in fields:
        for record in table.find(field, item.get(field)):
            if not record.get("Converted__s"):
                return record, field
    return None, None


def _update(world: World, context: RequestContext, record: Record, item: Json, path: str) -> None:
    try:
        update_record(world.organisation, context, record, item, path)
    except refusals.ItemRefusedError as refusal:
        if refusal.item["code"] == "MANDATORY_NOT_FOUND":
            refusal.item["details"]["id"] = record.id
        raise
