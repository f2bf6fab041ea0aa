"""What the journal keeps of a move, as values with labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.models import LeadConversion
from zoho_crm.services.presentation._codes import reason_text
from zoho_crm.services.presentation._errors import ERRORS
from zoho_crm.services.presentation._labels import PERSON_KINDS, field_label
from zoho_crm.types import JsonObject

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

#: Labels of what an event keeps, by the key.
DETAIL_LABELS: Mapping[str, StrPromise] = {
    "account_id": gettext_lazy("account"),
    "amount": gettext_lazy("Amount"),
    "api_name": gettext_lazy("field"),
    "bug": gettext_lazy("internal error"),
    "by": gettext_lazy("by"),
    "changed": gettext_lazy("changed"),
    "closing_date": gettext_lazy("Closing date"),
    "added_id": gettext_lazy("note or link"),
    "code": gettext_lazy("code"),
    "contact_id": gettext_lazy("contact"),
    "contact_role": gettext_lazy("contact role"),
    "deal": gettext_lazy("deal"),
    "deal_id": gettext_lazy("deal"),
    "did": gettext_lazy("done at Zoho"),
    "early": gettext_lazy("too early to prove anything"),
    "error": gettext_lazy("kind of error"),
    "errors": gettext_lazy("errors"),
    "evidence": gettext_lazy("evidence"),
    "id": gettext_lazy("record"),
    "job_id": gettext_lazy("job"),
    "json_path": gettext_lazy("place"),
    "known": gettext_lazy("known as"),
    "module": gettext_lazy("module"),
    "move_attachments_to": gettext_lazy("Attachments go to"),
    "name": gettext_lazy("name"),
    "note": gettext_lazy("note"),
    "notify_lead_owner": gettext_lazy("notify the owner of the lead"),
    "notify_new_owner": gettext_lazy("notify the new owner"),
    "orphan": gettext_lazy("its worker ended without an outcome"),
    "overwrite": gettext_lazy("replace the name of the account"),
    "owner_id": gettext_lazy("Owner"),
    "plan": gettext_lazy("plan"),
    "pipeline": gettext_lazy("Pipeline"),
    "read": gettext_lazy("read at Zoho"),
    "reason": gettext_lazy("reason"),
    "renewed": gettext_lazy("previewed again with the same result"),
    "repeated": gettext_lazy("sent once more"),
    "stage": gettext_lazy("stage"),
    "tags": gettext_lazy("tags"),
    "verdict": gettext_lazy("verdict"),
    "why": gettext_lazy("why"),
}
#: What Zoho did with a record.
_DONE: Mapping[str, StrPromise] = {
    "insert": gettext_lazy("created"),
    "update": gettext_lazy("updated"),
    "delete": gettext_lazy("deleted"),
}
_REASONS: Mapping[str, StrPromise] = {
    "changed": gettext_lazy("what is to be sent has changed meanwhile"),
    "retention": gettext_lazy("what was read is not kept for longer"),
}
#: What a read found, by what an event keeps of it.
_READS: Mapping[str, StrPromise] = {
    "nothing": gettext_lazy("nothing"),
    "open": gettext_lazy("not converted"),
    "found": gettext_lazy("found"),
}


def event_values(details: JsonObject) -> list[tuple[str, str]]:
    """Return what an event keeps, a plan by its parts, as texts with labels; none that is empty."""
    plan = details.get("plan") or {}
    parts = {**details, **plan, "plan": ""}
    if plan and not (plan.get("contact_id") or plan.get("account_id")):
        parts["plan"] = _("create everything anew")
    if reason := parts.get("reason"):
        like = LeadConversion(reason=reason, verdict=parts.get("verdict", ""))
        parts["reason"] = reason_text(like) or reason
    texts = ((_label(name), _text(name, value)) for name, value in parts.items())
    return [(capfirst(label), text) for label, text in texts if text]


def _label(name: str) -> str:
    return str(DETAIL_LABELS.get(name) or field_label(name))


def _text(name: str, value: Any) -> str:
    if not value:
        return ""
    if value is True:
        return _("yes")
    if isinstance(value, list):
        texts = (field_label(each) if name == "changed" else _text(name, each) for each in value)
        return ", ".join(texts)
    if isinstance(value, dict):
        parts = ((_label(each), _text(each, part)) for each, part in value.items())
        return "; ".join(f"{label}: {text}" for label, text in parts if text)
    return str(_CODES.get(name, {}).get(value) or value)


#: The words for codes that an event keeps, by the key.
_CODES: Mapping[str, Mapping[str, Any]] = {
    "verdict": dict(LeadConversion._meta.get_field("verdict").flatchoices),
    "by": dict(LeadConversion.By.choices),
    "did": _DONE,
    "known": PERSON_KINDS,
    "evidence": dict(LeadConversion.Evidence.choices),
    "read": _READS,
    "why": {**ERRORS, **_REASONS},
}
