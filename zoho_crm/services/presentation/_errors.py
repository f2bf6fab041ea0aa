"""Errors of Zoho's and of ours, as rows store them, in sentences with field and value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm import client as zoho
from zoho_crm.exceptions import MESSAGES_BY_CODE, RequestRefusedError, ZohoError
from zoho_crm.models import LeadConversion, LeadConversionEvent, OutboxRecord, OutboxRecordEvent
from zoho_crm.services.presentation._labels import MAX_TEXT_LENGTH, field_label
from zoho_crm.types import JsonObject

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

#: The message of an ``error_code`` of ours.
ERRORS: Mapping[str, StrPromise] = {
    "INTERNAL": gettext_lazy("An internal error; the details are in the log of this site."),
    "UNREADABLE": gettext_lazy("The lead can no longer be read."),
    "ID_ALREADY_CONVERTED": gettext_lazy(
        "Zoho says that this lead was converted, but shows it open."
    ),
    "MAX_ATTEMPTS": gettext_lazy("It was sent several times, and each time no answer came."),
    # of outgoing records
    "no_record_named": MESSAGES_BY_CODE["no_record_named"],
    "known_person": gettext_lazy(
        "Zoho knows this person already: a lead could be the second one of the same person."
    ),
    "no_unique_field": gettext_lazy(
        "It was sent and no answer came. No field says which record it is, so look for it at Zoho."
    ),
    "several_records": gettext_lazy(
        "It was sent and no answer came. Several records have its value; look for it at Zoho."
    ),
    "unreadable": gettext_lazy(
        "It could not be looked for at Zoho, so a person has to: the journal says why."
    ),
    # of outgoing records that were checked before they were sent
    "unknown_field": gettext_lazy("The module has no such field."),
    "unknown_field_near": gettext_lazy("The module has no such field."),
    "read_only_field": gettext_lazy("The field cannot be written."),
    "missing_value": gettext_lazy("The field needs a value."),
    "wrong_type": gettext_lazy("The field takes another type of value."),
    "too_long": gettext_lazy("The value is too long."),
    "not_in_picklist": gettext_lazy("The field does not have this value."),
}
#: Returns the value that an error of Zoho's is about; empty if it is not known or not to be shown.
ValueOf: TypeAlias = Callable[[JsonObject], str]
_PATH_PART = re.compile(r"\.(\$?\w+)|\[(\d+)\]")


def error_text(row: LeadConversion, *, with_values: bool = False) -> str:
    """
    Return the message of a row's error with the field of each of Zoho's errors; may be empty.

    :param with_values: whether to name the values, which are personal data
    """
    value_of = partial(_refused_value, row) if with_values else _no_value
    return error_code_text(row.error_code, row.error_message, row.error_details or (), value_of)


def outbox_error_text(row: OutboxRecord, *, with_values: bool = False) -> str:
    """
    Return why a pushed record was refused or needs a person, with the fields; may be empty.

    :param with_values: whether to name the values, which are personal data
    """
    value_of = partial(_pushed_value, row) if with_values else _no_value
    return error_code_text(row.error_code, row.error_message, row.error_details or (), value_of)


def describe_error(error: BaseException) -> str:
    """Return the message of an error with the field of each of Zoho's errors."""
    return refusal_text(str(error), error.problems if isinstance(error, ZohoError) else ())


def followed_by(text: str, next_sentence: str) -> str:
    """Return two sentences, the first with a full stop, which Zoho's messages often lack."""
    text = text.rstrip()
    stop = "." if next_sentence and (text[-1:].isalnum() or text.endswith(")")) else ""
    return f"{text}{stop} {next_sentence}".strip()


def event_text(event: LeadConversionEvent) -> str:
    """Return the error that an event stores, or what of the lead had changed; may be empty."""
    details = event.details
    if changed := details.get("changed"):
        return _changed_text(changed)
    return refusal_text(details.get("code", ""), details.get("errors") or [details])


def _changed_text(names: Iterable[str]) -> str:
    """Return what changed after an approval, by API names of fields, or ``matches``."""
    if list(names) == ["matches"]:
        return _("What matches the lead has changed since it was approved; nothing was sent.")
    text = _("The lead has changed at Zoho since it was approved (%s); nothing was sent.")
    return text % ", ".join(map(field_label, names))


def outbox_event_text(event: OutboxRecordEvent) -> str:
    """Return why a pushed record was moved, and the note of a person; empty if nothing says it."""
    details, code = event.details, event.details.get("code", "")
    errors = refusal_text(str(ERRORS.get(code, code)), details.get("errors") or [details])
    why, note = details.get("why", ""), details.get("note", "")
    texts = [str(ERRORS.get(why, "")), errors, _("Note: %s") % note if note else ""]
    return " ".join(filter(None, texts))


def _no_value(_problem: JsonObject) -> str:
    return ""


def error_code_text(
    code: str, message: str, problems: Iterable[JsonObject] = (), value_of: ValueOf = _no_value
) -> str:
    """Return Zoho's message of an error if there is one, else the sentence of its code."""
    if not message and code:
        message = str(ERRORS.get(code, RequestRefusedError.default_message))
    return refusal_text(message, problems, value_of)


def refusal_text(
    message: str, problems: Iterable[JsonObject], value_of: ValueOf = _no_value
) -> str:
    """
    Return a message with what Zoho says about the field; of several errors, each with its code.

    :param problems: ``problems`` of the exception
    """
    found = list(problems)
    if len(found) < 2:
        return _with_facts(message, found[0], value_of) if found else message
    texts = (_with_facts(_message_of(each), each, value_of) for each in found)
    codes = (str(each.get("code", "")) for each in found)
    return "; ".join(
        f"{text} ({code})" if code else text for text, code in zip(texts, codes, strict=True)
    )


def _message_of(problem: JsonObject) -> str:
    """Return Zoho's message of one error, or the sentence of a code of ours."""
    return str(problem.get("message") or ERRORS.get(problem.get("code", ""), ""))


def _with_facts(message: str, problem: JsonObject, value_of: ValueOf) -> str:
    facts = ", ".join(facts_of(problem, value_of(problem)))
    return ": ".join(filter(None, [message.removesuffix(".") if facts else message, facts]))


def facts_of(problem: JsonObject, value: str) -> Iterator[str]:
    """Yield what an error of Zoho's says: field, value, and what it should have been."""
    if name := problem.get("api_name"):
        label = field_label(str(name))
        yield _("field %s") % (label if label == name else f"{label} ({name})")
    elif where := problem.get("param_name") or problem.get("json_path"):
        yield _("field %s") % where
    if value:
        yield _("value “%s”") % value
    for key, sentence in FACTS.items():
        if fact := problem.get(key):
            shown = ", ".join(map(str, fact)) if isinstance(fact, list) else fact
            yield str(sentence) % shown
    if problem.get("code") == "DUPLICATE_DATA" and problem.get("id"):
        record = " ".join(str(problem[key]) for key in ("module", "id") if key in problem)
        yield _("a record has it: %s") % record


#: What the details of an error say besides field and value.
FACTS: Mapping[str, StrPromise] = {
    "expected_data_type": gettext_lazy("expected: %s"),
    "expected": gettext_lazy("expected: %s"),
    "near": gettext_lazy("did you mean “%s”?"),
    "maximum_length": gettext_lazy("at most %s characters"),
    "minimum_length": gettext_lazy("at least %s characters"),
    "supported_values": gettext_lazy("allowed: %s"),
    "mapped_field": gettext_lazy("it depends on the field %s"),
    "permissions": gettext_lazy("missing permission: %s"),
}


def _refused_value(row: LeadConversion, problem: JsonObject) -> str:
    """Return the value of a row's request or lead that an error of Zoho's is about."""
    lead, plan = row.stored_lead(), row.stored_plan()
    name, path = problem.get("api_name", ""), problem.get("json_path", "")
    body = zoho.convert_body(plan) if plan else {}
    # The path of a deal's stage lacks "Deals" at Zoho.
    value = _value_at(body, str(path)) or _value_at(body, f"$.data[0].Deals.{name}")
    if value is None and lead:
        own = {"Account_Name": lead.company, "Full_Name": lead.name}
        value = own.get(name) or lead.fields.get(name)
    return "" if value is None or isinstance(value, dict) else str(value)[:MAX_TEXT_LENGTH]


def _pushed_value(row: OutboxRecord, problem: JsonObject) -> str:
    """Return the value of a pushed record that an error is about; empty if it is no plain one."""
    values = row.values if isinstance(row.values, dict) else {}
    value = values.get(problem.get("api_name", ""))
    return "" if value is None or isinstance(value, dict) else str(value)[:MAX_TEXT_LENGTH]


def _value_at(body: Any, path: str) -> Any:
    """Return the value at a JSON path such as ``$.data[0].Deals.Stage``; ``None`` if not there."""
    if not path:
        return None
    for key, index in _PATH_PART.findall(path):
        try:
            body = body[int(index)] if index else body[key]
        except (LookupError, TypeError):
            return None
    return body
