"""Names and ids that become part of an address or of a query, checked before they are sent."""

from __future__ import annotations

import re
from collections.abc import Iterable

from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.types import is_record_id

#: Characters of a wrong name or id that its error shows.
SHOWN_LENGTH = 40
#: Zoho's limit of fields in a list.
MAX_FIELDS_PER_READ = 50
_MODULE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}", re.ASCII)
#: Parts of a field's name are joined by dots: ``Account_Name.Phone``.
_FIELD = re.compile(r"\$?[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*", re.ASCII)


def module_name(text: str) -> str:
    """
    Return the API name of a module, or of a related list.

    :raises RequestRefusedError: if it is none
    """
    if not _MODULE.fullmatch(text):
        raise RequestRefusedError(code="bad_module_name", details={"name": text[:SHOWN_LENGTH]})
    return text


def field_name(text: str) -> str:
    """
    Return the API name of a field, perhaps reached through look-ups: ``Account_Name.Phone``.

    :raises RequestRefusedError: if it is none
    """
    if not _FIELD.fullmatch(text):
        raise RequestRefusedError(code="bad_field_name", details={"name": text[:SHOWN_LENGTH]})
    return text


def field_names(names: Iterable[str]) -> tuple[str, ...]:
    """
    Return the API names of fields, each once.

    :raises RequestRefusedError: if one of them is none
    :raises TypeError: for a text, whose letters would be taken as names
    """
    if isinstance(names, str):
        raise TypeError("Names of fields are a list, not one text.")
    return tuple(dict.fromkeys(map(field_name, names)))


def list_fields(names: Iterable[str]) -> str:
    """
    Return the parameter ``fields`` of a list.

    :param names: API names of 1 to 50 fields
    :raises ValueError: if they are more, or none
    :raises RequestRefusedError: if one of them is no API name
    """
    wanted = field_names(names)
    if not 1 <= len(wanted) <= MAX_FIELDS_PER_READ:
        raise ValueError(f"Name 1 to {MAX_FIELDS_PER_READ} fields to read, not {len(wanted)}.")
    return ",".join(wanted)


def record_id(text: str) -> str:
    """
    Return the id of a record.

    :raises RequestRefusedError: if it is not a number of at most 19 digits
    """
    if not isinstance(text, str) or not is_record_id(text):
        raise RequestRefusedError(code="bad_record_id", details={"id": str(text)[:SHOWN_LENGTH]})
    return text
