"""
Become allowed to speak for an organisation: by the web flow, or by a self client's grant code.

Where Zoho or the browser names a server, it is looked up in the closed table; the client's secret
is sent nowhere else.
https://www.zoho.com/crm/developer/docs/api/v8/auth-request.html
"""

from __future__ import annotations

from zoho_crm.services.connect._flow import begin, complete, with_grant_code
from zoho_crm.services.connect._upkeep import (
    check_connection,
    disconnect,
    make_default,
    missing_scopes,
    rename,
)

__all__ = [
    "begin",
    "complete",
    "disconnect",
    "check_connection",
    "make_default",
    "missing_scopes",
    "rename",
    "with_grant_code",
]
