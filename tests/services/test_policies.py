"""Saved policies decide about single leads as the presets do."""

from __future__ import annotations

from typing import Any

import pytest

from zoho_crm.exceptions import PlanError
from zoho_crm.matching import Action, DealTemplate, Policy
from zoho_crm.models import Connection, LeadConversion
from zoho_crm.models import Policy as SavedPolicy
from zoho_crm.services import convert, policies, work
from zoho_crm.simulator import Simulator
from zoho_crm.types import as_json

Status = LeadConversion.Status

pytestmark = pytest.mark.django_db(transaction=True)


def save(**rules: Any) -> SavedPolicy:
    """Save a policy named ``mine``."""
    return SavedPolicy.objects.create(name="mine", rules=as_json(Policy(name="mine", **rules)))


def converted(connection: Connection, lead_id: str) -> LeadConversion:
    """Request the conversion of a lead by ``mine``, and work until nothing is due."""
    row = convert.request(connection_id=connection.pk, lead_id=lead_id, policy="mine")
    while work.work(connection_id=connection.pk) == 0.0:
        pass
    row.refresh_from_db()
    return row


def test_a_saved_policy_converts_a_single_lead_with_all_that_it_says(
    connection: Connection, zoho: Simulator
) -> None:
    owner = zoho.organisation.users[1]["id"]
    deal = DealTemplate(name="{Company}", stage="Qualification", pipeline="Standard (Standard)")
    save(on_one_match=Action.ATTACH, deal=deal, owner_id=owner)

    row = converted(connection, zoho.story("one_match"))

    assert (row.status, row.policy) == (Status.CONVERTED, "mine")
    assert row.deal_id
    assert zoho.records["Deals"][row.deal_id]["Owner"]["id"] == owner


def test_of_several_matches_a_saved_policy_joins_the_newest(
    connection: Connection, zoho: Simulator
) -> None:
    save(on_several_matches=Action.NEWEST)

    row = converted(connection, zoho.story("several"))

    matches = [zoho.records["Contacts"][match.id] for match in row.stored_options().contacts]
    assert row.contact_id == max(matches, key=lambda each: str(each["Created_Time"])).id


def test_a_saved_policy_says_who_gets_the_records_of_an_inactive_owner(
    connection: Connection, zoho: Simulator
) -> None:
    active, leaver = zoho.organisation.users[1:3]
    leaver["status"] = "inactive"
    save(owner_for_inactive_id=active["id"])
    lead = zoho.add_lead(Owner=zoho.organisation.owner(leaver))

    row = converted(connection, lead.id)

    assert zoho.records["Contacts"][row.contact_id]["Owner"]["id"] == active["id"]


def test_a_lead_that_the_policy_leaves_out_is_skipped(
    connection: Connection, zoho: Simulator
) -> None:
    save(on_no_match=Action.SKIP)

    row = converted(connection, zoho.story("no_match"))

    assert row.status == Status.SKIPPED
    assert row.events.order_by("version").last().by == "policy mine"
    assert zoho.ledger()["calls"] == []


def test_what_the_policy_leaves_to_a_person_rests(connection: Connection, zoho: Simulator) -> None:
    save(on_no_match=Action.REVIEW)

    row = converted(connection, zoho.story("no_match"))

    assert (row.status, row.due_at, row.decided_by) == (Status.PREVIEWED, None, None)


def test_a_policy_that_was_deleted_meanwhile_decides_nothing(
    connection: Connection, zoho: Simulator
) -> None:
    policy = save()
    lead_id = zoho.story("no_match")
    convert.request(connection_id=connection.pk, lead_id=lead_id, policy="mine")
    policy.delete()

    work.work(connection_id=connection.pk)

    assert LeadConversion.objects.get(lead_id=lead_id).status == Status.PREVIEWED
    assert zoho.ledger()["calls"] == []


def test_an_unknown_policy_is_refused_with_the_presets_and_the_saved_ones() -> None:
    save()

    with pytest.raises(PlanError, match="known are: careful, attach, mine"):
        policies.policy_named("reckless")


def test_a_preset_wins_over_a_saved_namesake() -> None:
    rules = as_json(Policy(name="careful", on_no_match=Action.SKIP))
    SavedPolicy.objects.create(name="careful", rules=rules)

    assert policies.policy_named("careful").on_no_match == Action.CREATE
