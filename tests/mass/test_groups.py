"""A run must not create the duplicates itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random
from typing import Any, TypeAlias

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import localdate

from tests.clock import pass_time
from tests.mass import groups
from tests.mass.bench import CREATE, REFUSAL, Bench, Stage, policy
from tests.parameters import mostly_long
from zoho_crm import matching
from zoho_crm.conf import conf
from zoho_crm.exceptions import StaleDecisionError
from zoho_crm.matching import Action, DecisionContext, Preview
from zoho_crm.models import LeadConversion, LeadConversionEvent, MassConversion
from zoho_crm.services import convert, mass_convert
from zoho_crm.services.mass_convert import _groups, _steps
from zoho_crm.services.mass_convert._decisions import previewed_in_run
from zoho_crm.services.mass_convert._steps import advance_runs
from zoho_crm.types import ConversionOptions, ConversionPlan, Lead, Match, Verdict

pytestmark = pytest.mark.slow

Status = LeadConversion.Status
#: Steps after which the groups of every run of these tests are formed.
MAX_STEPS = 500
SAME = {"Email": "ines@nordwind.example", "Last_Name": "Albrecht"}


def decide(bench: Bench, run: MassConversion, lead_id: str, plan: ConversionPlan | None) -> None:
    row = bench.row(lead_id)
    mass_convert.decide_one(conversion_id=row.pk, version=row.version, plan=plan, by=bench.person)
    bench.until_settled(run)


def to_the_end(bench: Bench, run: MassConversion) -> None:
    bench.start(run)
    bench.until_ended(run)


def follows(bench: Bench, lead_id: str) -> tuple[str, str]:
    row = bench.row(lead_id)
    return (row.follows.lead_id if row.follows else "", row.joins)


def test_leads_with_the_same_address_become_one_contact(bench: Bench) -> None:
    one, two, three = (
        bench.zoho.add_lead(Email=email).id
        for email in ("ines@nordwind.example", "Ines@Nordwind.example", "ines@nordwind.example")
    )
    run = bench.reviewed([one, two, three])
    assert [follows(bench, lead_id) for lead_id in (one, two, three)] == [
        ("", ""),
        (one, "contact"),
        (one, "contact"),
    ]

    to_the_end(bench, run)

    assert bench.status_counts() == {Status.CONVERTED: 3}
    assert {row.contact_id for row in run.rows.all()} == {bench.row(one).contact_id}
    assert len(bench.zoho.records["Contacts"]) == 1
    bench.check_against_simulator()


def test_leads_of_the_same_company_become_contacts_of_one_account(bench: Bench) -> None:
    leads = [
        bench.zoho.add_lead(Company=company).id
        for company in ("Nordwind  GmbH", "nordwind gmbh", "NORDWIND GMBH ")
    ]
    run = bench.reviewed(leads)
    assert [follows(bench, lead_id) for lead_id in leads[1:]] == [(leads[0], "account")] * 2

    to_the_end(bench, run)

    assert bench.status_counts() == {Status.CONVERTED: 3}
    assert {row.account_id for row in run.rows.all()} == {bench.row(leads[0]).account_id}
    assert len(bench.zoho.records["Contacts"]) == 3
    assert len(bench.zoho.records["Accounts"]) == 1
    bench.check_against_simulator()


def test_the_row_of_the_leader_is_sent_before_those_that_join_it(bench: Bench) -> None:
    leads = bench.leads(4, Company="Nordwind GmbH")
    run = bench.finished(leads)

    assert bench.sent()[0] == leads[0]
    assert run.stage == Stage.FINISHED


def test_a_row_that_attaches_an_account_leads_no_group_of_accounts(bench: Bench) -> None:
    attached = bench.zoho.story("account_only")
    company = bench.zoho.records["Leads"][attached]["Company"]
    run = bench.reviewed([attached], policy=policy(on_account_only=Action.ATTACH))

    row = run.rows.get()
    assert (row.account_key, row.follows) == ("", None)
    to_the_end(bench, run)
    assert [account["Account_Name"] for account in bench.zoho.records["Accounts"].values()] == [
        company
    ]


def test_a_row_that_would_follow_a_follower_is_left_to_a_person(bench: Bench) -> None:
    # The second joins the account of the first, so it cannot lead the third to its contact.
    first = bench.zoho.add_lead(Company="Nordwind GmbH").id
    second = bench.zoho.add_lead(Company="Nordwind GmbH", **SAME).id
    third = bench.zoho.add_lead(Company="Südwind", **SAME).id

    run = bench.reviewed([first, second, third])

    row = bench.row(third)
    assert (row.plan, row.reason, row.follows) == (None, "group", None)
    to_the_end(bench, run)
    assert sorted(bench.sent()) == sorted([first, second])
    assert bench.row(third).status == Status.PREVIEWED


def test_companies_that_differ_in_a_legal_form_are_left_to_a_person(bench: Bench) -> None:
    leads = [
        bench.zoho.add_lead(Company=company).id
        for company in ("Acme Inc.", "ACME GmbH", "Acme GmbH & Co. KG", "Acme Holding")
    ]

    run = bench.reviewed(leads)

    assert [bench.row(lead_id).reason for lead_id in leads] == ["similar"] * 3 + [""]
    to_the_end(bench, run)
    assert bench.sent() == leads[3:]


def test_what_a_person_decided_about_similar_companies_stands(bench: Bench) -> None:
    one, two = (bench.zoho.add_lead(Company=name).id for name in ("Acme Inc.", "Acme GmbH"))
    run = bench.reviewed([one, two])

    decide(bench, run, two, CREATE)
    to_the_end(bench, run)

    assert bench.sent() == [two]
    assert bench.row(one).reason == "similar"


def test_no_row_follows_a_similar_company_that_was_left_to_a_person(bench: Bench) -> None:
    one, two, three = (
        bench.zoho.add_lead(Company=name).id for name in ("Acme Inc.", "Acme GmbH", "acme inc.")
    )
    run = bench.reviewed([one, two, three])

    decide(bench, run, three, CREATE)

    assert follows(bench, three) == ("", "")
    to_the_end(bench, run)
    assert bench.sent() == [three]


# Leaders that do not lead


def test_the_next_one_leads_if_the_leader_is_left_out_before_the_start(bench: Bench) -> None:
    leads = bench.leads(3, Company="Nordwind GmbH")
    run = bench.reviewed(leads)

    decide(bench, run, leads[0], None)

    assert follows(bench, leads[1]) == ("", "")
    assert follows(bench, leads[2]) == (leads[1], "account")
    to_the_end(bench, run)
    assert bench.sent() == leads[1:]
    assert len(bench.zoho.records["Accounts"]) == 1


def test_the_next_one_leads_too_if_the_leader_is_left_out_singly(bench: Bench) -> None:
    leads = bench.leads(2, Company="Nordwind GmbH")
    run = bench.reviewed(leads)
    row = bench.row(leads[0])

    convert.skip(conversion_id=row.pk, version=row.version, by=bench.person)
    bench.until_settled(run)
    to_the_end(bench, run)

    assert bench.sent() == leads[1:]


def test_followers_lose_their_plan_if_the_leader_is_left_out_after_the_start(
    bench: Bench,
) -> None:
    leads = bench.leads(3, Company="Nordwind GmbH")
    run = bench.started(leads)
    row = bench.row(leads[0])
    convert.skip(conversion_id=row.pk, version=row.version, by=bench.person)

    bench.until_ended(run)

    assert not bench.requested()
    for lead_id in leads[1:]:
        row = bench.row(lead_id)
        assert (row.status, row.plan, row.reason) == (Status.PREVIEWED, None, "leader")


def test_followers_lose_their_plan_if_the_leader_is_refused(bench: Bench) -> None:
    leads = bench.leads(3, Company="Nordwind GmbH")
    bench.refuse(leads[0])

    bench.finished(leads)

    assert bench.status_counts() == {Status.FAILED: 1, Status.PREVIEWED: 2}
    assert bench.row(leads[1]).reason == "leader"


def test_followers_lose_their_plan_if_the_leader_changed_after_the_start(bench: Bench) -> None:
    leads = bench.leads(2, Company="Nordwind GmbH")
    run = bench.started(leads)
    bench.zoho.change(bench.zoho.records["Leads"][leads[0]], City="Elsewhere")

    bench.until_ended(run)

    assert not bench.requested()
    assert [bench.row(lead_id).reason for lead_id in leads] == ["changed", "leader"]


def test_followers_join_what_the_leader_became_elsewhere(bench: Bench) -> None:
    leads = bench.leads(2, Company="Nordwind GmbH")
    run = bench.started(leads)
    bench.zoho.convert_elsewhere(leads[0])

    bench.until_ended(run)

    assert bench.row(leads[1]).account_id == bench.row(leads[0]).account_id != ""
    assert not bench.duplicates("Accounts", "Account_Name")


def test_followers_lose_their_plan_if_the_leader_made_no_such_record(bench: Bench) -> None:
    leads = bench.leads(2, Company="Nordwind GmbH")
    run = bench.started(leads)
    bench.zoho.convert_elsewhere(leads[0])
    lead = bench.zoho.records["Leads"][leads[0]]
    detail = {**lead["$converted_detail"], "account": None}
    bench.zoho.change(lead, **{"Converted_Account": None, "$converted_detail": detail})

    bench.until_ended(run)

    assert bench.row(leads[0]).status == Status.CONVERTED
    assert (bench.row(leads[1]).plan, bench.row(leads[1]).reason) == (None, "leader")


def test_followers_wait_while_the_outcome_of_the_leader_is_unknown(bench: Bench) -> None:
    leads = bench.leads(2, Company="Nordwind GmbH")
    bench.zoho.fail("convert", "close_after", lead_id=leads[0])
    run = bench.started(leads)
    bench.until(lambda: bench.row(leads[0]).status == Status.UNKNOWN)
    assert bench.row(leads[1]).status == Status.PREVIEWED

    bench.until_ended(run)

    assert bench.status_counts() == {Status.CONVERTED: 2}
    assert not bench.duplicates("Accounts", "Account_Name")
    bench.check_against_simulator()


def test_a_join_that_zoho_refuses_says_so(bench: Bench) -> None:
    leads = bench.leads(2, Company="Nordwind GmbH")
    bench.refuse(leads[1])

    bench.finished(leads)

    row = bench.row(leads[1])
    assert (row.status, row.reason, row.error_code) == (
        Status.FAILED,
        "join_refused",
        REFUSAL["data"][0]["code"],
    )


def test_what_the_leader_made_does_not_spoil_the_approval_of_an_old_preview(
    bench: Bench, settings: Any
) -> None:
    leads = bench.leads(3, Company="Nordwind GmbH", **SAME)
    run = bench.reviewed(leads)
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "PREVIEW_MAX_AGE": 60}
    pass_time(bench.zoho, 61)

    to_the_end(bench, run)

    assert bench.status_counts() == {Status.CONVERTED: 3}
    assert len(bench.zoho.records["Contacts"]) == 1


def test_a_lead_that_has_another_match_meanwhile_is_not_sent(bench: Bench) -> None:
    leads = bench.leads(2, Company="Nordwind GmbH")
    run = bench.reviewed(leads)
    bench.zoho.add("Accounts", Account_Name="Nordwind GmbH")
    pass_time(bench.zoho, conf().PREVIEW_MAX_AGE + 1)

    to_the_end(bench, run)

    assert not bench.requested()


# Many groups


@pytest.fixture
def in_review(bench: Bench) -> Callable[[Iterable[Preview]], MassConversion]:
    """Create a run of leads as if they had just been previewed, and form its groups."""

    def create(previews: Iterable[Preview]) -> MassConversion:
        by_lead = {preview.lead.id: preview for preview in previews if preview.lead}
        run = bench.prepare(by_lead)
        context = DecisionContext(today=localdate())
        LeadConversion.objects.move(
            previewed_in_run(row, by_lead[row.lead_id], bench.policy, context)
            for row in run.rows.all()
        )
        take_steps(run)
        return run

    return create


InReview: TypeAlias = Callable[[Iterable[Preview]], MassConversion]


def preview(number: int, company: str, email: str = "", account: str = "") -> Preview:
    """Return the preview of a lead that matches nothing, or this account."""
    lead = Lead(id=str(number), name="A", company=company, email=email)
    accounts = (Match(id=account, name=company),) if account else ()
    return matching.assess(lead, ConversionOptions(accounts=accounts))


def take_steps(run: MassConversion) -> int:
    """Take steps until the run waits for a person; return their number."""
    for number in range(1, MAX_STEPS):
        advance_runs(run.connection_id)
        run.refresh_from_db()
        if run.due_at is None:
            assert run.stage == Stage.REVIEW
            return number
    raise AssertionError("there is no end")


def decide_all(run: MassConversion) -> None:
    mass_convert.decide(run_id=run.pk, verdict=Verdict.NO_MATCH, action=Action.CREATE)


@pytest.mark.parametrize("forms", [("GmbH", "GmbH"), ("GmbH", "Inc.")], ids=["same", "similar"])
def test_the_number_of_statements_does_not_depend_on_that_of_the_groups(
    in_review: InReview, forms: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_groups, "STEP_SECONDS", 60)

    def statements(groups: int) -> int:
        names = [f"Company {groups} {number} {form}" for number in range(groups) for form in forms]
        run = in_review(preview(1000 * groups + index, name) for index, name in enumerate(names))
        decide_all(run)
        with CaptureQueriesContext(connections["default"]) as queries:
            advance_runs(run.connection_id)
        assert take_steps(run) == 1
        return len(queries)

    assert statements(40) == statements(4)


def test_only_the_rows_of_a_decision_and_those_that_it_affects_are_looked_at(
    in_review: InReview,
) -> None:
    run = in_review(preview(number, f"Company {number % 20}") for number in range(1, 101))
    rows = list(run.rows.order_by("pk"))
    follower, leader = rows[25], rows[0]
    before = run.rows.aggregate(Sum("version"))["version__sum"]

    for row in (follower, leader):
        convert.skip(conversion_id=row.pk, version=row.version, by=User.objects.get())
    marked = run.rows.filter(grouping__gt=LeadConversion.Grouping.DONE)
    assert {row.pk for row in marked} == {follower.pk, leader.pk}
    take_steps(run)

    # Those two, and the four that followed the leader: one of them leads the others.
    assert run.rows.aggregate(Sum("version"))["version__sum"] == before + 2 + 4
    assert not marked.all().exists()


def test_a_step_ends_soon_and_the_run_cannot_be_started_before_the_last(
    in_review: InReview, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = in_review(preview(number, f"Company {number % 3}") for number in range(1, 21))
    decide_all(run)
    monkeypatch.setattr(_groups, "STEP_SECONDS", 0)
    monkeypatch.setattr(_groups, "BATCH_ROWS", 5)

    advance_runs(run.connection_id)
    with pytest.raises(StaleDecisionError, match="still being taken in"):
        bench.start(run)

    assert take_steps(run) > 2
    bench.start(run)


def test_the_steps_of_many_runs_are_shared_out(
    in_review: InReview, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [in_review([preview(number, "Company")]) for number in range(1, 4)]
    for run in runs:
        decide_all(run)
    monkeypatch.setattr(_steps, "MAX_STEPS_SECONDS", 0)

    due = [sum(run.is_due for run in advance_runs(runs[0].connection_id))]
    due += [sum(run.is_due for run in advance_runs(runs[0].connection_id))]

    assert due == [2, 1]


def test_a_row_is_left_to_a_person_if_its_leader_comes_to_follow_another(
    in_review: InReview, bench: Bench
) -> None:
    previews = (
        preview(1, "A"),
        preview(2, "A", "p@firm.example"),
        preview(3, "", "p@firm.example"),
    )
    run = in_review(previews)
    decide(bench, run, "1", None)
    decide_all(run)
    take_steps(run)
    assert (follows(bench, "2"), follows(bench, "3")) == (("", ""), ("2", "contact"))

    decide(bench, run, "1", CREATE)

    assert follows(bench, "2") == ("1", "account")
    assert (bench.row("3").plan, bench.row("3").reason) == (None, "group")


@pytest.mark.parametrize("seed", mostly_long(range(4), quick=(0,)))
def test_groups_are_the_same_as_if_all_rows_were_grouped_at_once(
    in_review: InReview, bench: Bench, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In small batches, after each of many decisions about entangled leads."""
    in_small_batches(monkeypatch)
    random = Random(seed)
    run = in_review(entangled(random))
    for _round in range(12):
        if random.random() < 0.2:
            decide_all(run)
        for row in random.sample(list(run.rows.order_by("pk")), random.choice([1, 1, 3])):
            decide_somehow(random, row, bench.person)
        expected = groups.regrouped(run)
        take_steps(run)
        assert groups.stored(run) == expected


@pytest.mark.parametrize("seed", mostly_long(range(4), quick=(0,)))
def test_decisions_between_the_steps_leave_nothing_to_group(
    in_review: InReview, bench: Bench, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_batches(monkeypatch)
    monkeypatch.setattr(_groups, "STEP_SECONDS", 0)
    random = Random(seed)
    run = in_review(entangled(random))
    for _round in range(4):
        decide_all(run)
        for row in random.sample(list(run.rows.order_by("pk")), 8):
            for _step in range(random.randrange(8)):
                advance_runs(run.connection_id)
            decide_somehow(random, bench.row(row.lead_id), bench.person)
        take_steps(run)
        assert groups.stored(run) == groups.regrouped(run)


def in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_groups, "BATCH_ROWS", 4)
    monkeypatch.setattr(_groups, "MAX_MARKED_ROWS", 3)


def entangled(random: Random) -> list[Preview]:
    """Return previews of leads whose companies and addresses overlap in many ways."""
    emails = ["", *(f"p{number}@firm.example" for number in range(9))]
    forms = ["", "", "GmbH", "Inc."]
    return [
        preview(
            number,
            f"Company {random.randrange(7)} {random.choice(forms)}",
            random.choice(emails),
            account=random.choice(["", "", "41"]),
        )
        for number in range(1, 41)
    ]


def decide_somehow(random: Random, row: LeadConversion, by: User) -> None:
    account = "41" if row.verdict == Verdict.ACCOUNT_ONLY else ""
    plan = random.choice([None, CREATE, CREATE, replace(CREATE, account_id=account)])
    mass_convert.decide_one(conversion_id=row.pk, version=row.version, plan=plan, by=by)


def test_a_decision_in_the_middle_of_a_step_is_taken_in(in_review: InReview, bench: Bench) -> None:
    run = in_review(preview(number, "Company") for number in range(1, 4))
    first, second, third = run.rows.order_by("pk")
    decide_all(run)
    decisions = [first]

    def decide(execute: Any, sql: str, *arguments: Any) -> Any:
        """Leave the leader out after the first query for marked rows."""
        result = execute(sql, *arguments)
        if decisions and sql.startswith("SELECT") and "grouping" in sql:
            row = bench.row(decisions.pop().lead_id)
            convert.skip(conversion_id=row.pk, version=row.version, by=bench.person)
        return result

    with connections["default"].execute_wrapper(decide):
        take_steps(run)

    assert not decisions
    assert follows(bench, second.lead_id) == ("", "")
    assert follows(bench, third.lead_id) == (second.lead_id, "account")


# The books


def test_groups_that_stand_write_nothing_into_the_journal(bench: Bench) -> None:
    leads = [*bench.leads(4, Company="Nordwind GmbH"), bench.zoho.story("one_match")]
    run = bench.reviewed(leads)
    grouped = LeadConversionEvent.objects.filter(conversion__lead_id__in=leads[:4])
    before = grouped.count()

    decide(bench, run, leads[4], None)

    assert grouped.count() == before


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_of_many_entangled_leads_makes_no_duplicates(bench: Bench, seed: int) -> None:
    """With companies and e-mail addresses that overlap in many ways."""
    leads = [
        bench.zoho.add_lead(
            Company=f"Company {number * (2 + seed) % 7}", Email=f"p{number % 11}@firm.example"
        ).id
        for number in range(30)
    ]
    run = bench.finished(leads)

    assert not bench.duplicates("Accounts", "Account_Name")
    assert not bench.duplicates("Contacts", "Email")
    bench.check_against_simulator()
    undecided = run.rows.filter(status=Status.PREVIEWED)
    assert {row.reason for row in undecided} <= {"group", "leader"}
    assert len(bench.sent()) + undecided.count() == 30
