"""The events of one lead: each at Zoho, in the model, and by the real code in the tables."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.contrib.auth.models import AbstractBaseUser

from tests.services.model import TIMES, ExpectedRow
from tests.services.tables import BECAME, Tables, lead_as, preview_of
from tests.services.truth import Truth
from zoho_crm.exceptions import (
    AlreadyConvertedError,
    RequestRefusedError,
    TransportError,
    UnknownOutcomeError,
)
from zoho_crm.models import LeadConversion
from zoho_crm.services import convert, lifecycle
from zoho_crm.services import preview as previews
from zoho_crm.services.work._preview import RulesCache, preview_result
from zoho_crm.services.work._send import (
    move_after_renewal,
    move_before_sending,
)
from zoho_crm.types import ConversionPlan, Scheduled

DEADLINE = TIMES["CALL_DEADLINE"]
#: Zoho's answer instead, if the lead is not open any more: by its state and the wanted answer.
ANSWER_IF_NOT_OPEN = {
    ("elsewhere", "success"): "already",
    ("elsewhere", "scheduled"): "already",
    ("deleted", "success"): "refused",
    ("deleted", "scheduled"): "refused",
    ("deleted", "already"): "refused",
}


@dataclass
class Case:
    """One lead: its state at Zoho, its expected row, and its rows as read by workers."""

    tables: Tables
    lead_id: str
    truth: Truth = field(default_factory=Truth)
    expected: ExpectedRow = field(default_factory=ExpectedRow)
    #: The row as the worker read it that claimed it, and for how many seconds that may send it.
    claimed_row: LeadConversion | None = None
    may_send_seconds: int = 0
    #: The row as a worker read it whose answer came after its lease had ended.
    late_row: LeadConversion | None = None
    #: Seconds since the reads that showed it open when no call could act, since it is in doubt.
    shown_open: list[int] = field(default_factory=list)
    #: Version and status of the last event in its journal.
    journal: tuple[int, str] = (0, "NEW")

    def __post_init__(self) -> None:
        self.pk = self.tables.add(self.lead_id)

    @property
    def row(self) -> LeadConversion:
        """The row as it is in the tables."""
        return self.tables.row(self.pk)

    def is_in(self, *statuses: str) -> bool:
        """Return whether the expected status is one of these."""
        return self.expected.status in statuses

    def later(self, seconds: int, *, takes_effect: bool) -> None:
        """Let time pass, except in the tables."""
        self.truth.later(seconds, takes_effect=takes_effect)
        self.expected.later(seconds)
        self.may_send_seconds -= seconds
        self.shown_open = [age + seconds for age in self.shown_open]

    def view(self, read: str) -> str:
        """Return what a read shows: the truth, or ``nothing``."""
        return "nothing" if read == "nothing" else self.truth.view

    # People

    def requested(self) -> None:
        """A conversion by the careful policy is requested."""
        self.expected.requested()
        convert.request(connection_id=self.tables.connection.pk, lead_id=self.lead_id)

    def previewed_by(self, person: AbstractBaseUser, read: str) -> None:
        """A person previews it: what ``preview`` does after its reads."""
        view, row = self.view(read), self.row
        if not previews.may_be_previewed(row):
            return
        self.expected.previewed_by_person(view, self.truth)
        found = preview_of(view, self.truth, self.lead_id)
        row = previews._reopen(row, found, str(person))
        if row.status in previews.PREVIEWABLE:
            is_requested = row.status == "NEW" and bool(row.policy)
            self.tables.move(lifecycle.previewed(row, found))
            if is_requested and row.status == "PREVIEWED":
                self.tables.move(lifecycle.reset_to_new(row))

    def decided_by(self, person: AbstractBaseUser, plan: str, *, sends: bool) -> None:
        """A person decides a plan, and perhaps approves it."""
        decide = convert.approve if sends else convert.decide
        version = self.expected.version
        wanted = ConversionPlan(contact_id=plan)
        decide(conversion_id=self.pk, version=version, plan=wanted, by=person)
        (self.expected.approved_by_person if sends else self.expected.decided_by_person)(plan)

    def skipped_by(self, person: AbstractBaseUser) -> None:
        """A person skips it."""
        convert.skip(conversion_id=self.pk, version=self.expected.version, by=person)
        self.expected.skipped()

    # Workers that read

    def postponed(self) -> None:
        """The read of a worker fails."""
        self.expected.postponed()
        self.tables.move(lifecycle.postponed(self.row, TransportError()))

    def previewed_by_worker(self, read: str = "truth") -> None:
        """A worker previews it."""
        view = self.view(read)
        row = self.row
        found = preview_of(view, self.truth, self.lead_id)
        result = preview_result(row, found, RulesCache().rules_for(row))
        self.expected.previewed_by_worker(view, self.truth)
        convert.write_moves([result.move], {self.pk: result.decision} if result.decision else {})

    def preview_renewed(self, read: str) -> None:
        """A worker renews its old preview."""
        view = self.view(read)
        found = preview_of(view, self.truth, self.lead_id)
        self.expected.preview_renewed(view, self.truth)
        self.tables.move(move_after_renewal(self.row, found, None))

    def read_before_sending(self, read: str = "truth") -> None:
        """A worker reads it just before sending, and claims it if it may be sent."""
        view, row = self.view(read), self.row
        self.expected.read_before_sending(view, self.truth)
        self.tables.move(move_before_sending(row, lead_as(view, self.truth, self.lead_id)))
        if self.is_in("RUNNING"):
            self.claimed_row, self.may_send_seconds = row, TIMES["LEASE"] - DEADLINE

    def read_back(self, view: str) -> None:
        """It is read while it is in doubt or scheduled."""
        if view == "open" and self.truth.may_act_seconds == 0:
            self.shown_open.append(0)
        row = self.row
        self.expected.read_back(view, is_conclusive=self.expected.is_conclusive)
        lead = lead_as(view, self.truth, self.lead_id)
        self.tables.move(lifecycle.read_back(row, lead, is_conclusive=row.is_conclusive))

    def internal_error(self) -> None:
        """A worker that reads it meets an error in our code."""
        row = self.row
        self.expected.internal_error()
        self.tables.move(lifecycle.internal_error(row, KeyError()))

    # Workers that send

    def sent(self) -> LeadConversion:
        """
        Send the claimed row, and return it as its worker read it.

        :raises AssertionError: if an earlier call of ours has converted the lead, or may still
        """
        assert self.truth.state != "us", "we have converted it already"
        assert self.truth.pending is None, "an earlier call is about to convert it"
        assert self.truth.may_act_seconds == 0, "an earlier call may still convert it"
        assert self.claimed_row is not None
        row, self.claimed_row = self.claimed_row, None
        return row

    def answered(self, wanted: str) -> None:
        """Zoho answers our call clearly: as wanted, if the lead is open."""
        row = self.sent()
        answer = ANSWER_IF_NOT_OPEN.get((self.truth.state, wanted), wanted)
        if answer == "success":
            self.truth.take_effect()
        if answer == "scheduled":
            horizon = TIMES["JOB_HORIZON"] + TIMES["MASS_QUIET_PERIOD"]
            self.truth.pending = self.truth.may_act_seconds = horizon
        expect, move = {
            "success": (self.expected.succeeded, lambda: lifecycle.answered(row, BECAME)),
            "scheduled": (
                self.expected.scheduled,
                lambda: lifecycle.answered(row, Scheduled(job_id="7")),
            ),
            "refused": (
                self.expected.refused,
                lambda: lifecycle.refused(row, RequestRefusedError()),
            ),
            "already": (
                self.expected.already_converted,
                lambda: lifecycle.already_converted(row, AlreadyConvertedError()),
            ),
            "not processed": (
                self.expected.not_processed,
                lambda: lifecycle.not_processed(row, TransportError()),
            ),
        }[answer]
        expect()
        self.tables.move(move())

    def answer_lost(self, effect: str, *, in_flight: int = 0, by_bug: bool = False) -> None:
        """No clear answer comes; the call has the effect ``none``, ``there`` or ``late``."""
        row = self.sent()
        in_flight = DEADLINE if by_bug else in_flight
        self.truth.left_with(effect, in_flight + TIMES["QUIET_PERIOD"])
        self.expected.answer_lost(in_flight)
        if by_bug:
            self.tables.move(lifecycle.internal_error(row, KeyError()))
        else:
            self.tables.move(lifecycle.answer_lost(row, UnknownOutcomeError(), in_flight=in_flight))

    def worker_died(self, effect: str) -> None:
        """The worker dies, or is paused beyond its lease, after it sent."""
        assert self.expected.due is not None
        lease_end = self.expected.due[0]
        self.late_row = self.sent()
        self.truth.left_with(effect, lease_end + TIMES["QUIET_PERIOD"])

    def too_late_to_send(self) -> None:
        """The worker that claimed it must not send any more, because its lease ends soon."""
        row, self.claimed_row = self.claimed_row, None
        assert row is not None
        self.expected.not_processed()
        self.tables.move(lifecycle.not_processed(row, TransportError()))

    def answered_too_late(self) -> None:
        """A worker writes its answer after the row was moved by another: nothing is changed."""
        late_row, self.late_row = self.late_row, None
        assert late_row is not None
        assert LeadConversion.objects.move([lifecycle.answered(late_row, BECAME)]) == []
