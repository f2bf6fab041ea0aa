"""
The values of a deal's fields, from what a person entered: typed as the field's ``data_type`` asks.

https://www.zoho.com/crm/developer/docs/api/v8/field-meta.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.exceptions import PlanError
from zoho_crm.services.choices import Choices
from zoho_crm.types import DealField, FieldValue, is_record_id

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

#: Types that a conversion cannot fill: files, rows, tables of links, and what Zoho computes.
UNSUPPORTED_TYPES = frozenset(
    """
    subform fileupload imageupload profileimage formula rollup_summary autonumber multiselectlookup
    multiuserlookup multi_module_lookup consent_lookup RRULE ALARM multireminder linetax layout
    territories
    """.split()  # noqa: SIM905
)
SEPARATOR = ";"
_YES = frozenset({"true", "yes", "1"})
_NO = frozenset({"false", "no", "0"})


def is_supported(field: DealField) -> bool:
    """Return whether a conversion can fill this field."""
    return field.data_type not in UNSUPPORTED_TYPES


def deal_value(field: DealField, entered: str | Sequence[str]) -> FieldValue:
    """
    Return the value of a deal's field as Zoho expects it; of an unknown type, the text itself.

    :param entered: a text, or of a multi-select field a list; in one text, ``;`` is between values
    :raises PlanError: if the text is no value of the field's type, with the code ``bad_value``
    """
    if not is_supported(field):
        message = _("%(field)s: a conversion cannot fill a field of the type %(type)s.")
        names = {"field": field.label, "type": field.data_type}
        raise _refused(message % names, field.api_name)
    if field.data_type == "multiselectpicklist":
        texts = entered.split(SEPARATOR) if isinstance(entered, str) else entered
        return [_choice(field, text.strip()) for text in texts if text.strip()]
    text = (entered if isinstance(entered, str) else SEPARATOR.join(entered)).strip()
    convert = CONVERTERS.get(field.data_type)
    try:
        return convert(text) if convert else _choice(field, text)
    except ValueError as error:
        message = _("%(field)s: “%(text)s” is not %(kind)s.")
        kind = str(EXPECTED[field.data_type])
        names = {"field": field.label, "text": text[:60], "kind": kind}
        raise _refused(message % names, field.api_name) from error


def _refused(message: str, name: str, code: str = "bad_value") -> PlanError:
    return PlanError(message, code=code, details={"field": name})


def deal_values(
    entered: Mapping[str, str | Sequence[str]], known: Choices
) -> dict[str, FieldValue]:
    """
    Return the values of deal fields that are named by their API names; empty texts are left out.

    :raises PlanError: if the organisation has no such field, or a text is no value of it
    """
    fields = {field.api_name: field for field in (*known.deal_fields, *known.other_deal_fields)}
    values: dict[str, FieldValue] = {}
    for name, text in entered.items():
        if name not in fields and known.other_deal_fields:
            raise _refused(_("Deals have no field “%s”.") % name, name, code="no_field")
        if text.strip() if isinstance(text, str) else text:
            values[name] = deal_value(fields.get(name, DealField(api_name=name, label=name)), text)
    return values


def entered_text(value: FieldValue) -> str | list[str]:
    """Return what a person enters for a value: the inverse of ``deal_value``."""
    if isinstance(value, dict):
        return value.get("id", "")
    if isinstance(value, list):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _choice(field: DealField, text: str) -> str:
    """Return the value of a picklist that is named by its value or its label, else the text."""
    labels = {choice.label: choice.value for choice in field.choices}
    values = {choice.value for choice in field.choices}
    return text if text in values else labels.get(text, text)


def _whole_number(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,30}", text):
        raise ValueError
    return int(text)


def _number(text: str) -> Decimal:
    if not re.fullmatch(r"[+-]?[0-9]{1,30}([.][0-9]{1,30})?", text):
        raise ValueError
    return Decimal(text)


def _truth(text: str) -> bool:
    word = text.casefold()
    if word not in _YES | _NO:
        raise ValueError
    return word in _YES


def _day(text: str) -> str:
    return date.fromisoformat(text).isoformat()


def _moment(text: str) -> str:
    """Return a date and time with its offset; without one it is of the current time zone."""
    moment = datetime.fromisoformat(text)
    if "T" not in text and " " not in text:
        raise ValueError
    if timezone.is_naive(moment):
        moment = timezone.make_aware(moment)
    return moment.isoformat(timespec="seconds")


def _reference(text: str) -> dict[str, str]:
    if not is_record_id(text):
        raise ValueError
    return {"id": text}


#: The function that makes a value of a type from a text; it raises ``ValueError``.
CONVERTERS: Mapping[str, Callable[[str], FieldValue]] = {
    "integer": _whole_number,
    **dict.fromkeys(("double", "currency", "percent"), _number),
    "boolean": _truth,
    "date": _day,
    **dict.fromkeys(("datetime", "event_reminder"), _moment),
    **dict.fromkeys(("lookup", "ownerlookup", "userlookup"), _reference),
}
#: What a text has to be, by the type of the field.
EXPECTED: Mapping[str, StrPromise] = {
    "integer": gettext_lazy("a whole number"),
    **dict.fromkeys(
        ("double", "currency", "percent"), gettext_lazy("a number; write it as 1250.50")
    ),
    "boolean": gettext_lazy("true or false"),
    "date": gettext_lazy("a day; write it as 2026-12-31"),
    **dict.fromkeys(
        ("datetime", "event_reminder"), gettext_lazy("a time; write it as 2026-12-31T09:00+01:00")
    ),
    **dict.fromkeys(
        ("lookup", "ownerlookup", "userlookup"),
        gettext_lazy("the id of a record: a number of up to 19 digits"),
    ),
}
