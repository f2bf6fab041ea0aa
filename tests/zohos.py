"""A data center of Zoho in which one organisation has a production and a sandbox environment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from zoho_crm.contrib.pytest import ENCRYPTION_KEY, SHORT_DURATIONS, SimulatorAdapter
from zoho_crm.datacenters import DATA_CENTERS
from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET, Addresses, Simulator, SimulatorSettings

EU = DATA_CENTERS["eu"]


@dataclass(frozen=True, kw_only=True)
class Zohos:
    """The simulators of both environments: the same organisation, with the same users."""

    production: Simulator
    sandbox: Simulator

    def refreshed(self) -> int:
        """Return how many access tokens both have given for refresh tokens."""
        both = (self.production, self.sandbox)
        return sum(zoho.stats()["tokens"]["refreshed"] for zoho in both)


class ZohosAdapter(SimulatorAdapter):
    """Sends requests to the simulator of their host; both share the accounts server."""

    def __init__(self, zohos: Zohos) -> None:
        super().__init__(zohos.production)
        self.zohos = zohos

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> Any:
        body = request.body or b""
        form = body if isinstance(body, str) else body.decode()
        grants = self.zohos.sandbox.world.grants
        known = any(token in form for token in (*grants.refresh_tokens, *grants.codes))
        is_sandbox = urlsplit(request.url or "").hostname == urlsplit(EU.sandbox).hostname
        use_sandbox = known or is_sandbox
        self.simulator = self.zohos.sandbox if use_sandbox else self.zohos.production
        return super().send(request, *args, **more)


_running: list[Zohos] = []


def transport() -> ZohosAdapter:
    return ZohosAdapter(_running[-1])


def _simulator(environment: str) -> Simulator:
    addresses = Addresses(location="eu", accounts=EU.accounts, api=EU.api(environment))
    return Simulator(SimulatorSettings(leads=0, environment=environment), addresses=addresses)


@contextmanager
def two_environments(settings: Any, **more: object) -> Iterator[Zohos]:
    """Let the settings use both environments, in the data center ``eu``."""
    zohos = Zohos(production=_simulator("production"), sandbox=_simulator("sandbox"))
    zohos.sandbox.organisation.id = zohos.production.organisation.id
    zohos.sandbox.organisation.users = zohos.production.organisation.users
    settings.ZOHO_CRM = {
        **SHORT_DURATIONS,
        "CLIENT_ID": CLIENT_ID,
        "CLIENT_SECRET": CLIENT_SECRET,
        "DATA_CENTER": "eu",
        "ENCRYPTION_KEYS": [ENCRYPTION_KEY],
        "TRANSPORT": f"{__name__}.transport",
        **more,
    }
    _running.append(zohos)
    try:
        yield zohos
    finally:
        _running.remove(zohos)
