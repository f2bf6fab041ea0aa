"""
Records that refer to a record.

`Related records <https://www.zoho.com/crm/developer/docs/api/v8/get-related-records.html>`_
"""

from __future__ import annotations

from collections.abc import Mapping

from zoho_crm.simulator import refusals
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.crm.paging import in_order, read_page
from zoho_crm.simulator.crm.parents import parent_of, wanted_ids
from zoho_crm.simulator.crm.reading import MAX_IDS, project, record_view, requested_fields
from zoho_crm.simulator.records import Record
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

#: The look-up by which the records of each related list refer to their record.
_LOOKUPS: Mapping[tuple[str, str], str] = {
    ("Accounts", "Contacts"): "Account_Name",
    ("Accounts", "Deals"): "Account_Name",
    ("Contacts", "Deals"): "Contact_Name",
}
#: Lists that Zoho has, of records that the simulator does not have.
_NOT_IMITATED = (
    *("Tasks", "Calls", "Events", "Emails", "Campaigns", "Products", "Quotes", "Invoices"),
    *("Activities_Chronological_View", "Activities_Chronological_View_History"),
)


def list_related(world: World, context: RequestContext) -> Answer:
    """``GET /{module}/{id}/{list}``; ``fields`` is mandatory."""
    found, fields = _related(world, context), requested_fields(context)
    if "ids" in context.query:
        named = wanted_ids(context, MAX_IDS)
        found = [record for record in found if record.id in named]
    page = read_page(world, context, in_order(context, found), record_view(world, context))
    if not page.records:
        return Answer.no_content()
    info = {name: page.info[name] for name in page.info if not name.startswith("sort_")}
    return Answer.json({"data": [project(each, fields) for each in page.records], "info": info})


def get_related(world: World, context: RequestContext) -> Answer:
    """``GET /{module}/{id}/{list}/{related_id}``: 204 if it is not related."""
    wanted = context.path["related_id"]
    found = [record for record in _related(world, context) if record.id == wanted]
    if not found:
        return Answer.no_content()
    return Answer.json({"data": [project(found[0], requested_fields(context))]})


def _related(world: World, context: RequestContext) -> list[Record]:
    """
    Return the related records, the oldest first.

    :raises RefusedError: for a record or a list that does not exist
    """
    parent, name = parent_of(world, context), context.path["list"]
    if name in _NOT_IMITATED:
        raise refusals.not_imitated(context.call.method, context.call.path)
    lookup = _LOOKUPS.get((context.path["module"], name))
    if lookup is None:
        raise refusals.unknown_related_list()
    records = world.organisation.records[name].values()
    return [record for record in records if (record[lookup] or {}).get("id") == parent.id]
