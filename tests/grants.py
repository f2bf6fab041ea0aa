"""Tokens that another program than ours got from the simulator."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET, Call, Simulator


def granted(zoho: Simulator, **code: Any) -> dict[str, Any]:
    """Return the answer to an exchange that another program did."""
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    form = {"grant_type": "authorization_code", "code": zoho.grant_code(**code), **client}
    answer = zoho.answer(Call.to("POST", "/oauth/v2/token", body=urlencode(form).encode()))
    given: dict[str, Any] = json.loads(answer.body)
    return given
