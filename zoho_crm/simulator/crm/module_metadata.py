"""
One module as the metadata describes it.

`Modules <https://www.zoho.com/crm/developer/docs/api/v8/modules-api.html>`_,
`their OpenAPI <https://github.com/zoho/crm-oas/tree/main/v8.0/modules>`_
"""

from __future__ import annotations

from typing import Any

from zoho_crm.simulator import schema
from zoho_crm.simulator.organisation import Organisation

Json = dict[str, Any]

_ALL: Json = {
    **dict.fromkeys(
        ("description", "private_profile", "web_link", "modified_by", "modified_time"), None
    ),
    **dict.fromkeys(
        (
            *("chart_view", "feeds_required", "has_more_profiles", "kanban_view"),
            *("show_social", "show_visitor", "show_webform", "show_googlesync"),
            *("show_emailparser", "showfacebooksync", "showlinkedinsync", "showtiktoksync"),
            *("showleadchainsync", "public_fields_configured"),
        ),
        False,
    ),
    **dict.fromkeys(
        (
            *("chart_view_supported", "filter_status", "global_search_supported"),
            *("isBlueprintSupported", "kanban_view_supported", "lookupable"),
            *("presence_sub_menu", "quick_create", "recycle_bin_on_delete", "show_as_tab"),
            "sub_menu_available",
        ),
        True,
    ),
    "$on_demand_properties": [],
    "access_type": "org_based",
    "activity_badge": "Enabled",
    "arguments": [],
    "masked_fields_count": 0,
    "parent_module": {},
    "profile_count": 1,
}
_LISTED_FIELDS = 6


def module_json(organisation: Organisation, name: str) -> Json:
    """Return a module as ``GET /settings/modules`` does."""
    known = organisation.modules[name]
    own = {
        "actual_plural_label": known["plural_label"],
        "actual_singular_label": known["singular_label"],
        "sequence_number": list(organisation.modules).index(name) + 1,
        "profiles": [organisation.current_user["profile"]],
    }
    return {**_ALL, **known, **own}


def detailed_module_json(organisation: Organisation, name: str) -> Json:
    """Return a module as ``GET /settings/modules/{name}`` does: with fields of lists and views."""
    if name not in organisation.records:
        return module_json(organisation, name)
    names = [field.name for field in schema.FIELDS[name][:_LISTED_FIELDS]]
    listed = [
        {"api_name": each, "id": organisation.field_id(name, each), "sequence_number": number}
        for number, each in enumerate(names, 1)
    ]
    detail = {
        "$properties": [key for key in schema.defaults(name) if key.startswith("$")],
        "$field_states": [],
        "business_card_field_limit": 5,
        "custom_view": _all_view(organisation, name),
        "display_field": schema.NAME_FIELDS[name],
        "lookup_field_properties": {"fields": listed},
        "per_page": 50,
        "related_list_properties": {"sort_by": None, "sort_order": None, "fields": names},
        "search_layout_fields": names,
    }
    return {**module_json(organisation, name), **detail}


def _all_view(organisation: Organisation, module: str) -> Json:
    return {
        "id": organisation.custom_views[module],
        "name": f"All {module}",
        "display_value": f"All {module}",
        "system_name": "ALLVIEWS",
        "system_defined": True,
        "default": True,
        "category": "public_views",
        "sort_by": None,
        "sort_order": None,
    }
