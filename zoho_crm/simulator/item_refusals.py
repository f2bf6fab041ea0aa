"""
Refusals of one item of a list; each names what is wrong by ``json_path``.

`Convert lead <https://www.zoho.com/crm/developer/docs/api/v8/convert-lead.html>`_,
`insert records <https://www.zoho.com/crm/developer/docs/api/v8/insert-records.html>`_,
`update records <https://www.zoho.com/crm/developer/docs/api/v8/update-records.html>`_
"""

from __future__ import annotations

from typing import Any

from zoho_crm.simulator.refusals import ItemRefusedError

Json = dict[str, Any]
NOT_APPROVED = "Cannot update record that is not approved yet"


def bad_value(name: str, path: str, message: str = "invalid data", **more: Any) -> ItemRefusedError:
    return ItemRefusedError("INVALID_DATA", message, {**more, "api_name": name, "json_path": path})


def unknown_field(name: str, path: str) -> ItemRefusedError:
    return bad_value(name, path, "the field api name given seems to be invalid")


def wrong_type(name: str, path: str, expected: str) -> ItemRefusedError:
    return bad_value(name, path, expected_data_type=expected)


def too_long(name: str, path: str, limit: int) -> ItemRefusedError:
    return bad_value(name, path, maximum_length=limit)


def missing_value(name: str, path: str) -> ItemRefusedError:
    details = {"api_name": name, "json_path": path}
    return ItemRefusedError("MANDATORY_NOT_FOUND", "required field not found", details)


def unknown_module() -> ItemRefusedError:
    message = "the module name given seems to be invalid"
    return ItemRefusedError("INVALID_MODULE", message, {"resource_path_index": 0})


def no_text_of_note(path: str) -> ItemRefusedError:
    names = ("Note_Content", "Note_Title")
    expected = [{"api_name": name, "json_path": f"{path}.{name}"} for name in names]
    message = "should contain either content or title"
    return ItemRefusedError("EXPECTED_FIELD_MISSING", message, {"expected_fields": expected})


def not_subordinate() -> ItemRefusedError:
    return bad_value("Owner", "$.data[0].Owner", "Non Subordinate User Found")


def stage_not_in_pipeline(under: str) -> ItemRefusedError:
    """Return ``MAPPING_MISMATCH``; in a conversion its path lacks ``.Deals`` at Zoho, too."""
    details = {"mapped_field": "Pipeline", "api_name": "Stage", "json_path": f"{under}.Stage"}
    return ItemRefusedError("MAPPING_MISMATCH", "Pipeline doesn't contain the Stage", details)


def pipeline_not_in_layout(under: str) -> ItemRefusedError:
    details = {"mapped_field": "Layout", "api_name": "Pipeline", "json_path": f"{under}.Pipeline"}
    return ItemRefusedError("MAPPING_MISMATCH", "Layout doesn't contain the Pipeline", details)


def duplicate(name: str, path: str, module: Json, owner: Json, record_id: str) -> ItemRefusedError:
    """
    Return ``DUPLICATE_DATA``, which names the existing record.

    https://www.zoho.com/crm/developer/docs/api/v8/insert-records.html
    """
    details = {
        "api_name": name,
        "duplicate_record": {"Owner": owner, "module": module, "id": record_id},
        "json_path": path,
        "id": record_id,
        "more_records": False,
    }
    return ItemRefusedError("DUPLICATE_DATA", "duplicate data", details)


def record_locked(path: str) -> ItemRefusedError:
    message = "Sorry, you cannot perform this operation as the record is locked."
    details = {"api_name": "id", "json_path": path, "action": "record_locking"}
    return ItemRefusedError("RECORD_LOCKED", message, details)


def record_not_approved(path: str, message: str = "record not approved") -> ItemRefusedError:
    return ItemRefusedError("NOT_APPROVED", message, {"api_name": "id", "json_path": path})


def converted_record(path: str) -> ItemRefusedError:
    details = {"api_name": "id", "json_path": path}
    return ItemRefusedError("CONVERTED_RECORD", "can't update the converted record", details)


def record_in_review() -> ItemRefusedError:
    return ItemRefusedError("NOT_REVIEWED", "record in review")


def already_modified(details: Json) -> ItemRefusedError:
    """Return ``ALREADY_MODIFIED``, which makes an answer 412 if every item has it."""
    message = "record updated time has already passed if-unmodified-since time"
    return ItemRefusedError("ALREADY_MODIFIED", message, details)


def too_many_items(name: str, limit: int) -> ItemRefusedError:
    message = "count of records in your request exceeds the limit"
    details = {"maximum_length": limit, "api_name": name}
    return ItemRefusedError("LIMIT_EXCEEDED", message, details)


def locked_lead() -> ItemRefusedError:
    message = "You cannot perform this operation as the record is locked."
    return ItemRefusedError("RECORD_LOCKED", message, {"resource_path_index": 1})


def locked_for_tags() -> ItemRefusedError:
    message = "Sorry, you cannot perform this operation as the record is locked."
    return ItemRefusedError("RECORD_LOCKED", message, {"action": "record_locking"})


def several_problems(problems: list[ItemRefusedError]) -> ItemRefusedError:
    errors = [problem.item for problem in problems]
    message = "Multiple errors in the request"
    return ItemRefusedError("MULTIPLE_OR_MULTI_ERRORS", message, {"errors": errors})
