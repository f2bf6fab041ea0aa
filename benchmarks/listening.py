"""A simulated Zoho in a process of its own, which remembers what it was asked."""

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
class Zoho:
    """That Zoho, seen from the process that measures."""

    origin: str
    grant_code: str
    #: Leads that are like no other, in two sets of the same size.
    leads: list[str]
    twins: list[str]
    _pipe: Connection

    def calls(self) -> list[tuple[str, str, bytes]]:
        """Return method, path with query, and body of every call to the CRM so far."""
        calls: list[tuple[str, str, bytes]] = self._ask("calls")
        return calls

    def converted(self) -> int:
        """Return how many leads were truly converted."""
        return int(self._ask("converted"))

    def _ask(self, what: str) -> Any:
        self._pipe.send(what)
        return self._pipe.recv()


class Listener(Simulator):
    """Remembers its calls."""

    def __init__(self, settings: SimulatorSettings) -> None:
        super().__init__(settings)
        self.calls: list[tuple[str, str, bytes]] = []

    def answer(self, call: Call) -> Answer:
        """Answer as any simulator."""
        if call.path.startswith("/crm/"):
            self.calls.append((call.method, f"{call.path}?{urlencode(call.query)}", call.body))
        return super().answer(call)


@contextmanager
def zoho_with(leads: int) -> Iterator[Zoho]:
    """Run a Zoho with twice as many leads until the block ends."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, leads), daemon=True)
    process.start()
    there.close()  # else nobody would notice its end
    try:
        yield Zoho(**here.recv(), _pipe=here)
    finally:
        process.terminate()
        process.join()


def _serve(pipe: Connection, leads: int) -> None:
    simulator = Listener(SimulatorSettings(leads=0, concurrency=25))
    made = [simulator.add_lead()["id"] for _ in range(2 * leads)]
    answers = {
        "calls": lambda: simulator.calls,
        "converted": lambda: len(simulator.ledger()["conversions"]),
    }
    with Server(simulator) as server:
        told = {"origin": server.origin, "grant_code": simulator.grant_code()}
        pipe.send({**told, "leads": made[:leads], "twins": made[leads:]})
        while True:
            pipe.send(answers[pipe.recv()]())
