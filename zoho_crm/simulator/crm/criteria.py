r"""
Parser of ``criteria``: ``((Last_Name:equals:King)and(Company:starts_with:Nord))``.

`Search records <https://www.zoho.com/crm/developer/docs/api/v8/search-records.html>`_
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from zoho_crm.simulator import refusals, schema
from zoho_crm.simulator.records import Record, normalized

MAX_CONDITIONS = 10
MAX_VALUES = 100
#: Escaped characters are shifted into the private use area while the text is parsed.
_ESCAPE_OFFSET = 0xE000

Condition = Callable[[Record], bool]


def parse(module: str, text: str) -> Condition:
    """
    Return a predicate that tells whether a record of the module fits the criteria.

    :raises RefusedError: ``INVALID_QUERY``
    """
    escaped = re.sub(r"\\(.)", lambda found: chr(_ESCAPE_OFFSET + ord(found[1])), text.strip())
    if len(re.findall(r"\((?!\s*\()", escaped)) > MAX_CONDITIONS:
        raise refusals.invalid_query()
    condition, rest = _sequence(module, escaped)
    if rest:
        raise refusals.invalid_query()
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
        raise refusals.invalid_query()
    inner = text[1:].lstrip()
    if inner.startswith("("):
        condition, rest = _sequence(module, inner)
    else:
        body, closed, rest = inner.partition(")")
        condition, rest = _condition(module, body), closed + rest
    if not rest.startswith(")"):
        raise refusals.invalid_query()
    return condition, rest[1:]


def _and(one: Condition, other: Condition) -> Condition:
    return lambda record: one(record) and other(record)


def _or(one: Condition, other: Condition) -> Condition:
    return lambda record: one(record) or other(record)


def _condition(module: str, text: str) -> Condition:
    name, _, rest = text.partition(":")
    operator, _, given = rest.partition(":")
    field = schema.field(module, name.strip())
    if field is None or operator not in _OPERATORS or not given:
        raise refusals.invalid_query()
    values = [_unescaped(each) for each in given.split(",")][:MAX_VALUES]
    if operator not in ("in", "between"):
        values = [_unescaped(given)]
    if operator == "between" and len(values) != 2:
        raise refusals.invalid_query()
    test = _OPERATORS[operator]
    exact = field.type == "picklist"
    return lambda record: test(_comparable(record.get(field.name)), values, exact)


def _unescaped(text: str) -> str:
    return re.sub(
        r"[\ue000-\ue07f]", lambda found: chr(ord(found[0]) - _ESCAPE_OFFSET), text
    ).strip()


def _comparable(value: Any) -> str:
    """Return what is compared: the id of a look-up, the text of everything else."""
    return normalized(value.get("id") if isinstance(value, dict) else value)


def _equals(value: str, values: list[str], exact: bool) -> bool:
    """Return whether a pick list equals the value, or whether another field contains it."""
    return (
        value == normalized(values[0]) if exact else bool(value) and normalized(values[0]) in value
    )


def _compare(value: str, other: str) -> int:
    """Return -1, 0 or 1: two numbers are compared as numbers, all else, like ISO dates, as text."""
    try:
        left, right = float(value), float(other)
    except ValueError:
        return (value > normalized(other)) - (value < normalized(other))
    return (left > right) - (left < right)


_OPERATORS: Mapping[str, Callable[[str, list[str], bool], bool]] = {
    "equals": _equals,
    "not_equal": lambda value, values, exact: value != normalized(values[0]),
    "starts_with": lambda value, values, exact: value.startswith(normalized(values[0])),
    "in": lambda value, values, exact: value in map(normalized, values),
    "between": lambda value, values, exact: (
        bool(value) and _compare(value, values[0]) >= 0 >= _compare(value, values[1])
    ),
    "greater_than": lambda value, values, exact: bool(value) and _compare(value, values[0]) > 0,
    "greater_equal": lambda value, values, exact: bool(value) and _compare(value, values[0]) >= 0,
    "less_than": lambda value, values, exact: bool(value) and _compare(value, values[0]) < 0,
    "less_equal": lambda value, values, exact: bool(value) and _compare(value, values[0]) <= 0,
}
