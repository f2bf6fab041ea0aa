"""Rows that go together by Zoho's mass conversion, which tells counts and never which lead."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from tests.calls import calls
from tests.mass.bench import Bench, Stage, policy
from zoho_crm.matching import DealTemplate
from zoho_crm.models import LeadConversion, MassConversion, MassConversionJob, from_now
from zoho_crm.models._database import DbNow
from zoho_crm.services import mass_convert
from zoho_crm.services.work._mass_jobs import mark_accepted, save_state
from zoho_crm.types import JobStage, JobState

pytestmark = pytest.mark.slow

Status = LeadConversion.Status
JobStatus = MassConversionJob.Status
#: How many leads go singly first, and from how many on a job is cheaper.
CANARIES, SMALLEST = 5, 41
DEAL = DealTemplate(name="Spring", stage="Qualification", pipeline="Standard (Standard)")


@pytest.fixture(autouse=True)
def _few_make_a_job(settings: Any) -> None:
    """Make jobs cheaper, so that they cost less than single calls for fewer leads."""
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "CREDIT_COSTS": {"mass_convert": 20, "convert": 5}}


#: From how many leads on, at these prices.
FEW = 5


def jobs(bench: Bench) -> list[MassConversionJob]:
    return list(MassConversionJob.objects.order_by("pk"))


def posted(bench: Bench) -> list[int]:
    """Return the number of leads in each mass-convert call."""
    return [job.rows.count() for job in jobs(bench)]


def of_two_owners(bench: Bench, number: int) -> list[str]:
    """Add leads that two users own in turn."""
    users = [user for user in bench.zoho.organisation.users if user["status"] == "active"][:2]
    owners = [{"id": user["id"], "name": user["full_name"]} for user in users]
    return [bench.zoho.add_lead(Owner=owners[index % 2]).id for index in range(number)]


def until_accepted(bench: Bench, number: int = 1) -> None:
    """Work until so many jobs are accepted; none of them is polled after that."""
    bench.work_until(
        lambda: MassConversionJob.objects.filter(status=JobStatus.ACCEPTED).count() >= number
    )


# The main path


def test_many_leads_of_one_effect_go_by_jobs_of_fifty(bench: Bench, settings: Any) -> None:
    settings.ZOHO_CRM = {key: settings.ZOHO_CRM[key] for key in settings.ZOHO_CRM}
    settings.ZOHO_CRM.pop("CREDIT_COSTS")
    leads = bench.leads(CANARIES + 50 + SMALLEST)

    run = bench.finished(leads)

    assert bench.routes() == {"convert": CANARIES, "mass": 50 + SMALLEST}
    assert posted(bench) == [50, SMALLEST]
    assert {job.status for job in jobs(bench)} == {JobStatus.FINISHED}
    assert run.counts is not None
    assert run.counts["CONVERTED"] == len(leads)
    assert set(run.rows.exclude(job=None).values_list("converted_by", "evidence")) == {
        ("us", "read")
    }
    bench.check_against_simulator()


def test_leads_of_a_job_are_read_as_soon_as_it_is_final(bench: Bench) -> None:
    run = bench.started(bench.leads(CANARIES + FEW))
    until_accepted(bench)
    MassConversionJob.objects.update(due_at=DbNow())

    bench.work()

    assert [job.status for job in jobs(bench)] == [JobStatus.FINISHED]
    assert bench.status_counts() == {Status.CONVERTED: CANARIES + FEW}
    bench.until_ended(run)
    assert run.due_at is None


def test_before_the_start_it_is_known_how_leads_will_go(bench: Bench) -> None:
    zoho = bench.zoho
    few_of_another_owner = of_two_owners(bench, 2 * FEW - 4)
    twins = [zoho.add_lead(Company="Twins Ltd").id for _ in range(2)]
    leads = [*bench.leads(CANARIES + 50 + FEW), *few_of_another_owner, *twins]
    run = bench.reviewed(leads)

    routes = mass_convert.routes_of(run)

    decided = mass_convert.decided_count(run)
    assert routes.jobs >= 2
    assert routes.in_jobs + routes.singly == decided
    bench.start(run)
    bench.until_ended(run)
    assert bench.routes() == {"convert": routes.singly, "mass": routes.in_jobs}
    assert len(jobs(bench)) == routes.jobs


def test_leads_of_one_effect_go_together_whatever_lies_between_them(bench: Bench) -> None:
    bench.finished(of_two_owners(bench, 20))

    assert sum(posted(bench)) == 20 - CANARIES
    assert len(posted(bench)) == 2


def test_fewer_leads_than_make_a_job_cheaper_go_singly(bench: Bench, settings: Any) -> None:
    settings.ZOHO_CRM.pop("CREDIT_COSTS")
    bench.finished(bench.leads(CANARIES + SMALLEST - 1))

    assert bench.routes() == {"convert": CANARIES + SMALLEST - 1}
    assert not jobs(bench)


def test_every_owner_keeps_their_leads(bench: Bench) -> None:
    leads = of_two_owners(bench, 20)
    owners = {bench.zoho.records["Leads"][lead_id]["Owner"]["id"] for lead_id in leads}

    bench.finished(leads)

    assert bench.routes()["mass"] >= 2 * FEW
    assert {job.effect["owner_id"] for job in jobs(bench)} == owners
    for row in LeadConversion.objects.all():
        contact = bench.zoho.records["Contacts"][row.contact_id]
        lead = bench.zoho.records["Leads"][row.lead_id]
        assert contact["Owner"]["id"] == lead["Owner"]["id"]
    assert len({row.contact_id for row in LeadConversion.objects.all()}) == 20


def test_a_job_does_what_the_plans_of_its_leads_say(bench: Bench) -> None:
    tags = [{"name": "fair", "id": "1"}]
    leads = [bench.zoho.add_lead(Tag=tags).id for _lead in range(CANARIES + FEW)]

    bench.finished(
        leads, policy=policy(deal=DEAL, tags_to=("Contacts",), attachments_to="Accounts")
    )

    assert bench.routes() == {"convert": CANARIES, "mass": FEW}
    for row in LeadConversion.objects.all():
        contact = bench.zoho.records["Contacts"][row.contact_id]
        assert [tag["name"] for tag in contact["Tag"]] == ["fair"]
        assert bench.zoho.records["Deals"][row.deal_id]["Deal_Name"] == "Spring"


@pytest.mark.parametrize(
    "rules",
    [
        {"deal": DealTemplate(name="{Company}", stage=DEAL.stage, pipeline=DEAL.pipeline)},
        {"deal": replace(DEAL, contact_role="the first")},
        {"notify_lead_owner": True},
        {"notify_new_owner": True},
    ],
    ids=["a deal of its own", "a role", "tell the owner", "tell the new owner"],
)
def test_what_a_job_cannot_do_goes_singly(bench: Bench, rules: dict[str, Any]) -> None:
    if rules.get("deal") and rules["deal"].contact_role:
        role = bench.zoho.organisation.contact_roles[0]["id"]
        rules = {"deal": replace(DEAL, contact_role=role)}
    bench.finished(bench.leads(CANARIES + FEW), policy=policy(**rules))

    assert bench.routes() == {"convert": CANARIES + FEW}


def test_followers_and_leads_that_attach_go_singly(bench: Bench) -> None:
    leads = [
        *bench.leads(CANARIES + FEW, Company="Nordwind GmbH"),
        *[bench.zoho.story("account_only") for _lead in range(FEW)],
    ]
    run = bench.reviewed(leads)
    mass_convert.decide(run_id=run.pk, verdict="ACCOUNT_ONLY", action="attach", by=bench.person)
    bench.until_settled(run)
    bench.start(run)
    bench.until_ended(run)

    assert bench.routes() == {"convert": len(leads)}
    assert not bench.duplicates("Accounts", "Account_Name")


def test_at_most_two_jobs_are_open_at_a_time(bench: Bench) -> None:
    bench.zoho.tune(job_seconds_per_lead=10)
    run = bench.started(bench.leads(CANARIES + 130))
    until_accepted(bench, 2)

    for _slice in range(3):
        bench.work()
        assert posted(bench) == [50, 50]
    bench.until_ended(run)

    assert posted(bench) == [50, 50, 30]
    bench.check_against_simulator()


def test_no_job_begins_before_the_first_leads_are_through(bench: Bench) -> None:
    bench.started(bench.leads(CANARIES + FEW))
    until_accepted(bench)

    ledger = bench.zoho.ledger()["conversions"]
    assert [each["via"] for each in ledger[:CANARIES]] == ["convert"] * CANARIES


def test_other_leads_go_first_if_the_first_ones_come_to_nothing(bench: Bench) -> None:
    leads = bench.leads(2 * CANARIES + FEW)
    run = bench.started(leads)
    for lead_id in leads[:CANARIES]:
        bench.zoho.change(bench.zoho.records["Leads"][lead_id], City="Elsewhere")

    bench.until_ended(run)

    assert bench.routes() == {"convert": CANARIES, "mass": FEW}


# Polls


def job_of(run: MassConversion, **columns: Any) -> MassConversionJob:
    defaults = {"posted_at": DbNow(), "effect": {}, **columns}
    return MassConversionJob.objects.create(
        mass_conversion=run, connection=run.connection, **defaults
    )


def seconds_to_poll(job: MassConversionJob) -> float:
    found = MassConversionJob.objects.annotate(now=DbNow()).get(pk=job.pk)
    assert found.due_at is not None
    return (found.due_at - found.now).total_seconds()


@pytest.mark.parametrize(
    ("durations", "seconds"),
    [
        ([], 0.5),
        ([800], 200),
        ([400, 4_000, 800], 100),
        ([100, *21 * [1_200]], 300),
    ],
    ids=["the first job", "one before", "the shortest", "a short one of long ago"],
)
def test_a_job_is_polled_after_a_quarter_of_the_shortest_of_the_last_jobs(
    bench: Bench, settings: Any, durations: list[float], seconds: float
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "READ_SPACING": 60}
    run = bench.prepare(bench.leads(1))
    for number, took in enumerate(reversed(durations)):
        ended = -10_000 * (number + 1)
        times = {"posted_at": from_now(ended - took), "ended_at": from_now(ended)}
        job_of(run, status=JobStatus.FINISHED, **times)
    job = job_of(run)

    mark_accepted(job, [], "1")

    assert seconds - 20 < seconds_to_poll(job) <= seconds


def test_each_poll_of_a_job_waits_half_as_long_again_as_the_one_before(
    bench: Bench, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "READ_SPACING": 60}
    run = bench.prepare(bench.leads(1))
    job_of(run, status=JobStatus.FINISHED, posted_at=from_now(-400), ended_at=DbNow())
    job = job_of(run, status=JobStatus.ACCEPTED)
    waits = []

    for _poll in range(3):
        job.refresh_from_db()
        save_state(job, JobState(stage=JobStage.IN_PROGRESS))
        waits.append(seconds_to_poll(job))

    assert waits == pytest.approx([150, 225, 300], abs=20)  # at most five times READ_SPACING


def test_polls_of_short_jobs_come_sooner_from_job_to_job(bench: Bench) -> None:
    bench.finished(bench.leads(CANARIES + 4 * 50))

    durations = [
        (job.ended_at - job.posted_at).total_seconds() for job in jobs(bench) if job.ended_at
    ]
    assert len(durations) == 4
    assert min(durations[1:]) < durations[0]  # each may be polled late on a busy machine


# Leads that a job does not convert


def test_what_a_job_did_not_convert_is_tried_singly_and_says_why(bench: Bench) -> None:
    bench.zoho.organisation.unique["Contacts"] = ["Email"]
    leads = bench.leads(CANARIES + FEW + 1)
    run = bench.started(leads)
    bad = leads[-1]
    # The pre-send read does not show it, the job counts it as failed.
    bench.zoho.add("Contacts", Last_Name="X", Email=bench.zoho.records["Leads"][bad]["Email"])

    bench.until_ended(run)

    row = bench.row(bad)
    assert (row.status, row.error_code) == (Status.FAILED, "DUPLICATE_DATA")
    assert bench.requested().count(bad) == 2
    (job,) = jobs(bench)
    assert (job.counts or {})["failed"] == 1
    assert run.counts is not None
    assert run.counts["CONVERTED"] == CANARIES + FEW
    bench.check_against_simulator()


@pytest.mark.parametrize("spoiled", ["miscount", "early"])
def test_counts_that_lie_prove_nothing(bench: Bench, spoiled: str) -> None:
    bench.zoho.tune(job_seconds_per_lead=0.05)
    bench.zoho.fail("mass_status", spoiled, times=None)

    bench.finished(bench.leads(CANARIES + FEW))

    assert bench.status_counts() == {Status.CONVERTED: CANARIES + FEW}
    bench.check_against_simulator()


def test_a_lead_that_changes_while_its_job_is_made_ready_is_not_in_it(bench: Bench) -> None:
    leads = bench.leads(CANARIES + FEW + 1)
    run = bench.started(leads)
    bench.zoho.change(bench.zoho.records["Leads"][leads[-1]], City="Elsewhere")

    bench.until_ended(run)

    assert bench.routes() == {"convert": CANARIES, "mass": FEW}
    assert bench.row(leads[-1]).status == Status.PREVIEWED


# Jobs that are refused


def test_a_lead_that_zoho_names_is_dropped_and_the_others_go_once_more(bench: Bench) -> None:
    leads = bench.leads(CANARIES + FEW + 1)
    named = {
        "code": "INVALID_DATA",
        "details": {"api_name": "ids", "json_path": "$.ids[2]"},
        "message": "the id given seems to be invalid",
        "status": "error",
    }
    bench.zoho.fail("mass_convert", "error_before", status=400, body=named)

    bench.finished(leads)

    assert bench.routes() == {"convert": CANARIES + 1, "mass": FEW}
    culprit = leads[CANARIES + 2]
    assert bench.row(culprit).status == Status.CONVERTED
    assert bench.zoho.ledger()["conversions"][-1]["lead_id"] == culprit or culprit in bench.sent()
    bench.check_against_simulator()


def test_a_job_that_is_refused_for_another_reason_goes_singly(bench: Bench) -> None:
    refusal = {"code": "INVALID_DATA", "details": {}, "message": "no", "status": "error"}
    bench.zoho.fail("mass_convert", "error_before", times=None, status=400, body=refusal)

    bench.finished(bench.leads(CANARIES + FEW))

    assert bench.routes() == {"convert": CANARIES + FEW}
    assert [job.status for job in jobs(bench)] == [JobStatus.REFUSED]
    assert not LeadConversion.objects.filter(in_doubt=True).exists()


def test_without_the_permission_all_goes_singly(bench: Bench) -> None:
    refusal = {
        "code": "NO_PERMISSION",
        "details": {"permissions": ["Crm_Implied_Mass_Convert_Leads"]},
        "message": "permission denied",
        "status": "error",
    }
    bench.zoho.fail("mass_convert", "error_before", times=None, status=403, body=refusal)

    run = bench.finished(bench.leads(CANARIES + 2 * FEW))

    assert bench.routes() == {"convert": CANARIES + 2 * FEW}
    assert len(jobs(bench)) == 1
    assert not run.may_use_jobs


def test_without_the_permission_to_ask_its_state_a_job_is_settled_by_reading(
    bench: Bench, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "JOB_HORIZON": 1}
    refusal = {"code": "NO_PERMISSION", "details": {}, "message": "denied", "status": "error"}
    bench.zoho.fail("mass_status", "error_before", times=None, status=403, body=refusal)

    bench.finished(bench.leads(CANARIES + FEW))

    assert bench.routes() == {"convert": CANARIES, "mass": FEW}
    assert [job.status for job in jobs(bench)] == [JobStatus.GIVEN_UP]
    bench.check_against_simulator()


@pytest.mark.parametrize(
    "trouble",
    [
        {"do": "throttle"},
        {"do": "error_before", "status": 401, "body": {"code": "INVALID_TOKEN"}},
    ],
    ids=["too many calls", "token"],
)
def test_rows_of_a_job_that_surely_did_not_begin_wait_for_another(
    bench: Bench, trouble: dict[str, Any]
) -> None:
    bench.zoho.fail("mass_convert", **trouble)

    bench.finished(bench.leads(CANARIES + FEW))

    assert bench.routes() == {"convert": CANARIES, "mass": FEW}
    assert [job.status for job in jobs(bench)] == [JobStatus.REFUSED, JobStatus.FINISHED]


@pytest.mark.parametrize("operation", ["mass_convert", "leads_list"])
def test_a_job_that_cannot_begin_now_is_not_tried_again_at_once(
    bench: Bench, operation: str
) -> None:
    run = bench.started(bench.leads(CANARIES + FEW))
    bench.work_until(lambda: bench.status_counts().get(Status.CONVERTED) == CANARIES)
    before = calls(bench.zoho)
    bench.zoho.fail(operation, "throttle", times=None)

    def work() -> float | None:
        return bench.work(lambda: calls(bench.zoho) > before + 5)

    bench.until(lambda: calls(bench.zoho) > before, work)

    assert bench.refreshed(run).stage == Stage.CONVERTING
    assert calls(bench.zoho) <= before + 5


# Doubt


@pytest.mark.parametrize("lost", ["close_before", "html"])
def test_a_job_that_never_began_is_settled_and_its_leads_go_singly(
    bench: Bench, settings: Any, lost: str
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "JOB_HORIZON": 1}
    bench.zoho.fail("mass_convert", lost)

    bench.finished(bench.leads(CANARIES + FEW))

    assert bench.routes() == {"convert": CANARIES + FEW}
    assert [job.status for job in jobs(bench)] == [JobStatus.LOST]
    bench.check_against_simulator()


@pytest.mark.parametrize("lost", ["close_after", "truncate"])
def test_a_job_whose_answer_was_lost_converts_every_lead_once(
    bench: Bench, settings: Any, lost: str
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "JOB_HORIZON": 2}
    bench.zoho.tune(job_seconds_per_lead=0.2)
    bench.zoho.fail("mass_convert", lost)

    bench.finished(bench.leads(CANARIES + FEW))

    assert bench.routes() == {"convert": CANARIES, "mass": FEW}
    assert [job.status for job in jobs(bench)] == [JobStatus.LOST]
    assert set(LeadConversion.objects.values_list("converted_by", flat=True)) == {"us"}
    bench.check_against_simulator()


def test_rows_of_a_lost_job_are_sent_no_earlier_than_any_job_can_take(
    bench: Bench, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "JOB_HORIZON": 7200, "MASS_QUIET_PERIOD": 900}
    bench.zoho.fail("mass_convert", "close_before")
    bench.started(bench.leads(CANARIES + FEW))
    bench.until(lambda: bench.status_counts().get(Status.UNKNOWN) == FEW)
    bench.until(lambda: bench.work() != 0.0)

    quiet = LeadConversion.objects.filter(status=Status.UNKNOWN).values_list("quiet_until")
    assert all(until > now() + timedelta(seconds=8000) for (until,) in quiet)
    assert len(bench.sent()) == CANARIES


def test_a_job_of_which_zoho_knows_nothing_may_be_at_work_all_the_same(
    bench: Bench, settings: Any
) -> None:
    bench.zoho.tune(job_seconds_per_lead=0.3)
    unknown = {
        "code": "INVALID_DATA",
        "details": {"param_name": "job_id"},
        "message": "The jobid given seems to be invalid",
        "status": "error",
    }
    bench.zoho.fail("mass_status", "error_before", times=None, status=400, body=unknown)

    bench.finished(bench.leads(CANARIES + FEW))

    assert bench.routes() == {"convert": CANARIES, "mass": FEW}
    assert [job.status for job in jobs(bench)] == [JobStatus.GIVEN_UP]
    bench.check_against_simulator()


def test_a_job_that_takes_too_long_is_given_up_and_its_leads_are_read(
    bench: Bench, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "JOB_HORIZON": 1}
    bench.zoho.fail("mass_status", "error_before", times=None)

    bench.finished(bench.leads(CANARIES + FEW))

    assert bench.routes() == {"convert": CANARIES, "mass": FEW}
    assert [job.status for job in jobs(bench)] == [JobStatus.GIVEN_UP]
    bench.check_against_simulator()


@pytest.mark.parametrize("effect", ["before", "after"])
def test_rows_of_a_worker_that_was_killed_during_its_post_are_settled(
    bench: Bench, settings: Any, effect: str
) -> None:
    """With the rows as they are after a worker was killed between its POST and the next write."""
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "JOB_HORIZON": 1}
    leads = bench.leads(CANARIES + FEW)
    run = bench.started(leads)
    # Nothing more is begun when the first leads are through.
    bench.work_until(lambda: len(bench.sent()) >= CANARIES)
    assert not jobs(bench)
    orphans = list(run.rows.filter(status=Status.READY))
    assert len(orphans) == FEW
    job = MassConversionJob.objects.create(
        mass_conversion=run,
        connection=bench.connection,
        effect={},
        posted_at=now() - timedelta(seconds=5),
        due_at=now() - timedelta(seconds=1),
    )
    run.rows.filter(status=Status.READY).update(
        status=Status.RUNNING, attempts=1, job=job, due_at=now() - timedelta(seconds=1)
    )
    if effect == "after":
        for row in orphans:
            bench.zoho.convert_elsewhere(row.lead_id)

    bench.until_ended(run)

    job.refresh_from_db()
    assert job.status == JobStatus.LOST
    assert bench.status_counts() == {Status.CONVERTED: CANARIES + FEW}
    assert sorted(bench.sent()) == sorted(leads)
    assert set(LeadConversion.objects.values_list("converted_by", flat=True)) == {"us"}


# Stopping


def test_no_job_is_posted_after_a_pause(bench: Bench) -> None:
    run = bench.started(bench.leads(CANARIES + FEW))
    bench.work_until(lambda: len(bench.sent()) >= CANARIES)
    mass_convert.pause(run_id=run.pk, by=bench.person)

    for _turn in range(3):
        bench.work()
    assert not jobs(bench)

    mass_convert.resume(run_id=run.pk)
    bench.until_ended(run)
    bench.check_against_simulator()


def test_a_job_that_is_at_work_when_its_run_is_cancelled_is_followed_to_its_end(
    bench: Bench,
) -> None:
    bench.zoho.tune(job_seconds_per_lead=0.1)
    run = bench.started(bench.leads(CANARIES + FEW))
    until_accepted(bench)
    mass_convert.cancel(run_id=run.pk)

    bench.until_ended(run)

    assert run.stage == Stage.CANCELLED
    assert bench.status_counts() == {Status.CONVERTED: CANARIES + FEW}
    bench.check_against_simulator()


def test_a_lead_that_was_in_a_job_goes_singly_in_another_round_too(bench: Bench) -> None:
    bench.zoho.organisation.unique["Contacts"] = ["Email"]
    leads = bench.leads(CANARIES + FEW)
    run = bench.started(leads)
    bad = leads[-1]
    double = bench.zoho.add(
        "Contacts", Last_Name="X", Email=bench.zoho.records["Leads"][bad]["Email"]
    )
    bench.until_ended(run)
    assert bench.row(bad).status == Status.FAILED
    bench.zoho.delete("Contacts", double.id)

    mass_convert.retry(run_id=run.pk)
    bench.until_settled(run)
    bench.start(MassConversion.objects.get(pk=run.pk))
    bench.until_ended(run)

    assert bench.row(bad).status == Status.CONVERTED
    assert len(jobs(bench)) == 1
    bench.check_against_simulator()
