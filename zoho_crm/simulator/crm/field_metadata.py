"""
One field as the metadata describes it.

`Fields <https://www.zoho.com/crm/developer/docs/api/v8/field-meta.html>`_,
`their OpenAPI <https://github.com/zoho/crm-oas/tree/main/v8.0/fields>`_. An empty object says that
the field does not have the feature.
"""

from __future__ import annotations

from typing import Any

from zoho_crm.simulator import schema
from zoho_crm.simulator.organisation import Organisation

Json = dict[str, Any]

_JSON_TYPES = {
    **dict.fromkeys(("lookup", "ownerlookup", "layout"), "jsonobject"),
    **dict.fromkeys(("tag", "multiselectpicklist"), "jsonarray"),
    "boolean": "boolean",
    "integer": "integer",
    **dict.fromkeys(("currency", "double", "percent"), "double"),
}
_DECIMAL_PLACES = {"currency": 2, "double": 2, "percent": 2}
#: What no field of the simulated organisation has.
_UNUSED: Json = {
    **dict.fromkeys(
        (
            *("additional_column", "address", "associated_module", "association_details"),
            *("child_fields", "created_time", "crypt", "default_value", "display_format"),
            *("display_format_properties", "external", "global_picklist", "hipaa_compliance"),
            *("history_tracking", "modified_time", "parent_field", "private", "range", "tooltip"),
        )
    ),
    **dict.fromkeys(
        (
            *("businesscard_supported", "colour_code_enabled_by_system", "display_field"),
            *("enable_colour_code", "hipaa_compliance_enabled", "history_tracking_enabled"),
            *("pick_list_values_sorted_lexically", "public", "separator", "virtual_field"),
        ),
        False,
    ),
    "auto_number": {},
    "created_source": "default",
    "currency": {},
    "display_type": -1,
    "email_parser": {"fields_update_supported": False, "record_operations_supported": False},
    "formula": {},
    "multi_module_lookup": {},
    "multiselectlookup": {},
    "rollup_summary": {},
    "type": "used",
    "ui_type": 1,
    "visible": True,
    "webhook": True,
}


def field_json(organisation: Organisation, module: str, field: schema.Field) -> Json:
    """Return a field of a module as ``GET /settings/fields`` does."""
    may_write = not field.read_only
    unique = field.name in organisation.unique[module]
    layout = organisation.layouts[module]
    return {
        **_UNUSED,
        "id": organisation.field_id(module, field.name),
        "api_name": field.name,
        "column_name": field.name.upper(),
        "field_label": field.label,
        "display_label": field.label,
        "data_type": field.type,
        "json_type": _JSON_TYPES.get(field.type, "string"),
        "length": field.length,
        "decimal_place": _DECIMAL_PLACES.get(field.type),
        "system_mandatory": field.mandatory,
        "custom_field": field.custom,
        "read_only": field.read_only,
        "field_read_only": field.read_only or field.name == "Owner",
        "searchable": field.searchable,
        "filterable": field.filterable,
        "sortable": field.sortable,
        "mass_update": may_write,
        "unique": {"case_sensitive": False} if unique else {},
        "pick_list_values": _choices(organisation, module, field),
        "lookup": _lookup(organisation, module, field),
        **_uses(field),
        "customizable_properties": ["mandatory"] if may_write and not field.mandatory else [],
        "profiles": [_profile(organisation, field)],
        "layout_associations": [{**layout, "api_name": layout["name"].replace(" ", "_")}],
        "convert_mapping": field.mapping if module == "Leads" else None,
    }


def _uses(field: schema.Field) -> Json:
    """Return where the field can be written and in which views it is shown."""
    may_write = not field.read_only
    ways = ("web_create", "web_update", "api_create", "api_update")
    views = {"edit": may_write, "create": may_write, "quick_create": field.mandatory}
    return {
        "operation_type": dict.fromkeys(ways, may_write),
        "view_type": {"view": True, **views},
    }


def layout_field_json(
    organisation: Organisation, module: str, field: schema.Field, number: int
) -> Json:
    """Return a field as a layout has it, with whether the layout requires it."""
    known = field_json(organisation, module, field)
    if module == "Deals" and field.name == "Pipeline":
        known["pick_list_values"] = organisation.pipelines
    return {
        **known,
        "required": organisation.is_required(module, field.name),
        "sequence_number": number,
        "section_id": 1,
        "show_type": 7,
        "category": 0,
        "element_type": "field",
        "refer_from_field": None,
        "validation_rule": None,
    }


def _profile(organisation: Organisation, field: schema.Field) -> Json:
    permission = "read_only" if field.read_only else "read_write"
    return {**organisation.current_user["profile"], "permission_type": permission}


def _lookup(organisation: Organisation, module: str, field: schema.Field) -> Json:
    """Return the module that a look-up refers to, and the related list that it makes there."""
    if not field.target:
        return {}
    target = organisation.modules.get(field.target)
    target_id = target["id"] if target else organisation.field_id(field.target, "module")
    return {
        "display_label": module,
        "api_name": module,
        "module": {"api_name": field.target, "module_name": field.target, "id": target_id},
        "id": organisation.field_id(module, f"related list of {field.name}"),
        "query_details": {},
        "revalidate_filter_during_edit": False,
    }


def _choices(organisation: Organisation, module: str, field: schema.Field) -> list[Json]:
    """Return the values of a picklist; a deal's stage has those of all pipelines."""
    choices = list(field.choices)
    if (module, field.name) == ("Deals", "Stage"):
        stages = (each for pipeline in organisation.pipelines for each in pipeline["maps"])
        choices = [*dict.fromkeys([*choices, *(each["actual_value"] for each in stages)])]
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
        for number, choice in enumerate(choices, 1)
    ]
