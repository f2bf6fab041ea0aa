"""
Refusals of bulk read, all of the whole request.

`Their OpenAPI <https://github.com/zoho/crm-oas/tree/main/v8.0/bulk_read>`_
"""

from __future__ import annotations

from zoho_crm.simulator.refusals import RefusedError, refuse


def no_media_type() -> RefusedError:
    return refuse(415, "MEDIA_TYPE_NOT_SUPPORTED", "Media type is not supported.")


def unknown_job() -> RefusedError:
    return refuse(404, "RESOURCE_NOT_FOUND", "The requested resource doesn't exist.")


def invalid_request(name: str) -> RefusedError:
    return refuse(400, "INVALID_REQUEST", "The request is invalid.", {"api_name": name})


def unsupported_module(name: object) -> RefusedError:
    details = {"api_name": name}
    return refuse(400, "MODULE_NOT_SUPPORTED", "The module is not supported.", details)


def unsupported(code: str, name: str) -> RefusedError:
    return refuse(400, code, "The query is not supported.", {"api_name": name})


def invalid_criteria() -> RefusedError:
    return refuse(400, "INVALID_CRITERIA", "The criteria are invalid.")


def too_many(code: str, limit: int) -> RefusedError:
    return refuse(400, code, "The limit is exceeded.", {"max_limit": limit})
