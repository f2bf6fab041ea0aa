"""
Addresses of Zoho's that the simulator does not imitate: 501, so that nobody takes it for Zoho.

`The addresses <https://github.com/zoho/crm-oas/tree/main/v8.0>`_
"""

from __future__ import annotations

from zoho_crm.simulator import refusals
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

#: Method and path below ``/crm/v8``; ``*`` is any method.
ADDRESSES = (
    ("*", "/actions/watch"),
    ("*", "/__composite_requests"),
    ("*", "/files"),
    ("*", "/Notes/{note_id}/Attachments"),
    ("*", "/settings/recycle_bin"),
    ("*", "/settings/related_lists"),
    ("*", "/settings/custom_views"),
    ("*", "/settings/custom_views/{id}"),
    *((method, "/settings/roles") for method in ("POST", "PUT", "DELETE")),
    ("*", "/settings/roles/{id}"),
    ("*", "/settings/profiles"),
    ("*", "/settings/tags/{id}"),
    ("*", "/settings/tags/{id}/actions/merge"),
    ("*", "/settings/tags/{id}/actions/records_count"),
    ("*", "/settings/currencies"),
    ("*", "/settings/variables"),
    ("*", "/settings/territories"),
    ("*", "/settings/blueprints"),
    ("*", "/settings/automation/webhooks"),
    ("*", "/settings/automation/workflow_rules"),
    ("*", "/{module}/bulk/search"),
    ("*", "/{module}/actions/mass_update"),
    ("*", "/{module}/actions/mass_delete"),
    ("*", "/{module}/actions/mass_change_owner"),
    ("*", "/{module}/actions/change_owner"),
    ("*", "/{module}/actions/assign_territories"),
    ("*", "/{module}/{id}/actions/change_owner"),
    ("*", "/{module}/{id}/actions/blueprint"),
    ("*", "/{module}/{id}/actions/clone"),
    ("*", "/{module}/{id}/actions/send_mail"),
    ("*", "/{module}/{id}/actions/merge"),
    ("*", "/{module}/{id}/actions/get_related_records_count"),
    ("*", "/{module}/{id}/actions/share"),
    ("*", "/{module}/{id}/Locking_Information__s"),
    ("*", "/{module}/{id}/photo"),
    ("POST", "/settings/modules"),
    ("POST", "/settings/fields"),
    ("PATCH", "/settings/fields/{id}"),
    ("DELETE", "/settings/fields/{id}"),
    ("PUT", "/settings/modules/{name}"),
    ("POST", "/Contacts/roles"),
    ("POST", "/settings/pipeline"),
    ("POST", "/users"),
)

#: Linking records, for which the simulator lacks the modules; these paths fit many others.
RELATIONS = (
    ("PUT", "/{module}/{id}/{list}"),
    ("DELETE", "/{module}/{id}/{list}"),
    ("PUT", "/{module}/{id}/{list}/{related_id}"),
    ("DELETE", "/{module}/{id}/{list}/{related_id}"),
)


def refuse(world: World, context: RequestContext) -> Answer:
    """
    Refuse a call to an address that only Zoho has.

    :raises RefusedError: 501
    """
    raise refusals.not_imitated(context.call.method, context.call.path)
