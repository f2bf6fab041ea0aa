"""The thread pool of one worker, and the calls that are in flight in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from zoho_crm.services.work._requests import Call, WorkItem

#: Seconds to wait for further results after one has arrived: rows written together cost less.
FURTHER_RESULTS_SECONDS = 0.02


@dataclass(frozen=True, kw_only=True)
class PendingCall:
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
