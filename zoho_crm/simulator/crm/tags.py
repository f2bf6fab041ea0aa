"""
Tags of modules and of records.

`List <https://www.zoho.com/crm/developer/docs/api/v8/get-tag-list.html>`_,
`create <https://www.zoho.com/crm/developer/docs/api/v8/create-tag.html>`_,
`add <https://www.zoho.com/crm/developer/docs/api/v8/add-tags.html>`_
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from zoho_crm.simulator import item_refusals, refusals
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.clock import zoho_time
from zoho_crm.simulator.crm.items import act_on_each, items_of, object_of
from zoho_crm.simulator.crm.metadata import module_of
from zoho_crm.simulator.crm.reading import table_of
from zoho_crm.simulator.organisation import Organisation
from zoho_crm.simulator.records import Record
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

Json = dict[str, Any]
MAX_TAGS_PER_MODULE = 100
MAX_TAGS_PER_RECORD = 10
MAX_IDS = 500
MAX_TAG_NAME_LENGTH = 25


def list_tags(world: World, context: RequestContext) -> Answer:
    """``GET /settings/tags?module=…``"""
    module = module_of(world, context, "param")
    found = [_as_json(world, tag) for tag in world.organisation.tags[module].values()]
    info = {"count": len(found), "allowed_count": MAX_TAGS_PER_MODULE}
    return Answer.json({"tags": found, "info": info}) if found else Answer.no_content()


def _as_json(world: World, tag: Json) -> Json:
    who, moment = world.organisation.author(), zoho_time(world.organisation.created_at)
    made = {"created_by": who, "modified_by": who}
    return {**tag, **made, "created_time": moment, "modified_time": moment}


def create_tags(world: World, context: RequestContext) -> Answer:
    """``POST /settings/tags?module=…``"""
    module = module_of(world, context, "param")

    def create(item: Json, path: str) -> Json:
        _check_name(item.get("name"), path)
        known = world.organisation.tags[module]
        if item["name"] in known:
            raise _duplicate(known[item["name"]], item, path)
        if len(known) >= MAX_TAGS_PER_MODULE:
            raise refusals.ItemRefusedError("LIMIT_EXCEEDED", "tag limit exceeded")
        tag = world.organisation.tag(module, item["name"])
        tag["color_code"] = item.get("color_code")
        return refusals.success("tags created successfully", _as_json(world, tag))

    return act_on_each(items_of(context, "tags"), create, under="tags", done=201)


def _check_name(name: object, path: str) -> None:
    if not isinstance(name, str) or not name:
        raise item_refusals.missing_value("name", f"{path}.name")
    if len(name) > MAX_TAG_NAME_LENGTH:
        raise item_refusals.too_long("name", f"{path}.name", MAX_TAG_NAME_LENGTH)
    if re.search(r"[<>,]", name):
        raise item_refusals.bad_value("name", f"{path}.name")


def _duplicate(known: Json, item: Json, path: str) -> refusals.ItemRefusedError:
    details = {"api_name": "name", "json_path": f"{path}.name", "id": known["id"]}
    if item.get("color_code") not in (None, known["color_code"]):
        message = "tag exists with another colour"
        return refusals.ItemRefusedError("MAPPING_MISMATCH", message, details)
    return refusals.ItemRefusedError("DUPLICATE_DATA", "duplicate data", details)


def add_tags(world: World, context: RequestContext) -> Answer:
    """``POST /{module}/{id}/actions/add_tags`` and ``POST /{module}/actions/add_tags``"""
    overwrite = bool(object_of(context).get("over_write"))

    def add(own: list[Json], named: list[Json]) -> list[Json]:
        kept = [] if overwrite else own
        return [*kept, *(tag for tag in named if tag not in kept)]

    if "id" in context.path and _is_locked(world, context):
        raise refusals.at_root(item_refusals.locked_for_tags())
    return _change_tags(world, context, add)


def remove_tags(world: World, context: RequestContext) -> Answer:
    """
    ``POST /{module}/{id}/actions/remove_tags`` and ``POST /{module}/actions/remove_tags``

    https://www.zoho.com/crm/developer/docs/api/v8/remove-tags.html
    """

    def remove(own: list[Json], named: list[Json]) -> list[Json]:
        return [tag for tag in own if tag not in named]

    return _change_tags(world, context, remove)


def _is_locked(world: World, context: RequestContext) -> bool:
    record = table_of(world, context).get(context.path["id"])
    return bool(record and record["Locked__s"])


Change = Callable[[list[Json], list[Json]], list[Json]]


def _change_tags(world: World, context: RequestContext, change: Change) -> Answer:
    """Answer with the tags that each record has now; the form with ``ids`` also counts them."""
    table = table_of(world, context)
    is_single = "id" in context.path
    ids = [context.path["id"]] if is_single else _ids(object_of(context))
    tags = _named_tags(world.organisation, table.module, object_of(context))
    results = []
    for record_id in ids:
        try:
            tagged = _tag_record(world.organisation, context, table.get(record_id), tags, change)
        except refusals.ItemRefusedError as refusal:
            tagged = refusal.item
        results.append(tagged)
    changed = sum(result["status"] == "success" for result in results)
    locked = sum(result["code"] == "RECORD_LOCKED" for result in results)
    counts = {"success_count": str(changed), "locked_count": str(locked)}
    body = {"data": results, **({} if is_single else counts)}
    return Answer.json(body, status=200 if changed else 400)


def _ids(body: Json) -> list[str]:
    """Return the ids, a list; one of Zoho's samples has them as the JSON text of a list."""
    ids = body.get("ids")
    with suppress(ValueError):
        ids = json.loads(ids) if isinstance(ids, str) else ids
    if ids is None:
        raise refusals.at_root(item_refusals.missing_value("ids", "$.ids"))
    if not isinstance(ids, list) or not ids:
        raise refusals.at_root(item_refusals.wrong_type("ids", "$.ids", "jsonarray"))
    if len(ids) > MAX_IDS:
        raise refusals.too_many_values("ids", MAX_IDS)
    return [str(each) for each in ids]


def _named_tags(organisation: Organisation, module: str, body: Json) -> list[Json]:
    """
    Return the tags that the body names, by id or else by name; new names become tags.

    :raises RefusedError: for no tags, and in the list ``tags`` for one that cannot be a tag
    """
    given = body.get("tags")
    if not given:
        raise refusals.at_root(item_refusals.missing_value("tags", "$.tags"))
    if not isinstance(given, list) or not all(isinstance(tag, dict) for tag in given):
        raise refusals.at_root(item_refusals.wrong_type("tags", "$.tags", "jsonarray"))
    try:
        return [_named_tag(organisation, module, tag) for tag in given]
    except refusals.ItemRefusedError as refusal:
        raise refusals.in_list("tags", refusal) from None


def _named_tag(organisation: Organisation, module: str, given: Json) -> Json:
    if "id" in given:
        known = organisation.tags[module].values()
        found = next((tag for tag in known if tag["id"] == str(given["id"])), None)
        if found is None:
            raise item_refusals.bad_value("id", "$.tags[*].id")
        return found
    _check_name(given.get("name"), "$.tags[*]")
    return organisation.tag(module, given["name"])


def _tag_record(
    organisation: Organisation,
    context: RequestContext,
    record: Record | None,
    tags: list[Json],
    change: Change,
) -> Json:
    if record is None:
        raise refusals.ItemRefusedError("INVALID_DATA", "invalid data")
    if record["Locked__s"]:
        raise item_refusals.locked_for_tags()
    wanted = change(record["Tag"], tags)
    if len(wanted) > MAX_TAGS_PER_RECORD:
        limit = {"limit": MAX_TAGS_PER_RECORD}
        raise refusals.ItemRefusedError("LIMIT_EXCEEDED", "record exceeded tag limit", limit)
    organisation.change(record, {"Tag": wanted}, at=context.now)
    return refusals.success("tags updated successfully", {"id": record.id, "tags": wanted})
