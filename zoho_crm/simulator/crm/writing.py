"""
Insertion, update and deletion of records, item by item.

`Insert <https://www.zoho.com/crm/developer/docs/api/v8/insert-records.html>`_,
`update <https://www.zoho.com/crm/developer/docs/api/v8/update-records.html>`_,
`delete <https://www.zoho.com/crm/developer/docs/api/v8/delete-records.html>`_
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from zoho_crm.simulator import item_refusals, refusals, schema
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.crm.items import MAX_ITEMS, act_on_each, items_of
from zoho_crm.simulator.crm.reading import checked_id, parse_datetime, table_of
from zoho_crm.simulator.crm.values import check_unique, check_value
from zoho_crm.simulator.ids import is_id
from zoho_crm.simulator.organisation import Organisation
from zoho_crm.simulator.records import Record, Table
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

Json = dict[str, Any]
#: The modules of the look-ups whose records are simulated.
_LOOKUP_MODULES = {"Contact_Name": "Contacts", "Account_Name": "Accounts"}


def insert(world: World, context: RequestContext) -> Answer:
    """``POST /{module}``: 201, 207 if only some items succeed, 400 if none does."""
    table = table_of(world, context)

    def add(item: Json, path: str) -> Json:
        values = _writable_values(world.organisation, table.module, item, path)
        for name in _mandatory(world.organisation, table.module):
            if values.get(name) in (None, ""):
                raise item_refusals.missing_value(name, f"{path}.{name}")
        check_unique(world.organisation, table.module, values, path)
        record = world.organisation.add(table.module, values, at=context.now)
        return _success(record, "record added")

    return act_on_each(items_of(context), add, done=201)


def update_one(world: World, context: RequestContext) -> Answer:
    """``PUT /{module}/{id}``"""
    table = table_of(world, context)
    record = table.get(checked_id(context))
    if record is None:
        raise refusals.unknown_record()
    _check_writable(record)
    _check_unmodified(record, context)
    items = [{**item, "id": record.id} for item in items_of(context)[:1]]
    return act_on_each(items, _updater(world, context, table))


def update_many(world: World, context: RequestContext) -> Answer:
    """``PUT /{module}``: each item has its id."""
    return act_on_each(items_of(context), _updater(world, context, table_of(world, context)))


def _updater(world: World, context: RequestContext, table: Table) -> Callable[[Json, str], Json]:
    def update(item: Json, path: str) -> Json:
        if "id" not in item:
            raise item_refusals.missing_value("id", f"{path}.id")
        record = table.get(str(item["id"]))
        if record is None:
            raise item_refusals.bad_value("id", f"{path}.id", "the id given seems to be invalid")
        if record["Locked__s"]:
            raise item_refusals.record_locked(f"{path}.id")
        _check_writable(record)
        values = _writable_values(world.organisation, table.module, item, path)
        check_unique(world.organisation, table.module, values, path, but=record)
        _write(world.organisation, record, values, context.now)
        return _success(record, "record updated")

    return update


def delete(world: World, context: RequestContext) -> Answer:
    """``DELETE /{module}/{id}`` and ``DELETE /{module}?ids=…``"""
    table = table_of(world, context)
    ids = [context.path["id"]] if "id" in context.path else context.query.get("ids", "").split(",")
    if ids == [""]:
        raise refusals.missing_param("ids")
    if len(ids) > MAX_ITEMS:
        raise refusals.too_many_values("ids", MAX_ITEMS)
    if not all(map(is_id, ids)):
        raise refusals.unparsable()

    def remove(item: Json, path: str) -> Json:
        if item["id"] not in table:
            raise refusals.ItemRefusedError("INVALID_DATA", "record not deleted", item)
        del table[item["id"]]
        return refusals.success("record deleted", item)

    return act_on_each([{"id": each} for each in ids], remove)


def _mandatory(organisation: Organisation, module: str) -> list[str]:
    names = [each.name for each in schema.FIELDS[module] if each.mandatory]
    pipeline = ["Pipeline"] if module == "Deals" and organisation.pipelines else []
    return [*names, *pipeline]


def _writable_values(organisation: Organisation, module: str, item: Json, path: str) -> Json:
    """
    Return the validated values of an item without its read-only fields.

    :raises ItemRefusedError: for the first value that is invalid
    """
    values = {}
    for name, value in item.items():
        known = schema.field(module, name)
        if name == "id" or (known and known.read_only):
            continue
        check_value(module, name, value, f"{path}.{name}")
        values[name] = _resolved(organisation, module, name, value, f"{path}.{name}")
    if values.pop("$approved", True) is False:
        values["$approval_state"] = "approval_process_pending"
    return values


def _resolved(organisation: Organisation, module: str, name: str, value: Any, path: str) -> Any:
    """
    Return the value to store; a look-up given by id gets its name.

    :raises ItemRefusedError: if the look-up does not exist
    """
    if name == "Tag":
        return _tags(organisation, module, value or [], path)
    if not isinstance(value, dict) or "id" not in value:
        return value
    found: Json | None
    if name == "Owner":
        user = organisation.user(value["id"])
        found = user and organisation.owner(user)
    elif name == "Layout":
        layouts = organisation.layouts_of(module)
        found = next((each for each in layouts if each["id"] == value["id"]), None)
    elif name in _LOOKUP_MODULES:
        record = organisation.records[_LOOKUP_MODULES[name]].get(str(value["id"]))
        found = dict(record.lookup()) if record else None
    else:
        return value
    if found is None:
        raise item_refusals.bad_value(name, f"{path}.id")
    return found


def _tags(organisation: Organisation, module: str, value: Any, path: str) -> list[Json]:
    if not isinstance(value, list) or not all(isinstance(tag, dict) for tag in value):
        raise item_refusals.wrong_type("Tag", path, "jsonarray")
    return [organisation.tag(module, str(tag.get("name"))) for tag in value]


def _write(organisation: Organisation, record: Record, values: Json, now: datetime) -> None:
    if record.table and {"First_Name", "Last_Name"} & values.keys():
        names = [values.get(name, record[name]) for name in ("First_Name", "Last_Name")]
        values = {**values, "Full_Name": " ".join(filter(None, names))}
    organisation.change(record, values, at=now)


def _check_writable(record: Record) -> None:
    """
    Refuse to change a record in its present state.

    :raises RefusedError: converted, not approved, in review
    """
    if record.get("Converted__s"):
        raise refusals.converted_record()
    if record["$approval_state"] != "approved":
        raise refusals.lead_not_approved("Cannot update record that is not approved yet")
    if record["$review"]:
        raise refusals.lead_in_review()


def _check_unmodified(record: Record, context: RequestContext) -> None:
    given = context.call.headers.get("if-unmodified-since")
    if given and datetime.fromisoformat(record["Modified_Time"]) > parse_datetime(given):
        raise refusals.already_modified(_record_details(record))


def _success(record: Record, message: str) -> Json:
    details = {**_record_details(record), "$approval_state": record["$approval_state"]}
    return refusals.success(message, details)


def _record_details(record: Record) -> Json:
    names = ("Modified_Time", "Modified_By", "Created_Time", "id", "Created_By")
    return {name: record[name] for name in names}
