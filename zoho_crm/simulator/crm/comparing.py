"""Comparison of field values by their type, as search, COQL and bulk read select records."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from zoho_crm.simulator.records import normalized

NUMBERS = ("integer", "double", "currency", "percent")


def comparable(kind: str, value: Any) -> Any:
    """
    Return what values of a type are compared by; None for no value.

    Numbers are compared as numbers, times as instants, look-ups by id, and everything else as text
    without letter case.

    :raises ValueError: if the value cannot be one of that type
    """
    if value in (None, "", []):
        return None
    if isinstance(value, dict):
        value = value.get("id")
    if kind in NUMBERS:
        return float(value)
    if kind == "boolean":
        return _truth(str(value).casefold())
    if kind == "date":
        return date.fromisoformat(str(value))
    if kind == "datetime":
        return _instant(str(value))
    if isinstance(value, list):
        value = ";".join(
            str(item.get("name") if isinstance(item, dict) else item) for item in value
        )
    return normalized(value)


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def _instant(text: str) -> datetime:
    """Return the instant of a time with an offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment


def sort_key(kind: str, value: Any) -> tuple[bool, Any]:
    """Return what records are sorted by: those without a value come first, look-ups by name."""
    if isinstance(value, dict):
        value = value.get("name")
    key = comparable(kind, value)
    return (key is not None, key if key is not None else 0)
