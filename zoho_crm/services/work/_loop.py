"""
The loop of a worker: it runs the generators that say what happens to each row.

Threads call Zoho; everything between two calls happens in the main thread, which alone reads and
writes the tables. The loop alone knows of the lease, the limit, the priority and the time.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from math import inf
from threading import Event
from typing import Any, NamedTuple

from django.db import close_old_connections

from zoho_crm.client import MAX_IDS_PER_CALL
from zoho_crm.exceptions import AccessTokenRejectedError, CreditsExhaustedError, ZohoError
from zoho_crm.models import ConnectionWork, LeadConversion
from zoho_crm.models._moves import Move
from zoho_crm.services import lifecycle, usage
from zoho_crm.services.convert import write_moves, write_moves_singly
from zoho_crm.services.mass_convert._steps import advance_runs, check_circuit_breaker, mark_due
from zoho_crm.services.outages import OUTAGE_ERRORS, VALUE_ERRORS, is_outage
from zoho_crm.services.work._context import Step, WorkContext, priority
from zoho_crm.services.work._health import PROBE_SECONDS
from zoho_crm.services.work._mass_jobs import MassJobsStep
from zoho_crm.services.work._outbox import OutboxStep
from zoho_crm.services.work._preview import PreviewStep, StageLeadsStep
from zoho_crm.services.work._read_organisation import ReadOrganisationStep
from zoho_crm.services.work._requests import (
    All,
    Call,
    PendingCall,
    ReadLead,
    Result,
    Transaction,
    Turn,
    UnexpectedError,
    WorkItem,
    read_leads,
)
from zoho_crm.services.work._send import SendStep, SettleStep

logger = logging.getLogger(__name__)

#: The most urgent first.
STEPS = (
    SettleStep,
    OutboxStep,
    SendStep,
    MassJobsStep,
    PreviewStep,
    StageLeadsStep,
    ReadOrganisationStep,
)
#: The longest wait for results in one pass of the loop.
MAX_WAIT_SECONDS = 0.2
#: If nothing will be due for so long, the loop ends: the next one costs less than to wait.
MAX_IDLE_SECONDS = 0.25
#: The longest time between two refreshes; with a small ``SLICE`` it is shorter.
MAX_REFRESH_SECONDS = 0.5
#: Moves that are written together, and the longest time that a move waits for others.
WRITE_BATCH_ROWS = 50
MAX_WRITE_DELAY_SECONDS = 0.25
#: Seconds until a step is repeated that met an outage of the database.
OUTAGE_RETRY_SECONDS = 0.5


class Answer(NamedTuple):
    """What a generator waited for: a value, a transaction to write, or an error to raise in it."""

    item: WorkItem
    value: Any = None
    error: BaseException | None = None


class Guard:
    """Keeps an error that the block raises, so that it costs no more than the block's own rows."""

    error: Exception | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: Any, error: BaseException | None, _traceback: Any) -> bool:
        self.error = error if isinstance(error, Exception) else None
        return self.error is not None


class WorkLoop:
    """Works the due rows of a connection until the slice is over or nothing is due."""

    def __init__(self, lease: ConnectionWork, stop: Event) -> None:
        self._context = context = WorkContext(lease)
        self._steps = [step(context) for step in STEPS]
        self._token_step = Step(context)
        #: What generators waited for and have not received yet.
        self._answers: deque[Answer] = deque()
        self._stop = stop
        # Times on the monotonic clock.
        self._end = time.monotonic() + context.settings.SLICE
        self._renew_lease_at = time.monotonic() + context.settings.LEASE / 4
        self._refresh_at = self._write_at = 0.0
        #: Primary keys of the runs whose rows were moved since the last refresh.
        self._moved_runs: set[int] = set()

    def run(self) -> dict[str, Any]:
        """Work the rows, and return what ``ConnectionWork.release`` keeps for the next worker."""
        context = self._context
        try:
            self._repeat_after_outages(self._refresh_and_start_calls)
            while not self._is_finished():
                self._repeat_after_outages(self._go_on)
        finally:
            context.pool.shutdown()
            usage.record(context.connection.pk, context.health.calls)
        return context.health.columns()

    def _go_on(self) -> None:
        self._collect_results()
        self._start_calls()
        if self._context.pool.is_idle:
            self._refresh_and_start_calls()

    def _is_finished(self) -> bool:
        return self._context.pool.is_idle and self._seconds_until_due() > MAX_IDLE_SECONDS

    def _seconds_until_due(self) -> float:
        """Return the seconds until the next call may be due; infinite if none may start then."""
        context = self._context
        if self._is_stopping() or not context.free_calls:
            return inf
        if context.pool.is_idle and any(run.is_due for run in context.runs):
            return 0.0
        return max(0.0, min(step.due_at for step in self._steps) - time.monotonic())

    def _is_stopping(self) -> bool:
        """Return whether no more calls may start: stop signal, back-off, or end of the slice."""
        is_over = self._stop.is_set() or time.monotonic() > self._end
        return is_over or self._context.health.must_stop

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

    # What is due

    def _refresh_and_start_calls(self) -> None:
        """Write all moves, then start calls for what is due in the tables now."""
        self._hand_over()
        self._write()
        mark_due(self._moved_runs)
        self._moved_runs.clear()
        self._refresh_at = 0.0
        self._start_calls()

    def _start_calls(self) -> None:
        """Begin what is due, after a refresh if it is time, and start calls; none if it stops."""
        if time.monotonic() >= self._refresh_at and not self._is_stopping():
            self._refresh()
        if self._is_stopping():
            self._close_waiting()
            return
        if self._has_token():
            for step in self._steps:
                if self._context.free_calls:
                    self._begin(step.due(), step)
                    self._hand_over()
                self._read_leads(step)
                self._give_turns(step)
                self._make_calls(step)

    def _refresh(self) -> None:
        context = self._context
        seconds = min(MAX_REFRESH_SECONDS, context.settings.SLICE / 10)
        self._refresh_at = time.monotonic() + seconds
        context.refresh(advance_runs(context.connection.pk))
        if usage.is_used_up(context.connection, context.health.credits_remaining):
            # Only the credits that are reserved for other programs remain.
            context.health.back_off(PROBE_SECONDS, CreditsExhaustedError(code="reserve"))
        if not context.may_go_on():
            # No claim would be written, and its row would be read again and again.
            logger.warning("Connection %s is not worked any more", context.connection.pk)
            self._end = 0.0

    def _has_token(self) -> bool:
        """Return whether there is an access token; get one if not, once no call is pending."""
        health = self._context.health
        if health.needs_token and self._context.pool.is_idle:
            self._begin([WorkItem(health.get_token())], self._token_step)
            self._hand_over()
        return not health.needs_token

    def _close_waiting(self) -> None:
        """End the generators that wait for a call; their rows are still due."""
        for step in self._steps:
            while step.waiting:
                item = step.waiting.pop()
                item.close()
                self._end_item(item)
                self._hand_over()

    # Calls that generators wait for, while calls are free

    def _read_leads(self, step: Step) -> None:
        """Read the leads that generators wait for, up to 100 with a call."""
        reading = [item for item, _request in step.waiting_for(ReadLead)]
        together = [item for item in reading if not item.reads_alone][:MAX_IDS_PER_CALL]
        for items in [together, *([item] for item in reading if item.reads_alone)]:
            if items and self._context.free_calls:
                lead_ids = [item.rows[0].lead_id for item in items]
                step.remove(items)
                self._start(items, Call(partial(read_leads, lead_ids=lead_ids)))

    def _give_turns(self, step: Step) -> None:
        """Commit the claims that calls are free for, then let their generators make the calls."""
        settings, now = self._context.settings, time.monotonic()
        waiting = step.waiting_for(Turn)
        stale = [item for item, turn in waiting if turn.read_at <= now - settings.CALL_DEADLINE]
        turns = list(self._most_urgent(step, [pair for pair in waiting if pair[0] not in stale]))
        claims = [turn.claim for _item, turn in turns if turn.claim]
        claimed = {move.row.pk for move in self._written(claims)}
        latest = now + settings.LEASE - settings.CALL_DEADLINE
        for item, turn in turns:
            item.has_turn = turn.claim is None or item.rows[0].pk in claimed
        for item in [*stale, *(item for item, _turn in turns)]:
            self._answers.append(Answer(item, latest if item.has_turn else None))
            step.remove([item])
        self._hand_over()

    def _most_urgent(
        self, step: Step, turns: list[tuple[WorkItem, Turn]]
    ) -> Iterator[tuple[WorkItem, Turn]]:
        """Yield as many turns as calls are free; the canaries of a run go one at a time."""
        context = self._context
        free = context.free_calls
        begun = [item for item in context.items if item.has_turn and item.step is step]
        runs_in_flight = {row.mass_conversion_id for item in begun for row in item.rows[:1]}
        for item, turn in sorted(turns, key=lambda pair: tuple(map(priority, pair[0].rows[:1]))):
            run = item.rows[0].mass_conversion if turn.claim else None
            is_next_canary = run and run.pk in runs_in_flight and not context.canaries_passed(run)
            if free and not is_next_canary:
                free -= 1
                runs_in_flight.add(run.pk if run else None)
                yield item, turn

    def _written(self, claims: list[Move]) -> list[Move]:
        only_if = self._context.may_be_claimed
        return LeadConversion.objects.move(claims, only_if=only_if) if claims else []

    def _make_calls(self, step: Step) -> None:
        """Make the other calls that generators wait for."""
        for item, call in step.waiting_for(Call):
            if self._context.free_calls:
                step.remove([item])
                self._start([item], call)

    def _start(self, items: list[WorkItem], call: Call) -> None:
        """Start a call in a thread, for the generators that wait for its result."""
        function = partial(call.function, self._context.health.client)
        self._context.pool.start(PendingCall(items=items, call=call), function)

    # Generators

    def _begin(self, items: Iterable[WorkItem], step: Step) -> None:
        """Begin generators, unless there is one with the same key."""
        for item in items:
            if item.key is None or not self._context.is_begun(item.key):
                item.step = step
                self._context.items.add(item)
                self._answers.append(Answer(item))

    def _hand_over(self) -> None:
        """Hand answers to the generators that wait for them; write their transactions at once."""
        while self._answers:
            answer = self._answers[0]
            if isinstance(answer.value, Transaction):
                answer = self._write_transaction(*answer)  # an outage leaves it the first
            self._answers.popleft()
            self._advance(answer)

    def _write_transaction(self, item: WorkItem, transaction: Transaction, *_more: Any) -> Answer:
        try:
            return Answer(item, transaction.write())
        except VALUE_ERRORS as error:
            if is_outage(error):
                raise
            return Answer(item, error=UnexpectedError(error))

    def _advance(self, answer: Answer) -> None:
        """Run a generator to its next request, and note what it waits for or that it has ended."""
        item, guard = answer.item, Guard()
        with guard:
            item.advance(answer.value, answer.error)
        if guard.error:
            self._fail(item, guard.error)
            return
        match item.request:
            case None:
                self._end_item(item)
            case Result(move=move, decision=decision):
                self._context.moves.append(move)
                if decision:
                    self._context.decisions[move.row.pk] = decision
                self._answers.appendleft(Answer(item))
            case Transaction() as transaction:
                self._answers.appendleft(Answer(item, transaction))
            case Call() as call if item.has_turn or not call.is_zoho_call:
                self._start([item], call)
            case All(items=children):
                item.children = len(children)
                for child in children:
                    child.parent = item
                self._begin(children, item.step)
            case _:
                item.step.waiting.append(item)

    def _end_item(self, item: WorkItem) -> None:
        self._context.items.discard(item)
        if item.parent:
            item.parent.children -= 1
            if not item.parent.children:
                self._answers.append(Answer(item.parent))

    def _fail(self, item: WorkItem, error: BaseException) -> None:
        """
        Note what an error that a generator did not catch means for its rows.

        :raises Error: an outage of the database, after which unclaimed rows are still due
        """
        self._end_item(item)
        error = error.cause if isinstance(error, UnexpectedError) else error
        if is_outage(error) and not item.has_turn:
            raise error
        if item.on_error:
            item.on_error(error)
        elif not item.rows:
            logger.error("The worker met an internal error", exc_info=error)
        self._context.moves += [move_after_error(row, error, item.has_turn) for row in item.rows]

    # Results

    def _collect_results(self) -> None:
        """Handle the results of finished calls, write moves in batches, and renew the lease."""
        longest = min(MAX_WAIT_SECONDS, self._context.settings.LEASE / 8)
        timeout = min(longest, self._seconds_until_due())
        for pending, future in self._context.pool.finished(timeout=timeout):
            self._take_results(pending, future)
        self._hand_over()
        if self._should_write():
            self._write()
        if time.monotonic() > self._renew_lease_at:
            self._renew_lease()

    def _take_results(self, pending: PendingCall, future: Future[Any]) -> None:
        """Note the results of a call; leads that our code cannot read together are read singly."""
        error, items, health = future.exception(), pending.items, self._context.health
        is_ours = not isinstance(error, ZohoError) or error.code == "unknown_form"
        if error is None:
            health.record(pending, None)
            for item in items:
                result, is_read = future.result(), isinstance(item.request, ReadLead)
                value = result.get(item.rows[0].lead_id) if is_read else result
                self._answers.append(Answer(item, value))
        elif len(items) > 1 and is_ours:
            logger.error("Reading %s leads failed; one by one now", len(items), exc_info=error)
            for item in items:
                item.reads_alone = True
                item.step.waiting.append(item)
        else:
            health.record(pending, error)
            error = error if isinstance(error, ZohoError) else UnexpectedError(error)
            self._answers.extend(Answer(item, error=error) for item in items)

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
            check_circuit_breaker(context.moves)
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


def move_after_error(row: LeadConversion, error: BaseException, may_be_sent: bool) -> Move:
    """
    Return the move of a row after an error that its generator did not catch.

    An error of Zoho's came from a read, if nothing can have been sent: the row is read again later.
    """
    if isinstance(error, ZohoError) and not may_be_sent:
        at_once = isinstance(error, AccessTokenRejectedError)
        return lifecycle.postponed(row, error, at_once=at_once)
    logger.error("Conversion %s met an internal error", row.pk, exc_info=error)
    return lifecycle.internal_error(row, error)
