"""Ways out to the simulator that fail as our own code might."""

from __future__ import annotations

from typing import Any

import requests

from zoho_crm.contrib.pytest import SimulatorAdapter, transport


class Breaking(SimulatorAdapter):
    """Delivers every call, then fails at conversions in a way that nobody expects."""

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        response = super().send(request, *args, **kwargs)
        if (request.url or "").endswith("/actions/convert"):
            raise ZeroDivisionError
        return response


def breaking() -> Breaking:
    return Breaking(transport().simulator)
