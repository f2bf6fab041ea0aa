"""
One lead, two workers, Zoho, and everything that may happen between them.

Time goes in steps of two seconds, the first delay of ``services/lifecycle.py``. Whoever may act may
also wait: a worker that is frozen, slow or unlucky is one that takes no step while time goes on.
What one worker does in one step is what one transaction or one call does in ``services/work``;
that it asks ``may_send`` and sends is one step too. Orphans are given up whenever a worker looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from tests.protocol import row as life
from tests.protocol.row import Row

STEP = 2
#: The settings of the search, in seconds.
TIMES = {
    "CALL_DEADLINE": 2,
    "LEASE": 6,
    "QUIET_PERIOD": 4,
    "MASS_QUIET_PERIOD": 4,
    "JOB_HORIZON": 10,
    "NEGATIVE_READS": 2,
    "READ_SPACING": 2,
    "MAX_ATTEMPTS": 3,
    "UNKNOWN_HORIZON": 4,
}
DEADLINE = TIMES["CALL_DEADLINE"] // STEP
LEASE = TIMES["LEASE"] // STEP

# How late Zoho can be, in steps: as late as can be borne. If anything were one step later, the
# last of the negative reads could miss a conversion that is still to come.
#: A read may show the lead as it was so long ago.
STALE = 1
#: A call may take effect until so long after its caller gave up,
LATE = (TIMES["QUIET_PERIOD"] + TIMES["READ_SPACING"]) // STEP - STALE
#: and one that Zoho scheduled until so long after that answer was written. (If it is lost, nobody
#: can know that there is more to wait for; then the call is done as soon as any other.)
LATE_JOB = TIMES["JOB_HORIZON"] // STEP + LATE

WORKED = ("NEW", "READY", "UNKNOWN", "SCHEDULED")


class Lead(NamedTuple):
    """The truth: what the lead became by whom, and how many steps ago, as far as that matters."""

    fate: str = "open"
    age: int = STALE

    @property
    def view(self) -> str:
        """What a read shows on a good day."""
        return "open" if self.fate == "open" else "converted"

    @property
    def views(self) -> set[str]:
        """What a read that begins now may show."""
        return {self.view, "nothing"} | ({"open"} if self.age < STALE else set())


class Worker(NamedTuple):
    """What a worker is about, and what it has in hand."""

    doing: str = "down"
    has_lease: bool = False
    #: What it read, or the answer that it got; whether its read may count as "not converted".
    found: str = ""
    is_conclusive: bool = False
    #: Whether nobody else moved the row since, so that its next move will reach it.
    is_fresh: bool = False
    #: Whether the call that may still take effect is its own.
    has_call: bool = False
    #: Steps until what it has in hand is too old to be acted on.
    left: int = 0

    def turns_to(self, doing: str, **more: Any) -> Worker:
        return Worker(doing=doing, has_lease=self.has_lease, **more)


class State(NamedTuple):
    """Everything that is true at one moment."""

    row: Row = Row()
    lead: Lead = Lead()
    #: Steps in which a conversion that was sent may still take effect; None: there is none.
    call: int | None = None
    #: Steps until somebody else may take the lease of the connection.
    lease: int = 0
    workers: tuple[Worker, ...] = ()

    @classmethod
    def with_workers(cls, number: int) -> State:
        """Return the start: a lead that is to be converted, and so many workers that are down."""
        return cls(workers=(Worker(),) * number)

    def __str__(self) -> str:
        workers = " | ".join(map(_shown, self.workers))
        truth = f"lead {self.lead.fate}, call {self.call}, lease {self.lease}"
        return f"{_shown(self.row)}; {truth}; {workers}"

    def with_worker(self, index: int, worker: Worker, **more: Any) -> State:
        """Return the state after a step of a worker; which of the two it was does not matter."""
        others = self.workers[:index] + self.workers[index + 1 :]
        if "row" in more:
            others = tuple(map(_outdated, others))
        return self._replace(workers=tuple(sorted((worker, *others))), **more)


class Step(NamedTuple):
    """Something that may happen next."""

    name: str
    state: State
    #: Whether it is bad luck, on which no way to rest may depend.
    is_fault: bool = False


class UnsafeError(Exception):
    """A conversion is sent although an earlier one took effect, or still may."""


def _outdated(worker: Worker) -> Worker:
    """Somebody else moved the row: what a worker has read or heard reaches it no more."""
    if worker.doing in ("reading", "checked", "answered"):
        return worker.turns_to("idle")
    return worker._replace(is_fresh=False)


def _shown(part: Row | Worker) -> str:
    return " ".join(f"{name}={value}" for name, value in part._asdict().items() if value)


class World:
    """Says what may happen next; ``asks_before_sending`` = False forgets ``may_send``."""

    def __init__(self, *, asks_before_sending: bool = True) -> None:
        self._asks = asks_before_sending
        # The decisions are pure: each is made once, and the search is fast.
        self._decide = cache(lambda decision, *facts: decision(*facts))

    def steps(self, state: State) -> Iterator[Step]:
        """
        Yield everything that may happen next.

        :raises UnsafeError: if that is a conversion which must not be sent
        """
        yield Step("time goes on", _later(state))
        yield from _zoho_acts(state)
        for index, worker in enumerate(state.workers):
            act = getattr(self, f"_when_{worker.doing}")
            yield from act(state, index, worker)
            if worker.doing != "down":
                yield from _renews(state, index, worker)
                yield Step("a worker crashes", _crashed(state, index), is_fault=True)

    def _when_down(self, state: State, index: int, worker: Worker) -> Iterator[Step]:
        if state.row.is_due and state.lease == 0:
            others = tuple(other._replace(has_lease=False) for other in state.workers)
            free = state._replace(workers=others, lease=LEASE)
            idle = Worker("idle", has_lease=True)
            yield Step("a worker takes the lease", free.with_worker(index, idle))

    def _when_idle(self, state: State, index: int, worker: Worker) -> Iterator[Step]:
        lease = 0 if worker.has_lease else state.lease
        yield Step("a worker ends", state.with_worker(index, Worker(), lease=lease))
        if state.row.is_due and state.row.status == "RUNNING":
            row = self._decide(life.orphaned, state.row)
            yield Step("an orphan is given up", state.with_worker(index, worker, row=row))
        if not (state.row.is_due and state.row.status in WORKED):
            return
        for view in state.lead.views:
            reading = worker.turns_to(
                "reading",
                found=view,
                is_conclusive=state.row.is_conclusive,
                is_fresh=True,
                left=DEADLINE if state.row.status == "READY" else 0,
            )
            name, is_fault = f"a read begins, and shows {view}", view != state.lead.view
            yield Step(name, state.with_worker(index, reading), is_fault)

    def _when_reading(self, state: State, index: int, worker: Worker) -> Iterator[Step]:
        idle = worker.turns_to("idle")
        row = self._decide(life.put_off, state.row)
        yield Step("the read fails", state.with_worker(index, idle, row=row), is_fault=True)
        if state.row.status == "NEW":
            row = self._decide(life.previewed, state.row, worker.found)
        elif state.row.status == "READY":
            row = self._decide(life.before_sending, state.row, worker.found)
        else:
            row = self._decide(life.read_back, state.row, worker.found, worker.is_conclusive)
        if row.status == "RUNNING":
            checked = worker._replace(doing="checked", is_conclusive=False)
            yield Step("the lead may be sent", state.with_worker(index, checked))
        else:
            yield Step("the read is written", state.with_worker(index, idle, row=row))

    def _when_checked(self, state: State, index: int, worker: Worker) -> Iterator[Step]:
        if worker.left == 0 or not worker.has_lease or state.lease <= DEADLINE:
            yield Step("too late to claim", state.with_worker(index, worker.turns_to("idle")))
            return
        row = self._decide(life.before_sending, state.row, worker.found)
        claimed = worker.turns_to("claimed", is_fresh=True, left=LEASE - DEADLINE)
        yield Step("a worker claims the row", state.with_worker(index, claimed, row=row))

    def _when_claimed(self, state: State, index: int, worker: Worker) -> Iterator[Step]:
        if self._asks and worker.left < 0:
            yield Step("too late to send", _hears(state, index, "not processed"))
            return
        yield Step("it cannot connect", _hears(state, index, "not processed"), is_fault=True)
        yield Step("our code fails", _hears(state, index, "our bug"), is_fault=True)
        if state.call is not None or state.lead.fate == "us":
            raise UnsafeError
        # The work loop counts the deadline from the claim on.
        left = max(0, worker.left - (LEASE - 2 * DEADLINE))
        waiting = worker._replace(doing="waiting", has_call=True, left=left)
        yield Step("a worker sends", state.with_worker(index, waiting, call=DEADLINE + LATE))

    def _when_waiting(self, state: State, index: int, worker: Worker) -> Iterator[Step]:
        given_up = _given_up(state, worker)
        yield Step("no answer comes", _hears(given_up, index, "lost"), is_fault=worker.has_call)
        yield Step("our code fails", _hears(given_up, index, "our bug"), is_fault=True)

    def _when_answered(self, state: State, index: int, worker: Worker) -> Iterator[Step]:
        row = self._decide(life.answered, state.row, worker.found, worker.left * STEP)
        call = LATE_JOB if state.call and worker.found == "scheduled" else state.call
        name = f"the answer is written: {worker.found}"
        yield Step(name, state.with_worker(index, worker.turns_to("idle"), row=row, call=call))


def _hears(state: State, index: int, answer: str, **more: Any) -> State:
    """A worker's call has ended; what it means for the row is not yet written."""
    worker = state.workers[index]
    left = worker.left if answer == "lost" else 0
    heard = worker._replace(doing="answered", found=answer, has_call=False, left=left)
    return state.with_worker(index, heard if worker.is_fresh else worker.turns_to("idle"), **more)


def _given_up(state: State, worker: Worker) -> State:
    """Nobody waits for the call any more, but it may have reached Zoho."""
    return state._replace(call=min(state.call or 0, LATE)) if worker.has_call else state


def _crashed(state: State, index: int) -> State:
    """All that is left of a worker is its lease, and its call."""
    return _given_up(state, state.workers[index]).with_worker(index, Worker())


def _renews(state: State, index: int, worker: Worker) -> Iterator[Step]:
    if worker.has_lease and 0 < state.lease < LEASE:
        yield Step("a worker renews its lease", state._replace(lease=LEASE))


def _zoho_acts(state: State) -> Iterator[Step]:
    if state.lead.fate == "open":
        # A stale read of it would be like one that began before.
        elsewhere = state._replace(lead=Lead("elsewhere"))
        yield Step("somebody else converts the lead", elsewhere, is_fault=True)
    if state.call is None:
        return
    done = state._replace(call=None)
    if state.lead.fate == "open":
        yield from _answers(state, done._replace(lead=Lead("us", 0)), "converted")
        yield from _answers(state, done, "refused", is_fault=True)
        yield from _answers(state, done, "not processed", is_fault=True)
        yield from _answers(state, state, "scheduled", is_fault=True)
    else:
        yield from _answers(state, done, "already")


def _answers(state: State, after: State, answer: str, *, is_fault: bool = False) -> Iterator[Step]:
    """Zoho processes the call, and its answer arrives or is lost."""
    callers = [index for index, worker in enumerate(state.workers) if worker.has_call]
    for index in callers:
        yield Step(f"Zoho answers: {answer}", _hears(after, index, answer), is_fault)
    if answer != "scheduled":
        unheard = tuple(worker._replace(has_call=False) for worker in after.workers)
        name = f"Zoho's answer is lost: {answer}"
        yield Step(name, after._replace(workers=tuple(sorted(unheard))), is_fault=True)


def _later(state: State) -> State:
    call = state.call - 1 if state.call else None
    workers = tuple(sorted(_aged(worker, call is not None) for worker in state.workers))
    age = min(state.lead.age + 1, STALE)
    return State(
        row=state.row.later(STEP),
        lead=state.lead._replace(age=age),
        call=call,
        lease=max(state.lease - 1, 0),
        workers=workers,
    )


def _aged(worker: Worker, has_call: bool) -> Worker:
    least = -1 if worker.doing == "claimed" else 0
    return worker._replace(left=max(worker.left - 1, least), has_call=worker.has_call and has_call)
