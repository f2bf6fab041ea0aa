"""
Refusals that only *mass convert* gives.

`Mass convert <https://www.zoho.com/crm/developer/docs/api/v8/mass-convert-lead.html>`_,
`its status <https://www.zoho.com/crm/developer/docs/api/v8/mass-convert-status.html>`_; messages
and details as in the examples of `Zoho's OpenAPI description
<https://github.com/zoho/crm-oas/tree/main/v8.0/mass_convert>`_.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zoho_crm.simulator.item_refusals import bad_value
from zoho_crm.simulator.refusals import ItemRefusedError, RefusedError, refuse

Json = dict[str, Any]


def too_many(name: str, limit: int) -> ItemRefusedError:
    details = {"limit": limit, "limit_due_to": [{"api_name": name, "json_path": f"$.{name}"}]}
    return ItemRefusedError("LIMIT_EXCEEDED", "Limit exceeded for mass convert", details)


def missing_deal_field(name: str) -> ItemRefusedError:
    """Return ``MANDATORY_NOT_FOUND``, in other words than *Convert Lead* has for it."""
    details = {"api_name": name, "json_path": f"$.Deals.{name}"}
    return ItemRefusedError("MANDATORY_NOT_FOUND", "required field missing", details)


def wrong_assignee() -> ItemRefusedError:
    """Return ``INVALID_DATA``; its path says ``assignee`` at Zoho, too."""
    return bad_value("id", "$.assignee.id", "Given assignee param does not match")


def not_subordinate() -> ItemRefusedError:
    return bad_value("assign_to", "$.assign_to.id", "Non Subordinate User Found")


def incomplete_module(path: str, missing: Iterable[str]) -> ItemRefusedError:
    details = {"expected_fields": _keys(path, missing)}
    return ItemRefusedError("EXPECTED_FIELD_MISSING", "Specify Atleast one field", details)


def mismatched_module(path: str) -> ItemRefusedError:
    details = {"ambiguity_due_to": _keys(path, ("id", "api_name"))}
    return ItemRefusedError("AMBIGUITY_DURING_PROCESSING", "two modules are different", details)


def _keys(path: str, names: Iterable[str]) -> list[Json]:
    return [{"api_name": name, "json_path": f"{path}.{name}"} for name in names]


def missing_job_id() -> RefusedError:
    details = {"param": "job_id", "json_path": "$.job_id"}
    return refuse(400, "REQUIRED_PARAM_MISSING", "job_id is required.", details)


def unknown_job() -> RefusedError:
    message = "The jobid given seems to be invalid"
    return refuse(400, "INVALID_DATA", message, {"param_name": "job_id"})
