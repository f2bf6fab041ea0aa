"""
What may happen to a few leads, in any order, and what must hold after each step.

The tables must say what the model says, and what the model says must be safe and true. Time goes on
in the model, and in the tables by moving every instant back.
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
from tests.services.tables import Tables, said_by
from tests.services.truth import MATCH
from zoho_crm.exceptions import PlanError, StaleDecisionError
from zoho_crm.services.work import _mark_orphans_unknown

LEAD_IDS = ("1", "2", "3")
IN_DOUBT = ("UNKNOWN", "SCHEDULED")
LEAVING_DOUBT = (("UNKNOWN", "READY"), ("UNKNOWN", "FAILED"))

# What is written more often happens more often.
READS = 8 * ("truth",) + ("nothing", "fails", "bug")
LOST = ("lost", "lost at the deadline", "lost by a bug", "death")
ENDS = ("refused", "refused", "already", "not processed", "scheduled", "success", *LOST, *LOST)
#: Requested, previewed, claimed.
STAGES = st.sampled_from((3, 2, 1, 0))
EFFECTS = ("none", "none", "there", "late")
CHANGES = ("late effect", "late effect", "match", "edit", "elsewhere", "delete")
ODDS = (False, False, False, True)
ACTS = ("request", "request", "preview", "decide", "approve", "approve", "skip")


class Happening(NamedTuple):
    """What can happen to a lead that is so, and in which ways."""

    condition: Callable[[Case], bool]
    ways: Mapping[str, Any]
    make: Callable[..., None]


HAPPENINGS: list[Happening] = []


def happens(
    condition: Callable[[Case], bool], *, often: int = 1, **ways: Sequence[Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let this happen to leads that are so, so many times as often as what is rare."""

    def register(make: Callable[..., None]) -> Callable[..., None]:
        strategies = {name: st.sampled_from(way) for name, way in ways.items()}
        HAPPENINGS.extend(often * [Happening(condition, strategies, make)])
        return make

    return register


def is_for_a_reader(case: Case) -> bool:
    return case.is_in("NEW", "READY", *IN_DOUBT)


def may_be_sent(case: Case) -> bool:
    return case.is_in("READY") or (case.hand is not None and case.may_send >= 0)


class Lives(RuleBasedStateMachine):
    """What happens to a few leads."""

    #: Steps that were made, and those that rows took, in all examples together.
    steps: ClassVar[int] = 0
    met: ClassVar[Counter[tuple[str, str]]] = Counter()

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
    def some_are_on_their_way(self, stages: tuple[int, ...]) -> None:
        for case, stage in zip(self.cases, stages, strict=True):
            for begin in (case.requested, case.looked_at, case.checked)[:stage]:
                begin()

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        """One rule for all, or Hypothesis would leave most of them out of most examples."""
        possible = [each for each in HAPPENINGS if any(map(each.condition, self.cases))]
        name = data.draw(st.sampled_from([each.make.__name__ for each in possible]), "what")
        happening = next(each for each in possible if each.make.__name__ == name)
        cases = {case.lead_id: case for case in self.cases if happening.condition(case)}
        lead_id = data.draw(st.sampled_from(sorted(cases)), "to lead")
        way = data.draw(st.fixed_dictionaries(happening.ways), "how")
        type(self).steps += 1
        happening.make(self, cases[lead_id], **way)

    @happens(lambda case: True, ticks=(1, 2, 5), strikes=(False, True))
    def time_goes_on(self, _case: Case, ticks: int, strikes: bool) -> None:
        self.tables.later(ticks * TICK)
        for case in self.cases:
            case.later(ticks * TICK, strikes=strikes)

    @happens(lambda case: True, what=CHANGES)
    def something_changes_at_zoho(self, case: Case, what: str) -> None:
        truth = case.truth
        if what == "late effect" and truth.pending is not None:
            truth.take_effect()
        elif what == "match":
            truth.has_match = not truth.has_match
        elif truth.fate == "open" and what == "edit":
            truth.edition += 1
        elif truth.fate == "open" and what in ("elsewhere", "delete"):
            truth.fate = {"delete": "deleted"}.get(what, what)

    @happens(lambda case: True, often=2, act=ACTS, plan=("", MATCH))
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
        fits = case.life.shown is not None and plan in ("", case.life.shown[1])
        refusal = PlanError if case.is_in("PREVIEWED") else StaleDecisionError
        may = fits and case.is_in("PREVIEWED")
        with nullcontext() if may else pytest.raises(refusal):
            case.decided_by(self.person, plan, sends=sends)

    @happens(is_for_a_reader, often=4, read=READS, is_odd=ODDS)
    def a_worker_reads_when_it_is_due(self, case: Case, read: str, is_odd: bool) -> None:
        self._wait_for(case)
        if read == "fails":
            case.put_off()
        elif read == "bug":
            case.met_a_bug()
        elif case.is_in("NEW"):
            case.looked_at(read)
        elif case.is_in("READY"):
            case.looked_again(read) if is_odd else case.checked(read)
        else:
            view = case.view(read)
            is_stale = is_odd and not case.life.is_conclusive and view == "converted"
            case.read_back("open" if is_stale else view)

    @happens(may_be_sent, often=4, end=ENDS, effect=EFFECTS)
    def a_worker_sends(self, case: Case, end: str, effect: str) -> None:
        if case.is_in("READY"):
            self._wait_for(case)
            case.checked()
        if case.hand is None:
            return
        if end == "death":
            case.left_behind(effect)
        elif end.startswith("lost"):
            late = DEADLINE if end == "lost at the deadline" else 0
            case.lost(effect, in_flight=late, by_bug=end == "lost by a bug")
        else:
            case.answered(end)

    @happens(lambda case: case.ghost is not None or case.is_in("RUNNING"))
    def a_worker_is_late(self, case: Case) -> None:
        if case.hand is not None and case.may_send < 0 and not case.life.is_orphan:
            case.too_late_to_send()
        for orphan in [each for each in self.cases if each.life.is_orphan]:
            orphan.life.orphaned()
            orphan.ghost, orphan.hand = orphan.hand or orphan.ghost, None
        _mark_orphans_unknown(self.tables.connection.pk)
        if case.ghost is not None and not case.is_in("RUNNING"):
            case.answered_too_late()

    @happens(lambda case: case.is_in(*IN_DOUBT) and case.life.is_sure)
    def a_person_settles_it(self, case: Case) -> None:
        """A read between two that are due can only prove a conversion."""
        view = case.view("truth")
        if case.life.is_conclusive or view == "converted":
            case.read_back(view)

    def _wait_for(self, case: Case) -> None:
        if not case.life.is_due:
            assert case.life.due is not None
            self.time_goes_on(case, ticks=-(-case.life.due[1] // TICK), strikes=True)

    @invariant()
    def every_row_says_what_the_model_says(self) -> None:
        said = self.tables.said({case.pk: case.life for case in self.cases})
        for case in self.cases:
            assert said[case.pk] == said_by(case.life), f"lead {case.lead_id}"

    @invariant()
    def the_journal_has_every_step_and_each_is_allowed(self) -> None:
        cases = {case.pk: case for case in self.cases}
        for event in self.tables.new_events():
            case, step = cases[event.conversion_id], (event.from_status, event.to_status)
            assert (event.version - 1, event.from_status) == case.journal
            assert event.to_status in ALLOWED_STEPS[event.from_status].split()
            case.journal = (event.version, event.to_status)
            self.met[step] += 1
            if step in LEAVING_DOUBT:
                assert spaced(case.shown_open) >= TIMES["NEGATIVE_READS"]
            if event.to_status == "UNKNOWN" != event.from_status:
                case.shown_open = []
        for case in self.cases:
            assert case.journal == (case.life.version, case.life.status)

    @invariant()
    def what_rows_say_is_true(self) -> None:
        for case in self.cases:
            truth, life = case.truth, case.life
            assert truth.conversions <= 1
            if life.status == "CONVERTED":
                assert truth.fate in ("us", "elsewhere")
                # Whoever converts a lead while an answer of ours is missing cannot be told from us.
                assert life.converted_by == truth.fate or life.in_doubt
            if life.status in ("FAILED", "SKIPPED") and not life.closed_in_doubt:
                assert (truth.conversions, truth.pending) == (0, None)


def spaced(ages: list[int]) -> int:
    """Count the reads that are far enough from each other."""
    count, last = 0, None
    for age in ages:
        if last is None or last - age >= TIMES["READ_SPACING"]:
            count, last = count + 1, age
    return count
