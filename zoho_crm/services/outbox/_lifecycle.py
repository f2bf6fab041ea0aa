"""
The status changes of one pushed record: one function for each event, from the row to a move.

Nothing here reads or writes the tables. A call that may have been processed makes the row
``UNKNOWN`` for the quiet period, so that it takes no effect after a later one of its key. Then what
may be repeated is sent again, and what may not is looked for at Zoho first.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeAlias

from zoho_crm.conf import conf
from zoho_crm.exceptions import ZohoError
from zoho_crm.models import OutboxRecord, from_now
from zoho_crm.models._database import DbNow
from zoho_crm.models._outbox import OutboxMove
from zoho_crm.services.lifecycle import (
    AT_REST,
    NO_ERROR,
    error_columns,
    error_details,
    next_retry_count,
    retry_delay,
)
from zoho_crm.types import JsonObject, Person, as_json

Values: TypeAlias = dict[str, Any]

Status = OutboxRecord.Status
#: The largest number that the column of attempts takes.
MAX_ATTEMPTS_COUNTED = 32_000
#: Columns of a row that has not ended.
NOT_ENDED: Values = {"finished_at": None, "announced_at": None, "signal_lease_until": None}
#: Columns of a row that is tried anew, with nothing left of former tries.
ANEW: Values = {
    **NOT_ENDED,
    **NO_ERROR,
    "retry_count": 0,
    "negative_reads": 0,
    "attempts": 0,
    "in_doubt": False,
    "known_people": None,
}
#: Columns of a row whose retention period is over.
NO_PERSONAL_DATA: Values = {
    **dict.fromkeys(("values", "known_people", "error_details")),
    "error_message": "",
}


# Before the call


def claimed(row: OutboxRecord, *, record: tuple[str, str], sent: str) -> OutboxMove:
    """
    Return the move that claims a row for sending, to be written before the call.

    :param record: module and id of the record that is written; the id is empty for a new one
    :param sent: SHA-256 of the values that are sent
    """
    module, record_id = record
    values: Values = {**NOT_ENDED, **NO_ERROR, "record_module": module, "record_id": record_id}
    values |= {"attempts": min(row.attempts + 1, MAX_ATTEMPTS_COUNTED)}
    values |= {"due_at": from_now(conf().LEASE)}
    return OutboxMove(row=row, to=Status.RUNNING, values=values, payload_hash=sent)


def given_back(row: OutboxRecord) -> OutboxMove:
    """Return the move of a claimed row that is not sent, as another one of its key was changed."""
    values: Values = {"attempts": row.attempts - 1, "due_at": DbNow()}
    return OutboxMove(row=row, to=Status.PENDING, values=values, details={"why": "changed"})


def held(row: OutboxRecord, people: Iterable[Person]) -> OutboxMove:
    """Return the move of a row whose person is known: somebody has to decide."""
    kinds = sorted({person.kind.value for person in people})
    move = needs_review(row, "known_person", {"known": kinds})
    return OutboxMove(
        row=row,
        to=move.to,
        values={**move.values, "known_people": as_json(tuple(people))},
        details=move.details,
    )


def directed_to(
    row: OutboxRecord, module: str, record_id: str, *, by: str = "", **columns: Any
) -> OutboxMove:
    """Return the move that lets a row update this record, now."""
    values: Values = {**ANEW, "record_module": module, "record_id": record_id, **columns}
    details = {"module": module, "id": record_id}
    return OutboxMove(
        row=row, to=Status.PENDING, by=by, values={**values, "due_at": DbNow()}, details=details
    )


# Answers


def sent(row: OutboxRecord, *, record: tuple[str, str], **details: Any) -> OutboxMove:
    """
    Return the move of a row whose change Zoho has.

    :param record: module and id of the record
    :param details: for the journal
    """
    module, record_id = record
    added_id = details.get("added_id", "")
    values: Values = {**AT_REST, **NO_ERROR, "in_doubt": False, "known_people": None}
    values |= {"record_module": module, "record_id": record_id, "added_id": added_id}
    values |= {"finished_at": DbNow()}
    return OutboxMove(row=row, to=Status.SENT, values=values, details={"id": record_id, **details})


def refused(row: OutboxRecord, error: ZohoError) -> OutboxMove:
    """Return the move of a row that Zoho, or a rule of ours, refuses: a person has to act."""
    values: Values = {**AT_REST, **error_columns(error), "in_doubt": False}
    values |= {"finished_at": DbNow()}
    return OutboxMove(row=row, to=Status.REFUSED, values=values, details=error_details(error))


def not_processed(row: OutboxRecord, error: ZohoError, *, at_once: bool = False) -> OutboxMove:
    """Return the move after a call that was certainly not processed: it is made again later."""
    wait = 0.0 if at_once else retry_delay(row.retry_count)
    values: Values = {"attempts": row.attempts - 1, "retry_count": next_retry_count(row)}
    values |= {"due_at": from_now(wait)}
    return OutboxMove(row=row, to=Status.PENDING, values=values, details=error_details(error))


def answer_lost(
    row: OutboxRecord, error: ZohoError | None = None, *, in_flight: float = 0
) -> OutboxMove:
    """
    Return the move after a call whose answer was lost or unclear.

    :param in_flight: seconds that the call can still be in flight
    """
    details = error_details(error) if error else {}
    return _in_doubt(row, from_now(in_flight + conf().QUIET_PERIOD), details)


def orphaned(row: OutboxRecord) -> OutboxMove:
    """Return the move of a RUNNING row whose worker's lease has ended without an answer."""
    assert row.due_at is not None
    quiet_until = row.due_at + timedelta(seconds=conf().QUIET_PERIOD)
    return _in_doubt(row, quiet_until, {"orphan": True})


def _in_doubt(row: OutboxRecord, until: Any, details: JsonObject) -> OutboxMove:
    values: Values = {"in_doubt": True, "negative_reads": 0, "due_at": until}
    return OutboxMove(row=row, to=Status.UNKNOWN, values=values, details=details)


def internal_error(row: OutboxRecord, error: BaseException) -> OutboxMove:
    """Return the move after an error in our code: in doubt if it may be sent, else review."""
    details = {"bug": type(error).__name__}
    if row.status == Status.RUNNING:
        wait = conf().CALL_DEADLINE + conf().QUIET_PERIOD
        return _in_doubt(row, from_now(wait), details)
    return needs_review(row, "INTERNAL", details)


# Reads


def postponed(row: OutboxRecord, error: ZohoError, *, at_once: bool = False) -> OutboxMove:
    """Return the move after a failed read: it is read again after the retry delay, or now."""
    wait = 0.0 if at_once else retry_delay(row.retry_count)
    values: Values = {"retry_count": next_retry_count(row), "due_at": from_now(wait)}
    return OutboxMove(row=row, to=Status(row.status), values=values, details=error_details(error))


def repeated(row: OutboxRecord, *, record: tuple[str, str] | None = None) -> OutboxMove:
    """
    Return the move of a row in doubt whose call may be made again.

    :param record: module and id of the record that a read found; it is updated
    """
    delay = retry_delay(row.retry_count) if row.attempts > 1 else 0.0
    values: Values = {"due_at": from_now(delay), "retry_count": next_retry_count(row)}
    details: JsonObject = {"repeated": True}
    if record:
        module, record_id = record
        values |= {"record_module": module, "record_id": record_id}
        details = {"read": "found", "id": record_id}
    return OutboxMove(row=row, to=Status.PENDING, values=values, details=details)


def not_found(row: OutboxRecord) -> OutboxMove:
    """Return the move after a read that did not find what was to be created; Zoho's reads lag."""
    settings, details = conf(), {"read": "nothing"}
    values: Values = {"negative_reads": row.negative_reads + 1, "retry_count": 0}
    if row.negative_reads + 1 < settings.NEGATIVE_READS:
        values |= {"due_at": from_now(settings.READ_SPACING)}
        return OutboxMove(row=row, to=Status.UNKNOWN, values=values, details=details)
    if row.attempts >= settings.MAX_ATTEMPTS:
        return needs_review(row, "MAX_ATTEMPTS", details)
    values |= {"due_at": DbNow(), "in_doubt": False}
    return OutboxMove(row=row, to=Status.PENDING, values=values, details=details)


def needs_review(
    row: OutboxRecord, code: str, details: JsonObject | None = None, **columns: Any
) -> OutboxMove:
    """Return the move of a row that a person has to decide about, for a reason of ours."""
    values: Values = {**AT_REST, **NO_ERROR, "error_code": code, **columns}
    return OutboxMove(
        row=row, to=Status.NEEDS_REVIEW, values=values, details={**(details or {}), "why": code}
    )


def review_error(row: OutboxRecord, error: ZohoError) -> OutboxMove:
    """Return the move of a row that cannot be looked for at Zoho: a person has to."""
    return needs_review(row, "unreadable", error_details(error))


# People


def sent_again(row: OutboxRecord, *, by: str = "", **columns: Any) -> OutboxMove:
    """Return the move that lets a row be sent again, now."""
    values: Values = {**ANEW, **columns, "due_at": DbNow()}
    return OutboxMove(row=row, to=Status.PENDING, by=by, values=values)


def left_out(row: OutboxRecord, *, by: str = "", note: str = "") -> OutboxMove:
    """Return the move of a row that is never sent."""
    values: Values = {**AT_REST, "finished_at": DbNow(), "known_people": None}
    details = {"note": note} if note else {}
    return OutboxMove(row=row, to=Status.SKIPPED, by=by, values=values, details=details)
