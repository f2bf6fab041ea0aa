"""The row of the one lead, moved by the decisions of ``services/lifecycle.py`` themselves."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

from tests.protocol.clock import evaluated, instant
from zoho_crm.exceptions import (
    AlreadyConvertedError,
    RequestRefusedError,
    TransportError,
    UnknownOutcomeError,
)
from zoho_crm.matching import POLICIES, DecisionContext, assess, decide_by
from zoho_crm.models import LeadConversion
from zoho_crm.models._moves import Move
from zoho_crm.services import lifecycle
from zoho_crm.services.work._preview import preview_result
from zoho_crm.services.work._send import move_before_sending
from zoho_crm.types import Converted, Lead, Scheduled, as_json

#: The longer waiting times after more retries lead to nothing new.
MAX_RETRY_COUNT = 0

#: Seconds after which a moment is just long ago.
OLD = 4

OPEN = Lead(id="1")
BECAME = Converted(contact_id="2")
#: What a read can show.
SEEN: dict[str, Lead | None] = {
    "open": OPEN,
    "converted": Lead(id="1", converted=BECAME),
    "nothing": None,
}


class Row(NamedTuple):
    """
    The columns that decide; instants are seconds from now.

    There is no version: it only tells whoever holds an older one that the row was moved, and the
    search knows that of every worker.
    """

    status: str = "NEW"
    verdict: str = ""
    due_at: int | None = 0
    quiet_until: int | None = None
    attempts: int = 0
    in_doubt: bool = False
    negative_reads: int = 0
    empty_reads: int = 0
    retry_count: int = 0
    error_code: str = ""
    converted_by: str = ""
    evidence: str = ""

    @property
    def is_due(self) -> bool:
        return self.due_at is not None and self.due_at <= 0

    @property
    def is_conclusive(self) -> bool:
        """What ``LeadConversion.objects.with_is_conclusive`` asks the database."""
        return self.is_due and self.quiet_until is not None and self.quiet_until <= 0

    def later(self, seconds: int) -> Row:
        """Return the row as it looks so many seconds later."""
        # Only of an orphan it matters how long ago it was due; and after a while no more.
        past = -OLD if self.status == "RUNNING" else 0
        due = None if self.due_at is None else max(self.due_at - seconds, past)
        quiet = None if self.quiet_until is None else max(self.quiet_until - seconds, 0)
        return self._replace(due_at=due, quiet_until=quiet)


def _in_memory(row: Row) -> LeadConversion:
    columns: dict[str, Any] = row._asdict()
    columns |= {"due_at": instant(row.due_at), "quiet_until": instant(row.quiet_until)}
    return LeadConversion(
        pk=1, lead_id="1", lead_snapshot=as_json(OPEN), policy="careful", **columns
    )


def _moved(row: Row, move: Move) -> Row:
    values = {name: evaluated(value) for name, value in move.values.items() if name in Row._fields}
    moved = row._replace(status=str(move.to), **values)
    return moved._replace(retry_count=min(moved.retry_count, MAX_RETRY_COUNT))


def previewed(row: Row, found: str) -> Row:
    """A worker previews the lead; nothing matches, and its policy approves in the same breath."""
    preview = assess(SEEN[found])
    seen = _moved(row, preview_result(_in_memory(row), preview, None).move)
    plan = decide_by(POLICIES["careful"], preview, DecisionContext(today=date(2027, 1, 1))).plan
    if plan is None or seen.status != "PREVIEWED":
        return seen
    return _moved(seen, lifecycle.approved(_in_memory(seen), plan))


def before_sending(row: Row, found: str) -> Row:
    """A worker reads the lead just before it is sent; if it may be, this is the claim."""
    return _moved(row, move_before_sending(_in_memory(row), SEEN[found]))


def read_back(row: Row, found: str, is_conclusive: bool) -> Row:
    mine = _in_memory(row)
    mine.is_conclusive = is_conclusive
    return _moved(row, lifecycle.read_back(mine, SEEN[found], is_conclusive=is_conclusive))


def put_off(row: Row) -> Row:
    return _moved(row, lifecycle.postponed(_in_memory(row), TransportError()))


def orphaned(row: Row) -> Row:
    return _moved(row, lifecycle.orphaned(_in_memory(row)))


def answered(row: Row, answer: str, in_flight: int) -> Row:
    """What the main thread makes of the end of a conversion call."""
    mine = _in_memory(row)
    move = {
        "converted": lambda: lifecycle.answered(mine, BECAME),
        "scheduled": lambda: lifecycle.answered(mine, Scheduled(job_id="3")),
        "refused": lambda: lifecycle.refused(mine, RequestRefusedError(code="INVALID_DATA")),
        "already": lambda: lifecycle.already_converted(mine, AlreadyConvertedError()),
        "not processed": lambda: lifecycle.not_processed(mine, TransportError()),
        "lost": lambda: lifecycle.answer_lost(mine, UnknownOutcomeError(), in_flight=in_flight),
        "our bug": lambda: lifecycle.internal_error(mine, KeyError()),
    }[answer]()
    return _moved(row, move)
