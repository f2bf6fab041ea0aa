"""
The expected row of one lead: its life cycle, implemented a second time and as briefly as possible.

This module is written after the design only, not after the code. Times are seconds from now. Where
the design names a time, the span has one value; where it only says "2 s, doubling to 300 s", it has
two, and tests do not ask within the span whether the row is due.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tests.services.truth import Truth

#: Time passes in steps of so many seconds, and all settings are multiples of it.
TICK = 60
TIMES = {
    "CALL_DEADLINE": 60,
    "LEASE": 180,
    "QUIET_PERIOD": 120,
    "MASS_QUIET_PERIOD": 240,
    "JOB_HORIZON": 600,
    "NEGATIVE_READS": 2,
    "READ_SPACING": 60,
    "MAX_ATTEMPTS": 3,
    "UNKNOWN_HORIZON": 360,
}
#: "2 s, doubling to 300 s", "10 s, doubling".
RETRY_SPAN = (1, 300)
NOW = (0, 0)
#: Reads in a row after which a NEW or READY row counts as not found.
EMPTY_READS_BELIEVED = 4

Span: TypeAlias = tuple[int, int]


@dataclass
class ExpectedRow:
    """The columns that the row of a lead must have."""

    status: str = "NEW"
    version: int = 0
    in_doubt: bool = False
    attempts: int = 0
    negative_reads: int = 0
    converted_by: str = ""
    due: Span | None = NOW
    quiet: int | None = None
    #: Reads in a row that did not find the lead, of a new row or since it is in doubt.
    empty_reads: int = 0
    #: Zoho's last clear answer, if it was no success: ``refused`` or ``already``.
    answer: str = ""
    #: Whether a policy is to decide, and whether a person decided.
    policy: bool = False
    decided: bool = False
    #: Edits and match of the lead as previewed, and the contact of the plan.
    shown: tuple[int, str] | None = None
    plan: str | None = None
    #: Whether a person closed it while its outcome was not proved.
    closed_in_doubt: bool = False

    # Time

    def later(self, seconds: int) -> None:
        """Let time pass."""
        if self.due is not None:
            self.due = (self.due[0] - seconds, self.due[1] - seconds)
        if self.quiet is not None:
            self.quiet -= seconds

    @property
    def is_due(self) -> bool:
        """Whether the whole span of ``due`` is over."""
        return self.due is not None and self.due[1] <= 0

    @property
    def is_orphan(self) -> bool:
        """Whether it is RUNNING, and its worker's lease is over."""
        return self.status == "RUNNING" and self.is_due

    @property
    def is_due_certain(self) -> bool:
        """Whether it is certain if it is due: now is not within the span."""
        return self.due is None or self.is_due or self.due[0] >= TICK

    @property
    def is_conclusive(self) -> bool:
        """Whether a read that begins now may count as "not converted"."""
        return self.is_due and self.quiet is not None and self.quiet <= 0

    # Before anything is sent

    def requested(self) -> None:
        """A conversion by policy is requested; only NEW or undecided PREVIEWED rows change."""
        if self.status == "NEW" or (self.status == "PREVIEWED" and not self.decided):
            self.reset_to_new()
            self.policy = True

    def previewed_by_worker(self, view: str, truth: Truth) -> None:
        """A worker previews it; then a policy approves its plan, if it has one."""
        if view == "nothing" and self.empty_reads + 1 < EMPTY_READS_BELIEVED:
            self._move("NEW", RETRY_SPAN)
            self.empty_reads += 1
            return
        decided = self.decided
        self._previewed(view, truth)
        if self.status == "PREVIEWED" and self.policy and not decided and self.plan == "":
            self._move("READY", NOW)

    def previewed_by_person(self, view: str, truth: Truth) -> None:
        """A person previews it; a row at rest is reset first."""
        if self.status in ("FAILED", "SKIPPED", "NEEDS_REVIEW"):
            if view == "converted":
                self.read_converted()
            elif self.status != "NEEDS_REVIEW" or view == "open":
                self.reset_to_new()
                self.attempts, self.converted_by, self.closed_in_doubt = 0, "", False
        if self.status in ("NEW", "PREVIEWED"):
            is_requested = self.status == "NEW" and self.policy
            self._previewed(view, truth)
            if is_requested and self.status == "PREVIEWED":
                self.reset_to_new()

    def _previewed(self, view: str, truth: Truth) -> None:
        if view == "converted":
            self.read_converted()
            return
        self._move("PREVIEWED", None)
        self.answer = ""
        self.shown = (truth.edits, truth.match) if view == "open" else None
        still_fits = view == "open" and self.plan in ("", truth.match)
        if not (self.decided and still_fits):
            self.decided = False
            self.plan = truth.match if view == "open" else None

    def decided_by_person(self, plan: str) -> None:
        """A person decides a plan; nothing is sent."""
        self._move("PREVIEWED", self.due)
        self.plan, self.decided = plan, True

    def approved_by_person(self, plan: str) -> None:
        """A person approves a plan."""
        self._move("READY", NOW)
        self.plan, self.decided, self.policy = plan, True, False

    def skipped(self) -> None:
        """A person skips it."""
        self.closed_in_doubt = self.status == "NEEDS_REVIEW" and self.in_doubt
        self._move("SKIPPED", None)
        # In the code a skipped row counts as decided, too.
        self.policy, self.decided = False, True

    def reset_to_new(self) -> None:
        """It has to be previewed and decided again; ``in_doubt`` stays."""
        self._move("NEW", NOW)
        self.negative_reads, self.empty_reads, self.quiet, self.answer = 0, 0, None, ""

    def postponed(self) -> None:
        """A read failed, which proves nothing."""
        self._move(self.status, RETRY_SPAN)
        if self.status in ("NEW", "READY"):
            self.empty_reads = 0

    # Sending

    def read_before_sending(self, view: str, truth: Truth) -> None:
        """It is claimed if the lead is as approved; else it is reset or converted."""
        if view == "converted":
            self.read_converted()
        elif view == "nothing" and self.empty_reads + 1 < EMPTY_READS_BELIEVED:
            self._move("READY", RETRY_SPAN)
            self.empty_reads += 1
        elif view == "nothing" or (self.shown and self.shown[0] != truth.edits):
            self.reset_to_new()
        elif self.empty_reads:
            self._move("READY", NOW)
            self.empty_reads = 0
        else:
            lease = TIMES["LEASE"]
            self._move("RUNNING", (lease, lease))
            self.attempts, self.answer = self.attempts + 1, ""

    def preview_renewed(self, view: str, truth: Truth) -> None:
        """An old preview was renewed: the approval stays if nothing has changed."""
        if view == "converted":
            self.read_converted()
        elif view == "open" and self.shown == (truth.edits, truth.match):
            self._move("READY", NOW)
        else:
            self.reset_to_new()

    def succeeded(self) -> None:
        """Zoho's success answer to our call proves the conversion."""
        self._move("CONVERTED", None)
        self.converted_by, self.answer = "us", ""

    def refused(self) -> None:
        """It fails if every earlier call was certainly not processed."""
        if self.in_doubt:
            self._outcome_unknown(TIMES["QUIET_PERIOD"], answer="refused")
        else:
            self._move("FAILED", None)

    def already_converted(self) -> None:
        """A read has to show the records; it is never a failure."""
        self._outcome_unknown(TIMES["QUIET_PERIOD"], answer="already")

    def not_processed(self) -> None:
        """The attempt does not count."""
        self._move("READY", RETRY_SPAN)
        self.attempts -= 1

    def answer_lost(self, in_flight: int) -> None:
        """No clear answer came; the call can be in flight for so many seconds more."""
        self._outcome_unknown(in_flight + TIMES["QUIET_PERIOD"])
        self.in_doubt = True

    def scheduled(self) -> None:
        """Zoho converts it later: it is read until ``JOB_HORIZON``."""
        self._move("SCHEDULED", RETRY_SPAN)
        self.in_doubt, self.quiet = True, TIMES["JOB_HORIZON"]

    def orphaned(self) -> None:
        """Its worker's lease has ended; the quiet period starts at that time."""
        lease_end = (self.due or NOW)[0]
        self._outcome_unknown(lease_end + TIMES["QUIET_PERIOD"])
        self.in_doubt, self.due = True, NOW

    def _outcome_unknown(self, quiet: int, answer: str = "") -> None:
        self._move("UNKNOWN", (2, 2))
        self.quiet, self.answer, self.negative_reads, self.empty_reads = quiet, answer, 0, 0

    # Settling

    def read_back(self, view: str, *, is_conclusive: bool) -> None:
        """It was read while it was in doubt or scheduled."""
        if view == "converted":
            self.read_converted()
        elif self.status == "SCHEDULED":
            self._read_while_scheduled(is_over=is_conclusive)
        elif view == "nothing":
            self._read_empty()
        elif is_conclusive:
            self._read_open()
        else:
            self._move("UNKNOWN", None if self.quiet is None else (self.quiet, self.quiet))

    def read_converted(self) -> None:
        """By us if an earlier call may have been processed, else elsewhere."""
        self._move("CONVERTED", None)
        self.converted_by = "us" if self.in_doubt else "elsewhere"
        self.answer = ""

    def _read_while_scheduled(self, *, is_over: bool) -> None:
        if is_over:
            self._outcome_unknown(TIMES["MASS_QUIET_PERIOD"])
        else:
            self._move("SCHEDULED", RETRY_SPAN)

    def _read_empty(self) -> None:
        """No evidence; after ``UNKNOWN_HORIZON`` it needs review."""
        self.empty_reads += 1
        spacing = TIMES["READ_SPACING"]
        if self.empty_reads * spacing >= TIMES["UNKNOWN_HORIZON"]:
            self._move("NEEDS_REVIEW", None)
        else:
            self._move("UNKNOWN", (spacing, max(spacing, self.quiet or 0)))

    def _read_open(self) -> None:
        self.negative_reads += 1
        spacing = TIMES["READ_SPACING"]
        if self.negative_reads < TIMES["NEGATIVE_READS"]:
            self._move("UNKNOWN", (spacing, spacing))
        elif self.answer == "refused":
            self._move("FAILED", None)
        elif self.answer == "already" or self.attempts >= TIMES["MAX_ATTEMPTS"]:
            self._move("NEEDS_REVIEW", None)
        else:
            self._move("READY", NOW)
            self.quiet = None

    # Errors in our code

    def internal_error(self) -> None:
        """It needs review if it cannot have been sent since its last claim; else it is in doubt."""
        if self.status == "RUNNING":
            self.answer_lost(TIMES["CALL_DEADLINE"])
        elif self.status == "SCHEDULED":
            self._outcome_unknown((self.quiet or 0) + TIMES["MASS_QUIET_PERIOD"])
        elif self.status == "UNKNOWN" and not self.is_conclusive:
            self.postponed()
        else:
            self._move("NEEDS_REVIEW", None)

    def _move(self, status: str, due: Span | None) -> None:
        self.status, self.version, self.due = status, self.version + 1, due
