"""
A Hypothesis state machine: events of a few leads in any order, and invariants after each of them.

The rows must have the columns that the model expects, and these must be safe and true. Time passes
in the model, and in the tables by moving every time back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, NamedTuple

import pytest
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from tests.chaos.checker import ALLOWED_STEPS
from tests.services.case import DEADLINE, Case
from tests.services.model import TICK, TIMES
from tests.services.tables import Tables, expected_columns
from tests.services.truth import MATCH
from zoho_crm.exceptions import PlanError, StaleDecisionError
from zoho_crm.services.work import _mark_orphans_unknown

LEAD_IDS = ("1", "2", "3")
IN_DOUBT = ("UNKNOWN", "SCHEDULED")
LEAVING_DOUBT = (("UNKNOWN", "READY"), ("UNKNOWN", "FAILED"))

# A value that is repeated is drawn more often.
READS = 8 * ("truth",) + ("nothing", "fails", "bug")
LOST = ("lost", "lost at the deadline", "lost by a bug", "death")
ENDS = ("refused", "refused", "already", "not processed", "scheduled", "success", *LOST, *LOST)
#: Requested, previewed, claimed.
STAGES = st.sampled_from((3, 2, 1, 0))
EFFECTS = ("none", "none", "there", "late")
CHANGES = ("late effect", "late effect", "match", "edit", "elsewhere", "delete")
ODDS = (False, False, False, True)
ACTS = ("request", "request", "preview", "decide", "approve", "approve", "skip")


class EventKind(NamedTuple):
    """An event, the leads that it can happen to, and the values of its parameters."""

    condition: Callable[[Case], bool]
    parameters: Mapping[str, Any]
    run: Callable[..., None]


EVENT_KINDS: list[EventKind] = []


def event_kind(
    condition: Callable[[Case], bool], *, often: int = 1, **parameters: Sequence[Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a method as an event of the leads that fulfil a condition, with a frequency."""

    def register(run: Callable[..., None]) -> Callable[..., None]:
        strategies = {name: st.sampled_from(values) for name, values in parameters.items()}
        EVENT_KINDS.extend(often * [EventKind(condition, strategies, run)])
        return run

    return register


def may_be_read(case: Case) -> bool:
    return case.is_in("NEW", "READY", *IN_DOUBT)


def may_be_sent(case: Case) -> bool:
    return case.is_in("READY") or (case.claimed_row is not None and case.may_send_seconds >= 0)


class LeadStateMachine(RuleBasedStateMachine):
    """Draws events for a few leads, and checks rows and journal after each."""

    #: The number of events, and the transitions of the rows, in all examples together.
    event_count: ClassVar[int] = 0
    transitions: ClassVar[Counter[tuple[str, str]]] = Counter()

    def __init__(self, person: AbstractBaseUser) -> None:
        super().__init__()
        self._example = transaction.atomic()
        self._example.__enter__()
        self.person, self.tables = person, Tables()
        self.cases = [Case(self.tables, lead_id) for lead_id in LEAD_IDS]

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self._example.__exit__(None, None, None)

    @initialize(stages=st.tuples(*len(LEAD_IDS) * (STAGES,)))
    def some_are_in_progress(self, stages: tuple[int, ...]) -> None:
        for case, stage in zip(self.cases, stages, strict=True):
            for begin in (case.requested, case.previewed_by_worker, case.read_before_sending)[
                :stage
            ]:
                begin()

    @rule(data=st.data())
    def an_event_happens(self, data: st.DataObject) -> None:
        """Draw an event. With a rule for each, Hypothesis would leave most out of an example."""
        possible = [each for each in EVENT_KINDS if any(map(each.condition, self.cases))]
        name = data.draw(st.sampled_from([each.run.__name__ for each in possible]), "what")
        kind = next(each for each in possible if each.run.__name__ == name)
        cases = {case.lead_id: case for case in self.cases if kind.condition(case)}
        lead_id = data.draw(st.sampled_from(sorted(cases)), "to lead")
        values = data.draw(st.fixed_dictionaries(kind.parameters), "how")
        type(self).event_count += 1
        kind.run(self, cases[lead_id], **values)

    @event_kind(lambda case: True, ticks=(1, 2, 5), takes_effect=(False, True))
    def time_goes_on(self, _case: Case, ticks: int, takes_effect: bool) -> None:
        self.tables.later(ticks * TICK)
        for case in self.cases:
            case.later(ticks * TICK, takes_effect=takes_effect)

    @event_kind(lambda case: True, what=CHANGES)
    def something_changes_at_zoho(self, case: Case, what: str) -> None:
        truth = case.truth
        if what == "late effect" and truth.pending is not None:
            truth.take_effect()
        elif what == "match":
            truth.has_match = not truth.has_match
        elif truth.state == "open" and what == "edit":
            truth.edits += 1
        elif truth.state == "open" and what in ("elsewhere", "delete"):
            truth.state = {"delete": "deleted"}.get(what, what)

    @event_kind(lambda case: True, often=2, act=ACTS, plan=("", MATCH))
    def a_person_acts(self, case: Case, act: str, plan: str) -> None:
        if act == "request":
            case.requested()
        elif act == "preview":
            case.previewed_by(self.person, "truth")
        else:
            act_on = self._person_skips if act == "skip" else self._person_decides
            act_on(case, plan=plan, sends=act == "approve")

    def _person_skips(self, case: Case, **_choices: Any) -> None:
        may = case.is_in("PREVIEWED", "READY", "NEEDS_REVIEW")
        with nullcontext() if may else pytest.raises(StaleDecisionError):
            case.skipped_by(self.person)

    def _person_decides(self, case: Case, *, plan: str, sends: bool) -> None:
        fits = case.expected.shown is not None and plan in ("", case.expected.shown[1])
        refusal = PlanError if case.is_in("PREVIEWED") else StaleDecisionError
        may = fits and case.is_in("PREVIEWED")
        with nullcontext() if may else pytest.raises(refusal):
            case.decided_by(self.person, plan, sends=sends)

    @event_kind(may_be_read, often=4, read=READS, is_odd=ODDS)
    def a_worker_reads_when_it_is_due(self, case: Case, read: str, is_odd: bool) -> None:
        self._wait_for(case)
        if read == "fails":
            case.postponed()
        elif read == "bug":
            case.internal_error()
        elif case.is_in("NEW"):
            case.previewed_by_worker(read)
        elif case.is_in("READY"):
            case.preview_renewed(read) if is_odd else case.read_before_sending(read)
        else:
            view = case.view(read)
            is_stale = is_odd and not case.expected.is_conclusive and view == "converted"
            case.read_back("open" if is_stale else view)

    @event_kind(may_be_sent, often=4, end=ENDS, effect=EFFECTS)
    def a_worker_sends(self, case: Case, end: str, effect: str) -> None:
        if case.is_in("READY"):
            self._wait_for(case)
            case.read_before_sending()
        if case.claimed_row is None:
            return
        if end == "death":
            case.worker_died(effect)
        elif end.startswith("lost"):
            late = DEADLINE if end == "lost at the deadline" else 0
            case.answer_lost(effect, in_flight=late, by_bug=end == "lost by a bug")
        else:
            case.answered(end)

    @event_kind(lambda case: case.late_row is not None or case.is_in("RUNNING"))
    def a_worker_is_late(self, case: Case) -> None:
        if (
            case.claimed_row is not None
            and case.may_send_seconds < 0
            and not case.expected.is_orphan
        ):
            case.too_late_to_send()
        for orphan in [each for each in self.cases if each.expected.is_orphan]:
            orphan.expected.orphaned()
            orphan.late_row, orphan.claimed_row = orphan.claimed_row or orphan.late_row, None
        _mark_orphans_unknown(self.tables.connection.pk)
        if case.late_row is not None and not case.is_in("RUNNING"):
            case.answered_too_late()

    @event_kind(lambda case: case.is_in(*IN_DOUBT) and case.expected.is_due_certain)
    def a_person_settles_it(self, case: Case) -> None:
        """A read before the row is due can only prove a conversion."""
        view = case.view("truth")
        if case.expected.is_conclusive or view == "converted":
            case.read_back(view)

    def _wait_for(self, case: Case) -> None:
        if not case.expected.is_due:
            assert case.expected.due is not None
            self.time_goes_on(case, ticks=-(-case.expected.due[1] // TICK), takes_effect=True)

    @invariant()
    def every_row_has_the_expected_columns(self) -> None:
        columns = self.tables.columns({case.pk: case.expected for case in self.cases})
        for case in self.cases:
            assert columns[case.pk] == expected_columns(case.expected), f"lead {case.lead_id}"

    @invariant()
    def the_journal_is_complete_and_each_transition_is_allowed(self) -> None:
        cases = {case.pk: case for case in self.cases}
        for event in self.tables.new_events():
            case, step = cases[event.conversion_id], (event.from_status, event.to_status)
            assert (event.version - 1, event.from_status) == case.journal
            assert event.to_status in ALLOWED_STEPS[event.from_status].split()
            case.journal = (event.version, event.to_status)
            self.transitions[step] += 1
            if step in LEAVING_DOUBT:
                assert spaced(case.shown_open) >= TIMES["NEGATIVE_READS"]
            if event.to_status == "UNKNOWN" != event.from_status:
                case.shown_open = []
        for case in self.cases:
            assert case.journal == (case.expected.version, case.expected.status)

    @invariant()
    def every_outcome_is_true(self) -> None:
        for case in self.cases:
            truth, expected = case.truth, case.expected
            assert truth.conversions <= 1
            if expected.status == "CONVERTED":
                assert truth.state in ("us", "elsewhere")
                # While an answer of ours is missing, a conversion elsewhere looks like ours.
                assert expected.converted_by == truth.state or expected.in_doubt
            if expected.status in ("FAILED", "SKIPPED") and not expected.closed_in_doubt:
                assert (truth.conversions, truth.pending) == (0, None)


def spaced(ages: list[int]) -> int:
    """Return how many of the reads are at least ``READ_SPACING`` apart."""
    count, last = 0, None
    for age in ages:
        if last is None or last - age >= TIMES["READ_SPACING"]:
            count, last = count + 1, age
    return count
