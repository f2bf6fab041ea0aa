from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from zoho_crm.contrib.pytest import SimulatorAdapter
from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET, Server, Simulator, SimulatorSettings

CLIENT = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


@dataclass
class Caller:
    """An API client of a simulator, over one of its transports."""

    simulator: Simulator
    session: requests.Session
    headers: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        return self.session.request(
            method,
            self.simulator.origin + path,
            headers={**self.headers, **more.pop("headers", {})},
            timeout=more.pop("timeout", 5),
            allow_redirects=False,
            **more,
        )

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.call("GET", f"/crm/v8{path}", params=params)

    def post(self, path: str, body: Any = None) -> requests.Response:
        return self.call("POST", f"/crm/v8{path}", json=body)

    def put(self, path: str, body: Any = None) -> requests.Response:
        return self.call("PUT", f"/crm/v8{path}", json=body)

    def options(self, lead_id: str) -> requests.Response:
        return self.get(f"/Leads/{lead_id}/__conversion_options")

    def convert(self, lead_id: str, **item: Any) -> requests.Response:
        return self.post(f"/Leads/{lead_id}/actions/convert", {"data": [item]})

    def mass_convert(self, *lead_ids: str, **keys: Any) -> requests.Response:
        """Post a mass convert request that assigns to the current user by default."""
        assign_to = {"id": self.simulator.organisation.current_user["id"]}
        body = {"ids": list(lead_ids), "assign_to": assign_to, **keys}
        return self.post("/Leads/actions/mass_convert", body)

    def start_job(self, *lead_ids: str, **keys: Any) -> str:
        """Return the id of a new job."""
        answer = self.mass_convert(*lead_ids, **keys)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["details"]["job_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """Return the status of a job."""
        answer = self.get("/Leads/actions/mass_convert", job_id=job_id)
        assert answer.status_code == 200, answer.text
        (job,) = answer.json()["data"]
        assert isinstance(job, dict)
        return job

    def token(self, grant_type: str, **form: str) -> requests.Response:
        data = {**CLIENT, "grant_type": grant_type, **form}
        return self.call("POST", "/oauth/v2/token", data=data)

    def connect(self, **parameters: Any) -> dict[str, Any]:
        """Exchange a new code; later calls are signed with its access token."""
        code = self.simulator.grant_code(**parameters)
        granted: dict[str, Any] = self.token("authorization_code", code=code).json()
        self.headers["Authorization"] = f"Zoho-oauthtoken {granted['access_token']}"
        return granted


@pytest.fixture
def start() -> Iterator[Callable[..., Caller]]:
    """Return a function that starts a simulator with other settings, in process, with a caller."""
    sessions: list[requests.Session] = []

    def start_one(**settings: Any) -> Caller:
        simulator = Simulator(SimulatorSettings(**{"leads": 0, **settings}))
        session = requests.Session()
        session.mount("http://", SimulatorAdapter(simulator))
        session.mount("https://", SimulatorAdapter(simulator))
        sessions.append(session)
        caller = Caller(simulator, session)
        caller.connect()
        return caller

    yield start_one
    for session in sessions:
        session.close()


@pytest.fixture
def caller(start: Callable[..., Caller]) -> Caller:
    """Return a caller of an empty simulator in process."""
    return start()


@pytest.fixture
def sim(caller: Caller) -> Simulator:
    return caller.simulator


@pytest.fixture(params=["in_process", "http"])
def any_caller(request: pytest.FixtureRequest, start: Callable[..., Caller]) -> Iterator[Caller]:
    """Yield a caller of an empty simulator, once for each transport."""
    caller = start()
    if request.param == "in_process":
        yield caller
        return
    with Server(caller.simulator), requests.Session() as session:
        yield Caller(caller.simulator, session, caller.headers)
