"""
Checks of records before they are sent, by what is known of the module's fields.

https://www.zoho.com/crm/developer/docs/api/v8/field-meta.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from typing import Any, NamedTuple

from zoho_crm.client._metadata import RECHECK_SECONDS, Metadata, ModuleField
from zoho_crm.exceptions import InvalidRecordError
from zoho_crm.types import JsonObject, Stage, ValueObject, is_record_id

#: Types whose length is a number of characters, and of digits.
TEXTS = frozenset({"text", "textarea", "email", "phone", "website"})
NUMBERS = frozenset({"integer", "bigint"})
LOOKUPS = frozenset({"lookup", "ownerlookup", "userlookup"})
#: Characters of a value that an error shows, and values of a picklist that it names.
SHOWN_LENGTH = 80
SHOWN_CHOICES = 20
#: Unknown names for which the nearest one is looked for: each costs some milliseconds.
MAX_NEAREST_NAMES = 100


class Purpose(Enum):
    """What a write does to records."""

    CREATE = "create"
    UPDATE = "update"
    UPSERT = "upsert"


@dataclass(kw_only=True)
class RecordCheck:
    """The check of the records of one write, by the metadata that is at hand."""

    metadata: Metadata
    module: str
    purpose: Purpose
    _rules: FieldRules | None = None
    _is_known: bool = False

    def __call__(self, values: JsonObject) -> JsonObject:
        """
        Return the values, as they are sent, if they fit the fields or those are not known.

        Before values are refused, fields that were read a while ago are read again; if that fails,
        they are not refused, and Zoho decides.

        :raises InvalidRecordError: with the first problem, and all of them in its ``problems``
        """
        if not self._is_known:
            self._rules, self._is_known = self._rules_at_hand(), True
        if self._rules and not self._rules.fits(values):
            self._rules = self._rules_at_hand(max_age=RECHECK_SECONDS)
            if self._rules and (error := self._rules.error_of(values)):
                raise error
        return values

    def _rules_at_hand(self, max_age: float | None = None) -> FieldRules | None:
        fields = self.metadata.fields_at_hand(self.module, max_age=max_age)
        if fields is None:
            return None
        return FieldRules(module=self.module, fields=fields, purpose=self.purpose)


class FieldRules(ValueObject):
    """What the fields of a module let a write of a record give them."""

    module: str
    #: By API name; with none, nothing is known and everything fits.
    fields: Mapping[str, ModuleField]
    purpose: Purpose
    #: The nearest names that were looked for, by unknown name; empty if none is near.
    _nearest: dict[str, str] = field(default_factory=dict)

    def fits(self, values: JsonObject) -> bool:
        """Return whether a record has no values that do not fit; it costs less than the error."""
        if not self.fields:
            return True
        if not all(name in self.fields for name in _given(values)):
            return False
        return next(self._problems(values), None) is None

    def error_of(self, values: JsonObject) -> InvalidRecordError | None:
        """
        Return the error of a record with values that do not fit; ``None`` if they do.

        It is that of the first problem, and has all of them in its ``problems``.
        """
        problems = list(self._problems(values)) if self.fields else []
        if not problems:
            return None
        first = problems[0]
        if len(problems) > 1:
            first.details["errors"] = [
                {"code": each.code, "message": str(each), "details": dict(each.details)}
                for each in problems
            ]
        return first

    def _problems(self, values: JsonObject) -> Iterator[InvalidRecordError]:
        given = _given(values)
        yield from filter(None, (self._problem_of(name, values[name]) for name in given))
        if self.purpose is not Purpose.CREATE:
            return
        for each in filter(_must_be_given, self.fields.values()):
            if each.api_name not in values:
                yield self._problem("missing_value", each, None)

    def _problem_of(self, name: str, value: Any) -> InvalidRecordError | None:
        """Return why a field cannot get this value; ``None`` if it can."""
        field = self.fields.get(name)
        if field is None:
            return self._unknown(name)
        if not self._may_write(field):
            return self._problem("read_only_field", field, value)
        is_empty = value is None or value == ""
        if is_empty and field.required:
            return self._problem("missing_value", field, value)
        form = _form_of(field)
        if value is not None and form and not form.fits(value):
            return self._problem("wrong_type", field, value, expected=form.example)
        if is_empty:
            return None
        if 0 < field.length < (number := _length(field, value)):
            limits = {"maximum_length": field.length, "number": number}
            return self._problem("too_long", field, value, **limits)
        if field.is_closed and value not in _names_of(field.choices):
            allowed = [choice.value for choice in field.choices][:SHOWN_CHOICES]
            lists = {"supported_values": allowed, "allowed": _listed(allowed)}
            return self._problem("not_in_picklist", field, value, **lists)
        return None

    def _may_write(self, field: ModuleField) -> bool:
        if self.purpose is Purpose.CREATE:
            return field.creatable
        return field.updatable or (self.purpose is Purpose.UPSERT and field.creatable)

    def _unknown(self, name: str) -> InvalidRecordError:
        details: JsonObject = {"api_name": name, "module": self.module}
        if not (near := self._nearest_to(name)):
            return InvalidRecordError(code="unknown_field", details=details)
        return InvalidRecordError(code="unknown_field_near", details={**details, "near": near})

    def _nearest_to(self, name: str) -> str:
        """Return the API name that is most like an unknown one; empty if none is, or not known."""
        if name not in self._nearest and len(self._nearest) < MAX_NEAREST_NAMES:
            known = {
                text.casefold(): each.api_name
                for each in self.fields.values()
                for text in (each.label, each.api_name)
            }
            close = get_close_matches(name.casefold(), known, 1)
            self._nearest[name] = known[close[0]] if close else ""
        return self._nearest.get(name, "")

    def _problem(
        self, code: str, field: ModuleField, value: Any, **more: Any
    ) -> InvalidRecordError:
        shown = {"api_name": field.api_name, "module": self.module, "value": _shown(value)}
        return InvalidRecordError(code=code, details={**shown, **more})


def _given(values: JsonObject) -> list[str]:
    """Return the names of the fields of a record."""
    return [name for name in values if name != "id" and not name.startswith("$")]


class Form(NamedTuple):
    """The values that a type of fields takes, in JSON."""

    #: Shown to a person; the same in every language.
    example: str
    fits: Callable[[Any], bool]
    #: Zoho's words for what these values are in JSON.
    json_types: frozenset[str]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_date(value: Any) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == str(value)
    except (TypeError, ValueError):
        return False


def _is_time(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).utcoffset() is not None
    except (TypeError, ValueError):
        return False


def _is_whole(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.as_tuple().exponent == 0
    return isinstance(value, int) and not isinstance(value, bool)


def _is_long(value: Any) -> bool:
    if not isinstance(value, str):
        return _is_whole(value)
    digits = value.removeprefix("-")
    return digits.isascii() and digits.isdigit()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool)


def _is_reference(value: Any) -> bool:
    """Return whether a value names a record or a user; users also by their address."""
    if not isinstance(value, dict) or not value:
        return False
    return "id" not in value or is_record_id(str(value["id"]))


def _are_texts(value: Any) -> bool:
    """Return whether a value is a list of texts; a tax, of a product, is an object."""
    return isinstance(value, list) and all(isinstance(item, str | dict) for item in value)


_TEXT = Form('"text"', _is_text, frozenset({"string"}))
_NUMBER = Form("Decimal, 12.5", _is_number, frozenset({"double", "integer"}))
_REFERENCE = Form(
    'Reference, {"id": "5922274000000418003"}', _is_reference, frozenset({"jsonobject"})
)
FORMS: Mapping[str, Form] = {
    **dict.fromkeys([*TEXTS, "picklist"], _TEXT),
    "date": Form("date, 2027-01-31", _is_date, frozenset({"string"})),
    "datetime": Form("datetime, 2027-01-31T09:30:00+01:00", _is_time, frozenset({"string"})),
    "integer": Form("int, 12", _is_whole, frozenset({"integer"})),
    "bigint": Form("int, 123456789012", _is_long, frozenset({"string", "integer"})),
    **dict.fromkeys(("double", "currency", "percent"), _NUMBER),
    "boolean": Form("True, False", _is_truth, frozenset({"boolean"})),
    "multiselectpicklist": Form('["text", "text"]', _are_texts, frozenset({"jsonarray"})),
    **dict.fromkeys(LOOKUPS, _REFERENCE),
}


def _form_of(field: ModuleField) -> Form | None:
    """
    Return the values that a field takes; ``None`` if that is not known.

    Some fields have values of another form than others of their type: ``Tag``, a text, has objects.
    """
    form = FORMS.get(field.data_type)
    return form if form and field.json_type in {"", *form.json_types} else None


def _must_be_given(field: ModuleField) -> bool:
    """Return whether a new record needs a value; whose it is Zoho says itself."""
    return field.required and field.creatable and field.data_type not in LOOKUPS - {"lookup"}


def _names_of(choices: Iterable[Stage]) -> set[str]:
    """Return what values of a picklist may be given as: Zoho takes some by their labels, too."""
    return {name for choice in choices for name in (choice.value, choice.label)}


def _length(field: ModuleField, value: Any) -> int:
    """Return what Zoho compares with the length of a field: characters, or digits of a number."""
    if field.data_type in TEXTS and isinstance(value, str):
        return len(value)
    if field.data_type in NUMBERS:
        return len(str(value).removeprefix("-"))
    return 0


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= SHOWN_LENGTH else text[: SHOWN_LENGTH - 1] + "…"


def _listed(values: list[str]) -> str:
    return ", ".join(f"“{value}”" for value in values)
