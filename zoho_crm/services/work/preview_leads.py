"""
Previews for a person who waits for them: of many leads, with several calls to Zoho at a time.

They are no work of the queue: nothing is due afterwards, no lease is needed, as only reads are
made, and an error is told at once instead of a retry later.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing.pool import ThreadPool
from queue import SimpleQueue
from typing import TypeAlias

from zoho_crm.client import MAX_IDS_PER_CALL, TokenAuth, ZohoClient
from zoho_crm.conf import conf
from zoho_crm.exceptions import AccessTokenRejectedError, RateLimitError, ZohoError
from zoho_crm.matching import Preview
from zoho_crm.models import Connection, ConnectionWork, LeadConversion
from zoho_crm.models._database import DbNow
from zoho_crm.services import lifecycle, tokens, usage
from zoho_crm.services._zoho import client_of
from zoho_crm.services.preview import (
    assess_with_options,
    fetch_preview,
    get_or_create_row,
    may_be_previewed,
    row_without_preview,
    store_preview,
)
from zoho_crm.services.work._health import ConcurrencyLimit
from zoho_crm.types import ApiCall, Secret

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
    previews = _LeadPreviews(Connection.objects.get(pk=connection_id), user)
    try:
        yield from previews.run(iter(lead_ids))
    finally:
        previews.close()


@dataclass(kw_only=True)
class _Pending:
    """A lead whose preview was begun and is not yielded yet."""

    lead_id: str
    outcome: LeadPreview | None = None


@dataclass(kw_only=True)
class _Call:
    """A call that reads the preview of a row, in a thread."""

    pending: _Pending
    row: LeadConversion
    read: Callable[[ZohoClient], Preview]
    #: The access token that signs it, and the one that Zoho rejected before.
    token: Secret | None = None
    rejected: Secret | None = None
    #: When it was started, on the monotonic clock.
    started: float = 0.0


class _LeadPreviews:
    """Runs the previews of ``preview_leads``; threads call Zoho, and do nothing else."""

    def __init__(self, connection: Connection, user: str | None) -> None:
        self._connection = connection
        self._stores = user is None
        self._token_id = None if user is None else tokens.token_of(connection, user).pk
        self._token: Secret | None = None
        self._limit = concurrency_limit(connection)
        #: Its threads do not outlive the process: an interrupt ends a command at once.
        self._pool = ThreadPool(self._limit.ceiling)
        #: In the order of the leads, until they are yielded.
        self._pending: deque[_Pending] = deque()
        self._waiting: deque[_Call] = deque()
        self._in_flight = 0
        #: Results of calls; filled by the threads.
        self._finished: SimpleQueue[tuple[_Call, Preview | BaseException]] = SimpleQueue()
        #: Calls to Zoho so far, for the usage.
        self._calls: list[ApiCall] = []

    def close(self) -> None:
        """End the threads, and count the calls."""
        self._pool.terminate()
        usage.record(self._connection.pk, self._calls)

    def run(self, lead_ids: Iterator[str]) -> Iterator[tuple[str, LeadPreview]]:
        """Yield the id of each lead with its preview."""
        while True:
            while self._pending and (outcome := self._pending[0].outcome):
                yield self._pending.popleft().lead_id, outcome
            if not self._waiting and len(self._pending) < MAX_IDS_PER_CALL and self._is_free:
                self._begin(lead_ids)
            while self._waiting and self._is_free:
                self._start(self._waiting.popleft())
            if self._in_flight:
                self._take_result()
            elif not self._pending:
                return

    @property
    def _is_free(self) -> bool:
        return self._in_flight < self._limit.calls

    def _begin(self, lead_ids: Iterator[str]) -> None:
        """Begin the previews of the next leads."""
        self._token = None  # it may end soon
        calls = []
        for lead_id in islice(lead_ids, MAX_IDS_PER_CALL):
            pending = _Pending(lead_id=lead_id)
            self._pending.append(pending)
            try:
                row = self._row(lead_id)
                if may_be_previewed(row):
                    read = partial(fetch_preview, lead_id=row.lead_id)
                    calls.append(_Call(pending=pending, row=row, read=read))
                else:
                    pending.outcome = row
            except ZohoError as error:
                pending.outcome = error
        # A few are read as fast one by one, and an error of one read costs no other lead a call.
        if len(calls) > self._limit.ceiling:
            self._read_together(calls)
        self._waiting += calls

    def _row(self, lead_id: str) -> LeadConversion:
        if not self._stores:
            return row_without_preview(self._connection, lead_id)
        return get_or_create_row(connection_id=self._connection.pk, lead_id=lead_id)

    def _read_together(self, calls: list[_Call]) -> None:
        """Read the leads of these calls with one call; if that fails, each reads its own."""
        try:
            found = self._client().leads.get_many(call.row.lead_id for call in calls)
        except ZohoError:
            return
        self._limit.increase()
        for call in calls:
            call.read = partial(assess_with_options, lead=found.get(call.row.lead_id))

    def _start(self, call: _Call) -> None:
        """Make a call in a thread; without an access token, the error is the outcome."""
        try:
            client = self._client(call.rejected)
        except ZohoError as error:
            call.pending.outcome = error
            return
        call.token, call.started = self._token, time.monotonic()
        self._in_flight += 1
        self._pool.apply_async(
            call.read,
            (client,),
            callback=lambda found: self._finished.put((call, found)),
            error_callback=lambda error: self._finished.put((call, error)),
        )

    def _client(self, rejected: Secret | None = None) -> ZohoClient:
        """Return a client; its access token is asked for once for all leads of a batch."""
        pk, token_id = self._connection.pk, self._token_id
        if rejected and self._token in (None, rejected):
            self._token = tokens.refresh_rejected(
                connection_id=pk, token_id=token_id, rejected=rejected
            )
        self._token = self._token or tokens.access_token(connection_id=pk, token_id=token_id)
        return client_of(self._connection, TokenAuth(self._token), self._calls.append)

    def _take_result(self) -> None:
        """
        Store the preview that a thread has read, or make its call again if that may help.

        :raises BaseException: if our own code failed in the call
        """
        call, result = self._finished.get()
        was_alone = self._in_flight == 1
        self._in_flight -= 1
        if isinstance(result, Preview):
            self._limit.increase()
            call.pending.outcome = self._stored(call.row, result)
        elif isinstance(result, RateLimitError) and not was_alone:
            self._limit.decrease(started=call.started)
            self._waiting.appendleft(call)
        elif isinstance(result, AccessTokenRejectedError) and not call.rejected:
            call.rejected = call.token
            self._waiting.appendleft(call)
        elif isinstance(result, ZohoError):
            call.pending.outcome = result
        else:
            raise result

    def _stored(self, row: LeadConversion, found: Preview) -> LeadPreview:
        if not self._stores:
            lifecycle.previewed(row, found).apply()
            return row
        try:
            return store_preview(row, found)
        except ZohoError as error:
            return error


def concurrency_limit(connection: Connection) -> ConcurrencyLimit:
    """
    Return the limit of calls for a person: what a worker may use, or what it leaves to others.

    A single call comes first: an error that every call would meet then costs only one.
    """
    ceiling = usage.max_concurrency(conf().MAX_CONCURRENCY, connection.edition)
    work = ConnectionWork.objects.filter(connection=connection)
    if work.filter(lease_until__gt=DbNow()).exists():
        ceiling = min(ceiling, usage.RESERVED_CALLS)
    return ConcurrencyLimit(value=1.0, ceiling=ceiling, met=False)
