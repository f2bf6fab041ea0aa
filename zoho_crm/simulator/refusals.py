"""
Refusals of a whole request, with the pages that document them.

A refusal of the whole request is the root of the body; a refusal of one item is in its ``data``
list: `status codes <https://www.zoho.com/crm/developer/docs/api/v8/status-codes.html>`_.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoho_crm.simulator.calls import Answer

Json = dict[str, Any]


def problem(code: str, message: str, details: Json | None = None) -> Json:
    """Return the four keys of a Zoho error."""
    return {"code": code, "details": details or {}, "message": message, "status": "error"}


class RefusedError(Exception):
    """Raised to refuse the whole request with an answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body.decode())
        self.answer = answer


class ItemRefusedError(Exception):
    """Raised to refuse one item of ``data``; the others may still succeed."""

    def __init__(self, code: str, message: str, details: Json | None = None) -> None:
        super().__init__(code)
        self.item = problem(code, message, details)


def success(message: str, details: Json) -> Json:
    """Return the four keys of a Zoho success."""
    return {"code": "SUCCESS", "details": details, "message": message, "status": "success"}


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


def not_imitated(method: str, path: str) -> RefusedError:
    """Return 501, which Zoho does not use: the simulator lacks this address of Zoho's."""
    message = "This address exists at Zoho, but the simulator does not imitate it."
    return refuse(501, "NOT_IMITATED", message, {"method": method, "path": path})


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
    """
    Return ``OAUTH_SCOPE_MISMATCH``.

    https://www.zoho.com/crm/developer/docs/api/v8/scopes.html
    """
    return refuse(401, "OAUTH_SCOPE_MISMATCH", "invalid oauth scope to access this URL")


def no_permission(*permissions: str) -> RefusedError:
    details = {"permissions": list(permissions)}
    return refuse(403, "NO_PERMISSION", "permission denied", details)


def too_many_requests() -> RefusedError:
    """
    Return 429, for credits and concurrency alike.

    https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html
    """
    message = "too many requests. please try again after some time"
    return refuse(429, "TOO_MANY_REQUESTS", message)


# https://www.zoho.com/crm/developer/docs/api/v8/get-records.html


def missing_param(name: str) -> RefusedError:
    message = "required param is missing"
    return refuse(400, "REQUIRED_PARAM_MISSING", message, {"param_name": name})


def missing_module(key: str) -> RefusedError:
    """
    Return ``REQUIRED_PARAM_MISSING`` for ``module``, which stands under ``key``.

    https://github.com/zoho/crm-oas/tree/main/v8.0/layouts
    """
    message = "One of the expected parameter is missing"
    return refuse(400, "REQUIRED_PARAM_MISSING", message, {key: "module"})


def bad_status(index: int, supported: Sequence[str]) -> RefusedError:
    """
    Return ``INVALID_DATA`` for the status of modules.

    https://github.com/zoho/crm-oas/tree/main/v8.0/modules
    """
    details = {"index": index, "supported_values": list(supported), "param_name": "status"}
    return refuse(400, "INVALID_DATA", "The status given is invalid.", details)


def bad_param(name: str) -> RefusedError:
    return refuse(400, "INVALID_DATA", "invalid data", {"param_name": name})


def too_many_values(name: str, limit: int) -> RefusedError:
    details = {"limit": limit, "param_name": name}
    return refuse(400, "LIMIT_EXCEEDED", "limit exceeded", details)


def ambiguous(*names: str) -> RefusedError:
    details = {"ambiguity_due_to": [{"param_name": name} for name in names]}
    return refuse(400, "AMBIGUITY_DURING_PROCESSING", "Ambiguity while processing", details)


def page_limit_exceeded(limit: int) -> RefusedError:
    message = "only the first 2000 records can be reached without page_token"
    return refuse(400, "DISCRETE_PAGINATION_LIMIT_EXCEEDED", message, {"limit": limit})


def page_token_limit_exceeded() -> RefusedError:
    message = "only up to 100000 records can be reached with page_token"
    return refuse(400, "PAGINATION_LIMIT_EXCEEDED", message, {"param_name": "page_token"})


def token_mismatch() -> RefusedError:
    message = "the page_token is invalid, or the parameters have changed"
    return refuse(400, "TOKEN_BOUND_DATA_MISMATCH", message, {"param_name": "page_token"})


def token_expired() -> RefusedError:
    details = {"api_name": "page_token", "json_path": "$.query.page_token"}
    return refuse(400, "EXPIRED_VALUE", "Page token expired", details)


def unparsable() -> RefusedError:
    message = "either the request body or parameters is in wrong format"
    return refuse(400, "UNABLE_TO_PARSE_DATA_TYPE", message)


def bad_module_param() -> RefusedError:
    message = "the module name given seems to be invalid"
    return refuse(400, "INVALID_MODULE", message, {"param_name": "module"})


# https://www.zoho.com/crm/developer/docs/api/v8/search-records.html


def missing_search_param(*names: str) -> RefusedError:
    message = "one of the expected parameters is missing"
    return refuse(400, "EXPECTED_PARAM_MISSING", message, {"param_names": list(names)})


def search_limit() -> RefusedError:
    """Return ``LIMIT_REACHED``; its limit is a text at Zoho, too."""
    message = "maximum response iteration limit reached"
    return refuse(400, "LIMIT_REACHED", message, {"limit": "2000"})


def too_short_word(name: str) -> RefusedError:
    message = "provide atleast 2 letters for search"
    return refuse(400, "INVALID_DATA", message, {"param_name": name})


def no_field_of_type() -> RefusedError:
    return refuse(400, "FIELD_TYPE_UNAVAILABLE", "this data type is not found in this module")


def malformed_criteria() -> RefusedError:
    return refuse(400, "INVALID_QUERY", "Invalid query formed", {"param_name": "criteria"})


def invalid_condition(reason: str, name: str, **more: Any) -> RefusedError:
    """Return ``INVALID_QUERY`` for one condition, with the reason and the field."""
    details = {"reason": reason, "api_name": name, **more}
    return refuse(400, "INVALID_QUERY", "Invalid query formed", details)


def too_many_search_values(limit: int) -> RefusedError:
    message = f'Only {limit} values are allowed in "IN" criteria'
    return refuse(400, "INVALID_QUERY", message, {"param_name": "criteria"})


def too_many_conditions(limit: int) -> RefusedError:
    """
    Return ``CRITERIA_LIMIT_EXCEEDED``.

    https://github.com/zoho/crm-oas/tree/main/v8.0/module_search
    """
    message = f"no of criterium that can be given exceed the limit {limit}"
    return refuse(400, "CRITERIA_LIMIT_EXCEEDED", message)


# https://www.zoho.com/crm/developer/docs/api/v8/update-records.html


def at_root(refusal: ItemRefusedError) -> RefusedError:
    """Return the refusal of an item as a refusal of the whole request."""
    return RefusedError(Answer.json(refusal.item, status=400))


def in_list(under: str, refusal: ItemRefusedError) -> RefusedError:
    """Return the refusal of a whole request in the form of an item's: the only one of a list."""
    return RefusedError(Answer.json({under: [refusal.item]}, status=400))


# https://www.zoho.com/crm/developer/docs/api/v8/get-deleted-records.html


def unknown_type_of_deleted() -> RefusedError:
    message = "Please check whether the input values are correct"
    details = {"param_name": "type"}
    return in_list("data", ItemRefusedError("PATTERN_NOT_MATCHED", message, details))


# https://www.zoho.com/crm/developer/docs/api/v8/delete-records.html


def not_deleted(index: int = 1) -> RefusedError:
    return refuse(400, "INVALID_DATA", "record not deleted", {"resource_path_index": index})


# https://www.zoho.com/crm/developer/docs/api/v8/get-related-records.html


def unknown_related_id(index: int) -> RefusedError:
    message = "the related id given seems to be invalid"
    return refuse(400, "INVALID_DATA", message, {"resource_path_index": index})


def unknown_related_list() -> RefusedError:
    message = "The related name given seems to be invalid"
    return refuse(400, "INVALID_DATA", message, {"resource_path_index": 2})


# https://www.zoho.com/crm/developer/docs/api/v8/upload-attachment.html


def no_file() -> RefusedError:
    details = {"api_name": "file"}
    return refuse(400, "MANDATORY_NOT_FOUND", "required field not found", details)


def file_too_large() -> RefusedError:
    message = "Please check if the size of the file is in the correct range"
    return refuse(413, "FILE_SIZE_MORE_THAN_ALLOWED_SIZE", message)


def refused_file() -> RefusedError:
    message = "files of this type cannot be attached"
    return refuse(400, "INVALID_DATA", message, {"api_name": "file"})


def bad_attachment_url() -> RefusedError:
    return refuse(400, "INVALID_URL_PATTERN", "the given attachment URL is incorrect")


def linked_attachment() -> RefusedError:
    message = "As it is a linked attachment, you can not download it"
    return refuse(400, "DOWNLOAD_NOT_ALLOWED", message)


# https://www.zoho.com/crm/developer/docs/api/v8/convert-lead.html


def not_allowed() -> RefusedError:
    return refuse(400, "NOT_ALLOWED", "the operation is not allowed")


def no_create_privilege() -> RefusedError:
    """
    Return ``AUTHORIZATION_FAILED``, with 400 instead of 403.

    https://www.zoho.com/crm/developer/docs/api/v7/convert-lead.html
    """
    message = "User does not have sufficient privilege to create records"
    return refuse(400, "AUTHORIZATION_FAILED", message)


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


def converted_record() -> RefusedError:
    return refuse(400, "CONVERTED_RECORD", "can't update the converted record")
