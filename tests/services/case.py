"""One lead to which things happen: at Zoho, in the model, and by the real code in the tables."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.contrib.auth.models import AbstractBaseUser

from tests.services.model import TIMES, Life
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
from zoho_crm.services.work._preview import preview_result
from zoho_crm.services.work._send import move_after_renewal, move_before_sending
from zoho_crm.services.work._settle import move_after_read_back
from zoho_crm.types import ConversionPlan, Scheduled

DEADLINE = TIMES["CALL_DEADLINE"]
#: What Zoho says instead of a lead that is not open any more.
INSTEAD = {
    ("elsewhere", "success"): "already",
    ("elsewhere", "scheduled"): "already",
    ("deleted", "success"): "refused",
    ("deleted", "scheduled"): "refused",
    ("deleted", "already"): "refused",
}


@dataclass
class Case:
    """What is true of a lead, what its row has to say, and who is about to convert it."""

    tables: Tables
    lead_id: str
    truth: Truth = field(default_factory=Truth)
    life: Life = field(default_factory=Life)
    #: The row as the worker has it that claimed it, and for how long that may still send.
    hand: LeadConversion | None = None
    may_send: int = 0
    #: The row as a worker has it that was too late.
    ghost: LeadConversion | None = None
    #: Ages of the reads that showed it open when no call could act, since the doubt began.
    shown_open: list[int] = field(default_factory=list)
    #: The version and the status that its journal has come to.
    journal: tuple[int, str] = (0, "NEW")

    def __post_init__(self) -> None:
        self.pk = self.tables.add(self.lead_id)

    @property
    def row(self) -> LeadConversion:
        """The row as whoever asks now sees it."""
        return self.tables.row(self.pk)

    def is_in(self, *statuses: str) -> bool:
        """Whether the lead is there on its way."""
        return self.life.status in statuses

    def later(self, seconds: int, *, strikes: bool) -> None:
        """Let time go on, except in the tables."""
        self.truth.later(seconds, strikes=strikes)
        self.life.later(seconds)
        self.may_send -= seconds
        self.shown_open = [age + seconds for age in self.shown_open]

    def view(self, read: str) -> str:
        """Return what a read shows that goes well, or shows ``nothing``."""
        return "nothing" if read == "nothing" else self.truth.view

    # People

    def requested(self) -> None:
        """Somebody wants it to be converted by the careful policy."""
        self.life.requested()
        convert.request(connection_id=self.tables.connection.pk, lead_id=self.lead_id)

    def previewed_by(self, person: AbstractBaseUser, read: str) -> None:
        """A person looks at it: what ``preview`` does with what it read."""
        view, row = self.view(read), self.row
        if not previews._may_be_previewed(row):
            return
        self.life.previewed_by_person(view, self.truth)
        found = preview_of(view, self.truth, self.lead_id)
        row = previews._reopen(row, found, str(person))
        if row.status in previews.PREVIEWABLE:
            is_requested = row.status == "NEW" and bool(row.policy)
            self.tables.move(lifecycle.previewed(row, found))
            if is_requested and row.status == "PREVIEWED":
                self.tables.move(lifecycle.reset_to_new(row))

    def decided_by(self, person: AbstractBaseUser, plan: str, *, sends: bool) -> None:
        """A person puts a plan on it, and perhaps wants it to be sent."""
        decide = convert.approve if sends else convert.decide
        version = self.life.version
        wanted = ConversionPlan(contact_id=plan)
        decide(conversion_id=self.pk, version=version, plan=wanted, by=person)
        (self.life.approved_by_person if sends else self.life.decided_by_person)(plan)

    def skipped_by(self, person: AbstractBaseUser) -> None:
        """A person leaves it out, or closes it."""
        convert.skip(conversion_id=self.pk, version=self.life.version, by=person)
        self.life.skipped()

    # Workers that read

    def put_off(self) -> None:
        """A worker could not read it."""
        self.life.put_off()
        self.tables.move(lifecycle.postponed(self.row, TransportError()))

    def looked_at(self, read: str = "truth") -> None:
        """A worker previews it."""
        view = self.view(read)
        result = preview_result(self.row, preview_of(view, self.truth, self.lead_id), None)
        self.life.looked_at(view, self.truth)
        convert.write_moves([result.move], {self.pk: result.plan} if result.plan else {})

    def looked_again(self, read: str) -> None:
        """A worker makes its old preview anew."""
        view = self.view(read)
        found = preview_of(view, self.truth, self.lead_id)
        self.life.looked_again(view, self.truth)
        self.tables.move(move_after_renewal(self.row, found, None))

    def checked(self, read: str = "truth") -> None:
        """A worker reads it just before sending, and claims it if it may be sent."""
        view, row = self.view(read), self.row
        self.life.checked(view, self.truth)
        self.tables.move(move_before_sending(row, lead_as(view, self.truth, self.lead_id)))
        if self.is_in("RUNNING"):
            self.hand, self.may_send = row, TIMES["LEASE"] - DEADLINE

    def read_back(self, view: str) -> None:
        """Somebody reads it while it is in doubt, or scheduled."""
        if view == "open" and self.truth.restless == 0:
            self.shown_open.append(0)
        row = self.row
        self.life.read_back(view, is_conclusive=self.life.is_conclusive)
        self.tables.move(move_after_read_back(row, lead_as(view, self.truth, self.lead_id)))

    def met_a_bug(self) -> None:
        """An error of ours meets a worker that reads it."""
        row = self.row
        self.life.met_a_bug()
        self.tables.move(lifecycle.internal_error(row, KeyError()))

    # Workers that send

    def sent(self) -> LeadConversion:
        """
        A call goes out, and the row is as its worker has it.

        :raises AssertionError: if an earlier call of ours has converted the lead, or may still
        """
        assert self.truth.fate != "us", "we have converted it already"
        assert self.truth.pending is None, "an earlier call is about to convert it"
        assert self.truth.restless == 0, "an earlier call may still convert it"
        assert self.hand is not None
        row, self.hand = self.hand, None
        return row

    def answered(self, wish: str) -> None:
        """Zoho gives a clear answer to our call: this one, if the lead is such."""
        row = self.sent()
        answer = INSTEAD.get((self.truth.fate, wish), wish)
        if answer == "success":
            self.truth.take_effect()
        if answer == "scheduled":
            horizon = TIMES["JOB_HORIZON"] + TIMES["MASS_QUIET_PERIOD"]
            self.truth.pending = self.truth.restless = horizon
        meaning, move = {
            "success": (self.life.succeeded, lambda: lifecycle.answered(row, BECAME)),
            "scheduled": (
                self.life.scheduled,
                lambda: lifecycle.answered(row, Scheduled(job_id="7")),
            ),
            "refused": (self.life.refused, lambda: lifecycle.refused(row, RequestRefusedError())),
            "already": (
                self.life.already_converted,
                lambda: lifecycle.already_converted(row, AlreadyConvertedError()),
            ),
            "not processed": (
                self.life.not_processed,
                lambda: lifecycle.not_processed(row, TransportError()),
            ),
        }[answer]
        meaning()
        self.tables.move(move())

    def lost(self, effect: str, *, in_flight: int = 0, by_bug: bool = False) -> None:
        """No clear answer comes; the effect is ``none``, is there, or comes ``late``."""
        row = self.sent()
        in_flight = DEADLINE if by_bug else in_flight
        self.truth.left_with(effect, in_flight + TIMES["QUIET_PERIOD"])
        self.life.lost(in_flight)
        if by_bug:
            self.tables.move(lifecycle.internal_error(row, KeyError()))
        else:
            self.tables.move(lifecycle.answer_lost(row, UnknownOutcomeError(), in_flight=in_flight))

    def left_behind(self, effect: str) -> None:
        """The worker dies, or goes on too late, after it sent."""
        assert self.life.due is not None
        lease_end = self.life.due[0]
        self.ghost = self.sent()
        self.truth.left_with(effect, lease_end + TIMES["QUIET_PERIOD"])

    def too_late_to_send(self) -> None:
        """The worker that claimed it finds that it must not send any more."""
        row, self.hand = self.hand, None
        assert row is not None
        self.life.not_processed()
        self.tables.move(lifecycle.not_processed(row, TransportError()))

    def answered_too_late(self) -> None:
        """A worker writes its answer after others moved the row: that reaches nothing."""
        ghost, self.ghost = self.ghost, None
        assert ghost is not None
        assert LeadConversion.objects.move([lifecycle.answered(ghost, BECAME)]) == []
