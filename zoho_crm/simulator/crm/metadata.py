"""
Metadata: modules, layouts, fields, pipelines, roles of users and of contacts.

`Modules <https://www.zoho.com/crm/developer/docs/api/v8/modules-api.html>`_,
`layouts <https://www.zoho.com/crm/developer/docs/api/v8/layouts-meta.html>`_,
`fields <https://www.zoho.com/crm/developer/docs/api/v8/field-meta.html>`_,
`pipelines <https://www.zoho.com/crm/developer/docs/api/v8/get-pipelines.html>`_,
`contact roles <https://www.zoho.com/crm/developer/docs/api/v8/get-contact-roles.html>`_,
`roles <https://www.zoho.com/crm/developer/docs/api/v8/get-roles.html>`_
"""

from __future__ import annotations

from typing import Any

from zoho_crm.simulator import refusals, schema
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.crm.field_metadata import field_json, layout_field_json
from zoho_crm.simulator.crm.module_metadata import detailed_module_json, module_json
from zoho_crm.simulator.crm.reading import checked_id
from zoho_crm.simulator.organisation import Organisation
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

Json = dict[str, Any]

_STATUSES = ("visible", "user_hidden", "system_hidden", "scheduled_for_deletion")


def modules(world: World, context: RequestContext) -> Answer:
    """``GET /settings/modules[?status=…]``"""
    wanted = context.query.get("status", "visible,user_hidden").split(",")
    for number, status in enumerate(wanted):
        if status not in _STATUSES:
            raise refusals.bad_status(number, _STATUSES)
    own = world.organisation
    found = [
        module_json(own, name) for name, each in own.modules.items() if each["status"] in wanted
    ]
    return Answer.json({"modules": found}) if found else Answer.no_content()


def module(world: World, context: RequestContext) -> Answer:
    """``GET /settings/modules/{name}``, by API name or id."""
    own, wanted = world.organisation, context.path["name"]
    name = next((name for name in own.modules if wanted in (name, own.modules[name]["id"])), None)
    if name is None:
        raise refusals.unknown_module()
    return Answer.json({"modules": [detailed_module_json(own, name)]})


def module_of(world: World, context: RequestContext, key: str = "param_name") -> str:
    """
    Return the module that the parameter ``module`` names.

    :param key: under which the refusal names a missing parameter; it differs between addresses
    :raises RefusedError: without it, and for a module without records
    """
    name = context.query.get("module")
    if not name:
        raise refusals.missing_module(key)
    if name not in world.organisation.records:
        raise refusals.bad_module_param()
    return name


def fields(world: World, context: RequestContext) -> Answer:
    """``GET /settings/fields?module=…``"""
    module = module_of(world, context)
    own = world.organisation
    return Answer.json(
        {"fields": [field_json(own, module, each) for each in schema.FIELDS[module]]}
    )


def field(world: World, context: RequestContext) -> Answer:
    """``GET /settings/fields/{id}?module=…``: 204 for an unknown one."""
    module, wanted = module_of(world, context), checked_id(context)
    own = world.organisation
    found = [each for each in schema.FIELDS[module] if own.field_id(module, each.name) == wanted]
    shown = [field_json(own, module, each) for each in found]
    return Answer.json({"fields": shown}) if shown else Answer.no_content()


def layouts(world: World, context: RequestContext) -> Answer:
    """``GET /settings/layouts?module=…``: those of Leads have the deal fields of a conversion."""
    module = module_of(world, context)
    own = world.organisation
    return Answer.json({"layouts": [_layout(own, module, each) for each in own.layouts_of(module)]})


def layout(world: World, context: RequestContext) -> Answer:
    """``GET /settings/layouts/{id}?module=…``: 204 for an unknown one."""
    module, wanted = module_of(world, context), checked_id(context)
    own = world.organisation
    found = [_layout(own, module, each) for each in own.layouts_of(module) if each["id"] == wanted]
    return Answer.json({"layouts": found}) if found else Answer.no_content()


def _layout(organisation: Organisation, module: str, layout: Json) -> Json:
    section = {
        "display_label": f"{module} Information",
        "api_name": f"{module}_Information",
        "name": f"{module} Information",
        "sequence_number": 1,
        "id": organisation.field_id(module, f"section of {layout['name']}"),
        "type": "used",
        "generated_type": "default",
        "column_count": 2,
        "tab_traversal": "left_to_right",
        "isSubformSection": False,
        "fields": [
            layout_field_json(organisation, module, each, number)
            for number, each in enumerate(schema.FIELDS[module], 1)
        ],
    }
    mapping = {"convert_mapping": _targets(organisation)} if module == "Leads" else {}
    return {
        **layout,
        "api_name": layout["name"].replace(" ", "_"),
        "display_label": layout["name"],
        "status": "active",
        "visible": True,
        "source": "crm",
        "generated_type": "system",
        "created_for": None,
        "created_time": None,
        "created_by": None,
        "modified_time": None,
        "modified_by": None,
        "has_more_profiles": False,
        "profiles": [{**organisation.current_user["profile"], "default": True}],
        "sections": [section],
        **mapping,
    }


def _targets(organisation: Organisation) -> Json:
    """Return the layouts of converted records, and the deal fields that a conversion form shows."""
    asked = [
        {
            "api_name": each.name,
            "field_label": each.label,
            "id": organisation.field_id("Deals", each.name),
            "required": organisation.is_required("Deals", each.name),
        }
        for each in schema.FIELDS["Deals"]
        if each.name in _DEAL_FIELDS or each.name in organisation.required["Deals"]
    ]
    partners = {name: organisation.layouts[name] for name in ("Contacts", "Accounts")}
    return {**partners, "Deals": {**organisation.layouts["Deals"], "fields": asked}}


_DEAL_FIELDS = ("Deal_Name", "Closing_Date", "Pipeline", "Stage", "Amount")


def pipelines(world: World, context: RequestContext) -> Answer:
    """``GET /settings/pipeline?layout_id=…``: 204 when pipelines are off."""
    wanted = context.query.get("layout_id")
    if not wanted:
        raise refusals.missing_param("layout_id")
    if wanted != world.organisation.layouts["Deals"]["id"]:
        raise refusals.bad_param("layout_id")
    found = world.organisation.pipelines
    return Answer.json({"pipeline": found}) if found else Answer.no_content()


def roles(world: World, context: RequestContext) -> Answer:
    """``GET /settings/roles``: those of users, each below the one that it reports to."""
    return Answer.json({"roles": list(map(_role, world.organisation.roles))})


def _role(role: Json) -> Json:
    return {
        **role,
        "display_label": role["name"],
        "api_name": role["name"].lower().replace(" ", "_"),
        "description": None,
        "share_with_peers": False,
        "forecast_manager": None,
        "created_by__s": None,
        "modified_by__s": None,
        "created_time__s": None,
        "modified_time__s": None,
    }


def contact_roles(world: World, context: RequestContext) -> Answer:
    """``GET /Contacts/roles``"""
    found = world.organisation.contact_roles
    return Answer.json({"contact_roles": found}) if found else Answer.no_content()


def contact_role(world: World, context: RequestContext) -> Answer:
    """``GET /Contacts/roles/{id}``: 204 for an unknown one."""
    found = world.organisation.contact_role(checked_id(context))
    return Answer.json({"contact_roles": [found]}) if found else Answer.no_content()


def duplicate_check(world: World, context: RequestContext) -> Answer:
    """
    ``GET /settings/duplicate_check_preference?module=Leads``: converted leads count, too.

    https://www.zoho.com/crm/developer/docs/api/v8/get-duplicate-record-check.html
    """
    module_of(world, context)
    preference = {"type": "converted_records", "type_configurations": None}
    return Answer.json({"duplicate_check_preference": preference})
