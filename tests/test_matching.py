from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoho_crm.exceptions import PlanError
from zoho_crm.matching import (
    CONVERTIBLE,
    POLICIES,
    Action,
    DealTemplate,
    Decision,
    DecisionContext,
    Policy,
    Preview,
    account_key,
    assess,
    changed_fields,
    check_plan,
    contact_key,
    decide_by,
    propose,
    same_matches,
    similar_key,
)
from zoho_crm.types import (
    ConversionOptions,
    ConversionPlan,
    Converted,
    Deal,
    Lead,
    Match,
    Reference,
    Verdict,
    as_json,
)

CAREFUL, ATTACH = POLICIES["careful"], POLICIES["attach"]
LEAD = Lead(id="1")
OF_NOBODY = Match(id="31", name="Ines Albrecht")
ACCOUNT = Match(id="41", name="Nordwind GmbH")
OTHER_ACCOUNT = Match(id="42", name="Nordwind Holding")
OF_ACCOUNT = replace(OF_NOBODY, account=Reference(id=ACCOUNT.id))
NAMESAKE = replace(OF_NOBODY, id="32")
TODAY = DecisionContext(today=date(2027, 3, 1))


def found(*contacts: Match, accounts: tuple[Match, ...] = ()) -> ConversionOptions:
    return ConversionOptions(contacts=contacts, accounts=accounts)


# The table: what was found, and what it means

TABLE: dict[str, tuple[Lead | None, ConversionOptions, Verdict, str]] = {
    "no such lead": (None, found(), Verdict.NOT_FOUND, ""),
    "converted": (
        replace(LEAD, converted=Converted(contact_id="5")),
        found(),
        Verdict.ALREADY_CONVERTED,
        "",
    ),
    "converted and locked": (
        replace(LEAD, converted=Converted(contact_id="5"), obstacle="locked"),
        found(),
        Verdict.ALREADY_CONVERTED,
        "",
    ),
    "locked": (replace(LEAD, obstacle="locked"), found(), Verdict.NOT_CONVERTIBLE, "locked"),
    "in merge, with a match": (
        replace(LEAD, obstacle="in_merge"),
        found(OF_ACCOUNT),
        Verdict.NOT_CONVERTIBLE,
        "in_merge",
    ),
    "not approved": (
        replace(LEAD, obstacle="approval"),
        found(),
        Verdict.NOT_CONVERTIBLE,
        "approval",
    ),
    "in review": (replace(LEAD, obstacle="review"), found(), Verdict.NOT_CONVERTIBLE, "review"),
    "no contact and no account": (LEAD, found(), Verdict.NO_MATCH, ""),
    "a contact of no account": (LEAD, found(OF_NOBODY), Verdict.ONE_MATCH, ""),
    "a contact of an account that does not match": (LEAD, found(OF_ACCOUNT), Verdict.ONE_MATCH, ""),
    "a contact and its account": (
        LEAD,
        found(OF_ACCOUNT, accounts=(ACCOUNT,)),
        Verdict.ONE_MATCH,
        "",
    ),
    "an account": (LEAD, found(accounts=(ACCOUNT,)), Verdict.ACCOUNT_ONLY, ""),
    "two contacts": (LEAD, found(OF_ACCOUNT, NAMESAKE), Verdict.SEVERAL_MATCHES, "several"),
    "two accounts": (
        LEAD,
        found(accounts=(ACCOUNT, OTHER_ACCOUNT)),
        Verdict.SEVERAL_MATCHES,
        "several",
    ),
    "a contact and two accounts": (
        LEAD,
        found(OF_ACCOUNT, accounts=(ACCOUNT, OTHER_ACCOUNT)),
        Verdict.SEVERAL_MATCHES,
        "several",
    ),
    "two contacts, one of them locked": (
        LEAD,
        found(OF_ACCOUNT, replace(NAMESAKE, locked=True)),
        Verdict.SEVERAL_MATCHES,
        "several",
    ),
    "a locked contact": (
        LEAD,
        found(replace(OF_NOBODY, locked=True)),
        Verdict.SEVERAL_MATCHES,
        "unusable",
    ),
    "an account that is not approved": (
        LEAD,
        found(accounts=(replace(ACCOUNT, approved=False),)),
        Verdict.SEVERAL_MATCHES,
        "unusable",
    ),
    "a contact whose account is read-only": (
        LEAD,
        found(OF_ACCOUNT, accounts=(replace(ACCOUNT, editable=False),)),
        Verdict.SEVERAL_MATCHES,
        "unusable",
    ),
    "a contact of another account": (
        LEAD,
        found(OF_ACCOUNT, accounts=(OTHER_ACCOUNT,)),
        Verdict.SEVERAL_MATCHES,
        "disagree",
    ),
    "a contact of no account, and an account": (
        LEAD,
        found(OF_NOBODY, accounts=(ACCOUNT,)),
        Verdict.SEVERAL_MATCHES,
        "disagree",
    ),
}


@pytest.mark.parametrize(("lead", "options", "verdict", "reason"), TABLE.values(), ids=TABLE)
def test_what_was_found_has_one_verdict(lead, options, verdict, reason):
    preview = assess(lead, options)

    assert (preview.verdict, preview.reason) == (verdict, reason)


def test_a_lead_whose_options_zoho_refuses_is_not_convertible():
    preview = assess(LEAD, refusal="record in review")

    assert (preview.verdict, preview.reason) == (Verdict.NOT_CONVERTIBLE, "record in review")


# Policies


def plan_by(policy: Policy, verdict: Verdict, options: ConversionOptions) -> ConversionPlan | None:
    preview = Preview(verdict=verdict, lead=LEAD, options=options)
    return decide_by(policy, preview, TODAY).plan


ONE = found(OF_ACCOUNT, accounts=(ACCOUNT,))


@pytest.mark.parametrize(
    ("policy", "verdict", "options", "plan"),
    [
        (CAREFUL, Verdict.NO_MATCH, found(), ConversionPlan()),
        (CAREFUL, Verdict.ONE_MATCH, ONE, None),
        (CAREFUL, Verdict.ACCOUNT_ONLY, found(accounts=(ACCOUNT,)), None),
        (ATTACH, Verdict.NO_MATCH, found(), ConversionPlan()),
        # Its account comes along by itself; Zoho would refuse one that does not match.
        (ATTACH, Verdict.ONE_MATCH, ONE, ConversionPlan(contact_id=OF_ACCOUNT.id)),
        (
            ATTACH,
            Verdict.ACCOUNT_ONLY,
            found(accounts=(ACCOUNT,)),
            ConversionPlan(account_id=ACCOUNT.id),
        ),
    ],
)
def test_a_policy_decides_what_it_is_there_for(policy, verdict, options, plan):
    assert plan_by(policy, verdict, options) == plan


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_no_policy_decides_between_several_or_about_what_cannot_be_converted(policy):
    left_to_a_person = set(Verdict) - {
        Verdict.NO_MATCH,
        Verdict.ONE_MATCH,
        Verdict.ACCOUNT_ONLY,
    }

    plans = {plan_by(policy, verdict, ONE) for verdict in left_to_a_person}

    assert plans == {None}


LATEST = {
    id_: datetime.fromisoformat(f"{day}T10:00:00Z")
    for id_, day in {"31": "2026-05-02", "32": "2026-04-02", "42": "2026-01-01"}.items()
}
DECIDED = replace(TODAY, latest=LATEST)
LOCKED = replace(OF_NOBODY, locked=True)


def decided(context: DecisionContext = DECIDED, **rules: Any) -> Decision:
    options = rules.pop("options", found())
    lead = rules.pop("lead", LEAD)
    return decide_by(Policy(name="mine", **rules), assess(lead, options), context)


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("on_no_match", found()),
        ("on_one_match", ONE),
        ("on_account_only", found(accounts=(ACCOUNT,))),
        ("on_several_matches", found(OF_NOBODY, NAMESAKE)),
    ],
)
def test_a_policy_leaves_out_or_leaves_to_a_person_what_it_is_told_to(rule, options):
    assert decided(**{rule: Action.SKIP}, options=options) == Decision(skip=True)
    assert decided(**{rule: Action.REVIEW}, options=options) == Decision()


@pytest.mark.parametrize("action", [Action.NEWEST, Action.MOST_RECENTLY_ACTIVE])
@pytest.mark.parametrize(
    ("options", "plan"),
    [
        (found(OF_NOBODY, NAMESAKE), ConversionPlan(contact_id="31")),
        (found(LOCKED, NAMESAKE), ConversionPlan(contact_id="32")),
        (found(OF_NOBODY, accounts=(ACCOUNT, OTHER_ACCOUNT)), ConversionPlan(contact_id="31")),
        # An account that nobody knows the time of is not the latest.
        (found(accounts=(ACCOUNT, OTHER_ACCOUNT)), ConversionPlan(account_id="42")),
    ],
    ids=["contacts", "one is locked", "contact and accounts", "accounts"],
)
def test_the_latest_of_several_usable_matches_is_taken(action, options, plan):
    assert decided(on_several_matches=action, options=options) == Decision(plan=plan)


@pytest.mark.parametrize(
    "options",
    [
        found(LOCKED, replace(NAMESAKE, approved=False)),
        found(LOCKED, accounts=(ACCOUNT, OTHER_ACCOUNT)),
        found(replace(OF_NOBODY, id="39"), replace(NAMESAKE, id="38")),
        replace(found(OF_NOBODY, NAMESAKE), further_contacts=1),
        replace(found(accounts=(ACCOUNT, OTHER_ACCOUNT)), further_accounts=1),
    ],
    ids=[
        "none is usable",
        "no contact is usable, accounts are",
        "their times are not known",
        "some contacts are not known",
        "some accounts are not known",
    ],
)
def test_several_matches_of_which_none_is_the_latest_are_left_to_a_person(options):
    assert decided(on_several_matches=Action.NEWEST, options=options) == Decision()


def test_two_matches_of_the_same_moment_are_left_to_a_person():
    context = replace(TODAY, latest=dict.fromkeys(("31", "32"), LATEST["31"]))
    options = found(OF_NOBODY, NAMESAKE)

    assert decided(context, on_several_matches=Action.NEWEST, options=options) == Decision()


@pytest.mark.parametrize(
    ("rule", "action"),
    [
        ("on_no_match", Action.ATTACH),
        ("on_one_match", Action.CREATE),
        ("on_one_match", Action.NEWEST),
        ("on_account_only", Action.CREATE),
        ("on_several_matches", Action.CREATE),
        ("on_several_matches", Action.ATTACH),
    ],
)
def test_a_policy_that_makes_no_sense_cannot_be_made(rule, action):
    with pytest.raises(PlanError) as refused:
        Policy(name="odd", **{rule: action})

    assert refused.value.code == "bad_policy"


TEMPLATE = DealTemplate(
    name="{Company} – {City}", stage="Qualification", closing_days=30, amount=Decimal("1200.50")
)
IN_KIEL = replace(
    LEAD, name="Ines Albrecht", fields={"Company": "Nordwind GmbH", "City": "Kiel", "Fax": ""}
)


def test_the_deal_of_a_template_is_named_after_the_lead_and_closes_days_from_now():
    plan = decided(deal=TEMPLATE, lead=IN_KIEL).plan

    assert plan is not None
    assert plan.deal == Deal(
        name="Nordwind GmbH – Kiel",
        stage="Qualification",
        closing_date=date(2027, 3, 31),
        amount=Decimal("1200.50"),
    )


@pytest.mark.parametrize(
    ("name", "lead", "expected"),
    [
        ("{Company} – {City}", replace(IN_KIEL, fields={"Company": "Nordwind GmbH"}), "Nordwind"),
        ("{Fax}{Nothing}", IN_KIEL, "Ines Albrecht"),
        ("Deal of {Full_Name}", IN_KIEL, "Deal of Ines Albrecht"),
        ("Spring campaign", IN_KIEL, "Spring campaign"),
        ("{Company", IN_KIEL, "{Company"),
        ("{Company.__class__} {!r}", IN_KIEL, "{Company.__class__} {!r}"),
        ("{Company}", replace(IN_KIEL, fields={"Company": "{City} & {0}"}), "{City} & {0}"),
    ],
)
def test_a_deal_always_has_a_name_whatever_the_lead_lacks_and_the_template_says(
    name, lead, expected
):
    deal = replace(TEMPLATE, name=name).for_lead(lead, today=TODAY.today)

    assert deal.name.removesuffix(" GmbH") == expected


def test_a_deal_with_a_name_of_its_own_is_not_the_same_for_all():
    assert not TEMPLATE.is_same_for_all
    assert replace(TEMPLATE, name="Spring campaign").is_same_for_all


OWNED = replace(LEAD, owner=Reference(id="7"))


@pytest.mark.parametrize(
    ("rules", "active", "expected"),
    [
        ({}, {"7", "8"}, Decision(plan=ConversionPlan())),
        ({}, set(), Decision(plan=ConversionPlan())),
        ({}, {"8"}, Decision(reason="owner")),
        ({"owner_for_inactive_id": "8"}, {"8"}, Decision(plan=ConversionPlan(owner_id="8"))),
        ({"owner_for_inactive_id": "8"}, {"7", "8"}, Decision(plan=ConversionPlan())),
        ({"owner_id": "9"}, {"8", "9"}, Decision(plan=ConversionPlan(owner_id="9"))),
    ],
    ids=["active", "not known", "gone", "gone, with a heir", "active, with a heir", "one for all"],
)
def test_a_lead_whose_owner_is_gone_goes_to_the_heir_or_is_left_to_a_person(
    rules, active, expected
):
    context = replace(TODAY, active_owners=frozenset(active))

    assert decided(context, lead=OWNED, **rules) == expected


def test_a_policy_says_what_all_its_plans_have_in_common():
    tagged = replace(LEAD, tags=("fair", "q1"))

    plan = decided(
        lead=tagged,
        deal=TEMPLATE,
        tags_to=("Contacts", "Deals"),
        attachments_to="Deals",
        notify_lead_owner=True,
        notify_new_owner=True,
    ).plan

    assert plan is not None
    assert plan.tags == {"Contacts": ("fair", "q1"), "Deals": ("fair", "q1")}
    assert (plan.move_attachments_to, plan.notify_lead_owner, plan.notify_new_owner) == (
        "Deals",
        True,
        True,
    )


def test_a_lead_without_tags_carries_none():
    plan = decided(tags_to=("Contacts",)).plan

    assert plan == ConversionPlan()


@pytest.mark.parametrize(
    "policy",
    [
        *POLICIES.values(),
        Policy(
            name="all of it",
            on_several_matches=Action.NEWEST,
            on_no_match=Action.SKIP,
            deal=TEMPLATE,
            owner_for_inactive_id="8",
            tags_to=("Contacts", "Deals"),
            attachments_to="Deals",
        ),
        Policy(name="plain deal", deal=DealTemplate(name="x", stage="y")),
    ],
    ids=lambda policy: policy.name,
)
def test_a_policy_comes_back_from_a_json_column_as_it_was(policy):
    assert Policy.from_json(json.loads(json.dumps(as_json(policy)))) == policy


# Keys: what two leads of a run would both create


def test_two_leads_would_create_the_same_whatever_the_case_and_the_space():
    one = replace(LEAD, email="Ines@Nordwind.example", company="Nordwind  GmbH")
    two = replace(LEAD, email=" ines@nordwind.EXAMPLE ", company="NORDWIND GMBH ")
    new = ConversionPlan()

    assert contact_key(one, new) == contact_key(two, new) == "ines@nordwind.example"
    assert account_key(one, new) == account_key(two, new) == "nordwind gmbh"


def test_a_key_stands_only_for_what_is_created():
    lead = replace(LEAD, email="ines@nordwind.example", company="Nordwind GmbH")

    assert contact_key(lead, ConversionPlan(contact_id="31")) == ""
    assert account_key(lead, ConversionPlan(contact_id="31")) == ""
    assert account_key(lead, ConversionPlan(account_id="41")) == ""
    assert contact_key(lead, ConversionPlan(account_id="41")) == "ines@nordwind.example"
    assert contact_key(LEAD, ConversionPlan()) == account_key(LEAD, ConversionPlan()) == ""


@pytest.mark.parametrize(
    ("company", "core"),
    [
        ("acme inc", "acme"),
        ("acme, inc.", "acme"),
        ("acme gmbh & co. kg", "acme"),
        ("acme s.a.r.l.", "acme"),
        ("acme", "acme"),
        ("acme holding", "acme holding"),
        ("ag", "ag"),
        ("kiel ab logistik", "kiel ab logistik"),
        ("h & m", "h m"),
        ("", ""),
    ],
)
def test_a_trailing_legal_form_is_no_part_of_the_loose_key(company, core):
    assert similar_key(company) == core


# Plans of a person

SEVERAL = found(
    OF_ACCOUNT,
    NAMESAKE,
    replace(OF_NOBODY, id="33", locked=True),
    accounts=(ACCOUNT, OTHER_ACCOUNT, replace(ACCOUNT, id="43", editable=False)),
)


@pytest.mark.parametrize(
    "plan",
    [
        ConversionPlan(),
        ConversionPlan(contact_id=NAMESAKE.id),
        ConversionPlan(account_id=OTHER_ACCOUNT.id),
        ConversionPlan(contact_id=OF_ACCOUNT.id, account_id=ACCOUNT.id),
    ],
    ids=["create", "contact", "account", "contact and its account"],
)
def test_a_person_may_choose_among_what_was_shown(plan):
    check_plan(plan, Verdict.SEVERAL_MATCHES, SEVERAL)


def test_a_contact_may_be_taken_with_its_account_even_if_that_does_not_match():
    plan = ConversionPlan(contact_id=OF_ACCOUNT.id, account_id=ACCOUNT.id)

    check_plan(plan, Verdict.ONE_MATCH, found(OF_ACCOUNT))


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        (ConversionPlan(contact_id="999"), "not_a_match"),
        (ConversionPlan(account_id="999"), "not_a_match"),
        (ConversionPlan(contact_id=ACCOUNT.id), "not_a_match"),
        (ConversionPlan(contact_id="33"), "unusable"),
        (ConversionPlan(account_id="43"), "unusable"),
        (ConversionPlan(contact_id=OF_ACCOUNT.id, account_id=OTHER_ACCOUNT.id), "disagree"),
        (ConversionPlan(contact_id=NAMESAKE.id, account_id=ACCOUNT.id), "disagree"),
        (ConversionPlan(contact_id=OF_ACCOUNT.id, account_id="999"), "disagree"),
        (ConversionPlan(overwrite=True), "nothing_to_rename"),
        (ConversionPlan(move_attachments_to="Deals"), "no_deal"),
        (ConversionPlan(tags={"Deals": ("fair",)}), "no_deal"),
    ],
)
def test_a_plan_that_does_not_fit_what_was_shown_is_refused(plan, code):
    with pytest.raises(PlanError) as refused:
        check_plan(plan, Verdict.SEVERAL_MATCHES, SEVERAL)

    assert refused.value.code == code


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        (ConversionPlan(overwrite=True), "nothing_to_rename"),
        (ConversionPlan(move_attachments_to="Deals"), "no_deal"),
        (ConversionPlan(tags={"Deals": ("fair",)}), "no_deal"),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(plan, code):
    with pytest.raises(PlanError) as refused:
        check_plan(plan, Verdict.NO_MATCH, found())

    assert refused.value.code == code


def test_a_contact_does_not_make_its_locked_account_usable():
    options = found(OF_ACCOUNT, accounts=(replace(ACCOUNT, locked=True),))
    plan = ConversionPlan(contact_id=OF_ACCOUNT.id, account_id=ACCOUNT.id)

    with pytest.raises(PlanError) as refused:
        check_plan(plan, Verdict.SEVERAL_MATCHES, options)

    assert refused.value.code == "unusable"


@pytest.mark.parametrize("verdict", sorted(set(Verdict) - CONVERTIBLE))
def test_no_plan_fits_a_lead_that_cannot_be_converted(verdict):
    with pytest.raises(PlanError) as refused:
        check_plan(ConversionPlan(), verdict, found())

    assert refused.value.code == "not_convertible"


# What changed

BEFORE = Lead(
    id="1", owner=Reference(id="7"), tags=("fair", "q1"), fields={"Email": "a@b.example", "Fax": ""}
)


@pytest.mark.parametrize(
    ("now", "names"),
    [
        (BEFORE, ()),
        (replace(BEFORE, tags=("q1", "fair")), ()),
        (replace(BEFORE, fields={"Email": "a@b.example"}), ()),
        (replace(BEFORE, owner=Reference(id="7", name="renamed")), ()),
        (replace(BEFORE, fields={"Email": "c@d.example"}), ("Email",)),
        (replace(BEFORE, fields={**BEFORE.fields, "City": "Kiel"}), ("City",)),
        (replace(BEFORE, fields={}), ("Email",)),
        (replace(BEFORE, owner=Reference(id="8"), tags=("q1",)), ("Owner", "Tag")),
        (replace(BEFORE, owner=None), ("Owner",)),
    ],
)
def test_a_lead_has_changed_if_something_shown_or_mapped_differs(now, names):
    assert changed_fields(BEFORE, now) == names


def test_matches_are_the_same_in_another_order_and_under_another_name():
    before = assess(LEAD, found(OF_ACCOUNT, NAMESAKE))
    now = assess(LEAD, found(NAMESAKE, replace(OF_ACCOUNT, name="renamed")))

    assert same_matches(before, now)


@pytest.mark.parametrize(
    "now",
    [
        found(),
        found(NAMESAKE),
        found(OF_ACCOUNT, NAMESAKE),
        found(replace(OF_ACCOUNT, locked=True)),
        found(OF_ACCOUNT, accounts=(ACCOUNT,)),
    ],
    ids=["gone", "another", "one more", "locked", "an account"],
)
def test_matches_are_not_the_same_if_one_came_went_or_lost_its_use(now):
    assert not same_matches(assess(LEAD, found(OF_ACCOUNT)), assess(LEAD, now))


# Whatever Zoho finds

IDS = st.sampled_from(["11", "12", "13"])


def matches(**more: Any) -> st.SearchStrategy[tuple[Match, ...]]:
    match = st.builds(
        Match,
        id=IDS,
        name=st.just(""),
        locked=st.booleans(),
        editable=st.booleans(),
        approved=st.booleans(),
        matched_on=st.just(()),
        fields=st.just({}),
        **more,
    )
    return st.lists(match, max_size=3, unique_by=lambda match: match.id).map(tuple)


OPTIONS = st.builds(
    ConversionOptions,
    contacts=matches(account=st.none() | st.builds(Reference, id=IDS)),
    accounts=matches(account=st.none()),
)
LEADS = st.builds(
    Lead,
    id=st.just("1"),
    converted=st.none() | st.just(Converted(contact_id="2")),
    obstacle=st.sampled_from(["", "", "locked", "review"]),
    name=st.just(""),
    company=st.just(""),
    email=st.just(""),
    owner=st.none(),
    tags=st.just(()),
    fields=st.just({}),
)
whatever_is_found = given(st.none() | LEADS, OPTIONS)


@whatever_is_found
def test_what_suggests_itself_can_always_be_done(lead, options):
    verdict = assess(lead, options).verdict
    plan = propose(verdict, options)

    if plan is not None:
        check_plan(plan, verdict, options)


@whatever_is_found
def test_no_plan_of_a_policy_names_an_unusable_record(lead, options):
    preview = assess(lead, options)
    usable = {match.id for match in (*options.contacts, *options.accounts) if match.usable}

    plans = [plan_by(policy, preview.verdict, options) for policy in POLICIES.values()]
    named = {id_ for plan in plans if plan for id_ in (plan.contact_id, plan.account_id) if id_}

    assert named <= usable


@whatever_is_found
def test_a_policy_that_does_not_attach_creates_only_where_nothing_matches(lead, options):
    preview = assess(lead, options)
    plan = plan_by(CAREFUL, preview.verdict, options)

    nothing_matches = not options.contacts and not options.accounts
    assert plan in (None, ConversionPlan())
    assert (plan is None) or nothing_matches


@whatever_is_found
def test_only_a_lead_that_can_be_converted_is_ever_planned(lead, options):
    preview = assess(lead, options)
    may_be_converted = lead is not None and not lead.converted and not lead.obstacle

    assert (preview.verdict in CONVERTIBLE) == may_be_converted


@given(OPTIONS, IDS | st.just(""), IDS | st.just(""))
def test_a_plan_that_passes_takes_usable_records_that_belong_together(
    options, contact_id, account_id
):
    plan = ConversionPlan(contact_id=contact_id, account_id=account_id)
    try:
        check_plan(plan, Verdict.SEVERAL_MATCHES, options)
    except PlanError:
        return

    contacts = {match.id: match for match in options.contacts}
    accounts = {match.id: match for match in options.accounts}
    assert not contact_id or contacts[contact_id].usable
    assert account_id not in accounts or accounts[account_id].usable
    if contact_id and account_id:
        assert contacts[contact_id].account == Reference(id=account_id)
    elif account_id:
        assert account_id in accounts
