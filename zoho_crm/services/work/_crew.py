"""The threads of one worker, and the errands that they are on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from zoho_crm.models import LeadConversion

#: Seconds that an end waits for others: what is written together costs a fraction each.
TOGETHER = 0.02


@dataclass(frozen=True, kw_only=True)
class Errand:
    """Something that a thread does for some rows, and what the main thread makes of the end."""

    rows: tuple[LeadConversion, ...]
    done: Callable[[Errand, Any], None]
    failed: Callable[[Errand, BaseException], None]
    #: Whether it is a call to Zoho, which the limit counts.
    is_call: bool = True
    started: float = field(default_factory=time.monotonic)


class Crew:
    """Sends threads on errands and gathers what they bring; used by the main thread only."""

    def __init__(self, size: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=size, thread_name_prefix="zoho")
        self._errands: dict[Future[Any], Errand] = {}
        #: Filled by the threads.
        self._ended: SimpleQueue[Future[Any]] = SimpleQueue()

    def send(self, errand: Errand, what: Callable[[], Any]) -> None:
        """Have a thread do it."""
        future = self._pool.submit(what)
        self._errands[future] = errand
        future.add_done_callback(self._ended.put)

    @property
    def calls(self) -> int:
        """Calls to Zoho that are in flight."""
        return sum(errand.is_call for errand in self._errands.values())

    @property
    def is_idle(self) -> bool:
        """Whether nobody is on an errand."""
        return not self._errands

    def held(self) -> set[int]:
        """Return the rows that somebody is on an errand for."""
        return {row.pk for errand in self._errands.values() for row in errand.rows}

    def gather(self, *, patience: float) -> Iterator[tuple[Errand, Future[Any]]]:
        """Wait, but not for long, and yield what has come to an end."""
        ended: list[Future[Any]] = []
        with suppress(Empty):
            while len(ended) < len(self._errands):
                ended.append(self._ended.get(timeout=patience))
                patience = TOGETHER
        yield from [(self._errands.pop(future), future) for future in ended]

    def dismiss(self) -> None:
        """Wait for every thread."""
        self._pool.shutdown()
