"""
Tags of modules and of records.

`List <https://www.zoho.com/crm/developer/docs/api/v8/get-tag-list.html>`_,
`create <https://www.zoho.com/crm/developer/docs/api/v8/create-tag.html>`_,
`add <https://www.zoho.com/crm/developer/docs/api/v8/add-tags.html>`_
"""

from __future__ import annotations

import re
from typing import Any

from zoho_crm.simulator import item_refusals, refusals
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.clock import zoho_time
from zoho_crm.simulator.crm.items import act_on_each, items_of, object_of
from zoho_crm.simulator.crm.metadata import module_of
from zoho_crm.simulator.crm.reading import table_of
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
    module = module_of(world, context)
    found = [_as_json(world, tag) for tag in world.organisation.tags[module].values()]
    info = {"count": len(found), "allowed_count": MAX_TAGS_PER_MODULE}
    return Answer.json({"tags": found, "info": info}) if found else Answer.no_content()


def _as_json(world: World, tag: Json) -> Json:
    who, moment = world.organisation.author(), zoho_time(world.organisation.created_at)
    made = {"created_by": who, "modified_by": who}
    return {**tag, **made, "created_time": moment, "modified_time": moment}


def create_tags(world: World, context: RequestContext) -> Answer:
    """``POST /settings/tags?module=…``"""
    module = module_of(world, context)

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
    table = table_of(world, context)
    body = object_of(context)
    ids = [context.path["id"]] if "id" in context.path else body.get("ids", [])
    if len(ids) > MAX_IDS:
        raise refusals.too_many_values("ids", MAX_IDS)
    names = [tag.get("name") for tag in body.get("tags", []) if isinstance(tag, dict)]
    if not names:
        raise refusals.at_root(item_refusals.missing_value("tags", "$.tags"))
    results = []
    for record_id in ids:
        record = table.get(str(record_id))
        tags = [world.organisation.tag(table.module, str(name)) for name in names]
        results.append(_add_to_record(record, tags, bool(body.get("over_write"))))
    added = sum(result["status"] == "success" for result in results)
    counts = {"success_count": str(added), "locked_count": "0"}
    return Answer.json({"data": results, **counts}, status=200 if added else 400)


def _add_to_record(record: Record | None, tags: list[Json], overwrite: bool) -> Json:
    if record is None:
        return refusals.problem("INVALID_DATA", "invalid data")
    own = [] if overwrite else record["Tag"]
    wanted = [*own, *(tag for tag in tags if tag not in own)]
    if len(wanted) > MAX_TAGS_PER_RECORD:
        limit = {"limit": MAX_TAGS_PER_RECORD}
        return refusals.problem("LIMIT_EXCEEDED", "record exceeded tag limit", limit)
    record["Tag"] = wanted
    details = {"id": record.id, "tags": [tag["name"] for tag in wanted]}
    return refusals.success("tags updated successfully", details)
