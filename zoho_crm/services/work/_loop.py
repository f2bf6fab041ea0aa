"""The loop of a worker: threads call Zoho, the main thread reads and writes the tables."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from threading import Event
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import close_old_connections, connections

from zoho_crm.exceptions import (
    AuthorizationError,
    ConnectionLostError,
    CreditsExhaustedError,
    ZohoError,
)
from zoho_crm.models import ConnectionWork, LeadConversion
from zoho_crm.services import clients, mass_convert, tokens, usage
from zoho_crm.services.convert import write_moves, write_moves_singly
from zoho_crm.services.outages import OUTAGE_ERRORS, VALUE_ERRORS, is_outage
from zoho_crm.services.work._context import WorkContext
from zoho_crm.services.work._health import PROBE_SECONDS
from zoho_crm.services.work._mass_jobs import MassJobsStep
from zoho_crm.services.work._pool import PendingCall
from zoho_crm.services.work._preview import PreviewStep
from zoho_crm.services.work._read_organisation import ReadOrganisationStep
from zoho_crm.services.work._send import SendStep
from zoho_crm.services.work._settle import SettleStep
from zoho_crm.services.work._stage_leads import StageLeadsStep
from zoho_crm.types import Secret

logger = logging.getLogger(__name__)

#: The longest wait for results in one pass of the loop.
MAX_WAIT_SECONDS = 0.2
#: The longest time between two refreshes; with a small ``SLICE`` it is shorter.
MAX_REFRESH_SECONDS = 0.5
#: Moves that are written together, and the longest time that a move waits for others.
WRITE_BATCH_ROWS = 50
MAX_WRITE_DELAY_SECONDS = 0.25
#: Seconds until a step is repeated that met an outage of the database.
OUTAGE_RETRY_SECONDS = 0.5


class WorkLoop:
    """Works the due rows of a connection until the slice is over or nothing is due."""

    def __init__(self, lease: ConnectionWork, stop: Event) -> None:
        self._context = WorkContext(lease)
        #: The most urgent first.
        steps = (
            SettleStep,
            SendStep,
            MassJobsStep,
            PreviewStep,
            StageLeadsStep,
            ReadOrganisationStep,
        )
        self._steps = [step(self._context) for step in steps]
        self._stop = stop
        # Times on the monotonic clock.
        self._end = time.monotonic() + self._context.settings.SLICE
        self._renew_lease_at = time.monotonic() + self._context.settings.LEASE / 4
        self._refresh_at = self._write_at = 0.0
        #: Primary keys of the runs whose rows were moved since the last refresh.
        self._moved_runs: set[int] = set()
        #: The calls to Zoho, for the usage: kind, and whether it hit a rate limit.
        self._calls: list[tuple[str, bool]] = []
        self._token: Secret | None = None

    def run(self) -> dict[str, Any]:
        """Work the rows, and return what ``ConnectionWork.release`` keeps for the next worker."""
        try:
            self._repeat_after_outages(self._refresh_and_start_calls)
            while not self._is_finished():
                self._repeat_after_outages(self._go_on)
        finally:
            self._context.pool.shutdown()
            usage.record(self._context.connection.pk, self._calls)
        return self._columns()

    def _go_on(self) -> None:
        self._collect_results()
        self._start_calls()
        if self._context.pool.is_idle:
            self._refresh_and_start_calls()

    def _repeat_after_outages(self, step: Callable[[], None]) -> None:
        """
        Do a step until it meets no outage of the database; nothing that it had to write is lost.

        :raises Error: of the database, if the loop is to stop or its lease may end soon
        """
        while True:
            is_last_try = self._stop.is_set()
            try:
                return step()
            except OUTAGE_ERRORS as error:
                lasts_until = self._renew_lease_at + self._context.settings.LEASE / 2
                if is_last_try or not is_outage(error) or time.monotonic() > lasts_until:
                    raise
                self._wait_for_database(error)

    def _wait_for_database(self, error: BaseException) -> None:
        """Log an outage of the database, and wait a little, at most until the loop is to stop."""
        pk = self._context.connection.pk
        logger.warning("The database fails the worker of connection %s, it goes on: %s", pk, error)
        close_old_connections()
        # A step of one of them may not have ended.
        self._moved_runs |= {run.pk for run in self._context.runs}
        self._stop.wait(OUTAGE_RETRY_SECONDS)

    def _is_finished(self) -> bool:
        is_run_due = any(run.is_due for run in self._context.runs) and not self._is_stopping()
        return self._context.pool.is_idle and not is_run_due

    def _refresh_and_start_calls(self) -> None:
        """Write all moves, then start calls for what is due in the tables now."""
        self._write()
        mass_convert.mark_due(self._moved_runs)
        self._moved_runs.clear()
        self._refresh_at = 0.0
        self._start_calls()

    def _start_calls(self) -> None:
        """Have each step start calls, after a refresh if it is time; none if the loop stops."""
        if self._is_stopping():
            return
        if time.monotonic() >= self._refresh_at:
            seconds = min(MAX_REFRESH_SECONDS, self._context.settings.SLICE / 10)
            self._refresh_at = time.monotonic() + seconds
            self._context.refresh(mass_convert.advance_runs(self._context.connection.pk))
            self._check_credits()
        if self._has_token():
            for step in self._steps:
                step.start_calls()

    def _check_credits(self) -> None:
        """Back off when only the credits that are reserved for other programs remain."""
        if usage.is_used_up(self._context.connection, self._credits_remaining()):
            error = CreditsExhaustedError(code="reserve")
            self._context.health.back_off(PROBE_SECONDS, error)

    def _credits_remaining(self) -> int | None:
        return self._context.client.api.credits_remaining if self._token else None

    def _is_stopping(self) -> bool:
        """Return whether no more calls may start: stop signal, back-off, or end of the slice."""
        is_backing_off = self._context.health.backoff is not None
        return self._stop.is_set() or is_backing_off or time.monotonic() > self._end

    def _collect_results(self) -> None:
        """Handle the results of finished calls, write moves in batches, and renew the lease."""
        timeout = min(MAX_WAIT_SECONDS, self._context.settings.LEASE / 8)
        results = self._context.pool.finished(timeout=timeout)
        for index, (call, future) in enumerate(results):
            try:
                _handle(call, future)
            except OUTAGE_ERRORS:
                self._context.pool.put_back(results[index:])
                raise
        if self._should_write():
            self._write()
        if time.monotonic() > self._renew_lease_at:
            self._renew_lease()

    def _should_write(self) -> bool:
        """Return whether moves are to be written now; a refusal may stop a run and cannot wait."""
        moves = self._context.moves
        is_refused = any(move.to == LeadConversion.Status.FAILED for move in moves)
        return is_refused or len(moves) >= WRITE_BATCH_ROWS or time.monotonic() >= self._write_at

    def _write(self) -> None:
        context = self._context
        if context.moves:
            try:
                write_moves(context.moves, context.decisions)
            except VALUE_ERRORS as error:
                if is_outage(error):
                    raise
                context.moves = write_moves_singly(context.moves, context.decisions)
            mass_convert.check_circuit_breaker(context.moves)
            self._moved_runs |= {move.row.mass_conversion_id or 0 for move in context.moves}
            context.moves, context.decisions = [], {}
        self._write_at = time.monotonic() + MAX_WRITE_DELAY_SECONDS

    def _renew_lease(self) -> None:
        seconds, begun = self._context.settings.LEASE, time.monotonic()
        is_held = self._context.lease.renew(seconds=seconds)
        self._renew_lease_at = begun + seconds / 4
        if not is_held:
            connection = self._context.connection
            logger.warning("The lease of connection %s was taken by another worker", connection.pk)
            self._end = 0.0

    def _columns(self) -> dict[str, Any]:
        credits = self._credits_remaining()
        columns = {} if credits is None else {"credits_remaining": credits}
        return {**self._context.health.columns(), **columns}

    # The access token

    def _has_token(self) -> bool:
        """Return whether there is an access token; get one if not, once no call is pending."""
        if self._needs_token and self._context.pool.is_idle:
            self._get_token()
        return not self._needs_token

    @property
    def _needs_token(self) -> bool:
        return self._token is None or self._context.health.token_rejected

    def _get_token(self) -> None:
        """Use the stored access token; else fetch one in a thread, for Zoho may take long."""
        pk = self._context.connection.pk
        call = PendingCall(
            rows=(), on_result=self._on_token, on_error=self._on_token_error, is_zoho_call=False
        )
        try:
            token = tokens.stored_access_token(connection_id=pk) if self._token is None else None
        except (ZohoError, ImproperlyConfigured) as error:
            self._on_token_error(call, error)
        else:
            if token:
                self._on_token(call, token)
            else:
                self._context.pool.start(call, partial(fetch_token, pk, self._token))

    def _on_token(self, call: PendingCall, token: Secret) -> None:
        context = self._context
        try:
            client = clients.client_with_token(context.connection, token, self._record_call)
        except (AuthorizationError, ImproperlyConfigured) as error:
            # its data center is not known any more, or the trusted certificates are gone
            self._on_token_error(call, error)
        else:
            context.client, self._token, context.health.token_rejected = client, token, False

    def _record_call(self, kind: str, was_refused: bool) -> None:
        """Record a call for the usage; runs in the thread of the call."""
        self._calls.append((kind, was_refused))

    def _on_token_error(self, _call: PendingCall, error: BaseException) -> None:
        if isinstance(error, ConnectionLostError):
            self._end = 0.0
        elif is_outage(error):
            self._wait_for_database(error)
        else:
            self._context.health.record_missing_token(error)


def _handle(call: PendingCall, future: Future[Any]) -> None:
    """Hand over the result or the error of a call; a result that cannot be written is an error."""
    error = future.exception()
    if error is not None:
        call.on_error(call, error)
        return
    try:
        call.on_result(call, future.result())
    except VALUE_ERRORS as unwritable:
        if is_outage(unwritable):
            raise
        call.on_error(call, unwritable)


def fetch_token(connection_id: int, rejected: Secret | None) -> Secret:
    """
    Return an access token; runs in a thread and closes the thread's database connections.

    :param rejected: the access token that Zoho rejected, if any
    :raises ZohoError: as ``tokens.access_token``
    """
    try:
        if rejected is None:
            return tokens.access_token(connection_id=connection_id)
        return tokens.refresh_rejected(connection_id=connection_id, rejected=rejected)
    finally:
        connections.close_all()
