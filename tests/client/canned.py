"""An adapter of ``requests`` that sends nothing: every request gets the same answer."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from zoho_crm.client import Api, TokenAuth, ZohoClient, open_session
from zoho_crm.types import Secret


class Canned(HTTPAdapter):
    """Gives each request the same answer, and keeps the requests in ``requests``."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.requests: list[requests.PreparedRequest] = []
        self._answer = (status, body, dict(headers or {}))

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        self.requests.append(request)
        status, body, headers = self._answer
        raw = HTTPResponse(io.BytesIO(body), headers, status, preload_content=False)
        return self.build_response(request, raw)


def client_of(canned: Canned) -> ZohoClient:
    """Return a client that gets this answer to every request."""
    session = open_session(lambda: canned)
    auth = TokenAuth(Secret("1000.token"))
    return ZohoClient(api=Api(origin="https://www.zohoapis.eu", session=session, auth=auth))
