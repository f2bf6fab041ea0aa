"""The checker finds every kind of violation."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.chaos.checker import Event, Row, RunRecords, check

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
REQUEST = {"data": [{"overwrite": False}]}
HASH = hashlib.sha256(
    json.dumps(REQUEST, sort_keys=True, separators=(",", ":")).encode()
).hexdigest()
IDS = ("11", "22", "")


def at(seconds: float) -> str:
    return (NOON + timedelta(seconds=seconds)).isoformat()


def call(seconds: float = 1, **other: Any) -> dict[str, Any]:
    """Return a call that took 50 ms and took effect at its end."""
    return {
        "lead_id": "7",
        "code": "SUCCESS",
        "request": REQUEST,
        "received_at": at(seconds),
        "answered_at": at(seconds + 0.05),
        "resolved_at": at(seconds + 0.05),
        **other,
    }


def conversion(seconds: float = 1.05, via: str = "convert", **other: Any) -> dict[str, Any]:
    ids = {"contact_id": "11", "account_id": "22", "deal_id": None}
    return {"lead_id": "7", "at": at(seconds), "via": via, **ids, **other}


def journal(*statuses: str, seconds: float = 0.9) -> list[Event]:
    """Return the events of a row that went through these statuses, all at the same time."""
    steps = zip(("NEW", *statuses), statuses, strict=False)
    return [
        Event(
            lead_id="7",
            version=version,
            from_status=before,
            to_status=after,
            at=NOON + timedelta(seconds=seconds),
            payload_hash=HASH if after == "RUNNING" else "",
        )
        for version, (before, after) in enumerate(steps, start=1)
    ]


def evidence(
    row: Row,
    events: list[Event],
    *,
    calls: list[dict[str, Any]] | None = None,
    conversions: list[dict[str, Any]] | None = None,
    max_concurrency: int = 10,
) -> RunRecords:
    ledger = {"calls": calls or [], "conversions": conversions or []}
    return RunRecords(
        ledger=ledger, rows=[row], events=events, max_concurrency=max_concurrency, call_deadline=1
    )


def converted(**other: Any) -> Row:
    said = {"status": "CONVERTED", "version": 4, "by": "us", "ids": IDS, **other}
    return Row(lead_id="7", **said)


ONCE = ("PREVIEWED", "READY", "RUNNING", "CONVERTED")
GOOD = evidence(converted(), journal(*ONCE), calls=[call()], conversions=[conversion()])
TWICE = journal("PREVIEWED", "READY", "RUNNING", "UNKNOWN", "READY", "RUNNING", "CONVERTED")


def guarantees(found: RunRecords) -> set[str]:
    return {violation.guarantee for violation in check(found)}


def with_ledger(**other: Any) -> RunRecords:
    return replace(GOOD, ledger={**GOOD.ledger, **other})


def test_a_conversion_as_it_should_be_breaks_no_guarantee() -> None:
    assert check(GOOD) == []


def test_a_second_send_after_the_first_was_settled_breaks_no_guarantee() -> None:
    first = call(1, code="", resolved_at=at(1.05))
    found = evidence(
        converted(version=7), TWICE, calls=[first, call(9)], conversions=[conversion(9.05)]
    )

    assert check(found) == []


@pytest.mark.parametrize(
    ("found", "broken"),
    [
        (with_ledger(conversions=[conversion(), conversion(2)]), "exactly once"),
        (with_ledger(conversions=[]), "exactly once"),
        (with_ledger(conversions=[conversion(contact_id="99")]), "exactly once"),
        (replace(GOOD, rows=[converted(by="elsewhere")]), "correct outcome"),
        (with_ledger(conversions=[conversion(via="screen")]), "correct outcome"),
        (replace(GOOD, rows=[]), "correct outcome"),
        (with_ledger(calls=[call(0.5)]), "intent first"),
        (with_ledger(calls=[call(request={"data": [{"overwrite": True}]})]), "intent first"),
        (with_ledger(calls=[call(1), call(1.2)]), "intent first"),
        (replace(GOOD, events=GOOD.events[:-1]), "complete journal"),
        (replace(GOOD, events=[*GOOD.events[:2], *GOOD.events[3:]]), "complete journal"),
        (
            replace(GOOD, events=journal("PREVIEWED", "RUNNING", "READY", "CONVERTED")),
            "complete journal",
        ),
        (replace(GOOD, rows=[converted(version=5)]), "complete journal"),
        (replace(GOOD, max_concurrency=0), "concurrency limit"),
    ],
)
def test_each_violation_is_seen(found: RunRecords, broken: str) -> None:
    assert broken in guarantees(found)


@pytest.mark.parametrize("status", ["FAILED", "SKIPPED", "PREVIEWED", "NEW"])
def test_a_row_that_denies_our_conversion_is_seen(status: str) -> None:
    found = replace(GOOD, rows=[converted(status=status, ids=("", "", ""), by="")])

    assert "correct outcome" in guarantees(found)


@pytest.mark.parametrize(
    ("first", "second", "blind"),
    [
        (call(1, resolved_at=at(5)), call(3), True),
        (call(1, resolved_at=None), call(3), True),
        (call(1, code="TOO_MANY_REQUESTS", resolved_at=None), call(3), False),
        (call(1, resolved_at=at(2.9)), call(3), False),
    ],
    ids=["its effect comes later", "it is open for ever", "it was one too many", "it is over"],
)
def test_a_send_while_an_earlier_one_can_still_have_an_effect_is_blind(
    first: dict[str, Any], second: dict[str, Any], *, blind: bool
) -> None:
    found = evidence(
        converted(version=7), TWICE, calls=[first, second], conversions=[conversion(8)]
    )

    assert ("no blind resend" in guarantees(found)) == blind


def test_a_send_of_what_we_converted_before_is_blind() -> None:
    found = evidence(
        converted(version=7), TWICE, calls=[call(1), call(3)], conversions=[conversion(1.05)]
    )

    assert "no blind resend" in guarantees(found)


def test_calls_that_nobody_waits_for_any_more_do_not_count_as_in_flight() -> None:
    slow = [call(1, lead_id=str(lead), answered_at=at(9)) for lead in range(2)]

    def limit_broken(second: float) -> bool:
        calls = [slow[0], {**slow[1], "received_at": at(second)}]
        return "concurrency limit" in guarantees(
            replace(GOOD, ledger={"calls": calls, "conversions": []}, max_concurrency=1)
        )

    assert limit_broken(1.9)
    assert not limit_broken(2.1)
