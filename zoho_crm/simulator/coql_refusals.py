"""
Refusals of a COQL query, all of the whole request.

`Query <https://www.zoho.com/crm/developer/docs/api/v8/Get-Records-through-COQL-Query.html>`_,
`their OpenAPI <https://github.com/zoho/crm-oas/tree/main/v8.0/coql>`_
"""

from __future__ import annotations

from typing import Any

from zoho_crm.simulator.refusals import RefusedError, refuse

_SHOWN_LENGTH = 20


def unexpected_token(text: str, at: int) -> RefusedError:
    before = text[:at]
    details = {
        "line": before.count("\n") + 1,
        "column": at - (before.rfind("\n") + 1) + 1,
        "near": text[at : at + _SHOWN_LENGTH],
    }
    return refuse(400, "SYNTAX_ERROR", "unexpected token", details)


def missing_clause(word: str) -> RefusedError:
    return refuse(400, "SYNTAX_ERROR", "missing clause", {"clause": word})


def unsupported_operator(operator: str) -> RefusedError:
    return refuse(400, "SYNTAX_ERROR", "operator not supported", {"operator": operator})


def missing_query() -> RefusedError:
    details = {"api_name": "select_query"}
    return refuse(400, "MANDATORY_NOT_FOUND", "mandatory key not found", details)


def wrong_query_type() -> RefusedError:
    details = {
        "expected_data_type": "text",
        "api_name": "select_query",
        "json_path": "$.select_query",
    }
    return refuse(400, "INVALID_DATA", "invalid data", details)


def unknown_module() -> RefusedError:
    return refuse(400, "INVALID_MODULE", "the given module is not supported in api")


def invalid_view(view: str) -> RefusedError:
    return refuse(400, "INVALID_QUERY", "unsupported custom view", {"cvid": view})


def unknown_column(name: str) -> RefusedError:
    return refuse(400, "INVALID_QUERY", "unsupported column", {"column_name": name})


def unsupported_in_criteria(name: str, operator: str) -> RefusedError:
    details = {"column_name": name, "operator": operator}
    return refuse(400, "INVALID_QUERY", "unsupported column in criteria", details)


def invalid_condition(name: str, operator: str, reason: str) -> RefusedError:
    details = {"reason": reason, "column_name": name, "operator": operator}
    return refuse(400, "INVALID_QUERY", "Invalid query formed", details)


def invalid_window(name: str, given: str) -> RefusedError:
    """Return ``INVALID_QUERY`` for a ``limit`` or ``offset`` that is no number or too large."""
    return refuse(400, "INVALID_QUERY", f"{name} given seems to be invalid", {name: given})


def no_rows() -> RefusedError:
    return refuse(400, "INVALID_DATA", "limit should be greater than 0")


def unknown_aggregate(column: str) -> RefusedError:
    details = {"reason": "unsupported aggregate function", "column": column}
    return refuse(400, "INVALID_DATA", "invalid data", details)


def duplicate_column(name: str, aggregate: str) -> RefusedError:
    details: dict[str, Any] = {"column_name": name}
    if aggregate:
        details["aggregate"] = aggregate
    message = "duplicate aggregate function" if aggregate else "duplicate select column"
    return refuse(400, "DUPLICATE_DATA", message, details)


def too_many(what: str, limit: int) -> RefusedError:
    details = {"limit": limit, "clause": what}
    return refuse(400, "LIMIT_EXCEEDED", "limit exceeded", details)
