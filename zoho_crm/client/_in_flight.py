"""Calls of a write that are in flight at the same time, answered in the order they were sent in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event
from types import TracebackType
from typing import Generic, Self, TypeVar

from zoho_crm.client._api import Api
from zoho_crm.exceptions import (
    AccessTokenRejectedError,
    RateLimitError,
    TransientError,
    ZohoError,
)
from zoho_crm.types import ApiCall

Sent = TypeVar("Sent")
Result = TypeVar("Result")

#: What a call is sent again for: it certainly was not processed, and the rest may well be.
SENT_AGAIN = (AccessTokenRejectedError, RateLimitError)
#: Calls that are prepared, for each one in flight: so no thread waits while the oldest one is slow.
CALLS_AHEAD = 2


#: What a refusal as one too many multiplies the number of calls in flight by.
DECREASE = 0.7


@dataclass(kw_only=True)
class _Call(Generic[Sent, Result]):
    items: Sequence[Sent]
    marks: frozenset[object]
    answer: Future[list[Result]]
    #: What was counted of it in another thread; ``None`` if it was sent in the caller's.
    heard: list[ApiCall] | None = None


class CallsInFlight(Generic[Sent, Result]):
    """
    The calls of one write, at most as many at a time as the API client allows.

    The caller's thread alone signs, counts and checks for a transaction: the others use no
    database. With one call at a time there are no others.

    :param send: sends one chunk with an API client, and returns a result for each of its items
    """

    def __init__(self, api: Api, send: Callable[[Api, Sequence[Sent]], list[Result]]) -> None:
        self._api = api
        self._send = send
        self._calls: deque[_Call[Sent, Result]] = deque()
        self._most = CALLS_AHEAD * api.concurrency
        self._failed = Event()
        self._pool = ThreadPoolExecutor(api.concurrency, thread_name_prefix="zoho-write")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Send nothing more, and wait for what is in flight."""
        self._failed.set()
        self._pool.shutdown()

    def __len__(self) -> int:
        return len(self._calls)

    def must_wait(self, marks: frozenset[object] = frozenset()) -> bool:
        """Return whether a call about such records has to wait for the oldest one."""
        if self._failed.is_set() or len(self) >= self._most:
            return bool(self)
        return any(not marks.isdisjoint(call.marks) for call in self._calls)

    def start(self, items: Sequence[Sent], marks: frozenset[object], *, alone: bool) -> None:
        """
        Begin to send a chunk, or do not if a call has failed as a whole.

        :param marks: what tells which records it is about: no two calls have the same in flight
        :param alone: whether there will be no other call meanwhile
        """
        call: _Call[Sent, Result] = _Call(items=items, marks=marks, answer=Future())
        self._calls.append(call)
        try:
            if alone or self._api.concurrency == 1 or self._failed.is_set():
                call.answer.set_result(self._sent(self._api, items))
                return
            self._api.before_change()
            call.heard = []
            api = self._api.for_another_thread(call.heard.append)
        except ZohoError as error:
            self._failed.set()
            call.answer.set_exception(error)
        else:
            call.answer = self._pool.submit(self._sent, api, items)

    def finish(self) -> list[Result] | ZohoError:
        """Wait for the oldest call; return its results, or the error with which it failed."""
        call = self._calls.popleft()
        error = call.answer.exception()
        for each in call.heard or []:
            self._api.on_call(each)
        if call.heard is not None and isinstance(error, SENT_AGAIN):
            return self._answer_to_another(call, error)
        return error if isinstance(error, ZohoError) else call.answer.result()

    def _answer_to_another(
        self, call: _Call[Sent, Result], error: ZohoError
    ) -> list[Result] | ZohoError:
        """Send a chunk again, when nothing else is in flight; return as ``finish``."""
        if isinstance(error, RateLimitError):
            self._most = max(1, int(min(self._most, self._api.concurrency) * DECREASE))
        wait([each.answer for each in self._calls])
        try:
            return self._sent(self._api, call.items)
        except ZohoError as second:
            return second

    def _sent(self, api: Api, items: Sequence[Sent]) -> list[Result]:
        """Return the results of a chunk; once a call has failed as a whole, none is sent."""
        if not items:
            return []
        if self._failed.is_set():
            raise TransientError(code="not_sent")
        try:
            return self._send(api, items)
        except ZohoError as error:
            if api is self._api or not isinstance(error, SENT_AGAIN):
                self._failed.set()
            raise
