"""The initial users, licences, modules, pipelines and contact roles of an organisation."""

from __future__ import annotations

from typing import Any

from zoho_crm.simulator.ids import Ids
from zoho_crm.simulator.schema import STAGES

Json = dict[str, Any]

#: API name, singular, convertable.
_MODULES = (
    ("Leads", "Lead", True),
    ("Contacts", "Contact", False),
    ("Accounts", "Account", False),
    ("Deals", "Deal", False),
    ("Tasks", "Task", False),
    ("Events", "Meeting", False),
    ("Calls", "Call", False),
)
_ROLES = ("CEO", "Sales Manager", "Sales Representative")
#: First name, last name, role, status, confirmed.
_PEOPLE = (
    ("Mara", "Lind", "Sales Manager", "active", True),
    ("Tomas", "Wieser", "Sales Representative", "active", True),
    ("Aiko", "Santos", "Sales Representative", "active", True),
    ("Henrike", "Osei", "CEO", "active", True),
    ("Paul", "Marchetti", "Sales Representative", "inactive", True),
    ("Noor", "de Vries", "Sales Representative", "active", False),
)
_FORECAST = {"Closed Won": "Closed Won", "Closed Lost": "Closed Lost"}


def roles(ids: Ids) -> dict[str, Json]:
    """Return the user roles by name."""
    return {name: {"name": name, "id": ids.next()} for name in _ROLES}


def users(ids: Ids, domain: str) -> list[Json]:
    """Return the users: the first grants tokens, one is inactive, one unconfirmed."""
    by_name = roles(ids)
    profile = {"name": "Administrator", "id": ids.next()}
    return [
        {
            "id": ids.next(),
            "full_name": f"{first} {last}",
            "first_name": first,
            "last_name": last,
            "email": f"{first.lower()}@{domain}",
            "status": status,
            "confirm": confirmed,
            "zuid": ids.next()[-9:],
            "type__s": "Regular User",
            "locale": "de_DE",
            "time_zone": "Europe/Berlin",
            "language": "en_US",
            "role": by_name[role],
            "profile": profile,
            "personal_account": False,
            "Isonline": number == 0,
            "offset": 3600000,
        }
        for number, (first, last, role, status, confirmed) in enumerate(_PEOPLE)
    ]


def modules(ids: Ids) -> dict[str, Json]:
    """Return module metadata by API name."""
    return {name: _module(ids, name, singular, converts) for name, singular, converts in _MODULES}


def _module(ids: Ids, name: str, singular: str, convertable: bool) -> Json:
    return {
        "api_name": name,
        "id": ids.next(),
        "module_name": name,
        "singular_label": singular,
        "plural_label": f"{singular}s",
        "generated_type": "default",
        "api_supported": True,
        "visible": True,
        "visibility": 1,
        "viewable": True,
        "creatable": True,
        "editable": True,
        "deletable": True,
        "convertable": convertable,
        "status": "visible",
        "profiles": [],
    }


def license_details() -> Json:
    """Return the licences of a large Enterprise organisation."""
    return {
        "paid": True,
        "paid_type": "enterprise",
        "paid_expiry": None,
        "trial_type": None,
        "trial_expiry": None,
        "users_license_purchased": 4950,
        "portal_users_license_purchased": 0,
    }


def contact_roles(ids: Ids) -> list[Json]:
    names = ("Decision Maker", "Product Management", "Purchasing", "Developer/Evaluator")
    return [
        {"id": ids.next(), "name": name, "sequence_number": number}
        for number, name in enumerate(names, 1)
    ]


def portal_user_types(ids: Ids) -> list[Json]:
    return [{"id": ids.next(), "name": name} for name in ("Client", "Reseller")]


def pipelines(ids: Ids) -> list[Json]:
    """Return two pipelines; in the second one, a stage has different display and actual values."""
    short = ("Qualification", "Id. Decision Makers", "Closed Won", "Closed Lost")
    return [
        _pipeline(ids, "Standard (Standard)", STAGES, default=True),
        _pipeline(ids, "Partners (Standard)", short, default=False),
    ]


def _pipeline(ids: Ids, name: str, stages: tuple[str, ...], *, default: bool) -> Json:
    return {
        "id": ids.next(),
        "display_value": name,
        "actual_value": name,
        "default": default,
        "maps": [_stage(ids, stage, number) for number, stage in enumerate(stages, 1)],
    }


def _stage(ids: Ids, stage: str, number: int) -> Json:
    forecast = _FORECAST.get(stage, "Open")
    return {
        "id": ids.next(),
        "display_value": stage.replace("Id. ", "Identify "),
        "actual_value": stage,
        "sequence_number": number,
        "forecast_category": {"name": forecast.replace("Open", "Pipeline"), "id": ids.next()},
        "forecast_type": forecast,
    }
