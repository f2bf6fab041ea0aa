"""A simulator in a process of its own that records the calls it receives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import urlencode

from zoho_crm.simulator import Answer, Call, Server, Simulator, SimulatorSettings


@dataclass(frozen=True, kw_only=True)
class RemoteSimulator:
    """A handle to the simulator for the process that measures."""

    origin: str
    grant_code: str
    #: Ids of leads without matches: those to convert, and as many others to replay the calls on.
    leads: list[str]
    replay_leads: list[str]
    _pipe: Connection

    def calls(self) -> list[tuple[str, str, bytes]]:
        """Return method, path with query, and body of every CRM call so far."""
        calls: list[tuple[str, str, bytes]] = self._ask("calls")
        return calls

    def converted(self) -> int:
        """Return how many leads the ledger has as converted."""
        return int(self._ask("converted"))

    def answer_slowly(self) -> None:
        """Let calls and jobs take as long as the settings say, until ``answer_at_once``."""
        self._ask("answer slowly")

    def answer_at_once(self) -> None:
        """Let calls and jobs take no longer than they need."""
        self._ask("answer at once")

    def _ask(self, what: str) -> Any:
        self._pipe.send(what)
        return self._pipe.recv()


class RecordingSimulator(Simulator):
    """Records its CRM calls."""

    def __init__(self, settings: SimulatorSettings) -> None:
        super().__init__(settings)
        self.calls: list[tuple[str, str, bytes]] = []

    def answer(self, call: Call) -> Answer:
        """Record the call if it goes to the CRM API, and answer it."""
        if call.path.startswith("/crm/"):
            self.calls.append((call.method, f"{call.path}?{urlencode(call.query)}", call.body))
        return super().answer(call)


@contextmanager
def remote_simulator(leads: int, **settings: float) -> Iterator[RemoteSimulator]:
    """Run a simulator with ``leads`` leads, and as many for the replay, until the block ends."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, leads, settings), daemon=True)
    process.start()
    there.close()  # otherwise recv() would not fail when the process ends
    try:
        yield RemoteSimulator(**here.recv(), _pipe=here)
    finally:
        process.terminate()
        process.join()


def _serve(pipe: Connection, leads: int, settings: dict[str, Any]) -> None:
    simulator = RecordingSimulator(SimulatorSettings(leads=0, concurrency=25))
    made = [simulator.add_lead()["id"] for _ in range(2 * leads)]
    answers = {
        "calls": lambda: simulator.calls,
        "converted": lambda: len(simulator.ledger()["conversions"]),
        "answer slowly": lambda: simulator.tune(**settings),
        "answer at once": lambda: simulator.tune(**dict.fromkeys(settings, 0.0)),
    }
    with Server(simulator) as server:
        handle = {"origin": server.origin, "grant_code": simulator.grant_code()}
        pipe.send({**handle, "leads": made[:leads], "replay_leads": made[leads:]})
        while True:
            pipe.send(answers[pipe.recv()]())
