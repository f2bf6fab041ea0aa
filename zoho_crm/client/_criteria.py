"""
Criteria of a search, built from values: ``(field("City") == "Ulm") & field("Stage").in_(…)``.

Zoho takes them as one text, in which brackets, commas and a final backslash are escaped.
https://www.zoho.com/crm/developer/docs/api/v8/search-records.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

from zoho_crm.client._names import field_name
from zoho_crm.client._values import Comparable, is_same, starts_with, text_of_value, unusable
from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.types import ValueObject

#: Zoho's limits of criteria: conditions, values of one ``in``, characters.
MAX_CONDITIONS = 10
MAX_VALUES = 100
MAX_CRITERIA_LENGTH = 3_000
_ESCAPED = re.compile(r"[(),]|\\$")


class Criteria(ValueObject):
    """
    A condition on records, or several that are joined by ``&`` and ``|``.

    ``str`` returns it as Zoho reads it.
    """

    def __and__(self, other: Criteria) -> Criteria:
        return Group(word="and", parts=(self, other))

    def __or__(self, other: Criteria) -> Criteria:
        return Group(word="or", parts=(self, other))

    def __bool__(self) -> NoReturn:
        raise TypeError("Join criteria with & and |, each in brackets, not with “and” and “or”.")

    def conditions(self) -> Iterator[Condition]:
        """Yield the conditions, in the order of the text."""
        raise NotImplementedError

    def fits(self, record: Mapping[str, Any]) -> bool:
        """
        Return whether a record that Zoho found is meant.

        Zoho's ``equals`` also finds what only contains the value. What cannot be told from the
        record is left to Zoho, and so are comparisons by size.
        """
        raise NotImplementedError


class Condition(Criteria):
    """One comparison of a field."""

    field: str
    operator: str
    values: tuple[Comparable, ...]

    def __str__(self) -> str:
        texts = (_escaped(self.field, value) for value in self.values)
        return f"({self.field}:{self.operator}:{','.join(texts)})"

    def conditions(self) -> Iterator[Condition]:
        yield self

    def fits(self, record: Mapping[str, Any]) -> bool:
        if self.field not in record:
            return True
        found = record[self.field]
        if self.operator in {"equals", "in"}:
            return any(is_same(found, value) for value in self.values)
        return self.operator != "starts_with" or starts_with(found, str(self.values[0]))


class Group(Criteria):
    """Criteria that are joined by one word."""

    word: str
    parts: tuple[Criteria, Criteria]

    def __str__(self) -> str:
        return f"({self.word.join(map(str, self.parts))})"

    def conditions(self) -> Iterator[Condition]:
        for part in self.parts:
            yield from part.conditions()

    def fits(self, record: Mapping[str, Any]) -> bool:
        fitting = (part.fits(record) for part in self.parts)
        return all(fitting) if self.word == "and" else any(fitting)


class Field:
    """A field that is compared with values; each comparison returns ``Criteria``."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        self._name = field_name(name)

    def __eq__(self, value: Comparable) -> Criteria:  # type: ignore[override]
        return self._compared("equals", value)

    def __ne__(self, value: Comparable) -> Criteria:  # type: ignore[override]
        return self._compared("not_equal", value)

    def __lt__(self, value: Comparable) -> Criteria:
        return self._compared("less_than", value)

    def __le__(self, value: Comparable) -> Criteria:
        return self._compared("less_equal", value)

    def __gt__(self, value: Comparable) -> Criteria:
        return self._compared("greater_than", value)

    def __ge__(self, value: Comparable) -> Criteria:
        return self._compared("greater_equal", value)

    def starts_with(self, text: str) -> Criteria:
        """Return the condition that the field's text begins with this one."""
        return self._compared("starts_with", text)

    def in_(self, values: Iterable[Comparable]) -> Criteria:
        """
        Return the condition that the field has one of at most 100 values.

        :raises TypeError: for one text, whose letters would be taken as values
        """
        if isinstance(values, str):
            raise TypeError("The values are a list, not one text.")
        wanted = tuple(values)
        if not 1 <= len(wanted) <= MAX_VALUES:
            details = {"api_name": self._name, "number": len(wanted), "limit": MAX_VALUES}
            raise RequestRefusedError(code="number_of_values", details=details)
        return self._compared("in", *wanted)

    def between(self, first: Comparable, last: Comparable) -> Criteria:
        """Return the condition that the field's value is one of these, or between them."""
        return self._compared("between", first, last)

    def _compared(self, operator: str, *values: Comparable) -> Criteria:
        for value in values:
            _escaped(self._name, value)  # an error is raised where the value is given
        return Condition(field=self._name, operator=operator, values=values)


def field(name: str) -> Field:
    """
    Return a field to make criteria of: ``field("Last_Name") == "O'Neil"``.

    :param name: API name of the field
    :raises RequestRefusedError: if it is none
    """
    return Field(name)


def criteria_text(criteria: Criteria) -> str:
    """
    Return criteria as Zoho reads them.

    :raises RequestRefusedError: if there are more than 10 conditions, or 3,000 characters
    """
    number, text = len(list(criteria.conditions())), str(criteria)
    if number > MAX_CONDITIONS or len(text) > MAX_CRITERIA_LENGTH:
        details = {"conditions": MAX_CONDITIONS, "characters": MAX_CRITERIA_LENGTH}
        raise RequestRefusedError(code="criteria_too_long", details=details)
    return text


def _escaped(field: str, value: Comparable) -> str:
    """
    Return a value as text in which no character has a meaning of its own.

    :raises RequestRefusedError: for a backslash before the end: Zoho does not say what it means
    """
    text = text_of_value(field, value)
    if "\\" in text[:-1]:
        raise unusable(field, "backslash")
    return _ESCAPED.sub(r"\\\g<0>", text)
