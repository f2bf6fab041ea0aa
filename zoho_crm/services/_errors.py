"""What rows and their journal keep of an error."""

from __future__ import annotations

from zoho_crm.exceptions import ZohoError
from zoho_crm.types import JsonObject


def remembered(error: ZohoError) -> dict[str, str]:
    """Return the columns of a row that tell of it."""
    return {"error_code": error.code[:60] or "REFUSED", "error_message": str(error)}


def said(error: ZohoError) -> JsonObject:
    """Return what the journal keeps of an error: codes and fields, no names and no values."""
    named: JsonObject = {"error": type(error).__name__, "code": error.code}
    kept = {key: error.details.get(key) for key in ("api_name", "json_path", "id", "permissions")}
    return {**named, **{key: value for key, value in kept.items() if value}}
