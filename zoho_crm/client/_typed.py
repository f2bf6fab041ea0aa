"""
Records with values of Python, by the types of the module's fields.

https://www.zoho.com/crm/developer/docs/api/v8/field-meta.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeAlias

from zoho_crm.client._answers import text_of
from zoho_crm.client._metadata import ModuleField
from zoho_crm.types import JsonObject, Record, Reference, is_record_id

#: Returns the value that Python has for one of Zoho's, or raises an error if it is another kind.
Conversion: TypeAlias = Callable[[Any], Any]
#: References of a field that are kept while records are converted.
MAX_REFERENCES = 500
#: The errors of a conversion.
_UNFIT = (ArithmeticError, LookupError, TypeError, ValueError)


def typed_by(fields: Iterable[ModuleField]) -> Callable[[Record], Record]:
    """Return a function that returns a record with values of Python, as ``values_by``."""
    values_of = values_by(fields)

    def typed(record: Record) -> Record:
        return Record(record.id, values_of(record))

    return typed


def values_by(fields: Iterable[ModuleField]) -> Callable[[Mapping[str, Any]], JsonObject]:
    """
    Return a function that returns the values of a record, or of a row, as those of Python.

    A value of a type that is not known, or that does not fit the type of its field, stays as Zoho
    sends it; so does the id, a text.
    """
    found = {each.api_name: _conversion(each) for each in fields if each.api_name != "id"}
    conversions = {name: convert for name, convert in found.items() if convert}

    def values_of(row: Mapping[str, Any]) -> JsonObject:
        values = dict(row.items())
        for name in values.keys() & conversions.keys():
            if (value := values[name]) is not None:
                try:
                    values[name] = conversions[name](value)
                except _UNFIT:
                    continue
        return values

    return values_of


def _conversion(field: ModuleField) -> Conversion | None:
    if field.data_type in _LOOKUPS:
        return _references(field.lookup_module)
    return _CONVERSIONS.get(field.data_type)


def _time(value: Any) -> datetime:
    time = datetime.fromisoformat(value)
    if time.tzinfo is None:
        raise ValueError("no zone")
    return time


def _whole_number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("no whole number")
    return value


def _long_number(value: Any) -> int:
    return int(value) if isinstance(value, str) else _whole_number(value)


def _decimal(value: Any) -> Decimal:
    number = Decimal(str(value))
    if isinstance(value, bool) or not number.is_finite():
        raise TypeError("no number")
    return number


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("neither true nor false")
    return value


def _choice(value: Any) -> str | None:
    """Return a value of a picklist; ``None`` for the one that Zoho shows of an empty one."""
    return None if value == "-None-" else value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError("no list of texts")
    return tuple(value)


def _references(module: str) -> Conversion:
    """
    Return a function that returns what a look-up refers to; one to several modules says which.

    The same one is made once: records of a page have few owners.
    """

    @lru_cache(maxsize=MAX_REFERENCES)
    def reference(record_id: str, name: str, own: str) -> Reference:
        if not is_record_id(record_id):
            raise ValueError("no id of a record")
        return Reference(id=record_id, name=name, module=own)

    return lambda value: reference(
        str(value["id"]), text_of(value.get("name")), module or _module_in(value)
    )


def _module_in(value: Any) -> str:
    """Return the module that a look-up names itself; empty if it names none."""
    named = value.get("module")
    if isinstance(named, dict):
        named = named.get("api_name")
    return text_of(named or value.get("$se_module"))


_LOOKUPS = frozenset({"lookup", "ownerlookup", "userlookup", "multi_module_lookup"})
_CONVERSIONS: Mapping[str, Conversion] = {
    "date": date.fromisoformat,
    "datetime": _time,
    "event_reminder": _time,
    "integer": _whole_number,
    "bigint": _long_number,
    "double": _decimal,
    "currency": _decimal,
    "percent": _decimal,
    "boolean": _truth,
    "picklist": _choice,
    "multiselectpicklist": _texts,
}
