"""The thread pool of one worker, and the calls that are pending in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from zoho_crm.models import LeadConversion

#: Seconds to wait for further results after one has arrived: rows written together cost less.
FURTHER_RESULTS_SECONDS = 0.02


@dataclass(frozen=True, kw_only=True)
class PendingCall:
    """A call that runs in a thread, and the functions that the main thread hands its result to."""

    rows: tuple[LeadConversion, ...]
    on_result: Callable[[PendingCall, Any], None]
    on_error: Callable[[PendingCall, BaseException], None]
    #: Whether it is a call to Zoho, which counts for the concurrency limit.
    is_zoho_call: bool = True
    #: When it was started, on the monotonic clock.
    started: float = field(default_factory=time.monotonic)


class CallPool:
    """Runs calls in threads and returns their results; used by the main thread only."""

    def __init__(self, size: int) -> None:
        self._executor = ThreadPoolExecutor(max_workers=size, thread_name_prefix="zoho")
        self._pending: dict[Future[Any], PendingCall] = {}
        #: Filled by the threads.
        self._finished: SimpleQueue[Future[Any]] = SimpleQueue()

    def start(self, call: PendingCall, function: Callable[[], Any]) -> None:
        """Run a function in a thread."""
        future = self._executor.submit(function)
        self._pending[future] = call
        future.add_done_callback(self._finished.put)

    @property
    def zoho_calls(self) -> int:
        """The number of calls to Zoho that are in flight."""
        return sum(call.is_zoho_call for call in self._pending.values())

    @property
    def is_idle(self) -> bool:
        """Whether no call is pending."""
        return not self._pending

    def row_ids(self) -> set[int]:
        """Return the primary keys of the rows that calls are pending for."""
        return {row.pk for call in self._pending.values() for row in call.rows}

    def finished(self, *, timeout: float) -> list[tuple[PendingCall, Future[Any]]]:
        """Wait at most so many seconds for a result, and return the finished calls."""
        futures: list[Future[Any]] = []
        with suppress(Empty):
            while len(futures) < len(self._pending):
                futures.append(self._finished.get(timeout=timeout))
                timeout = FURTHER_RESULTS_SECONDS
        return [(self._pending.pop(future), future) for future in futures]

    def put_back(self, calls: Iterable[tuple[PendingCall, Future[Any]]]) -> None:
        """Return these finished calls once more, because their results could not be handled."""
        for call, future in calls:
            self._pending[future] = call
            self._finished.put(future)

    def shutdown(self) -> None:
        """Wait until all threads have ended."""
        self._executor.shutdown()
