"""
Every "no" that this Zoho can say, with the page that documents it.

A refusal of the whole request stands at the root of the body; a refusal of one item stands in
its ``data`` list: `status codes <https://www.zoho.com/crm/developer/docs/api/v8/status-codes.html>`_.
"""

from __future__ import annotations

from typing import Any

from zoho_crm.simulator.calls import Answer

Json = dict[str, Any]


def problem(code: str, message: str, details: Json | None = None) -> Json:
    """The four keys of every Zoho error."""
    return {"code": code, "details": details or {}, "message": message, "status": "error"}


class RefusedError(Exception):
    """An answer that says no; raised anywhere while a call is handled, caught in one place."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body.decode())
        self.answer = answer


class ItemRefusedError(Exception):
    """A no to one item of ``data``; the others may still succeed."""

    def __init__(self, code: str, message: str, details: Json | None = None) -> None:
        super().__init__(code)
        self.item = problem(code, message, details)


def refuse(status: int, code: str, message: str, details: Json | None = None) -> RefusedError:
    return RefusedError(Answer.json(problem(code, message, details), status=status))


# https://www.zoho.com/crm/developer/docs/api/v8/status-codes.html


def unknown_url() -> RefusedError:
    return refuse(
        404, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one"
    )


def wrong_method() -> RefusedError:
    return refuse(400, "INVALID_REQUEST_METHOD", "The http request method type is not a valid one")


def wrong_version() -> RefusedError:
    message = "The API is not supported in this version"
    return refuse(400, "API_NOT_SUPPORTED", message, {"supported_version": 8.0})


def wrong_host() -> RefusedError:
    return refuse(400, "INVALID_HOST", "The API call was made to a wrong domain")


def unknown_module() -> RefusedError:
    message = "the module name given seems to be invalid"
    return refuse(400, "INVALID_MODULE", message, {"resource_path_index": 0})


def malformed_id() -> RefusedError:
    message = "the given id seems to be invalid"
    return refuse(400, "INVALID_DATA", message, {"resource_path_index": 1})


def no_json_object() -> RefusedError:
    return refuse(400, "INVALID_DATA", "body", {"expected_data_type": "jsonobject"})


def too_large() -> RefusedError:
    return refuse(413, "REQUEST_ENTITY_TOO_LARGE", "Request Entity Too Large")


def internal_error(status: int = 500) -> RefusedError:
    return refuse(status, "INTERNAL_ERROR", "Internal Server Error")


# https://www.zoho.com/crm/developer/docs/api/v8/oauth-overview.html


def no_authorization() -> RefusedError:
    return refuse(401, "AUTHENTICATION_FAILURE", "Authentication failed")


def bad_token() -> RefusedError:
    return refuse(401, "INVALID_TOKEN", "invalid oauth token")


def missing_scope() -> RefusedError:
    """https://www.zoho.com/crm/developer/docs/api/v8/scopes.html"""
    return refuse(401, "OAUTH_SCOPE_MISMATCH", "invalid oauth scope to access this URL")


def no_permission(*permissions: str) -> RefusedError:
    details = {"permissions": list(permissions)}
    return refuse(403, "NO_PERMISSION", "permission denied", details)


def too_many_requests() -> RefusedError:
    """Credits or concurrency: https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html"""
    message = "too many requests. please try again after some time"
    return refuse(429, "TOO_MANY_REQUESTS", message)


# https://www.zoho.com/crm/developer/docs/api/v8/get-records.html


def missing_param(name: str) -> RefusedError:
    message = "required param is missing"
    return refuse(400, "REQUIRED_PARAM_MISSING", message, {"param_name": name})


def bad_param(name: str) -> RefusedError:
    return refuse(400, "INVALID_DATA", "invalid data", {"param_name": name})


def too_many_values(name: str, limit: int) -> RefusedError:
    details = {"limit": limit, "param_name": name}
    return refuse(400, "LIMIT_EXCEEDED", "limit exceeded", details)


# https://www.zoho.com/crm/developer/docs/api/v8/convert-lead.html


def already_converted() -> RefusedError:
    return refuse(400, "ID_ALREADY_CONVERTED", "id already converted", {"resource_path_index": 1})


def unknown_record() -> RefusedError:
    return refuse(400, "INVALID_DATA", "invalid data", {"resource_path_index": 1})


def in_merge() -> RefusedError:
    details = {"resource_path_index": 1}
    return refuse(400, "RECORD_LOCKED", "record under merge is locked", details)


def lead_not_approved(message: str) -> RefusedError:
    return refuse(400, "NOT_APPROVED", message, {"resource_path_index": 1})


def lead_in_review() -> RefusedError:
    return refuse(400, "NOT_REVIEWED", "record in review", {"resource_path_index": 1})


def already_changed() -> RefusedError:
    return refuse(400, "CONVERTED_RECORD", "can't update the converted record")


def locked_lead() -> ItemRefusedError:
    message = "You cannot perform this operation as the record is locked."
    return ItemRefusedError("RECORD_LOCKED", message, {"resource_path_index": 1})


def locked_partner(path: str) -> ItemRefusedError:
    message = "Sorry, you cannot perform this operation as the record is locked."
    details = {"api_name": "id", "json_path": path, "action": "record_locking"}
    return ItemRefusedError("RECORD_LOCKED", message, details)


def partner_not_approved(path: str) -> ItemRefusedError:
    details = {"api_name": "id", "json_path": path}
    return ItemRefusedError("NOT_APPROVED", "record not approved", details)


# Refusals of one item: they name what is wrong by ``json_path``.


def bad_value(name: str, path: str, message: str = "invalid data", **more: Any) -> ItemRefusedError:
    return ItemRefusedError("INVALID_DATA", message, {**more, "api_name": name, "json_path": path})


def wrong_type(name: str, path: str, expected: str) -> ItemRefusedError:
    return bad_value(name, path, expected_data_type=expected)


def too_long(name: str, path: str, limit: int) -> ItemRefusedError:
    return bad_value(name, path, maximum_length=limit)


def missing_value(name: str, path: str) -> ItemRefusedError:
    details = {"api_name": name, "json_path": path}
    return ItemRefusedError("MANDATORY_NOT_FOUND", "required field not found", details)


def not_subordinate() -> ItemRefusedError:
    return bad_value("Owner", "$.data[0].Owner", "Non Subordinate User Found")


def stage_not_in_pipeline() -> ItemRefusedError:
    """The path lacks ``.Deals`` at Zoho, too."""
    details = {"mapped_field": "Pipeline", "api_name": "Stage", "json_path": "$.data[0].Stage"}
    return ItemRefusedError("MAPPING_MISMATCH", "Pipeline doesn't contain the Stage", details)


def pipeline_not_in_layout() -> ItemRefusedError:
    details = {
        "mapped_field": "Layout",
        "api_name": "Pipeline",
        "json_path": "$.data[0].Pipeline",
    }
    return ItemRefusedError("MAPPING_MISMATCH", "Layout doesn't contain the Pipeline", details)


def duplicate(name: str, path: str, module: Json, owner: Json, record_id: str) -> ItemRefusedError:
    """https://www.zoho.com/crm/developer/docs/api/v8/insert-records.html"""
    details = {
        "api_name": name,
        "duplicate_record": {"Owner": owner, "module": module, "id": record_id},
        "json_path": path,
        "id": record_id,
        "more_records": False,
    }
    return ItemRefusedError("DUPLICATE_DATA", "duplicate data", details)
