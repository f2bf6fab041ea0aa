from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model

from zoho_crm.exceptions import PlanError, RequestRefusedError, StaleDecisionError
from zoho_crm.models import LeadConversion
from zoho_crm.models._database import DbNow
from zoho_crm.services import convert, work
from zoho_crm.services.preview import preview
from zoho_crm.types import ConversionPlan, Deal

Status = LeadConversion.Status

pytestmark = pytest.mark.django_db


@pytest.fixture
def previewed(connection, zoho):
    """Preview a lead of a story."""

    def preview_one(case="no_match"):
        return preview(connection_id=connection.pk, lead_id=zoho.story(case))

    return preview_one


@pytest.fixture
def request_(connection):
    """Ask for a conversion by policy."""
    return lambda lead_id, **more: convert.request(
        connection_id=connection.pk, lead_id=lead_id, **more
    )


def fresh(row):
    return LeadConversion.objects.get(pk=row.pk)


def seen(row):
    """What a page shows and sends back."""
    return {"conversion_id": row.pk, "version": row.version}


# Decide and approve


def test_a_decision_is_stored_and_nothing_is_sent(previewed, olga, zoho):
    row = previewed("several")
    plan = ConversionPlan(contact_id=row.stored_options().contacts[1].id)

    decided = convert.decide(**seen(row), plan=plan, by=olga)

    assert (decided.status, decided.decided_by, decided.due_at) == (Status.PREVIEWED, olga, None)
    assert fresh(row).stored_plan() == plan
    assert row.events.get(version=decided.version).by == "olga"
    assert zoho.ledger()["calls"] == []


def test_an_approval_makes_the_row_due_and_stores_who_and_when(previewed, olga):
    row = previewed()

    approved = convert.approve(**seen(row), plan=ConversionPlan(), by=olga)

    assert (approved.status, approved.approved_by, approved.decided_by) == (
        Status.READY,
        olga,
        olga,
    )
    now = {"due_at__lte": DbNow(), "approved_at__lte": DbNow()}
    assert LeadConversion.objects.filter(pk=row.pk, **now).exists()


@pytest.mark.django_db(transaction=True)
def test_what_was_approved_is_what_is_sent(previewed, olga, zoho, connection):
    row = previewed("several")
    plan = ConversionPlan(
        contact_id=row.stored_options().contacts[0].id,
        deal=Deal(
            name="Roll-out",
            stage="Qualification",
            closing_date=date(2027, 3, 31),
            pipeline="Standard (Standard)",
            amount=Decimal(48000),
        ),
        notify_lead_owner=True,
    )
    convert.approve(**seen(row), plan=plan, by=olga)

    work.work(connection_id=connection.pk)

    [truth] = zoho.conversions_of(row.lead_id)
    sent = truth["request"]
    done = fresh(row)
    assert done.status == Status.CONVERTED, done.error_message
    assert sent["Contacts"] == {"id": plan.contact_id}
    assert "Accounts" not in sent
    assert sent["Deals"]["Deal_Name"] == "Roll-out"
    assert sent["notify_lead_owner"]
    assert (done.contact_id, done.deal_id) == (plan.contact_id, truth["deal_id"])


@pytest.mark.parametrize("act", [convert.decide, convert.approve])
@pytest.mark.parametrize(
    ("case", "plan", "code"),
    [
        ("one_match", ConversionPlan(contact_id="999"), "not_a_match"),
        ("no_match", ConversionPlan(account_id="999"), "not_a_match"),
        ("locked", ConversionPlan(), "not_convertible"),
        ("deleted", ConversionPlan(), "not_convertible"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused_and_changes_nothing(
    previewed, olga, act, case, plan, code
):
    row = previewed(case)

    with pytest.raises(PlanError) as refused:
        act(**seen(row), plan=plan, by=olga)

    assert refused.value.code == code
    assert fresh(row).version == row.version


def test_an_unusable_match_cannot_be_chosen(previewed, olga):
    row = previewed("unapproved")
    plan = ConversionPlan(contact_id=row.stored_options().contacts[0].id)

    with pytest.raises(PlanError) as refused:
        convert.approve(**seen(row), plan=plan, by=olga)

    assert refused.value.code == "unusable"


# Two people, two tabs, two clicks


def test_the_second_click_changes_nothing(previewed, olga):
    row = previewed()
    convert.approve(**seen(row), plan=ConversionPlan(), by=olga)

    with pytest.raises(StaleDecisionError):
        convert.approve(**seen(row), plan=ConversionPlan(), by=olga)

    assert fresh(row).version == row.version + 1


@pytest.mark.parametrize("act", [convert.decide, convert.approve])
def test_of_two_decisions_the_second_is_stale(previewed, olga, act):
    row = previewed("several")
    [first, second] = row.stored_options().contacts
    convert.decide(**seen(row), plan=ConversionPlan(contact_id=first.id), by=olga)
    ravi = get_user_model().objects.create_user("ravi")

    with pytest.raises(StaleDecisionError):
        act(**seen(row), plan=ConversionPlan(contact_id=second.id), by=ravi)

    assert fresh(row).stored_plan() == ConversionPlan(contact_id=first.id)
    assert fresh(row).decided_by == olga


def test_a_decision_after_a_new_preview_is_stale(previewed, olga, connection):
    row = previewed()
    preview(connection_id=connection.pk, lead_id=row.lead_id)

    with pytest.raises(StaleDecisionError):
        convert.approve(**seen(row), plan=ConversionPlan(), by=olga)


def test_a_decision_after_a_skip_is_stale(previewed, olga):
    row = previewed()
    convert.skip(**seen(row), by=olga)

    with pytest.raises(StaleDecisionError):
        convert.approve(**seen(fresh(row)), plan=ConversionPlan(), by=olga)


# Skip


def test_a_skipped_lead_has_the_note_in_its_journal(previewed, olga):
    row = previewed()

    skipped = convert.skip(**seen(row), by=olga, note="Competitor")

    assert (skipped.status, skipped.due_at) == (Status.SKIPPED, None)
    assert row.events.get(version=skipped.version).details == {"note": "Competitor"}


@pytest.mark.django_db(transaction=True)
def test_an_approved_lead_that_is_skipped_is_not_sent(previewed, olga, zoho, connection):
    row = convert.approve(**seen(previewed()), plan=ConversionPlan(), by=olga)
    convert.skip(**seen(row), by=olga)

    assert work.work(connection_id=connection.pk) is None
    assert zoho.ledger()["calls"] == []


def test_a_lead_that_needs_review_can_be_closed(previewed, olga):
    row = previewed()
    LeadConversion.objects.filter(pk=row.pk).update(status=Status.NEEDS_REVIEW)

    assert convert.skip(**seen(row), by=olga).status == Status.SKIPPED


@pytest.mark.parametrize("status", [Status.RUNNING, Status.UNKNOWN, Status.FAILED, Status.NEW])
def test_a_lead_in_progress_or_finished_cannot_be_skipped(previewed, olga, status):
    row = previewed()
    LeadConversion.objects.filter(pk=row.pk).update(status=status)

    with pytest.raises(StaleDecisionError):
        convert.skip(**seen(row), by=olga)


# By policy


def test_a_new_lead_takes_the_policy_and_is_due(request_, zoho):
    row = request_(zoho.story("no_match"), policy="attach")

    assert (row.status, row.policy) == (Status.NEW, "attach")
    assert LeadConversion.objects.due().contains(row)


def test_an_undecided_preview_takes_the_policy_and_is_renewed(previewed, request_):
    row = previewed("one_match")

    requested = request_(row.lead_id, policy="attach")

    assert (requested.status, requested.policy) == (Status.NEW, "attach")
    assert LeadConversion.objects.due().contains(row)


def test_a_preview_that_a_person_decided_stays_as_it_is(previewed, request_, olga):
    row = convert.decide(**seen(previewed()), plan=ConversionPlan(), by=olga)

    requested = request_(row.lead_id, policy="attach")

    assert (requested.status, requested.version, requested.policy) == (
        Status.PREVIEWED,
        row.version,
        "",
    )


@pytest.mark.parametrize(
    "status",
    sorted(set(Status) - {Status.NEW, Status.PREVIEWED, Status.CONVERTED}),
)
def test_a_lead_in_progress_or_finished_stays_as_it_is(previewed, request_, status):
    row = previewed()
    LeadConversion.objects.filter(pk=row.pk).update(status=status)

    requested = request_(row.lead_id)

    assert (requested.status, requested.version) == (status, row.version)


def test_requesting_twice_is_requesting_once(request_, zoho):
    lead_id = zoho.story("no_match")
    request_(lead_id)
    request_(lead_id)

    assert LeadConversion.objects.get(lead_id=lead_id).status == Status.NEW


def test_an_unknown_policy_is_refused_with_the_known_ones(request_, zoho):
    with pytest.raises(PlanError, match="careful, attach"):
        request_(zoho.story("no_match"), policy="reckless")

    assert not LeadConversion.objects.exists()


@pytest.mark.parametrize("lead_id", ["", "abc", "12345678901234567890"])
def test_a_malformed_id_is_refused(request_, lead_id):
    with pytest.raises(RequestRefusedError) as refused:
        request_(lead_id)

    assert refused.value.code == "INVALID_ID"
    assert not LeadConversion.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_approval_by_a_person_removes_the_policy(previewed, request_, olga, connection):
    row = previewed("several")
    request_(row.lead_id, policy="attach")
    work.work(connection_id=connection.pk)
    row.refresh_from_db()

    approved = convert.approve(**seen(row), plan=ConversionPlan(), by=olga)

    assert (approved.policy, approved.approved_by) == ("", olga)


# Stored plans


def test_the_plan_is_stored_as_it_was_decided(previewed, olga):
    row = previewed()
    plan = ConversionPlan(
        deal=Deal(name="Ä", stage="Q", closing_date=date(2027, 1, 2), amount=Decimal("0.10")),
        tags={"Deals": ("fair",)},
    )

    convert.decide(**seen(row), plan=plan, by=olga)

    assert fresh(row).stored_plan() == plan
    assert json.loads(json.dumps(fresh(row).plan)) == fresh(row).plan


# Texts of the host project's


def test_a_note_may_have_characters_that_no_database_stores(previewed, olga):
    row = convert.skip(**seen(previewed()), by=olga, note="a\x00b\ud800c")

    assert row.events.get(version=row.version).details == {"note": "a\ufffdb\ufffdc"}
