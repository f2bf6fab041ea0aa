"""Ways out to the simulator that fail as our own code might."""

from __future__ import annotations

from typing import Any

import requests

from zoho_crm.contrib.pytest import SimulatorAdapter, transport


class Breaking(SimulatorAdapter):
    """Delivers every call, then fails at some in a way that nobody expects."""

    fails_at = "/actions/convert"

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        response = super().send(request, *args, **kwargs)
        if (request.url or "").endswith(self.fails_at):
            raise ZeroDivisionError
        return response


class BreakingTokens(Breaking):
    fails_at = "/oauth/v2/token"


def breaking() -> SimulatorAdapter:
    return Breaking(transport().simulator)


def breaking_tokens() -> SimulatorAdapter:
    return BreakingTokens(transport().simulator)
