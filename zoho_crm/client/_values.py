"""Values of Python in criteria and queries: as text for Zoho, and compared with what it answers."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.types import Record, Reference

#: A value that a field can be compared with.
Comparable: TypeAlias = str | bool | int | float | Decimal | date | Record | Reference

#: Unicode categories of control characters and lone surrogates.
_UNPRINTABLE = frozenset({"Cc", "Cs"})


def text_of_value(field: str, value: Comparable) -> str:
    """
    Return a value as Zoho writes it in criteria and queries, not quoted.

    :raises RequestRefusedError: if it is empty or has a control character, a number is not finite,
        or a time has no zone
    """
    if isinstance(value, Record | Reference):
        return value.id
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return _number(field, value)
    if isinstance(value, datetime):
        return _time(field, value)
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, str):
        raise unusable(field, "type")
    if any(unicodedata.category(character) in _UNPRINTABLE for character in value):
        raise unusable(field, "control")
    if not value.strip():
        raise unusable(field, "empty")
    return value


def unusable(field: str, reason: str) -> RequestRefusedError:
    """Return the error for a value that a field cannot be compared with, or cannot be set to."""
    return RequestRefusedError(code=f"unusable_{reason}", details={"api_name": field})


def is_same(found: Any, wanted: Comparable) -> bool:
    """
    Return whether a value of a record is the wanted one; case and repeated blanks do not count.

    Of a list it is not known which of its values Zoho compared: that is taken as the same.
    """
    if isinstance(found, list):
        return True
    if isinstance(found, Mapping):
        text = wanted.id if isinstance(wanted, Record | Reference) else str(wanted)
        return _loose(text) in {_loose(str(found.get("id"))), _loose(str(found.get("name")))}
    if found is None or isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(wanted, int | float | Decimal):
        return _as_number(found) == Decimal(str(wanted))
    if isinstance(wanted, datetime):
        return _as_time(found) == wanted
    return _loose(str(found)) == _loose(text_of_value("", wanted))


def starts_with(found: Any, wanted: str) -> bool:
    """Return whether a text of a record begins with the wanted one; other values count as if so."""
    return not isinstance(found, str) or _loose(found).startswith(_loose(wanted))


def _number(field: str, value: float | Decimal) -> str:
    number = Decimal(str(value))
    if not number.is_finite():
        raise unusable(field, "number")
    return format(number, "f")


def _time(field: str, value: datetime) -> str:
    if value.utcoffset() is None:
        raise unusable(field, "zone")
    return value.isoformat(timespec="seconds")


def _as_number(found: Any) -> Decimal | None:
    try:
        return Decimal(str(found))
    except InvalidOperation:
        return None


def _as_time(found: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(found))
    except ValueError:
        return None


def _loose(text: str) -> str:
    return " ".join(text.split()).casefold()
