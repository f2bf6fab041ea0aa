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
from zoho_crm.simulator.crm.values import check_stage, check_unique, check_value
from zoho_crm.simulator.ids import is_id
from zoho_crm.simulator.organisation import Organisation
from zoho_crm.simulator.records import Record, Table
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

Json = dict[str, Any]


def insert(world: World, context: RequestContext) -> Answer:
    """``POST /{module}``: 201, 207 if only some items succeed, 400 if none does."""
    table = table_of(world, context)

    def add(item: Json, path: str) -> Json:
        record = add_record(world.organisation, context, table.module, item, path)
        return success(record, "record added")

    return act_on_each(items_of(context), add, done=201)


def add_record(
    organisation: Organisation, context: RequestContext, module: str, item: Json, path: str
) -> Record:
    """
    Add a record with the values of an item.

    :raises ItemRefusedError: if a value is missing or invalid
    """
    values = _writable_values(organisation, module, item, path)
    for name in _mandatory(organisation, module):
        if values.get(name) in (None, ""):
            raise item_refusals.missing_value(name, f"{path}.{name}")
    if module == "Deals":
        check_stage(organisation, values, path)
    check_unique(organisation, module, values, path)
    return organisation.add(module, values, at=context.now)


def update_one(world: World, context: RequestContext) -> Answer:
    """``PUT /{module}/{id}``"""
    table = table_of(world, context)
    record = table.get(checked_id(context))
    if record is None:
        raise refusals.unknown_record()
    _check_path_record(record)
    items = [with_id(item, record) for item in items_of(context)[:1]]
    return act_on_each(items, _updater(world, context, table))


def with_id(item: Any, record: Record) -> Any:
    """Return an item of the body with the id of the path; what is no object stays."""
    return {**item, "id": record.id} if isinstance(item, dict) else item


def update_many(world: World, context: RequestContext) -> Answer:
    """``PUT /{module}``: each item has its id."""
    table = listed_table_of(world, context)
    return act_on_each(items_of(context), _updater(world, context, table))


def listed_table_of(world: World, context: RequestContext) -> Table:
    """
    Return the table of the module in the path of a call that refuses everything in its list.

    :raises RefusedError: ``INVALID_MODULE``
    """
    if context.path["module"] not in world.organisation.records:
        raise refusals.in_list("data", item_refusals.unknown_module())
    return table_of(world, context)


def _updater(world: World, context: RequestContext, table: Table) -> Callable[[Json, str], Json]:
    def update(item: Json, path: str) -> Json:
        if "id" not in item:
            raise item_refusals.missing_value("id", f"{path}.id")
        record = table.get(str(item["id"]))
        if record is None:
            raise item_refusals.bad_value("id", f"{path}.id", "the id given seems to be invalid")
        update_record(world.organisation, context, record, item, path)
        return success(record, "record updated")

    return update


def update_record(
    organisation: Organisation, context: RequestContext, record: Record, item: Json, path: str
) -> None:
    """
    Write the values of an item to a record.

    :raises ItemRefusedError: if the record or a value does not allow it
    """
    check_writable(record, path)
    _check_unmodified(record, context)
    module = record.table.module if record.table else ""
    values = _writable_values(organisation, module, item, path)
    for name in _mandatory(organisation, module):
        if name in values and values[name] in (None, ""):
            raise item_refusals.missing_value(name, f"{path}.{name}")
    check_unique(organisation, module, values, path, but=record)
    if module == "Deals" and {"Stage", "Pipeline"} & values.keys():
        check_stage(organisation, {**record.all_values(), **values}, path)
    _write(organisation, record, values, context.now)


def delete(world: World, context: RequestContext) -> Answer:
    """``DELETE /{module}/{id}``, whose refusals are at the root, and ``DELETE /{module}?ids=…``"""
    table = table_of(world, context)
    if "id" in context.path and checked_id(context) not in table:
        raise refusals.not_deleted()
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
        world.organisation.remove(table.module, item["id"], at=context.now)
        return refusals.success("record deleted", item)

    return act_on_each([{"id": each} for each in ids], remove)


def _mandatory(organisation: Organisation, module: str) -> list[str]:
    names = [each.name for each in schema.FIELDS[module] if each.mandatory]
    pipeline = ["Pipeline"] if module == "Deals" and organisation.pipelines else []
    return [*names, *pipeline]


def _writable_values(organisation: Organisation, module: str, item: Json, path: str) -> Json:
    """
    Return the validated values of an item without its read-only fields; an unknown one is refused.

    :raises ItemRefusedError: for the first value that is invalid
    """
    values = {}
    for name, value in item.items():
        known = schema.field(module, name)
        if name == "id" or (known and known.read_only):
            continue
        if known is None and not name.startswith("$"):
            raise item_refusals.unknown_field(name, f"{path}.{name}")
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
    known = schema.field(module, name)
    found: Json | None
    if name == "Owner":
        user = organisation.user(str(value["id"]))
        found = user and organisation.owner(user)
    elif name == "Layout":
        layouts = organisation.layouts_of(module)
        found = next((each for each in layouts if each["id"] == str(value["id"])), None)
    elif known and known.target in organisation.records:
        record = organisation.records[known.target].get(str(value["id"]))
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


def _check_path_record(record: Record) -> None:
    """
    Refuse to change the record that the path names, in the form that only a single update has.

    :raises RefusedError: converted, not approved
    """
    if record.get("Converted__s"):
        raise refusals.converted_record()
    if record["$approval_state"] != "approved":
        raise refusals.lead_not_approved(item_refusals.NOT_APPROVED)


def check_writable(record: Record, path: str) -> None:
    """
    Refuse to change a record in its present state.

    :raises ItemRefusedError: converted, locked, not approved, in review
    """
    if record.get("Converted__s"):
        raise item_refusals.converted_record(f"{path}.id")
    if record["Locked__s"]:
        raise item_refusals.record_locked(f"{path}.id")
    if record["$approval_state"] != "approved":
        raise item_refusals.record_not_approved(f"{path}.id", item_refusals.NOT_APPROVED)
    if record["$review"]:
        raise item_refusals.record_in_review()


def _check_unmodified(record: Record, context: RequestContext) -> None:
    given = context.call.headers.get("if-unmodified-since")
    if given and datetime.fromisoformat(record["Modified_Time"]) > parse_datetime(given):
        raise item_refusals.already_modified(_record_details(record))


def success(record: Record, message: str) -> Json:
    details = {**_record_details(record), "$approval_state": record["$approval_state"]}
    return refusals.success(message, details)


def _record_details(record: Record) -> Json:
    names = ("Modified_Time", "Modified_By", "Created_Time", "id", "Created_By")
    return {name: record[name] for name in names}
