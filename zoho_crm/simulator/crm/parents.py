"""The record that notes and attachments belong to, and what such children have in common."""

from __future__ import annotations

from typing import Any

from zoho_crm.simulator import refusals
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.clock import zoho_time
from zoho_crm.simulator.crm.items import MAX_ITEMS
from zoho_crm.simulator.crm.paging import in_order, read_page
from zoho_crm.simulator.crm.reading import checked_id, project, table_of
from zoho_crm.simulator.organisation import Organisation
from zoho_crm.simulator.records import Record
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

Json = dict[str, Any]


def parent_of(world: World, context: RequestContext) -> Record:
    """
    Return the record in the path.

    :raises RefusedError: for a module or a record that does not exist
    """
    record = table_of(world, context).get(checked_id(context))
    if record is None:
        raise refusals.unknown_related_id(1)
    return record


def child_values(organisation: Organisation, context: RequestContext) -> Json:
    """Return the id, owner, author and times of a new note or attachment."""
    author, moment = organisation.author(), zoho_time(context.now)
    return {
        "id": organisation.ids.next(),
        "Owner": organisation.owner(organisation.current_user),
        "Created_By": author,
        "Modified_By": author,
        "Created_Time": moment,
        "Modified_Time": moment,
    }


def child_details(child: Record) -> Json:
    """Return the details of a success."""
    names = ("Modified_Time", "Modified_By", "Created_Time", "id", "Created_By")
    return {name: child[name] for name in names}


def list_children(
    world: World, context: RequestContext, children: list[Record], fields: list[str]
) -> Answer:
    """Return the page that is asked for: of all children, or of those that ``ids`` names."""
    if "ids" in context.query:
        named = wanted_ids(context, MAX_ITEMS)
        children = [child for child in children if child.id in named]
    page = read_page(world, context, in_order(context, children), lambda child: child)
    if not page.records:
        return Answer.no_content()
    data = [project(child, fields) for child in page.records]
    return Answer.json({"data": data, "info": page.info})


def wanted_ids(context: RequestContext, limit: int) -> list[str]:
    """
    Return the ids of the parameter ``ids``.

    :raises RefusedError: for none, and for too many
    """
    ids = [each for each in context.query.get("ids", "").split(",") if each]
    if not ids:
        raise refusals.missing_param("ids")
    if len(ids) > limit:
        raise refusals.too_many_values("ids", limit)
    return ids
