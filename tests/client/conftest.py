from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial

import pytest
import requests
from requests.auth import AuthBase

from zoho_crm.client import AccountsClient, Api, Credentials, Limits, TokenAuth, ZohoClient
from zoho_crm.client import open_session as new_session
from zoho_crm.contrib.pytest import SimulatorAdapter, new_simulator
from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET, Server, Simulator
from zoho_crm.types import Secret


@dataclass(kw_only=True)
class Transport:
    """A simulator, and clients that reach it in process or over HTTP."""

    simulator: Simulator
    session: requests.Session

    def api(self, auth: AuthBase | None = None, *, deadline: float = 5) -> Api:
        limits = Limits(connect=2, deadline=deadline)
        return Api(origin=self.simulator.origin, session=self.session, auth=auth, limits=limits)

    def accounts(
        self, client_id: str = CLIENT_ID, client_secret: str = CLIENT_SECRET
    ) -> AccountsClient:
        credentials = Credentials(client_id=client_id, client_secret=Secret(client_secret))
        return AccountsClient(api=self.api(), credentials=credentials)

    def token(self, scope: str = "") -> Secret:
        """Return a new access token, with all scopes by default."""
        code = self.simulator.grant_code(*[scope][: bool(scope)])
        return self.accounts().exchange(Secret(code)).access_token

    def client(self, scope: str = "", *, deadline: float = 5) -> ZohoClient:
        return ZohoClient(api=self.api(TokenAuth(self.token(scope)), deadline=deadline))


@pytest.fixture(scope="session")
def served() -> Iterator[Simulator]:
    """Yield the HTTP simulator of the session; each test resets it."""
    simulator = new_simulator()
    with Server(simulator):
        yield simulator


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with new_session() as session:
        yield session


@pytest.fixture
def in_process() -> Iterator[Transport]:
    simulator = new_simulator()
    with new_session(partial(SimulatorAdapter, simulator)) as session:
        yield Transport(simulator=simulator, session=session)


@pytest.fixture
def over_http(served: Simulator, session: requests.Session) -> Iterator[Transport]:
    settings = asdict(served.engine.settings)
    served.reset()
    yield Transport(simulator=served, session=session)
    served.tune(**settings)


@pytest.fixture(params=["in_process", "over_http"])
def transport(request: pytest.FixtureRequest) -> Transport:
    """Return each of the two transports in turn."""
    chosen: Transport = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def crm(transport: Transport) -> ZohoClient:
    """Return a client over each of the transports in turn."""
    return transport.client()
