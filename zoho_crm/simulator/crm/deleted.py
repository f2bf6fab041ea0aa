"""
Records that were deleted: 60 days in the recycle bin, then 60 more as permanently deleted.

`Deleted records <https://www.zoho.com/crm/developer/docs/api/v8/get-deleted-records.html>`_
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from zoho_crm.simulator import refusals
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.clock import zoho_time
from zoho_crm.simulator.crm.paging import page_slice
from zoho_crm.simulator.crm.reading import parse_datetime, table_of
from zoho_crm.simulator.organisation import Deletion
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

Json = dict[str, Any]
IN_RECYCLE_BIN = timedelta(days=60)
KNOWN_AS_DELETED = timedelta(days=120)
_TYPES = ("all", "recycle", "permanent")


def list_deleted(world: World, context: RequestContext) -> Answer:
    """``GET /{module}/deleted?type=…``, the last deleted first."""
    module = table_of(world, context).module
    wanted = context.query.get("type", "all")
    if wanted not in _TYPES:
        raise refusals.unknown_type_of_deleted()
    known = [
        each
        for each in reversed(world.organisation.deletions[module])
        if context.now - each.at < KNOWN_AS_DELETED
        and wanted in ("all", _type_of(each, context.now))
    ]
    since = context.call.headers.get("if-modified-since")
    if since is not None:
        moment = parse_datetime(since)
        recent = [each for each in known if datetime.fromisoformat(zoho_time(each.at)) > moment]
        if known and not recent:
            return Answer.not_modified()
        known = recent
    shown, info = page_slice(context, known)
    if not shown:
        return Answer.no_content()
    return Answer.json({"data": [_as_json(each, context.now) for each in shown], "info": info})


def _type_of(deletion: Deletion, now: datetime) -> str:
    is_gone = deletion.is_permanent or now - deletion.at >= IN_RECYCLE_BIN
    return "permanent" if is_gone else "recycle"


def _as_json(deletion: Deletion, now: datetime) -> Json:
    kind = _type_of(deletion, now)
    named = {
        "display_name": deletion.record.name,
        "deleted_by": deletion.by,
        "created_by": deletion.record["Created_By"],
    }
    return {
        "id": deletion.record.id,
        "type": kind,
        "deleted_time": zoho_time(deletion.at),
        **(named if kind == "recycle" else dict.fromkeys(named)),
    }
