"""
Validation of field values.

`Insert records <https://www.zoho.com/crm/developer/docs/api/v8/insert-records.html>`_
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from zoho_crm.simulator import item_refusals, refusals, schema
from zoho_crm.simulator.ids import is_id
from zoho_crm.simulator.organisation import Organisation
from zoho_crm.simulator.records import Record


def check_value(module: str, name: str, value: object, path: str) -> None:
    """
    Check type, length and range of a field's value; an unknown field takes any value.

    :raises ItemRefusedError: if it does not fit
    """
    known = schema.field(module, name)
    if known is None or value is None:
        return
    kinds, expected = _TYPES.get(known.type, (object, ""))
    if not isinstance(value, kinds) or (isinstance(value, bool) and known.type != "boolean"):
        raise item_refusals.wrong_type(name, path, expected)
    if isinstance(value, str) and len(value) > known.length:
        raise item_refusals.too_long(name, path, known.length)
    if known.type in _FORMS and not _FORMS[known.type](value):
        raise item_refusals.wrong_type(name, path, expected)
    if known.type in _REFERENCES and isinstance(value, dict) and not is_id(str(value.get("id"))):
        raise item_refusals.bad_value(name, path)
    if name == "Probability" and isinstance(value, int) and not 0 <= value <= 100:
        raise item_refusals.bad_value(name, path)


_REFERENCES = ("lookup", "ownerlookup", "layout")
_TYPES: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    **dict.fromkeys(("text", "email", "phone", "website", "textarea", "picklist"), (str, "text")),
    "date": (str, "date"),
    "datetime": (str, "datetime"),
    "boolean": (bool, "boolean"),
    "integer": (int, "integer"),
    **dict.fromkeys(_REFERENCES, (dict, "jsonobject")),
    "multiselectpicklist": (list, "jsonarray"),
    **dict.fromkeys(("currency", "double", "percent"), ((int, float), "double")),
}


def _is_date(value: object) -> bool:
    try:
        return str(date.fromisoformat(str(value))) == value
    except ValueError:
        return False


def _is_datetime(value: object) -> bool:
    """Return whether a text is a time with an offset and without milliseconds."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return False
    return moment.tzinfo is not None and moment.microsecond == 0


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_FORMS: Mapping[str, Callable[[object], bool]] = {
    "date": _is_date,
    "datetime": _is_datetime,
    "multiselectpicklist": _are_texts,
}


def check_stage(
    organisation: Organisation, deal: Mapping[str, Any], path: str, *, mapping: str = ""
) -> None:
    """
    Check that a deal's stage is one of its pipeline, or of all if there are no pipelines.

    A deal without a pipeline or a stage, which an update may meet, has nothing to check.

    :param path: the JSON path of the deal
    :param mapping: the JSON path in a ``MAPPING_MISMATCH``, if it is another one
    :raises ItemRefusedError: ``MAPPING_MISMATCH``, or ``INVALID_DATA`` without pipelines
    """
    if not organisation.pipelines:
        if deal["Stage"] not in (None, *schema.STAGES):
            raise item_refusals.bad_value("Stage", f"{path}.Stage")
        return
    stages = organisation.stages_of(deal["Pipeline"])
    if stages is None and deal["Pipeline"] is not None:
        raise item_refusals.pipeline_not_in_layout(mapping or path)
    if stages is not None and deal["Stage"] not in (None, *stages):
        raise item_refusals.stage_not_in_pipeline(mapping or path)


def check_unique(
    organisation: Organisation,
    module: str,
    values: Mapping[str, Any],
    path: str,
    *,
    but: Record | None = None,
) -> None:
    """
    Refuse values that another record of the module has in a unique field.

    :raises ItemRefusedError: ``DUPLICATE_DATA``, or a list of them
    """
    problems = [
        _duplicate(organisation, other, name, f"{path}.{name}")
        for name in organisation.unique[module]
        for other in organisation.records[module].find(name, values.get(name))[:1]
        if other is not but
    ]
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise item_refusals.several_problems(problems)


def _duplicate(
    organisation: Organisation, other: Record, name: str, path: str
) -> refusals.ItemRefusedError:
    owner = {**other["Owner"], "zuid": organisation.zuid_of(other["Owner"])}
    module = organisation.module(other.table.module) if other.table else {}
    return item_refusals.duplicate(name, path, module, owner, other.id)
