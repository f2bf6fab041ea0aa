"""A run from its preparation to its end, and everything that people may do on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import DateTimeField
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast

from tests.mass.bench import CREATE, Bench, Stage, policy
from zoho_crm.exceptions import PlanError, RequestRefusedError, StaleDecisionError
from zoho_crm.matching import Action, DealTemplate
from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.services import convert, mass_convert, preview
from zoho_crm.types import ConversionPlan

pytestmark = pytest.mark.slow

Status = LeadConversion.Status
CASES = ("no_match", "one_match", "account_only", "several", "locked", "converted", "deleted")


def told(bench: Bench) -> dict[str, str]:
    return {case: bench.zoho.story(case) for case in CASES}


# To the end


def test_a_run_previews_waits_and_converts_what_was_decided(bench: Bench) -> None:
    leads = told(bench)

    run = bench.reviewed(leads.values())
    assert not bench.requested()
    bench.start(run)
    bench.until_ended(run)

    assert run.stage == Stage.FINISHED
    assert bench.sent() == [leads["converted"], leads["no_match"]]
    assert run.counts == {
        "ACCOUNT_ONLY": 1,
        "ALREADY_CONVERTED": 1,
        "CONVERTED": 2,
        "NOT_CONVERTIBLE": 1,
        "NOT_FOUND": 1,
        "NO_MATCH": 1,
        "ONE_MATCH": 1,
        "PREVIEWED": 5,
        "SEVERAL_MATCHES": 1,
        "decided": 0,
    }


def test_counts_are_frozen_when_a_run_has_ended(bench: Bench) -> None:
    run = bench.finished(bench.leads(1))

    LeadConversion.objects.update(status=Status.FAILED)

    assert mass_convert.counts(run) == {"CONVERTED": 1, "NO_MATCH": 1, "decided": 0}


def test_a_run_that_became_due_at_a_full_second_comes_to_rest(bench: Bench) -> None:
    # SQLite compares instants as text, and there is more than one way to write a full second.
    run = bench.reviewed(bench.leads(1))
    a_full_second = RawSQL("'2020-01-01 00:00:00.000'", [])
    MassConversion.objects.update(due_at=Cast(a_full_second, DateTimeField()))

    bench.work()

    assert bench.refreshed(run).due_at is None


def test_a_run_says_who_prepared_and_started_it_and_its_rows_who_approved(bench: Bench) -> None:
    run = bench.finished(bench.leads(1), name="Spring")

    row = run.rows.get()
    assert (run.created_by, run.started_by, row.approved_by) == (bench.person,) * 3
    assert (row.converted_by, row.evidence) == ("us", "answer")


# Decisions


def test_a_whole_verdict_is_decided_at_once(bench: Bench) -> None:
    leads = [bench.zoho.story("one_match") for _lead in range(3)]
    run = bench.reviewed(leads)

    decided = mass_convert.decide(
        run_id=run.pk, verdict="ONE_MATCH", action="attach", by=bench.person
    )
    bench.until_settled(run)
    bench.start(run)
    bench.until_ended(run)

    assert decided == 3
    assert sorted(bench.sent()) == sorted(leads)
    assert {row.decided_by for row in run.rows.all()} == {bench.person}
    assert not bench.duplicates("Contacts", "Email")


def test_a_verdict_that_is_decided_gets_what_all_plans_of_the_run_share(bench: Bench) -> None:
    deal = DealTemplate(name="{Company}", stage="Qualification", pipeline="Standard (Standard)")
    run = bench.reviewed([bench.zoho.story("one_match")], policy=policy(deal=deal))

    mass_convert.decide(run_id=run.pk, verdict="ONE_MATCH", action="attach", by=bench.person)

    plan = run.rows.get().stored_plan()
    assert plan is not None
    assert plan.contact_id
    assert plan.deal is not None


def test_a_lead_whose_owner_is_gone_stays_undecided_when_its_verdict_is_decided(
    bench: Bench,
) -> None:
    run = bench.reviewed([bench.zoho.story("one_match")], active_owners=["999"])

    decided = mass_convert.decide(
        run_id=run.pk, verdict="ONE_MATCH", action="attach", by=bench.person
    )

    row = run.rows.get()
    assert decided == 0
    assert (row.plan, row.reason, row.decided_by) == (None, "owner", None)


def test_leads_are_decided_one_by_one_left_out_and_taken_in_again(bench: Bench) -> None:
    several, other = bench.zoho.story("several"), bench.zoho.story("several")
    run = bench.reviewed([several, other])
    contact = bench.row(several).stored_options().contacts[0]

    def decide(lead_id: str, plan: ConversionPlan | None) -> None:
        row = bench.row(lead_id)
        mass_convert.decide_one(
            conversion_id=row.pk, version=row.version, plan=plan, by=bench.person
        )

    decide(other, None)
    decide(other, None)
    assert bench.row(other).status == Status.SKIPPED
    decide(other, CREATE)
    decide(other, None)
    decide(several, ConversionPlan(contact_id=contact.id))
    bench.until_settled(run)
    bench.start(run)
    bench.until_ended(run)

    assert bench.sent() == [several]
    assert bench.row(several).contact_id == contact.id
    assert bench.row(other).status == Status.SKIPPED


def test_a_plan_that_does_not_fit_the_preview_is_refused(bench: Bench) -> None:
    run = bench.reviewed([bench.zoho.story("several")])
    row = run.rows.get()

    with pytest.raises(PlanError):
        mass_convert.decide_one(
            conversion_id=row.pk,
            version=row.version,
            plan=ConversionPlan(contact_id="999"),
            by=bench.person,
        )


def test_a_row_that_changed_after_it_was_shown_is_not_decided(bench: Bench) -> None:
    run = bench.reviewed([bench.zoho.story("several")])
    row = run.rows.get()

    with pytest.raises(StaleDecisionError):
        mass_convert.decide_one(
            conversion_id=row.pk, version=row.version - 1, plan=CREATE, by=bench.person
        )


@pytest.mark.parametrize(
    ("verdict", "action"),
    [
        ("NO_MATCH", "attach"),
        ("SEVERAL_MATCHES", "attach"),
        ("NOT_FOUND", "create"),
        ("ONE_MATCH", "newest"),
    ],
)
def test_what_cannot_be_said_of_a_verdict_is_refused(
    bench: Bench, verdict: str, action: str
) -> None:
    run = bench.reviewed(bench.leads(1))

    with pytest.raises(PlanError):
        mass_convert.decide(run_id=run.pk, verdict=verdict, action=action, by=bench.person)


def test_a_persons_plan_is_never_replaced_by_the_policy_or_a_machine(bench: Bench) -> None:
    lead_id = bench.zoho.story("one_match")
    run = bench.reviewed([lead_id], policy=policy(on_one_match=Action.ATTACH))
    row = bench.row(lead_id)
    mass_convert.decide_one(conversion_id=row.pk, version=row.version, plan=CREATE, by=bench.person)
    mass_convert.decide(run_id=run.pk, verdict="ONE_MATCH", action="attach")
    bench.until_settled(run)
    bench.refuse(lead_id)
    bench.start(run)
    bench.until_ended(run)

    mass_convert.retry(run_id=run.pk)
    bench.until_settled(run)

    row = bench.row(lead_id)
    assert (row.status, row.stored_plan(), row.decided_by) == (
        Status.PREVIEWED,
        CREATE,
        bench.person,
    )


def test_the_newest_and_the_most_recently_active_of_several_are_told_apart(bench: Bench) -> None:
    one, two = bench.zoho.story("several"), bench.zoho.story("several")

    bench.reviewed([one], policy=policy(on_several_matches=Action.NEWEST))
    bench.reviewed([two], policy=policy(on_several_matches=Action.MOST_RECENTLY_ACTIVE))

    def title(lead_id: str) -> Any:
        plan = bench.row(lead_id).stored_plan()
        return plan and bench.zoho.records["Contacts"][plan.contact_id]["Title"]

    # In the story the younger contact is an assistant, and nobody has dealt with her lately.
    assert (title(one), title(two)) == ("Assistant", None)


# Starting


def test_a_count_that_is_wrong_starts_nothing(bench: Bench) -> None:
    run = bench.reviewed(bench.leads(2))

    with pytest.raises(PlanError) as refused:
        mass_convert.start(run_id=run.pk, revision=run.revision, count=3)

    assert refused.value.code == "other_count"
    assert bench.refreshed(run).stage == Stage.REVIEW


def test_a_decision_after_the_page_was_shown_starts_nothing(bench: Bench) -> None:
    run = bench.reviewed([*bench.leads(1), bench.zoho.story("one_match")])
    shown = run.revision
    mass_convert.decide(run_id=run.pk, verdict="ONE_MATCH", action="skip", by=bench.person)

    with pytest.raises(StaleDecisionError) as early:
        mass_convert.start(run_id=run.pk, revision=shown, count=1)
    bench.until_settled(run)
    with pytest.raises(StaleDecisionError) as stale:
        mass_convert.start(run_id=run.pk, revision=shown, count=1)

    assert (early.value.code, stale.value.code) == ("not_settled", "changed")
    assert not bench.requested()


def test_a_run_is_started_once(bench: Bench) -> None:
    run = bench.reviewed(bench.leads(1))
    shown = run.revision
    bench.start(run)

    with pytest.raises(StaleDecisionError):
        mass_convert.start(run_id=run.pk, revision=shown, count=1)


def test_a_run_that_was_started_is_no_longer_decided(bench: Bench) -> None:
    run = bench.started([bench.zoho.story("one_match")])
    row = run.rows.get()

    with pytest.raises(StaleDecisionError):
        mass_convert.decide(run_id=run.pk, verdict="ONE_MATCH", action="attach", by=bench.person)
    with pytest.raises(StaleDecisionError):
        mass_convert.decide_one(
            conversion_id=row.pk, version=row.version, plan=CREATE, by=bench.person
        )

    bench.until_ended(run)
    assert not bench.requested()


def test_a_decision_that_meets_the_start_is_not_written(bench: Bench) -> None:
    run = bench.reviewed([bench.zoho.story("one_match")])
    before = bench.row(run.rows.get().lead_id)

    # As seen by a decision that had begun before.
    MassConversion.objects.filter(pk=run.pk).update(stage=Stage.CONVERTING)

    assert not run.bump_revision()
    after = run.rows.get()
    assert (after.version, after.plan) == (before.version, None)


def test_two_runs_that_share_leads_convert_each_of_them_once(bench: Bench) -> None:
    leads = bench.leads(3)
    first = bench.prepare(leads[:2])
    second = bench.prepare(leads[1:])
    for run in (first, second):
        bench.until_settled(run)
        bench.start(run)
    bench.until_ended(first)
    bench.until_ended(second)

    assert sorted(bench.sent()) == sorted(leads)
    assert second.lines.get().reason == "in_another_run"


# Pause, resume, cancel


def test_nothing_is_sent_after_a_pause_until_it_is_resumed(bench: Bench) -> None:
    run = bench.started(bench.leads(8))
    assert mass_convert.pause(run_id=run.pk, by=bench.person)

    for _turn in range(3):
        bench.work()
    assert not bench.requested()
    assert bench.refreshed(run).paused_details == {"user": "pat"}

    assert mass_convert.resume(run_id=run.pk)
    bench.until_ended(run)
    assert len(bench.sent()) == 8


def test_a_pause_in_the_middle_of_a_slice_holds_before_the_next_send(bench: Bench) -> None:
    run = bench.started(bench.leads(8))
    at_pause: list[int] = []

    def somebody_pauses() -> bool:
        if not at_pause and len(bench.sent()) >= 2:
            mass_convert.pause(run_id=run.pk, by=bench.person)
            at_pause.append(len(bench.requested()))
        return False

    bench.until(lambda: bool(at_pause), lambda: bench.work(somebody_pauses))
    bench.work()

    assert len(bench.requested()) == at_pause[0] < 8


def test_only_a_run_that_goes_on_is_paused_and_only_a_paused_one_resumed(bench: Bench) -> None:
    run = bench.reviewed(bench.leads(1))

    assert not mass_convert.pause(run_id=run.pk, by=bench.person)
    assert not mass_convert.resume(run_id=run.pk)


def test_a_pause_while_previewing_holds_the_previews(bench: Bench) -> None:
    run = bench.prepare(bench.leads(2))
    mass_convert.pause(run_id=run.pk, by=bench.person)

    bench.work()
    assert bench.status_counts() == {Status.NEW: 2}

    mass_convert.resume(run_id=run.pk)
    bench.until_settled(run)
    assert run.stage == Stage.REVIEW


def _prepared(bench: Bench, leads: list[str]) -> MassConversion:
    return bench.prepare(leads)


def _reviewed(bench: Bench, leads: list[str]) -> MassConversion:
    return bench.reviewed(leads)


def _started(bench: Bench, leads: list[str]) -> MassConversion:
    return bench.started(leads)


def _paused(bench: Bench, leads: list[str]) -> MassConversion:
    run = bench.started(leads)
    mass_convert.pause(run_id=run.pk, by=bench.person)
    return run


@pytest.mark.parametrize("begin", [_prepared, _reviewed, _started, _paused])
def test_a_run_is_cancelled_at_every_stage_and_sends_nothing_more(
    bench: Bench, begin: Callable[[Bench, list[str]], MassConversion]
) -> None:
    run = begin(bench, bench.leads(3))

    assert mass_convert.cancel(run_id=run.pk)
    bench.until_ended(run)

    assert run.stage == Stage.CANCELLED
    assert bench.status_counts() == {Status.SKIPPED: 3}
    assert run.counts is not None
    assert run.counts[Status.SKIPPED] == 3
    assert not bench.requested()
    assert not mass_convert.cancel(run_id=run.pk)


def test_what_is_under_way_when_a_run_is_cancelled_is_settled(bench: Bench) -> None:
    leads = bench.leads(3)
    bench.zoho.fail("convert", "close_after")
    run = bench.started(leads)
    bench.until(lambda: Status.UNKNOWN in bench.status_counts())

    mass_convert.cancel(run_id=run.pk)
    bench.until_ended(run)

    standing = bench.status_counts()
    assert standing[Status.CONVERTED] == len(bench.sent())
    assert sum(standing.values()) == 3
    assert set(standing) <= {Status.CONVERTED, Status.SKIPPED}
    bench.check_against_simulator()


def test_a_lead_in_doubt_that_was_not_converted_is_left_out_when_its_run_was_cancelled(
    bench: Bench,
) -> None:
    bench.zoho.fail("convert", "close_before")
    run = bench.started(bench.leads(1))
    bench.until(lambda: Status.UNKNOWN in bench.status_counts())

    mass_convert.cancel(run_id=run.pk)
    bench.until_ended(run)

    assert bench.status_counts() == {Status.SKIPPED: 1}
    assert not bench.sent()


# Retrying


def test_what_failed_is_tried_again_after_another_start(bench: Bench) -> None:
    good, bad = bench.leads(2)
    bench.refuse(bad)
    run = bench.finished([good, bad])
    assert bench.row(bad).error_code == "MANDATORY_NOT_FOUND"
    bench.zoho.heal()

    assert mass_convert.retry(run_id=run.pk, by=bench.person) == 1
    bench.until_settled(run)
    assert bench.refreshed(run).stage == Stage.REVIEW
    assert bench.sent() == [good]

    bench.start(run)
    bench.until_ended(run)
    assert sorted(bench.sent()) == sorted([good, bad])
    assert run.counts is not None
    assert run.counts["CONVERTED"] == 2


def test_a_run_in_which_nothing_can_be_tried_again_stays_finished(bench: Bench) -> None:
    run = bench.finished(bench.leads(1))

    assert mass_convert.retry(run_id=run.pk) == 0
    assert bench.refreshed(run).stage == Stage.FINISHED


def test_only_a_finished_run_is_tried_again(bench: Bench) -> None:
    run = bench.reviewed(bench.leads(1))

    with pytest.raises(StaleDecisionError):
        mass_convert.retry(run_id=run.pk)


# Leads that change


def test_a_lead_that_changed_after_the_start_is_shown_again_and_not_sent(bench: Bench) -> None:
    changed, kept = bench.leads(2)
    run = bench.reviewed([changed, kept])
    bench.start(run)
    bench.zoho.change(bench.zoho.records["Leads"][changed], City="Elsewhere")

    bench.until_ended(run)

    row = bench.row(changed)
    assert bench.sent() == [kept]
    assert (row.status, row.plan, row.reason) == (Status.PREVIEWED, None, "changed")
    assert run.stage == Stage.FINISHED


def test_a_lead_that_a_person_decided_and_that_changed_after_the_start_is_not_sent(
    bench: Bench,
) -> None:
    lead_id = bench.zoho.story("several")
    run = bench.reviewed([lead_id])
    row = bench.row(lead_id)
    mass_convert.decide_one(conversion_id=row.pk, version=row.version, plan=CREATE, by=bench.person)
    bench.until_settled(run)
    bench.start(run)
    bench.zoho.change(bench.zoho.records["Leads"][lead_id], City="Elsewhere")

    bench.until_ended(run)

    assert not bench.requested()
    assert bench.row(lead_id).plan is None


def test_a_lead_that_is_converted_elsewhere_after_the_start_is_not_sent(bench: Bench) -> None:
    (lead_id,) = bench.leads(1)
    run = bench.started([lead_id])
    bench.zoho.convert_elsewhere(lead_id)

    bench.until_ended(run)

    assert not bench.requested()
    assert bench.row(lead_id).converted_by == "elsewhere"


# Leads of a run, singly


def test_a_lead_of_a_run_that_goes_on_is_not_decided_singly(bench: Bench) -> None:
    lead_id = bench.zoho.story("one_match")
    run = bench.reviewed([lead_id], name="Spring")
    row = bench.row(lead_id)
    given: dict[str, Any] = {"conversion_id": row.pk, "version": row.version, "by": bench.person}

    for refused_call in (
        lambda: preview.preview(connection_id=bench.connection.pk, lead_id=lead_id),
        lambda: convert.decide(**given, plan=CREATE),
        lambda: convert.approve(**given, plan=CREATE),
    ):
        with pytest.raises(RequestRefusedError, match=f"#{run.pk} Spring") as refused:
            refused_call()
        assert refused.value.code == "in_run"

    asked = convert.request(connection_id=bench.connection.pk, lead_id=lead_id, policy="attach")
    assert (asked.status, asked.policy, asked.mass_conversion) == (Status.PREVIEWED, "", run)
    assert bench.row(lead_id).version == row.version


def _previewed_singly(bench: Bench, row: LeadConversion) -> None:
    preview.preview(connection_id=bench.connection.pk, lead_id=row.lead_id)


def _decided_singly(bench: Bench, row: LeadConversion) -> None:
    convert.decide(conversion_id=row.pk, version=row.version, plan=CREATE, by=bench.person)


def _approved_singly(bench: Bench, row: LeadConversion) -> None:
    convert.approve(conversion_id=row.pk, version=row.version, plan=CREATE, by=bench.person)


def _requested_singly(bench: Bench, row: LeadConversion) -> None:
    convert.request(connection_id=bench.connection.pk, lead_id=row.lead_id)


@pytest.mark.parametrize(
    "act", [_previewed_singly, _decided_singly, _approved_singly, _requested_singly]
)
def test_a_lead_of_a_run_that_has_ended_leaves_it_when_it_is_decided_singly(
    bench: Bench, act: Callable[[Bench, LeadConversion], None]
) -> None:
    lead_id = bench.zoho.story("several")
    run = bench.finished([lead_id])
    frozen = dict(run.counts or {})

    act(bench, bench.row(lead_id))

    row = bench.row(lead_id)
    assert (row.mass_conversion, row.job, row.follows, row.joins) == (None, None, None, "")
    assert mass_convert.counts(bench.refreshed(run)) == frozen


def test_a_lead_that_left_its_run_is_converted_by_itself(bench: Bench) -> None:
    lead_id = bench.zoho.story("several")
    bench.finished([lead_id])

    _approved_singly(bench, bench.row(lead_id))
    bench.until(lambda: bench.row(lead_id).status == Status.CONVERTED)

    bench.check_against_simulator()


def test_leaving_a_lead_out_singly_is_a_decision_of_its_run(bench: Bench) -> None:
    run = bench.reviewed(bench.leads(2))
    shown, row = run.revision, run.rows.first()
    assert row is not None

    convert.skip(conversion_id=row.pk, version=row.version, by=bench.person)

    with pytest.raises(StaleDecisionError):
        mass_convert.start(run_id=run.pk, revision=shown, count=1)
