"""
The life of one lead as DESIGN §4 tells it, a second time and in as few words as possible.

Nothing here knows how the app decides: the sentences of the design are the only source. Instants
are seconds from now. Where the design names a moment, that is one; where it only says "2 s,
doubling to 300 s", it is a span, and nobody asks within it whether the row is due.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tests.services.truth import Truth

#: Time goes on in steps of so many seconds, and all settings are whole steps.
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
SOME_TIME = (1, 300)
NOW = (0, 0)
#: An answer without content is believed of a new lead when it came so often.
LOOKS = 4

Span: TypeAlias = tuple[int, int]


@dataclass
class Life:
    """What the row of a lead has to say."""

    status: str = "NEW"
    version: int = 0
    in_doubt: bool = False
    attempts: int = 0
    negative_reads: int = 0
    converted_by: str = ""
    due: Span | None = NOW
    quiet: int | None = None
    #: Reads in a row, of a new lead or since a doubt began, that showed nothing.
    empty_reads: int = 0
    #: What Zoho's last clear answer was, if it was no success: ``refused`` or ``already``.
    answer: str = ""
    #: Whether a policy is to decide, and whether a person did.
    policy: bool = False
    decided: bool = False
    #: The lead and its match as the preview showed them, and the contact of the plan.
    shown: tuple[int, str] | None = None
    plan: str | None = None
    #: A person closed it although nothing had proved what became of it.
    closed_in_doubt: bool = False

    # Time

    def later(self, seconds: int) -> None:
        """Let time go on."""
        if self.due is not None:
            self.due = (self.due[0] - seconds, self.due[1] - seconds)
        if self.quiet is not None:
            self.quiet -= seconds

    @property
    def is_due(self) -> bool:
        """Whether it is due for sure."""
        return self.due is not None and self.due[1] <= 0

    @property
    def is_orphan(self) -> bool:
        """Whether it is RUNNING, and its worker's lease is over."""
        return self.status == "RUNNING" and self.is_due

    @property
    def is_sure(self) -> bool:
        """Whether a few seconds more or less do not decide if it is due."""
        return self.due is None or self.is_due or self.due[0] >= TICK

    @property
    def is_conclusive(self) -> bool:
        """Whether a read that begins now may count as "not converted"."""
        return self.is_due and self.quiet is not None and self.quiet <= 0

    # Before anything is sent

    def requested(self) -> None:
        """It is to be converted by a policy: if it is NEW, or an undecided PREVIEWED."""
        if self.status == "NEW" or (self.status == "PREVIEWED" and not self.decided):
            self.afresh()
            self.policy = True

    def looked_at(self, view: str, truth: Truth) -> None:
        """A worker previews it; then a policy approves its plan, if it has one."""
        if view == "nothing" and self.empty_reads + 1 < LOOKS:
            self._step("NEW", NOW)
            self.empty_reads += 1
            return
        decided = self.decided
        self._previewed(view, truth)
        if self.status == "PREVIEWED" and self.policy and not decided and self.plan == "":
            self._step("READY", NOW)

    def previewed_by_person(self, view: str, truth: Truth) -> None:
        """A person looks: at what is at hand, or at what is at rest and begins anew."""
        if self.status in ("FAILED", "SKIPPED", "NEEDS_REVIEW"):
            if view == "converted":
                self.read_converted()
            elif self.status != "NEEDS_REVIEW" or view == "open":
                self.afresh()
                self.attempts, self.converted_by, self.closed_in_doubt = 0, "", False
        if self.status in ("NEW", "PREVIEWED"):
            is_asked_for = self.status == "NEW" and self.policy
            self._previewed(view, truth)
            if is_asked_for and self.status == "PREVIEWED":
                self.afresh()

    def _previewed(self, view: str, truth: Truth) -> None:
        if view == "converted":
            self.read_converted()
            return
        self._step("PREVIEWED", None)
        self.answer = ""
        self.shown = (truth.edition, truth.match) if view == "open" else None
        still_fits = view == "open" and self.plan in ("", truth.match)
        if not (self.decided and still_fits):
            self.decided = False
            self.plan = truth.match if view == "open" else None

    def decided_by_person(self, plan: str) -> None:
        """A person puts a plan on it; nothing is sent."""
        self._step("PREVIEWED", self.due)
        self.plan, self.decided = plan, True

    def approved_by_person(self, plan: str) -> None:
        """A person wants it sent exactly so."""
        self._step("READY", NOW)
        self.plan, self.decided, self.policy = plan, True, False

    def skipped(self) -> None:
        """A person leaves it out, or closes it."""
        self.closed_in_doubt = self.status == "NEEDS_REVIEW" and self.in_doubt
        self._step("SKIPPED", None)
        # The design calls it deciding to put a plan on a preview; the code also calls this so.
        self.policy, self.decided = False, True

    def afresh(self) -> None:
        """It has to be looked at again, and decided again; the doubt stays."""
        self._step("NEW", NOW)
        self.negative_reads, self.empty_reads, self.quiet, self.answer = 0, 0, None, ""

    def put_off(self) -> None:
        """A read failed: that says nothing."""
        self._step(self.status, SOME_TIME)
        if self.status in ("NEW", "READY"):
            self.empty_reads = 0

    # Sending

    def checked(self, view: str, truth: Truth) -> None:
        """What was approved is what is sent: the claim, or something else is true by now."""
        if view == "converted":
            self.read_converted()
        elif view == "nothing" and self.empty_reads + 1 < LOOKS:
            self._step("READY", NOW)
            self.empty_reads += 1
        elif view == "nothing" or (self.shown and self.shown[0] != truth.edition):
            self.afresh()
        else:
            lease = TIMES["LEASE"]
            self._step("RUNNING", (lease, lease))
            self.attempts, self.answer = self.attempts + 1, ""

    def looked_again(self, view: str, truth: Truth) -> None:
        """An old preview is made again: the approval stands if it says the same."""
        if view == "converted":
            self.read_converted()
        elif view == "open" and self.shown == (truth.edition, truth.match):
            self._step("READY", NOW)
        else:
            self.afresh()

    def succeeded(self) -> None:
        """Zoho's success answer to our call is a proof."""
        self._step("CONVERTED", None)
        self.converted_by, self.answer = "us", ""

    def refused(self) -> None:
        """It failed, if every earlier send was surely not processed."""
        if self.in_doubt:
            self._doubt(TIMES["QUIET_PERIOD"], answer="refused")
        else:
            self._step("FAILED", None)

    def already_converted(self) -> None:
        """Evidence to read, never a failure."""
        self._doubt(TIMES["QUIET_PERIOD"], answer="already")

    def not_processed(self) -> None:
        """The attempt is given back."""
        self._step("READY", SOME_TIME)
        self.attempts -= 1

    def lost(self, in_flight: int) -> None:
        """No clear answer; the call can be in flight for so many seconds more."""
        self._doubt(in_flight + TIMES["QUIET_PERIOD"])
        self.in_doubt = True

    def scheduled(self) -> None:
        """Zoho does it later: it is read until the horizon."""
        self._step("SCHEDULED", SOME_TIME)
        self.in_doubt, self.quiet = True, TIMES["JOB_HORIZON"]

    def orphaned(self) -> None:
        """Its worker has not been heard of since its lease ended, from when the quiet counts."""
        lease_end = (self.due or NOW)[0]
        self._doubt(lease_end + TIMES["QUIET_PERIOD"])
        self.in_doubt, self.due = True, NOW

    def _doubt(self, quiet: int, answer: str = "") -> None:
        self._step("UNKNOWN", (2, 2))
        self.quiet, self.answer, self.negative_reads, self.empty_reads = quiet, answer, 0, 0

    # Settling

    def read_back(self, view: str, *, is_conclusive: bool) -> None:
        """It was read while in doubt, or scheduled."""
        if view == "converted":
            self.read_converted()
        elif self.status == "SCHEDULED":
            self._read_while_scheduled(is_over=is_conclusive)
        elif view == "nothing":
            self._read_in_vain()
        elif is_conclusive:
            self._read_open()
        else:
            self._step("UNKNOWN", None if self.quiet is None else (self.quiet, self.quiet))

    def read_converted(self) -> None:
        """By us if some send may have been processed, else elsewhere."""
        self._step("CONVERTED", None)
        self.converted_by = "us" if self.in_doubt else "elsewhere"
        self.answer = ""

    def _read_while_scheduled(self, *, is_over: bool) -> None:
        if is_over:
            self._doubt(TIMES["MASS_QUIET_PERIOD"])
        else:
            self._step("SCHEDULED", SOME_TIME)

    def _read_in_vain(self) -> None:
        """No evidence; after the horizon of such reading a person looks."""
        self.empty_reads += 1
        spacing = TIMES["READ_SPACING"]
        if self.empty_reads * spacing >= TIMES["UNKNOWN_HORIZON"]:
            self._step("NEEDS_REVIEW", None)
        else:
            self._step("UNKNOWN", (spacing, max(spacing, self.quiet or 0)))

    def _read_open(self) -> None:
        self.negative_reads += 1
        spacing = TIMES["READ_SPACING"]
        if self.negative_reads < TIMES["NEGATIVE_READS"]:
            self._step("UNKNOWN", (spacing, spacing))
        elif self.answer == "refused":
            self._step("FAILED", None)
        elif self.answer == "already" or self.attempts >= TIMES["MAX_ATTEMPTS"]:
            self._step("NEEDS_REVIEW", None)
        else:
            self._step("READY", NOW)
            self.quiet = None

    # Our bugs

    def met_a_bug(self) -> None:
        """For a person, if no convert was started for its present claim; else doubt."""
        if self.status == "RUNNING":
            self.lost(TIMES["CALL_DEADLINE"])
        elif self.status == "SCHEDULED":
            self._doubt((self.quiet or 0) + TIMES["MASS_QUIET_PERIOD"])
        elif self.status == "UNKNOWN" and not self.is_conclusive:
            self.put_off()
        else:
            self._step("NEEDS_REVIEW", None)

    def _step(self, status: str, due: Span | None) -> None:
        self.status, self.version, self.due = status, self.version + 1, due
