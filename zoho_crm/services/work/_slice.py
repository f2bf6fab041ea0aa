"""One slice of work on one connection: threads call Zoho, the main thread moves the rows."""

from __future__ import annotations

import logging
import time
from functools import partial
from threading import Event
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from zoho_crm.exceptions import ConnectionLostError, CreditsExhaustedError, ZohoError
from zoho_crm.models import ConnectionWork, LeadConversion
from zoho_crm.services import mass_convert, tokens, usage
from zoho_crm.services.convert import write_moves
from zoho_crm.services.work._condition import PROBE
from zoho_crm.services.work._crew import Errand
from zoho_crm.services.work._desk import Desk
from zoho_crm.services.work._errands import fetch_token
from zoho_crm.services.work._intake import Intake
from zoho_crm.services.work._jobs import Jobs
from zoho_crm.services.work._previews import Previews
from zoho_crm.services.work._sending import Sending
from zoho_crm.services.work._settling import Settling
from zoho_crm.types import Secret

logger = logging.getLogger(__name__)

#: Seconds before the loop turns once more.
TURN = 0.2
#: Seconds between two looks into the tables, and two steps of the runs: at most, for short slices
#: look more often.
LOOK = 0.5
#: Moves that are written together, and seconds that they wait for others.
SET = 50
WRITE = 0.25


class Slice:
    """Work the due rows of a connection until the time is over or nothing is due."""

    def __init__(self, lease: ConnectionWork, stop: Event) -> None:
        self._desk = Desk(lease)
        #: The most urgent first.
        parts = (Settling, Sending, Jobs, Previews, Intake)
        self._parts = [part(self._desk) for part in parts]
        self._stop = stop
        self._end = time.monotonic() + self._desk.conf.SLICE
        self._renew_at = time.monotonic() + self._desk.conf.LEASE / 4
        self._look_at = self._write_at = 0.0
        #: Runs whose rows were moved.
        self._touched: set[int] = set()
        self._calls: list[tuple[str, bool]] = []
        self._token: Secret | None = None

    def run(self) -> dict[str, Any]:
        """Work, and return what was learnt for the next slice, as columns of ``ConnectionWork``."""
        try:
            self._look_anew()
            while not self._is_idle():
                self._gather()
                self._hand_out()
                if self._desk.crew.is_idle:
                    self._look_anew()
        finally:
            self._desk.crew.dismiss()
            usage.record(self._desk.connection.pk, self._calls)
        return self._learnt()

    def _is_idle(self) -> bool:
        runs_go_on = any(run.is_due for run in self._desk.runs) and not self._is_over()
        return self._desk.crew.is_idle and not runs_go_on

    def _look_anew(self) -> None:
        """Hand out what there is in the tables: with nothing in hand, nobody knows of it."""
        self._write()
        mass_convert.mark_due(self._touched)
        self._touched.clear()
        self._look_at = 0.0
        self._hand_out()

    def _hand_out(self) -> None:
        if self._is_over():
            return
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + min(LOOK, self._desk.conf.SLICE / 10)
            self._desk.look(mass_convert.advance_runs(self._desk.connection.pk))
            self._leave_a_reserve()
        if self._has_token():
            for part in self._parts:
                part.hand_out()

    def _leave_a_reserve(self) -> None:
        """Stop before other programs of the organisation have no credits left."""
        left = self._credits_remaining()
        if usage.is_used_up(self._desk.connection, left):
            message = _("Only the credits that are left to other programs remain.")
            self._desk.condition.back_off(PROBE, CreditsExhaustedError(message, code="reserve"))

    def _credits_remaining(self) -> int | None:
        return self._desk.client.api.credits_remaining if self._token else None

    def _is_over(self) -> bool:
        waits = self._desk.condition.backoff is not None
        return self._stop.is_set() or waits or time.monotonic() > self._end

    def _gather(self) -> None:
        """Take in what the threads brought, write it in sets, and keep the lease."""
        desk = self._desk
        for errand, future in desk.crew.gather(patience=min(TURN, desk.conf.LEASE / 8)):
            error = future.exception()
            if error is None:
                errand.done(errand, future.result())
            else:
                errand.failed(errand, error)
        if self._is_time_to_write():
            self._write()
        if time.monotonic() > self._renew_at:
            self._renew()

    def _is_time_to_write(self) -> bool:
        """Whether enough has come together; a refusal may stop a run, and does not wait."""
        moves = self._desk.moves
        is_refused = any(move.to == LeadConversion.Status.FAILED for move in moves)
        return is_refused or len(moves) >= SET or time.monotonic() >= self._write_at

    def _write(self) -> None:
        desk = self._desk
        if desk.moves:
            write_moves(desk.moves, desk.plans)
            mass_convert.check_circuit_breaker(desk.moves)
            self._touched |= {move.row.mass_conversion_id or 0 for move in desk.moves}
            desk.moves, desk.plans = [], {}
        self._write_at = time.monotonic() + WRITE

    def _renew(self) -> None:
        lease = self._desk.conf.LEASE
        self._renew_at = time.monotonic() + lease / 4
        if not self._desk.lease.renew(seconds=lease):
            logger.warning("The lease of connection %s went to another", self._desk.connection.pk)
            self._end = 0.0

    def _learnt(self) -> dict[str, Any]:
        credits = self._credits_remaining()
        learnt = {} if credits is None else {"credits_remaining": credits}
        return {**self._desk.condition.learnt(), **learnt}

    # The access token

    def _has_token(self) -> bool:
        if self._needs_token and self._desk.crew.is_idle:
            self._fetch_token()
        return not self._needs_token

    @property
    def _needs_token(self) -> bool:
        return self._token is None or self._desk.condition.token_rejected

    def _fetch_token(self) -> None:
        """Take the access token that is at hand; else a thread asks Zoho, which may take long."""
        pk = self._desk.connection.pk
        errand = Errand(rows=(), done=self._token_came, failed=self._token_failed, is_call=False)
        try:
            token = tokens.stored_access_token(connection_id=pk) if self._token is None else None
        except (ZohoError, ImproperlyConfigured) as error:
            self._token_failed(errand, error)
        else:
            if token:
                self._token_came(errand, token)
            else:
                self._desk.crew.send(errand, partial(fetch_token, pk, self._token))

    def _token_came(self, _errand: Errand, token: Secret) -> None:
        self._token, self._desk.condition.token_rejected = token, False
        self._desk.client = tokens.client_with_token(self._desk.connection, token, self._heard)

    def _heard(self, kind: str, was_refused: bool) -> None:
        """Note a call, in whatever thread it was; the list is written when the slice is over."""
        self._calls.append((kind, was_refused))

    def _token_failed(self, _errand: Errand, error: BaseException) -> None:
        if isinstance(error, ConnectionLostError):
            self._end = 0.0
        else:
            self._desk.condition.no_token(error)
