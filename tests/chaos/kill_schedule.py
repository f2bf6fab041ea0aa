"""When a site is disrupted next: by the progress of the run, never by a clock alone."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable

#: Kills and other disruptions are spread as if there were so many more, so that work is left for
#: the last ones.
RESERVE = 3


class KillSchedule:
    """
    Spreads disruptions over a run.

    The next is due when, since the last, an equal part of the leads that were left came to rest, or
    when ``max_seconds`` are over, whichever is first.
    """

    def __init__(
        self,
        disruptions: Iterable[str],
        *,
        leads: int,
        max_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pending = deque(disruptions)
        self._leads = leads
        self._max_seconds = max_seconds
        self._clock = clock
        self._due_at_rest = self._due_at = 0.0
        self.wait(at_rest=0)

    def wait(self, *, at_rest: int) -> None:
        """Begin to wait for the next disruption, with so many leads at rest."""
        step = (self._leads - at_rest) / (len(self.pending) + RESERVE)
        self._due_at_rest = at_rest + step
        self._due_at = self._clock() + self._max_seconds

    def take(self, *, at_rest: int) -> str | None:
        """Return the next disruption if it is due, and take it off the schedule."""
        is_due = at_rest >= self._due_at_rest or self._clock() >= self._due_at
        return self.pending.popleft() if is_due and self.pending else None

    def put_back(self, disruption: str) -> None:
        """Do it later: it could not be done now."""
        self.pending.append(disruption)
