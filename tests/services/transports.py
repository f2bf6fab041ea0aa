"""Transports to the simulator that fail like an error in our own code."""

from __future__ import annotations

from typing import Any

import requests

from zoho_crm.contrib.pytest import SimulatorAdapter, transport


class FailingAdapter(SimulatorAdapter):
    """Sends every request, then raises an unexpected error for some of them."""

    fails_at = "/actions/convert"

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        response = super().send(request, *args, **kwargs)
        if (request.url or "").endswith(self.fails_at):
            raise ZeroDivisionError
        return response


class FailingTokenAdapter(FailingAdapter):
    fails_at = "/oauth/v2/token"


class FailingOrganisationAdapter(FailingAdapter):
    fails_at = "/org"


def failing_conversions() -> SimulatorAdapter:
    return FailingAdapter(transport().simulator)


def failing_tokens() -> SimulatorAdapter:
    return FailingTokenAdapter(transport().simulator)


def failing_organisations() -> SimulatorAdapter:
    return FailingOrganisationAdapter(transport().simulator)
