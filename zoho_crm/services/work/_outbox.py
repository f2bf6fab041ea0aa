"""The step of the outbox: sends pushed records, and settles those whose answer was lost."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from django.db.models import Q

from zoho_crm.client import WriteResult, may_have_arrived
from zoho_crm.exceptions import (
    AccessTokenRejectedError,
    AlreadyConvertedError,
    PermissionDeniedError,
    RequestRefusedError,
    TransientError,
    ZohoError,
)
from zoho_crm.models import OutboxRecord, atomic
from zoho_crm.models._outbox import ADDING_ACTIONS, OutboxMove
from zoho_crm.services.outbox import _lifecycle, contact_of
from zoho_crm.services.outbox._deliveries import (
    FORM_ERRORS,
    MAX_DUE_ROWS,
    Delivery,
    calls_of,
    delivery_of,
    next_groups,
)
from zoho_crm.services.work._context import Step, WorkContext
from zoho_crm.services.work._outbox_calls import READS, send
from zoho_crm.services.work._outbox_checks import DeliveryChecks, read_fields, refuse
from zoho_crm.services.work._requests import (
    All,
    Call,
    Request,
    Transaction,
    Turn,
    Work,
    WorkItem,
)
from zoho_crm.types import Person, PersonKind

logger = logging.getLogger(__name__)

Action = OutboxRecord.Action
Status = OutboxRecord.Status
#: Errors that are Zoho's answer to what was pushed, and say nothing about the connection.
REFUSALS = (RequestRefusedError, AlreadyConvertedError)
#: The code of what goes alone now, after a call about several was refused as a whole.
SENT_ALONE = "not_sent"
#: What is known of a row in doubt without a read.
REPEAT, UNNAMED = "repeat", "unnamed"
#: The part of CALL_DEADLINE, or of a shorter SLICE, in which more people are looked for.
SEARCH_SHARE = 1 / 4
#: Zoho's limit of values in a condition of COQL.
MAX_VALUES_PER_QUERY = 50


class OutboxStep(Step):
    """Sends due pushed records with at most half of the calls, and settles those in doubt."""

    def __init__(self, context: WorkContext) -> None:
        super().__init__(context)
        #: What generators are about.
        self._in_flight: list[Delivery] = []
        #: Primary keys of rows that are sent by calls of their own.
        self._alone: set[int] = set()
        self._calls = 0

    def due(self) -> Iterator[WorkItem]:
        """Yield what is to be done for rows in doubt, and for those to be sent."""
        if not self._is_refreshed():
            return
        connection = self._context.connection.pk
        checks = DeliveryChecks(self._context.connection)
        in_flight = [row for delivery in self._in_flight for row in delivery.rows]
        doubtful = self._apart(built(in_doubt(connection, in_flight), checks))
        for deliveries in by_way_to_settle(doubtful):
            yield self._item(self._settle(deliveries), deliveries)
        free = (self._context.health.limit.calls + 1) // 2 - self._calls
        if free <= 0:
            return
        deliveries = list(built(next_groups(connection, in_flight=in_flight), checks))
        named = [each for each in deliveries if not each.lacks_record]
        if len(named) < len(deliveries):
            error = RequestRefusedError(code="no_record_named")
            refuse((each, error) for each in deliveries if each.lacks_record)
        fitting = checks.fitting(named)
        for module in sorted(checks.unread):
            yield WorkItem(self._read_fields(module), key=("fields", module))
        calls = calls_of(fitting, in_flight=self._in_flight, alone=self._alone)
        for call in [call for call, _number in zip(calls, range(free), strict=False)]:
            yield self._item(self._send(call), call)

    def _apart(self, doubtful: Iterable[Delivery]) -> Iterator[Delivery]:
        """
        Yield the deliveries in doubt whose records nothing else is about now.

        A read would show what an equal delivery adds whose answer is still to come.
        """
        found = list(doubtful)
        taken = {each for delivery in self._in_flight for each in delivery.identities}
        if any(each.action in ADDING_ACTIONS for each in found):
            taken |= {("id", *record) for record in being_added_to(self._context.connection.pk)}
        for delivery in found:
            if not taken & delivery.identities:
                taken |= delivery.identities
                yield delivery

    def _read_fields(self, module: str) -> Work:
        """Read the fields of a module, for which deliveries wait that are checked by them."""
        try:
            yield from read_fields(self._context.connection, module)
        finally:
            self._look_again()

    def _item(self, work: Work, deliveries: Sequence[Delivery]) -> WorkItem:
        self._in_flight += deliveries
        self._calls += 1
        return WorkItem(
            self._held(work, deliveries), on_error=partial(self._fail, deliveries=deliveries)
        )

    def _held(self, work: Work, deliveries: Sequence[Delivery]) -> Work:
        """Do the work; no other generator is begun about these deliveries meanwhile."""
        try:
            yield from work
        finally:
            self._in_flight = [each for each in self._in_flight if each not in deliveries]
            self._calls -= 1
            self._look_again()

    def _fail(self, error: BaseException, *, deliveries: Sequence[Delivery]) -> None:
        """Move the rows after an error in our code; of several, each is tried alone first."""
        logger.error("Pushed records met an internal error", exc_info=error)
        rows = [row for delivery in deliveries for row in delivery.rows]
        fresh = list(OutboxRecord.objects.filter(pk__in=[row.pk for row in rows]))
        running = [row for row in fresh if row.status == Status.RUNNING]
        if len(deliveries) > 1 and not running:
            self._alone |= {row.pk for row in rows}
            return
        broken = [
            row for row in fresh if row.status in (Status.PENDING, Status.RUNNING, Status.UNKNOWN)
        ]
        OutboxRecord.objects.move([_lifecycle.internal_error(row, error) for row in broken])

    # Sending

    def _send(self, deliveries: list[Delivery]) -> Work:
        """Look for known people, claim the rows, send them in one call, and record the answers."""
        read_at = time.monotonic()
        deliveries = yield from self._without_known(deliveries, read_at)
        if not deliveries:
            return
        latest: float | None = yield Turn(read_at=read_at)
        if latest is None:
            return  # what is still due is begun again
        claims = [
            _lifecycle.claimed(row, record=each.record, sent=each.payload_hash)
            for each in deliveries
            for row in each.rows
        ]
        only_if = self._context.lease_is_held
        claimed: list[Delivery] = yield Transaction(
            partial(claim, deliveries, claims, only_if=only_if)
        )
        if not claimed:
            return
        sent_at = time.monotonic()
        results: Sequence[WriteResult]
        try:
            results = yield Call(partial(send, deliveries=claimed, latest=latest), answers=REFUSALS)
        except REFUSALS as error:
            results = self._refused_together(claimed, error)
        except ZohoError as error:
            results = [WriteResult(error=error)] * len(claimed)
        in_flight = max(0.0, sent_at + self._context.settings.CALL_DEADLINE - time.monotonic())
        moves = [
            move_after_answer(delivery, row, result, in_flight=in_flight)
            for delivery, result in zip(claimed, results, strict=True)
            for row in delivery.rows
        ]
        yield Transaction(partial(OutboxRecord.objects.move, moves))

    def _refused_together(self, deliveries: list[Delivery], error: ZohoError) -> list[WriteResult]:
        """Return the results of a call that was refused as a whole; of several each goes alone."""
        if len(deliveries) == 1:
            return [WriteResult(error=error)]
        self._alone |= {row.pk for delivery in deliveries for row in delivery.rows}
        return [WriteResult(error=TransientError(code=SENT_ALONE))] * len(deliveries)

    def _without_known(
        self, deliveries: list[Delivery], read_at: float
    ) -> Generator[Request, Any, list[Delivery]]:
        """
        Look for the people of leads that would be created; return what may be sent now.

        :param read_at: when that began, on the monotonic clock; the slower Zoho answers, the fewer
            are looked for before they are sent, lest what was found is too old by then
        """
        guarded = [each for each in deliveries if each.email]
        if not guarded:
            return deliveries
        moves: dict[Delivery, list[OutboxMove]] = {}
        settings = self._context.settings
        enough = read_at + SEARCH_SHARE * min(settings.CALL_DEADLINE, settings.SLICE)
        while guarded:
            number = max(1, self._context.free_calls // self._calls)
            yield All([look_for_person(each, moves) for each in guarded[:number]])
            del guarded[:number]
            if time.monotonic() > enough:
                break
        made = [move for each in moves.values() for move in each]
        if made:
            yield Transaction(partial(OutboxRecord.objects.move, made))
        return [each for each in deliveries if not each.email or moves.get(each) == []]

    # Settling

    def _settle(self, deliveries: list[Delivery]) -> Work:
        """Find out what became of rows in doubt, all in the same way, and record it."""
        first = deliveries[0]
        found: Sequence[Any]
        if first.may_be_repeated:
            found = [REPEAT] * len(deliveries)
        elif first.action not in ADDING_ACTIONS and not first.unique_value:
            found = [UNNAMED] * len(deliveries)
        else:
            try:
                found = yield Call(
                    partial(READS[first.action], deliveries=deliveries),
                    answers=(*REFUSALS, PermissionDeniedError),
                )
            except ZohoError as error:
                found = [error] * len(deliveries)
        moves = [
            move_after_read(each, row, what)
            for each, what in zip(deliveries, found, strict=True)
            for row in each.rows
        ]
        yield Transaction(partial(OutboxRecord.objects.move, moves))


# What is due


def built(groups: Iterable[Sequence[OutboxRecord]], checks: DeliveryChecks) -> Iterator[Delivery]:
    """Yield the deliveries of rows that belong together; those of odd rows are for a person."""
    for rows in groups:
        try:
            yield delivery_of(rows, checks.mapping)
        except FORM_ERRORS as error:
            # Its message and its variables may have values.
            logger.error("The pushed record %s: %s", rows[-1].pk, type(error).__name__)
            OutboxRecord.objects.move(
                _lifecycle.internal_error(row, error) for row in rows if row.due_at is not None
            )


def in_doubt(connection_id: int, in_flight: Iterable[OutboxRecord]) -> list[list[OutboxRecord]]:
    """Return the rows in doubt whose quiet period is over, those sent together in one list."""
    doubtful = OutboxRecord.objects.filter(connection=connection_id, status=Status.UNKNOWN)
    doubtful = doubtful.exclude(pk__in=[row.pk for row in in_flight])
    due = list(doubtful.due().order_by("pk")[:MAX_DUE_ROWS])
    if not due:
        return []
    # Rows of a key that were sent together are settled together.
    keys = {(row.module, row.key) for row in due if row.key}
    of_keys = doubtful.filter(key__in={key for _module, key in keys})
    together: dict[Any, list[OutboxRecord]] = defaultdict(list)
    for row in of_keys.order_by("pk"):
        if (row.module, row.key) in keys:
            together[row.module, row.key].append(row)
    return [*together.values(), *([row] for row in due if not row.key)]


def being_added_to(connection_id: int) -> Iterable[tuple[str, str]]:
    """Return module and id of the records to which something is being added, by any worker."""
    running = OutboxRecord.objects.filter(connection=connection_id, status=Status.RUNNING)
    adding = running.filter(action__in=ADDING_ACTIONS, due_at__isnull=False)
    return adding.values_list("record_module", "record_id")


def by_way_to_settle(deliveries: Iterable[Delivery]) -> Iterator[list[Delivery]]:
    """Yield the deliveries that are settled by one call, or without one."""
    calls: dict[Any, list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        calls[_way_to_settle(delivery)].append(delivery)
    for call in calls.values():
        for start in range(0, len(call), MAX_VALUES_PER_QUERY):
            yield call[start : start + MAX_VALUES_PER_QUERY]


def _way_to_settle(delivery: Delivery) -> tuple[Any, ...]:
    """Return what deliveries that are settled by one call have in common."""
    if delivery.may_be_repeated:
        return (REPEAT,)
    value = delivery.unique_value
    if not value:
        return (delivery.rows[0].pk,) if delivery.action in ADDING_ACTIONS else (UNNAMED,)
    # A query with a value that Zoho may misread is refused, and costs only this delivery.
    own = delivery.rows[0].pk if "\\" in value else 0
    return delivery.module, delivery.unique_name, own


# Known people


def look_for_person(delivery: Delivery, moves: dict[Delivery, list[OutboxMove]]) -> WorkItem:
    """
    Return the generator that looks for the person of a lead, and adds the moves of its rows.

    :param moves: gets an empty list for a delivery that may be sent
    """
    rows = [row for row in delivery.rows if row.status == Status.PENDING]

    def look() -> Work:
        try:
            people: tuple[Person, ...] = yield Call(
                lambda client: client.find_person(delivery.email),
                answers=(RequestRefusedError, PermissionDeniedError),
            )
        except (RequestRefusedError, PermissionDeniedError) as error:
            moves[delivery] = [_lifecycle.review_error(row, error) for row in rows]
        except ZohoError as error:
            at_once = isinstance(error, AccessTokenRejectedError)
            moves[delivery] = [_lifecycle.postponed(row, error, at_once=at_once) for row in rows]
        else:
            moves[delivery] = moves_if_known(delivery, rows, people)

    def fail(error: BaseException) -> None:
        moves[delivery] = [_lifecycle.internal_error(row, error) for row in rows]

    return WorkItem(look(), on_error=fail)


def moves_if_known(
    delivery: Delivery, rows: Iterable[OutboxRecord], people: Sequence[Person]
) -> list[OutboxMove]:
    """Return the moves of the rows of a lead whose person is known; none if it may be sent."""
    if delivery.action == Action.UPSERT:
        if any(person.kind == PersonKind.LEAD for person in people):
            return []  # it updates this lead
        people = [person for person in people if person.kind != PersonKind.LEAD]
    if not people:
        return []
    contact_id = contact_of(people)
    if contact_id and delivery.when_known == OutboxRecord.WhenKnown.UPDATE_CONTACT:
        return [_lifecycle.directed_to(row, "Contacts", contact_id) for row in rows]
    return [_lifecycle.held(row, people) for row in rows]


# Calls and their answers


def claim(
    deliveries: Iterable[Delivery], claims: Iterable[OutboxMove], *, only_if: Q
) -> list[Delivery]:
    """Write the claims of deliveries; return those of which every row was claimed."""
    with atomic():
        made = {move.row.pk for move in OutboxRecord.objects.move(claims, only_if=only_if)}
        claimed = [each for each in deliveries if made.issuperset(row.pk for row in each.rows)]
        whole = {row.pk for delivery in claimed for row in delivery.rows}
        OutboxRecord.objects.move(
            _lifecycle.given_back(row)
            for delivery in deliveries
            for row in delivery.rows
            if row.pk in made - whole
        )
    return claimed


def move_after_answer(
    delivery: Delivery, row: OutboxRecord, result: WriteResult, *, in_flight: float
) -> OutboxMove:
    """
    Return the move of a claimed row for what became of its delivery.

    :param in_flight: seconds that a call without an answer can still be in flight
    """
    error = result.error
    if error is None:
        if delivery.action in ADDING_ACTIONS:
            return _lifecycle.sent(row, record=delivery.record, added_id=result.id)
        return _lifecycle.sent(row, record=(delivery.module, result.id), did=result.action)
    if isinstance(error, (*REFUSALS, PermissionDeniedError)):
        return _move_after_refusal(delivery, row, error)
    if may_have_arrived(error):
        return _lifecycle.answer_lost(row, error, in_flight=in_flight)
    at_once = isinstance(error, AccessTokenRejectedError) or error.code == SENT_ALONE
    return _lifecycle.not_processed(row, error, at_once=at_once)


def _move_after_refusal(delivery: Delivery, row: OutboxRecord, error: ZohoError) -> OutboxMove:
    """Return the move of a refused row: what an earlier call of ours has done is no refusal."""
    if delivery.action == Action.DELETE and row.in_doubt and error.code == "INVALID_DATA":
        return _lifecycle.sent(row, record=delivery.record, did="delete")
    duplicate = error.duplicate if isinstance(error, RequestRefusedError) else None
    is_same_field = isinstance(error, RequestRefusedError) and error.field == delivery.unique_name
    if delivery.creates and duplicate and is_same_field and row.attempts > 1:
        return _lifecycle.repeated(row, record=(delivery.module, duplicate.id))
    return _lifecycle.refused(row, error)


def move_after_read(delivery: Delivery, row: OutboxRecord, found: Any) -> OutboxMove:
    """
    Return the move of a row in doubt.

    :param found: ids of records, an error of the read, or why none was made
    """
    if found is REPEAT:
        return _lifecycle.repeated(row)
    if found is UNNAMED:
        return _lifecycle.needs_review(row, "no_unique_field")
    if isinstance(found, (*REFUSALS, PermissionDeniedError)):
        return _lifecycle.review_error(row, found)
    if isinstance(found, ZohoError):
        at_once = isinstance(found, AccessTokenRejectedError)
        return _lifecycle.postponed(row, found, at_once=at_once)
    if delivery.action in ADDING_ACTIONS:
        # Of several that say the same, others may be those of rows that were sent before.
        of_connection = OutboxRecord.objects.filter(connection=row.connection_id)
        taken = set(of_connection.filter(added_id__in=found).values_list("added_id", flat=True))
        found = [added_id for added_id in found if added_id not in taken][:1]
    if not found:
        return _lifecycle.not_found(row)
    if len(found) > 1:
        return _lifecycle.needs_review(row, "several_records", {"ids": found[:20]})
    if delivery.action in ADDING_ACTIONS:
        return _lifecycle.sent(row, record=delivery.record, added_id=found[0], read=True)
    record = (delivery.module, found[0])
    if delivery.action == Action.CREATE:
        return _lifecycle.sent(row, record=record, read=True)
    # It may have been there before: an update writes what the upsert may not have written.
    return _lifecycle.repeated(row, record=record)
