r"""
Parser of ``criteria``: ``((Last_Name:equals:King)and(Company:starts_with:Nord))``.

`Search records <https://www.zoho.com/crm/developer/docs/api/v8/search-records.html>`_
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from zoho_crm.simulator import refusals, schema
from zoho_crm.simulator.crm.comparing import comparable
from zoho_crm.simulator.records import Record

MAX_CONDITIONS = 15
MAX_VALUES = 100
#: Escaped characters are shifted into the private use area while the text is parsed.
_ESCAPE_OFFSET = 0xE000

Condition = Callable[[Record], bool]


def parse(module: str, text: str) -> Condition:
    """
    Return a predicate that tells whether a record of the module fits the criteria.

    :raises RefusedError: ``INVALID_QUERY``, ``CRITERIA_LIMIT_EXCEEDED``
    """
    escaped = re.sub(r"\\(.)", lambda found: chr(_ESCAPE_OFFSET + ord(found[1])), text.strip())
    if len(re.findall(r"\((?!\s*\()", escaped)) > MAX_CONDITIONS:
        raise refusals.too_many_conditions(MAX_CONDITIONS)
    condition, rest = _sequence(module, escaped)
    if rest:
        raise refusals.malformed_criteria()
    return condition


def _sequence(module: str, text: str) -> tuple[Condition, str]:
    """Parse ``(…)and(…)or(…)`` from left to right; return the condition and the remaining text."""
    condition, rest = _group(module, text)
    while found := re.match(r"\s*(and|or)\s*(?=\()", rest):
        other, rest = _group(module, rest[found.end() :])
        condition = _and(condition, other) if found[1] == "and" else _or(condition, other)
    return condition, rest


def _group(module: str, text: str) -> tuple[Condition, str]:
    if not text.startswith("("):
        raise refusals.malformed_criteria()
    inner = text[1:].lstrip()
    if inner.startswith("("):
        condition, rest = _sequence(module, inner)
    else:
        body, closed, rest = inner.partition(")")
        condition, rest = _condition(module, body), closed + rest
    if not rest.startswith(")"):
        raise refusals.malformed_criteria()
    return condition, rest[1:]


def _and(one: Condition, other: Condition) -> Condition:
    return lambda record: one(record) and other(record)


def _or(one: Condition, other: Condition) -> Condition:
    return lambda record: one(record) or other(record)


def _condition(module: str, text: str) -> Condition:
    name, _, rest = text.partition(":")
    operator, _, given = rest.partition(":")
    field = schema.field(module, name.strip())
    if not operator or not given:
        raise refusals.malformed_criteria()
    if field is None:
        reason = "the field is not available for search"
        raise refusals.invalid_condition(reason, name.strip(), operator=operator)
    if operator not in _operators_of(field.type):
        reason = "invalid operator found"
        raise refusals.invalid_condition(reason, field.name, operator=operator)
    values = _values(field, operator, given)
    in_part = operator == "equals" and field.type in _FOUND_IN_PART
    test = _contains if in_part else _OPERATORS[operator]
    return lambda record: test(comparable(field.type, record.get(field.name)), values)


def _values(field: schema.Field, operator: str, given: str) -> list[Any]:
    several = operator in ("in", "between")
    texts = [_unescaped(each) for each in (given.split(",") if several else [given])]
    if len(texts) > MAX_VALUES:
        raise refusals.too_many_search_values(MAX_VALUES)
    try:
        if operator == "between" and len(texts) != 2:
            raise ValueError(given)
        return [comparable(field.type, text) for text in texts]
    except ValueError:
        reason = "invalid value for search"
        raise refusals.invalid_condition(reason, field.name, value=_unescaped(given)) from None


def _unescaped(text: str) -> str:
    return re.sub(
        r"[\ue000-\ue07f]", lambda found: chr(ord(found[0]) - _ESCAPE_OFFSET), text
    ).strip()


#: Each test gets the value of a record, which is None if there is none, and those of the condition.
_OPERATORS: Mapping[str, Callable[[Any, list[Any]], bool]] = {
    "equals": lambda value, wanted: value == wanted[0],
    "not_equal": lambda value, wanted: value != wanted[0],
    "starts_with": lambda value, wanted: value is not None and value.startswith(wanted[0]),
    "in": lambda value, wanted: value in wanted,
    "between": lambda value, wanted: value is not None and wanted[0] <= value <= wanted[1],
    "greater_than": lambda value, wanted: value is not None and value > wanted[0],
    "greater_equal": lambda value, wanted: value is not None and value >= wanted[0],
    "less_than": lambda value, wanted: value is not None and value < wanted[0],
    "less_equal": lambda value, wanted: value is not None and value <= wanted[0],
}


def _contains(value: Any, wanted: list[Any]) -> bool:
    """Return whether a text contains another, which is what ``equals`` means for most texts."""
    return value is not None and wanted[0] in value


#: The types of which ``equals`` finds values that contain the wanted one.
_FOUND_IN_PART = ("text", "textarea", "email", "phone", "website", "multiselectpicklist", "tag")
_COMPARED = (
    *("equals", "not_equal", "in", "between"),
    *("greater_than", "greater_equal", "less_than", "less_equal"),
)
#: The operators of each type: Zoho's table, which says nothing about the types that it lacks.
_OPERATORS_BY_TYPE: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("text", "email", "phone", "website", "multiselectpicklist"),
        ("equals", "not_equal", "starts_with", "in"),
    ),
    "textarea": ("equals", "not_equal", "starts_with"),
    **dict.fromkeys(("picklist", "lookup", "ownerlookup"), ("equals", "not_equal", "in")),
    "boolean": ("equals", "not_equal"),
    **dict.fromkeys(
        ("date", "datetime", "integer", "bigint", "double", "currency", "percent"), _COMPARED
    ),
}


def _operators_of(kind: str) -> tuple[str, ...]:
    return _OPERATORS_BY_TYPE.get(kind, ("equals", "not_equal"))
