"""
Check after a run that every guarantee was kept; this knows nothing of the code that it checks.

The simulator's ledger says what happened; rows and journal are what the app says of it.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

#: The table of states, written down a second time: the statuses that may follow a status.
ALLOWED_STEPS: Mapping[str, str] = {
    "NEW": "NEW PREVIEWED CONVERTED SKIPPED NEEDS_REVIEW",
    "PREVIEWED": "PREVIEWED READY SKIPPED NEW CONVERTED NEEDS_REVIEW",
    "READY": "READY RUNNING NEW CONVERTED SKIPPED NEEDS_REVIEW",
    "RUNNING": "CONVERTED FAILED SCHEDULED UNKNOWN READY",
    "SCHEDULED": "SCHEDULED CONVERTED UNKNOWN",
    "UNKNOWN": "UNKNOWN CONVERTED READY SKIPPED FAILED NEEDS_REVIEW",
    "FAILED": "NEW CONVERTED",
    "SKIPPED": "NEW PREVIEWED CONVERTED",
    "NEEDS_REVIEW": "NEEDS_REVIEW NEW SKIPPED CONVERTED",
    "CONVERTED": "NEW",
}
#: Statuses of a row whose lead we did not convert.
NOT_CONVERTED_BY_US = frozenset({"NEW", "PREVIEWED", "FAILED", "SKIPPED"})
OUR_ROUTES = frozenset({"convert", "mass"})
RATE_LIMIT_CODES = frozenset({"TOO_MANY_REQUESTS", "RATE_LIMIT_EXCEEDED"})
#: A database that stores milliseconds only cuts a time off.
CLOCK_TOLERANCE = timedelta(milliseconds=1)


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A guarantee that was not kept."""

    guarantee: str
    lead_id: str
    text: str

    def __str__(self) -> str:
        return f"{self.guarantee}: lead {self.lead_id}: {self.text}"


@dataclass(frozen=True, kw_only=True)
class Row:
    """The row of a lead."""

    lead_id: str
    status: str
    version: int
    by: str = ""
    ids: tuple[str, str, str] = ("", "", "")
    error_code: str = ""


@dataclass(frozen=True, kw_only=True)
class Event:
    """An entry in the journal of a row."""

    lead_id: str
    version: int
    from_status: str
    to_status: str
    at: datetime
    payload_hash: str = ""


@dataclass(frozen=True, kw_only=True)
class RunRecords:
    """All that is known after a run."""

    ledger: Json
    rows: Iterable[Row]
    events: Iterable[Event]
    #: Calls in flight that one worker may have at most.
    max_concurrency: int
    #: Seconds after which a worker waits for an answer no longer.
    call_deadline: float


def check(records: RunRecords) -> list[Violation]:
    """Return all violations, guarantee by guarantee."""
    rows = {row.lead_id: row for row in records.rows}
    conversions = _by_lead(records.ledger["conversions"])
    calls = _by_lead(records.ledger["calls"])
    events: defaultdict[str, list[Event]] = defaultdict(list)
    for event in records.events:
        events[event.lead_id].append(event)
    return [
        *_exactly_once(rows, conversions),
        *_correct_outcome(rows, conversions),
        *_no_blind_resend(calls, conversions),
        *_intent_first(calls, events),
        *_complete_journal(rows, events),
        *_concurrency_limit(records),
    ]


def _by_lead(entries: Iterable[Json]) -> dict[str, list[Json]]:
    found: defaultdict[str, list[Json]] = defaultdict(list)
    for entry in entries:
        found[entry["lead_id"]].append(entry)
    return found


def _exactly_once(
    rows: Mapping[str, Row], conversions: Mapping[str, list[Json]]
) -> Iterator[Violation]:
    for lead_id, found in conversions.items():
        if len(found) > 1:
            yield Violation(
                guarantee="exactly once", lead_id=lead_id, text=f"{len(found)} conversions"
            )
    for row in rows.values():
        if row.status != "CONVERTED":
            continue
        found = [_ids(each) for each in conversions.get(row.lead_id, [])]
        if found != [row.ids]:
            text = f"the row says {row.ids}, the ledger {found}"
            yield Violation(guarantee="exactly once", lead_id=row.lead_id, text=text)


def _ids(conversion: Json) -> tuple[str, ...]:
    return tuple(conversion[f"{name}_id"] or "" for name in ("contact", "account", "deal"))


def _correct_outcome(
    rows: Mapping[str, Row], conversions: Mapping[str, list[Json]]
) -> Iterator[Violation]:
    for lead_id, found in conversions.items():
        row = rows.get(lead_id)
        by_us = any(each["via"] in OUR_ROUTES for each in found)
        if by_us and (row is None or row.status in NOT_CONVERTED_BY_US):
            said = row.status if row else "nothing"
            yield Violation(
                guarantee="correct outcome",
                lead_id=lead_id,
                text=f"we converted it, and say {said}",
            )
        if row and row.status == "CONVERTED" and (row.by == "us") != by_us:
            yield Violation(
                guarantee="correct outcome", lead_id=lead_id, text=f"converted by {row.by}?"
            )


def _no_blind_resend(
    calls: Mapping[str, list[Json]], conversions: Mapping[str, list[Json]]
) -> Iterator[Violation]:
    for lead_id, sent in calls.items():
        ours = [each["at"] for each in conversions.get(lead_id, []) if each["via"] in OUR_ROUTES]
        processed = [call for call in sent if call["code"] not in RATE_LIMIT_CODES]
        for call in processed:
            if any(at <= call["received_at"] for at in ours):
                text = f"sent at {call['received_at']}, converted by us before"
                yield Violation(guarantee="no blind resend", lead_id=lead_id, text=text)
            for other in processed:
                if other is not call and _is_unresolved(other, call["received_at"]):
                    text = f"sent at {call['received_at']} while {other['received_at']} was open"
                    yield Violation(guarantee="no blind resend", lead_id=lead_id, text=text)


def _is_unresolved(call: Json, at: str) -> bool:
    """Return whether a call was received by then, and could still take effect."""
    return call["received_at"] <= at and (call["resolved_at"] is None or call["resolved_at"] > at)


def _intent_first(
    calls: Mapping[str, list[Json]], events: Mapping[str, list[Event]]
) -> Iterator[Violation]:
    for lead_id, sent in calls.items():
        intents = [event for event in events.get(lead_id, []) if event.to_status == "RUNNING"]
        for call in sent:
            received, wanted = datetime.fromisoformat(call["received_at"]), _hash(call["request"])
            before = [event for event in intents if event.at <= received + CLOCK_TOLERANCE]
            if wanted not in {event.payload_hash for event in before}:
                known = [f"{event.at.isoformat()} {event.payload_hash[:8]}" for event in intents]
                text = f"no intent for {wanted[:8]}, sent at {received.isoformat()}, among {known}"
                yield Violation(guarantee="intent first", lead_id=lead_id, text=text)
        if len(sent) > len(intents):
            text = f"{len(sent)} calls, {len(intents)} intents"
            yield Violation(guarantee="intent first", lead_id=lead_id, text=text)


def _hash(request: Any) -> str:
    text = json.dumps(_without_module_ids(request), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _without_module_ids(value: Any) -> Any:
    """Return a request with modules by name only: their ids are looked up when a job is posted."""
    if isinstance(value, list):
        return [_without_module_ids(each) for each in value]
    if not isinstance(value, dict):
        return value
    left_out = {"id"} if "api_name" in value else set()
    return {k: _without_module_ids(each) for k, each in value.items() if k not in left_out}


def _complete_journal(
    rows: Mapping[str, Row], events: Mapping[str, list[Event]]
) -> Iterator[Violation]:
    for row in rows.values():
        status, version = "NEW", 0
        for event in sorted(events.get(row.lead_id, []), key=lambda event: event.version):
            version += 1
            step = f"{event.from_status} → {event.to_status} (version {event.version})"
            if (event.version, event.from_status) != (version, status):
                text = f"{step} follows {status} (version {version - 1})"
                yield Violation(guarantee="complete journal", lead_id=row.lead_id, text=text)
            if event.to_status not in ALLOWED_STEPS[event.from_status].split():
                yield Violation(guarantee="complete journal", lead_id=row.lead_id, text=step)
            status, version = event.to_status, event.version
        if (row.status, row.version) != (status, version):
            text = f"{row.status} (version {row.version}) has no event"
            yield Violation(guarantee="complete journal", lead_id=row.lead_id, text=text)


def _concurrency_limit(records: RunRecords) -> Iterator[Violation]:
    in_flight = 0
    for at, step in sorted(_in_flight_changes(records)):
        in_flight += step
        if in_flight > records.max_concurrency:
            yield Violation(
                guarantee="concurrency limit", lead_id="", text=f"{in_flight} calls at {at}"
            )


def _in_flight_changes(records: RunRecords) -> Iterator[tuple[datetime, int]]:
    """Yield when calls began and ended, with 1 and -1; those of one job count once."""
    calls = records.ledger["calls"]
    for received_at, answered_at in {(call["received_at"], call["answered_at"]) for call in calls}:
        begin = datetime.fromisoformat(received_at)
        end = datetime.fromisoformat(answered_at or received_at)
        yield begin, 1
        yield min(end, begin + timedelta(seconds=records.call_deadline)), -1
