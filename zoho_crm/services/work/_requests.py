"""What the generators of the work loop yield and receive, and the threads of their calls."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from zoho_crm.client import ZohoClient
from zoho_crm.exceptions import ZohoError
from zoho_crm.matching import Decision
from zoho_crm.models import LeadConversion
from zoho_crm.models._moves import Move
from zoho_crm.types import Lead, ValueObject

if TYPE_CHECKING:
    from zoho_crm.services.work._context import Step


import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import field
from queue import Empty, SimpleQueue

#: Seconds to wait for further results after one has arrived: rows written together cost less.
FURTHER_RESULTS_SECONDS = 0.02


@dataclass(frozen=True)
class ReadLead:
    """Read the lead of a row, with up to 99 others; the answer is ``None`` if there is none."""

    row: LeadConversion


@dataclass(frozen=True)
class Call:
    """Call Zoho in a thread, as soon as a call is free; the answer is what the function returns."""

    #: Is given a ``ZohoClient``, which signs its calls with the access token of that moment.
    function: Callable[[Any], Any]
    #: The errors that are answers of Zoho's to this call, and say nothing about the connection.
    answers: tuple[type[ZohoError], ...] = ()
    #: Whether it counts for the concurrency limit; if not, it is started at once.
    is_zoho_call: bool = True


class Turn(ValueObject):
    """
    Wait for a free call, which the next ``Call`` of this generator starts at once.

    The answer is the time on the monotonic clock after which nothing may be sent any more. It is
    ``None`` if the row was not claimed, or the read is older than ``CALL_DEADLINE`` by now.
    """

    #: When the read began that the generator relies on, on the monotonic clock.
    read_at: float
    #: The move of its row to RUNNING, if the loop is to write it: in sets, before any of the calls.
    claim: Move | None = None


@dataclass(frozen=True)
class Result:
    """Record a move, which the loop writes in sets; the generator does not wait for that."""

    move: Move
    #: The decision of the row's own policy on the preview that the move stores.
    decision: Decision | None = None


@dataclass(frozen=True)
class Transaction:
    """Write to the tables at once, in a transaction of its own; repeated after an outage."""

    write: Callable[[], Any]


@dataclass(frozen=True)
class All:
    """Run these generators, each about one row, and go on when all of them have ended."""

    items: Sequence[WorkItem]


Request: TypeAlias = ReadLead | Call | Turn | Result | Transaction | All
#: What happens to a row, or to a job, from the first read to the last result.
Work: TypeAlias = Generator[Request, Any, None]


class UnexpectedError(Exception):
    """Raised in a generator if our code failed in its call, or if a value cannot be stored."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(type(cause).__name__)
        self.cause = self.__cause__ = cause


class WorkItem:
    """A generator that the loop has begun, or is about to begin, and what it waits for."""

    def __init__(
        self,
        work: Work,
        *rows: LeadConversion,
        key: Hashable = None,
        on_error: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._work = work
        #: Called with an error that the generator did not catch, if it has no rows.
        self.on_error = on_error
        #: What it is about besides rows; no other generator about the same is begun meanwhile.
        self.key = key
        #: The rows that an unexpected error in the generator costs.
        self.rows = rows
        self.step: Step
        self.request: Request | None = None
        #: Whether it had its turn, so that its next call starts at once and it is never closed.
        self.has_turn = False
        #: Whether its lead is to be read by a call of its own.
        self.reads_alone = False
        #: The generator that waits for this one, and the number that this one waits for.
        self.parent: WorkItem | None = None
        self.children = 0

    def advance(self, value: Any, error: BaseException | None) -> None:
        """Hand over an answer, or raise an error in the generator; set its next request."""
        try:
            self.request = self._work.send(value) if error is None else self._work.throw(error)
        except StopIteration:
            self.request = None

    def close(self) -> None:
        """End the generator where it waits."""
        self._work.close()


def read_leads(client: ZohoClient, *, lead_ids: list[str]) -> dict[str, Lead]:
    """Read the leads of at most 100 ``ReadLead``, by id; those that do not exist are absent."""
    return client.leads.get_many(lead_ids)


class PendingCall(ValueObject):
    """A call that runs in a thread, and the generators that wait for its result."""

    call: Call
    items: list[WorkItem]
    #: When it was started, on the monotonic clock.
    started: float = field(default_factory=time.monotonic)


class CallPool:
    """Runs calls in threads and returns their results; used by the main thread only."""

    def __init__(self, size: int) -> None:
        self._executor = ThreadPoolExecutor(max_workers=size, thread_name_prefix="zoho")
        self._pending: dict[Future[Any], PendingCall] = {}
        #: Filled by the threads.
        self._finished: SimpleQueue[Future[Any]] = SimpleQueue()

    def start(self, pending: PendingCall, function: Callable[[], Any]) -> None:
        """Run a function in a thread."""
        future = self._executor.submit(function)
        self._pending[future] = pending
        future.add_done_callback(self._finished.put)

    @property
    def zoho_calls(self) -> int:
        """The number of calls to Zoho that are in flight."""
        return sum(pending.call.is_zoho_call for pending in self._pending.values())

    @property
    def is_idle(self) -> bool:
        """Whether no call is pending."""
        return not self._pending

    def finished(self, *, timeout: float) -> list[tuple[PendingCall, Future[Any]]]:
        """Wait at most so many seconds for a result, and return the finished calls."""
        if self.is_idle:
            time.sleep(timeout)
        futures: list[Future[Any]] = []
        with suppress(Empty):
            while len(futures) < len(self._pending):
                futures.append(self._finished.get(timeout=timeout))
                timeout = FURTHER_RESULTS_SECONDS
        return [(self._pending.pop(future), future) for future in futures]

    def shutdown(self) -> None:
        """Wait until all threads have ended."""
        self._executor.shutdown()
