"""
Metadata for a conversion form: modules, layouts, fields, pipelines, contact roles.

`Modules <https://www.zoho.com/crm/developer/docs/api/v8/modules-api.html>`_,
`layouts <https://www.zoho.com/crm/developer/docs/api/v8/layouts-meta.html>`_,
`fields <https://www.zoho.com/crm/developer/docs/api/v8/field-meta.html>`_,
`pipelines <https://www.zoho.com/crm/developer/docs/api/v8/get-pipelines.html>`_,
`contact roles <https://www.zoho.com/crm/developer/docs/api/v8/get-contact-roles.html>`_
"""

from __future__ import annotations

from typing import Any

from zoho_crm.simulator import refusals, schema
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.organisation import Organisation
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

Json = dict[str, Any]

_JSON_TYPES = {
    "lookup": "jsonobject",
    "ownerlookup": "jsonobject",
    "layout": "jsonobject",
    "tag": "jsonarray",
    "boolean": "boolean",
    "integer": "integer",
    **dict.fromkeys(("currency", "double", "percent"), "double"),
    "multiselectpicklist": "jsonarray",
}


def modules(world: World, context: RequestContext) -> Answer:
    """``GET /settings/modules[?status=…]``"""
    wanted = context.query.get("status", "visible,user_hidden").split(",")
    found = [each for each in world.organisation.modules.values() if each["status"] in wanted]
    return Answer.json({"modules": found}) if found else Answer.no_content()


def module_of(world: World, context: RequestContext) -> str:
    """
    Return the module that the parameter ``module`` names.

    :raises RefusedError: without it, and for a module without records
    """
    name = context.query.get("module")
    if not name:
        raise refusals.missing_param("module")
    if name not in world.organisation.records:
        raise refusals.bad_module_param()
    return name


def fields(world: World, context: RequestContext) -> Answer:
    """``GET /settings/fields?module=…``"""
    module = module_of(world, context)
    own = world.organisation
    return Answer.json({"fields": [_field(own, module, each) for each in schema.FIELDS[module]]})


def _field(organisation: Organisation, module: str, field: schema.Field) -> Json:
    unique = field.name in organisation.unique[module]
    may_write = not field.read_only
    return {
        "api_name": field.name,
        "field_label": field.label,
        "display_label": field.label,
        "data_type": field.type,
        "json_type": _JSON_TYPES.get(field.type, "string"),
        "length": field.length,
        "system_mandatory": field.mandatory,
        "custom_field": field.custom,
        "visible": True,
        "read_only": field.read_only,
        "field_read_only": field.read_only,
        "unique": {"case_sensitive": False} if unique else {},
        "pick_list_values": _choices(organisation, module, field),
        "lookup": {},
        "operation_type": {
            "web_create": may_write,
            "web_update": may_write,
            "api_create": may_write,
            "api_update": may_write,
        },
        "convert_mapping": field.mapping if module == "Leads" else None,
        "id": organisation.field_id(module, field.name),
        "default_value": None,
    }


def _choices(organisation: Organisation, module: str, field: schema.Field) -> list[Json]:
    return [
        {
            "display_value": choice,
            "actual_value": choice,
            "reference_value": choice,
            "sequence_number": number,
            "id": organisation.field_id(module, f"{field.name}={choice}"),
            "type": "used",
            "colour_code": None,
        }
        for number, choice in enumerate(field.choices, 1)
    ]


def layouts(world: World, context: RequestContext) -> Answer:
    """``GET /settings/layouts?module=…``: those of Leads have the deal fields of a conversion."""
    module = module_of(world, context)
    own = world.organisation
    return Answer.json({"layouts": [_layout(own, module, each) for each in own.layouts_of(module)]})


def _layout(organisation: Organisation, module: str, layout: Json) -> Json:
    section = {
        "display_label": f"{module} Information",
        "api_name": f"{module}_Information",
        "name": f"{module} Information",
        "sequence_number": 1,
        "id": organisation.field_id(module, f"section of {layout['name']}"),
        "fields": [_layout_field(organisation, module, each) for each in schema.FIELDS[module]],
    }
    mapping = {"convert_mapping": _targets(organisation)} if module == "Leads" else {}
    return {
        **layout,
        "api_name": layout["name"].replace(" ", "_"),
        "status": "active",
        "visible": True,
        "profiles": [{**organisation.current_user["profile"], "default": True}],
        "sections": [section],
        **mapping,
    }


def _layout_field(organisation: Organisation, module: str, field: schema.Field) -> Json:
    known = _field(organisation, module, field)
    if module == "Deals" and field.name == "Pipeline":
        known["pick_list_values"] = organisation.pipelines
    return {**known, "required": organisation.is_required(module, field.name)}


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


def contact_roles(world: World, context: RequestContext) -> Answer:
    """``GET /Contacts/roles``"""
    found = world.organisation.contact_roles
    return Answer.json({"contact_roles": found}) if found else Answer.no_content()


def duplicate_check(world: World, context: RequestContext) -> Answer:
    """
    ``GET /settings/duplicate_check_preference?module=Leads``: converted leads count, too.

    https://www.zoho.com/crm/developer/docs/api/v8/get-duplicate-record-check.html
    """
    module_of(world, context)
    preference = {"type": "converted_records", "type_configurations": None}
    return Answer.json({"duplicate_check_preference": preference})
