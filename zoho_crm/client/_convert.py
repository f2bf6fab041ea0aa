"""
The conversion of one lead: the body of the request, and the value of the answer.

https://www.zoho.com/crm/developer/docs/api/v8/convert-lead.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoho_crm.client._answers import (
    MAX_CODE_LENGTH,
    MAX_MESSAGE_LENGTH,
    id_of,
    id_or_empty,
)
from zoho_crm.exceptions import UnknownOutcomeError
from zoho_crm.types import ConversionPlan, Converted, Deal, JsonObject, Scheduled


def convert_body(plan: ConversionPlan, module_ids: Mapping[str, str] | None = None) -> JsonObject:
    """
    Return the body of the request that carries out the plan, with no key that is not needed.

    The texts that describe a plan to a person are made from its keys.

    :param module_ids: ids of modules by API name; Zoho's descriptions differ in whether the target
        of attachments needs its id, so it is sent where it is known
    """
    target = plan.move_attachments_to
    target_id = (module_ids or {}).get(target)
    item: JsonObject = {
        "overwrite": plan.overwrite,
        "notify_lead_owner": plan.notify_lead_owner,
        "notify_new_entity_owner": plan.notify_new_owner,
    }
    chosen = {
        "Contacts": plan.contact_id and {"id": plan.contact_id},
        "Accounts": plan.account_id and {"id": plan.account_id},
        "assign_to": plan.owner_id and {"id": plan.owner_id},
        "Deals": plan.deal and deal_fields(plan.deal),
        "move_attachments_to": target
        and {"api_name": target, **({"id": target_id} if target_id else {})},
        "carry_over_tags": {module: list(names) for module, names in plan.tags.items() if names},
    }
    return {"data": [item | {key: value for key, value in chosen.items() if value}]}


def deal_fields(deal: Deal) -> JsonObject:
    """Return the deal to create as fields by API name, without those that are empty."""
    fields: JsonObject = {
        **deal.other,
        "Deal_Name": deal.name,
        "Stage": deal.stage,
        "Closing_Date": deal.closing_date.isoformat(),
        "Pipeline": deal.pipeline,
        "Amount": deal.amount,
        "Contact_Role": deal.contact_role,
    }
    return {name: value for name, value in fields.items() if value not in ("", None)}


def conversion_of(body: JsonObject) -> Converted | Scheduled:
    """
    Return the result of a conversion from the body of its answer.

    :raises UnknownOutcomeError: if the body does not have the documented form
    """
    try:
        item = body["data"][0]
        code, details = item["code"], item["details"]
        if code == "SCHEDULED":
            return Scheduled(job_id=id_or_empty(details.get("job_id")))
        if code == "SUCCESS" and details["Contacts"]["id"]:
            return converted_of(details)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UnknownOutcomeError(code="unknown_form") from error
    message = str(item.get("message", ""))[:MAX_MESSAGE_LENGTH]
    raise UnknownOutcomeError(message, code=str(code)[:MAX_CODE_LENGTH])


def converted_of(details: JsonObject) -> Converted:
    """Return the ids in ``{"Contacts": {"id"}, "Accounts": … or null, "Deals": … or null}``."""
    return Converted(
        contact_id=_id(details.get("Contacts")),
        account_id=_id(details.get("Accounts")),
        deal_id=_id(details.get("Deals")),
    )


def _id(record: Any) -> str:
    return id_of(record["id"]) if record else ""
