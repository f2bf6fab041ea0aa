"""
Previews for a person who waits for them: of many leads, with several calls to Zoho at a time.

They are no work of the queue: nothing is due afterwards, and no lease is needed, as only reads are
made. What happens to a lead is a generator, as in the loop of the worker, but an error is told at
once instead of a retry later.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from multiprocessing.pool import ThreadPool
from queue import SimpleQueue
from types import TracebackType
from typing import Any, TypeAlias

from zoho_crm import matching
from zoho_crm.client import ZohoClient
from zoho_crm.conf import conf
from zoho_crm.exceptions import AccessTokenRejectedError, RateLimitError, ZohoError
from zoho_crm.models import Connection, ConnectionWork, LeadConversion
from zoho_crm.models._time import DbNow
from zoho_crm.services import clients, lifecycle, tokens, usage
from zoho_crm.services.preview import (
    assess_with_options,
    get_or_create_row,
    may_be_previewed,
    needs_no_options,
    row_without_preview,
    store_preview,
)
from zoho_crm.services.work._context import MAX_LEADS_PER_READ
from zoho_crm.services.work._health import RESERVED_CALLS, ConcurrencyLimit, max_concurrency
from zoho_crm.services.work._requests import Call, ReadLead, Work, WorkItem, read_leads
from zoho_crm.types import Lead, Secret

#: The row of a lead with its preview, or the error because of which there is none.
LeadPreview: TypeAlias = LeadConversion | ZohoError


def preview_leads(
    *, connection_id: int, lead_ids: Iterable[str], user: str | None = None
) -> Generator[tuple[str, LeadPreview], None, None]:
    """
    Preview leads as ``preview`` does, or as ``preview_as`` for a user.

    Zoho is asked for further leads while the caller takes one. No more calls are started once the
    caller closes the iterator, as it should after an error that every further lead would meet.

    :param lead_ids: read as far as needed
    :return: of each lead, in their order, the id and its row, or the error that ``preview`` raises
    :raises ConnectionLostError: if the user has not given consent
    """
    connection = Connection.objects.get(pk=connection_id)
    with _LeadPreviews(connection, user) as previews:
        yield from previews.run(iter(lead_ids))


@dataclass(kw_only=True)
class _Pending:
    """A lead whose preview was begun and is not yielded yet."""

    lead_id: str
    outcome: LeadPreview | None = None


@dataclass(kw_only=True)
class _PreviewCall:
    """A call that generators wait for."""

    items: list[WorkItem]
    function: Callable[[ZohoClient], Any]
    #: The access token that signs it, and the one that Zoho rejected before.
    token: Secret | None = None
    rejected: Secret | None = None
    #: When it was started, on the monotonic clock.
    started: float = field(default_factory=time.monotonic)


class _LeadPreviews:
    """Runs the generators of ``preview_leads``; threads call Zoho, and do nothing else."""

    def __init__(self, connection: Connection, user: str | None) -> None:
        self._connection = connection
        self._stores = user is None
        self._token_id = None if user is None else tokens.token_of(connection, user).pk
        self._limit = concurrency_limit(connection)
        #: In the order of the leads, until they are yielded.
        self._previews: deque[_Pending] = deque()
        self._waiting: deque[_PreviewCall] = deque()
        self._in_flight = 0
        #: Results and errors of calls; filled by the threads.
        self._finished: SimpleQueue[tuple[_PreviewCall, Any, BaseException | None]] = SimpleQueue()
        self._token: Secret | None = None
        #: Calls to Zoho so far, for the usage: the kind, and whether a rate limit refused it.
        self._calls: list[tuple[str, bool]] = []

    def __enter__(self) -> _LeadPreviews:
        # Its threads do not outlive the process: an interrupt ends a command at once.
        self._pool = ThreadPool(self._limit.ceiling)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._pool.terminate()
        usage.record(self._connection.pk, self._calls)

    def run(self, lead_ids: Iterator[str]) -> Generator[tuple[str, LeadPreview], None, None]:
        """Yield the id of each lead with its preview."""
        self._begin(lead_ids)
        while self._previews:
            while self._previews and (outcome := self._previews[0].outcome):
                yield self._previews.popleft().lead_id, outcome
            self._start_calls()
            if self._in_flight:
                self._take_result(*self._finished.get())
            if len(self._waiting) < self._limit.calls:
                self._begin(lead_ids)

    # Generators

    def _begin(self, lead_ids: Iterator[str]) -> None:
        """Begin the generators of the next leads, and let these be read."""
        self._token = None  # it may end soon
        reading: list[WorkItem] = []
        for lead_id in islice(lead_ids, MAX_LEADS_PER_READ):
            self._previews.append(_Pending(lead_id=lead_id))
            item = WorkItem(self._preview(self._previews[-1]))
            self._advance(item)
            if item.request:
                reading.append(item)
        # A few are read as fast one by one, and an error of one read costs no other lead a call.
        reads_alone = len(reading) <= self._limit.ceiling
        self._read_leads([[item] for item in reading] if reads_alone else [reading])

    def _preview(self, pending: _Pending) -> Work:
        """Read the lead, then its conversion options if needed; note the outcome."""
        try:
            row = self._row(pending.lead_id)
            if not may_be_previewed(row):
                pending.outcome = row
                return
            lead: Lead | None = yield ReadLead(row)
            if needs_no_options(lead):
                found = matching.assess(lead)
            else:
                found = yield Call(partial(assess_with_options, lead=lead))
            if self._stores:
                row = store_preview(row, found)
            else:
                lifecycle.previewed(row, found).apply()
            pending.outcome = row
        except ZohoError as error:
            pending.outcome = error

    def _row(self, lead_id: str) -> LeadConversion:
        if not self._stores:
            return row_without_preview(self._connection, lead_id)
        return get_or_create_row(connection_id=self._connection.pk, lead_id=lead_id)

    def _read_leads(self, groups: Iterable[list[WorkItem]]) -> None:
        """Read the leads that generators wait for, each group with one call."""
        for items in filter(None, groups):
            rows = [item.request.row for item in items if isinstance(item.request, ReadLead)]
            function = partial(read_leads, lead_ids=[row.lead_id for row in rows])
            self._waiting.append(_PreviewCall(items=items, function=function))

    def _advance(self, item: WorkItem, value: Any = None, error: ZohoError | None = None) -> None:
        """Run a generator to its next request; a call is made when it is free."""
        item.advance(value, error)
        if isinstance(item.request, Call):
            self._waiting.append(_PreviewCall(items=[item], function=item.request.function))

    # Calls

    def _start_calls(self) -> None:
        while self._waiting and self._in_flight < self._limit.calls:
            call = self._waiting.popleft()
            try:
                self._start(call)
            except ZohoError as error:
                self._fail(call, error)

    def _start(self, call: _PreviewCall) -> None:
        """
        Make a call in a thread.

        :raises ZohoError: if there is no access token
        """
        token = self._access_token(call.rejected)
        client = clients.client_with_token(self._connection, token, self._record_use)
        call.token, call.started = token, time.monotonic()
        self._in_flight += 1
        self._pool.apply_async(
            call.function,
            (client,),
            callback=lambda result: self._finished.put((call, result, None)),
            error_callback=lambda error: self._finished.put((call, None, error)),
        )

    def _access_token(self, rejected: Secret | None) -> Secret:
        """Return the token that signs the calls; it is asked for once for all leads of a read."""
        pk, token_id = self._connection.pk, self._token_id
        if rejected and self._token in (None, rejected):
            self._token = tokens.refresh_rejected(
                connection_id=pk, token_id=token_id, rejected=rejected
            )
        self._token = self._token or tokens.access_token(connection_id=pk, token_id=token_id)
        return self._token

    def _record_use(self, kind: str, was_refused: bool) -> None:
        """Record a call for the usage; runs in the thread of the call."""
        self._calls.append((kind, was_refused))

    def _take_result(self, call: _PreviewCall, result: Any, error: BaseException | None) -> None:
        """
        Hand a result to the generators that wait for it, or make the call again if that may help.

        :raises BaseException: if our own code failed in the call
        """
        was_alone = self._in_flight == 1
        self._in_flight -= 1
        if error is None:
            self._limit.increase()
            self._hand_over(call.items, result)
        elif isinstance(error, RateLimitError) and not was_alone:
            self._limit.decrease(started=call.started)
            self._waiting.appendleft(call)
        elif isinstance(error, AccessTokenRejectedError) and not call.rejected:
            call.rejected = call.token
            self._waiting.appendleft(call)
        elif isinstance(error, ZohoError):
            self._fail(call, error)
        else:
            raise error

    def _hand_over(self, items: list[WorkItem], result: Any) -> None:
        """Hand the result of a call to its generators: of leads that were read, to each its own."""
        for item in items:
            if isinstance(item.request, ReadLead):
                self._advance(item, result.get(item.request.row.lead_id))
            else:
                self._advance(item, result)

    def _fail(self, call: _PreviewCall, error: ZohoError) -> None:
        """Raise an error in the generator; leads that cannot be read together are read singly."""
        if len(call.items) > 1:
            self._read_leads([item] for item in call.items)
        else:
            self._advance(call.items[0], error=error)


def concurrency_limit(connection: Connection) -> ConcurrencyLimit:
    """
    Return the limit of calls for a person: what a worker may use, or what it leaves to others.

    A single call comes first: an error that every call would meet then costs only one.
    """
    ceiling = max_concurrency(conf().MAX_CONCURRENCY, connection.edition)
    work = ConnectionWork.objects.filter(connection=connection)
    if work.filter(lease_until__gt=DbNow()).exists():
        ceiling = min(ceiling, RESERVED_CALLS)
    return ConcurrencyLimit(value=1.0, ceiling=ceiling, met=False)
