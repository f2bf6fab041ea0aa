"""Converting leads in a job: the outcome of each lead, and the ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from tests.simulator.conftest import Caller
from zoho_crm.simulator import Simulator
from zoho_crm.simulator.records import Record

DEAL = {
    "Deal_Name": "Spring campaign",
    "Closing_Date": "2027-06-30",
    "Pipeline": "Standard (Standard)",
    "Stage": "Qualification",
    "Amount": 5000,
}


def leads_of(sim: Simulator, number: int) -> list[str]:
    return [sim.add_lead().id for _ in range(number)]


def became(sim: Simulator, lead_id: str, module: str) -> Record:
    """Return the record of the module that the lead became."""
    (conversion,) = sim.conversions_of(lead_id)
    return sim.records[module][conversion[f"{module.removesuffix('s').lower()}_id"]]


def counts_of(job: dict[str, Any]) -> tuple[int, int, int]:
    return job["Converted_Count"], job["Not_Converted_Count"], job["Failed_Count"]


def test_a_job_converts_every_lead_by_the_mapping(any_caller: Caller) -> None:
    sim = any_caller.simulator
    lead_ids = leads_of(sim, 3)

    answer = any_caller.mass_convert(*lead_ids)

    job_id = answer.json()["details"]["job_id"]
    assert answer.status_code == 202
    assert answer.json() == {
        "code": "SCHEDULED",
        "details": {"job_id": job_id},
        "message": "Mass Convert scheduled successfully",
        "status": "success",
    }
    assert counts_of(any_caller.job(job_id)) == (3, 0, 0)
    for lead_id in lead_ids:
        lead = sim.records["Leads"][lead_id]
        contact, account = became(sim, lead_id, "Contacts"), became(sim, lead_id, "Accounts")
        assert contact["Email"] == lead["Email"]
        assert contact["Account_Name"] == account.lookup()
        assert account["Account_Name"] == lead["Company"]
        assert lead["Converted_Contact"] == contact.lookup()
    assert not sim.records["Deals"]


def test_a_converted_lead_reads_as_after_a_single_conversion(caller: Caller) -> None:
    single, mass = leads_of(caller.simulator, 2)
    caller.convert(single)
    caller.start_job(mass)

    shown = caller.get("/Leads", fields="Converted__s", ids=f"{single},{mass}", converted="both")

    assert {lead["id"]: lead["Converted__s"] for lead in shown.json()["data"]} == {
        single: True,
        mass: True,
    }
    assert caller.get(f"/Leads/{mass}").status_code == 204
    assert caller.convert(mass).json()["code"] == "ID_ALREADY_CONVERTED"


def test_ids_may_be_numbers_as_zohos_own_sdk_writes_them(caller: Caller, sim: Simulator) -> None:
    lead_ids = leads_of(sim, 2)

    caller.start_job(ids=[int(each) for each in lead_ids])

    assert [each["lead_id"] for each in sim.ledger()["conversions"]] == lead_ids
    assert [each["lead_id"] for each in sim.ledger()["calls"]] == lead_ids


def test_everything_that_is_made_belongs_to_the_assignee(caller: Caller, sim: Simulator) -> None:
    tomas = sim.organisation.users[1]
    lead = sim.add_lead()

    caller.start_job(lead.id, assign_to={"id": tomas["id"], "name": tomas["full_name"]}, Deals=DEAL)

    made = [became(sim, lead.id, module) for module in ("Contacts", "Accounts", "Deals")]
    assert {record["Owner"]["id"] for record in made} == {tomas["id"]}
    assert lead["Owner"]["id"] != tomas["id"]


def test_without_an_assignee_owners_stay(caller: Caller, sim: Simulator) -> None:
    sim.organisation.mass_convert_needs_assign_to = False
    lead = sim.add_lead(Owner=sim.organisation.owner(sim.organisation.users[2]))

    caller.post("/Leads/actions/mass_convert", {"ids": [lead.id]})

    assert became(sim, lead.id, "Contacts")["Owner"] == lead["Owner"]


def test_one_deal_template_is_used_for_all_leads(caller: Caller, sim: Simulator) -> None:
    first, second = leads_of(sim, 2)

    caller.start_job(first, second, Deals=DEAL)

    deals = [became(sim, each, "Deals") for each in (first, second)]
    assert deals[0].id != deals[1].id
    assert [deal["Deal_Name"] for deal in deals] == ["Spring campaign", "Spring campaign"]
    assert deals[1]["Contact_Name"] == became(sim, second, "Contacts").lookup()


def test_a_job_creates_and_never_merges(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("one_match")
    (contact,), (account,) = sim.records["Contacts"].values(), sim.records["Accounts"].values()

    caller.start_job(lead_id)

    assert became(sim, lead_id, "Contacts").id != contact.id
    assert became(sim, lead_id, "Accounts").id != account.id


def test_all_tags_of_each_lead_go_to_the_modules_that_are_named(
    caller: Caller, sim: Simulator
) -> None:
    fair, vip = (sim.organisation.tag("Leads", name) for name in ("fair", "vip"))
    first, second = sim.add_lead(Tag=[fair, vip]), sim.add_lead(Tag=[vip])
    modules = [sim.organisation.module(name) for name in ("Contacts", "Deals")]

    caller.start_job(first.id, second.id, carry_over_tags=modules)

    assert became(sim, first.id, "Contacts")["Tag"] == [fair, vip]
    assert became(sim, second.id, "Contacts")["Tag"] == [vip]
    assert became(sim, first.id, "Accounts")["Tag"] == []


@pytest.mark.parametrize("target", ["Contacts", "Accounts", "Deals"])
def test_attachments_move_to_the_requested_module(
    caller: Caller, sim: Simulator, target: str
) -> None:
    lead_id = sim.add_lead().id
    sim.organisation.attachments[lead_id] = ["offer.pdf"]

    caller.start_job(lead_id, Deals=DEAL, move_attachments_to=sim.organisation.module(target))

    assert sim.organisation.attachments[became(sim, lead_id, target).id] == ["offer.pdf"]
    assert lead_id not in sim.organisation.attachments


def test_the_new_contact_can_become_a_user_of_the_portal(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.add_lead().id
    client = sim.organisation.portal_user_types[0]

    caller.start_job(lead_id, portal_user_type={"id": client["id"]})

    contact = became(sim, lead_id, "Contacts")
    assert sim.organisation.portal_users == {contact.id: client}


def test_activities_and_thresholds_are_accepted(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.add_lead().id
    modules = [sim.organisation.module(name) for name in ("Tasks", "Events", "Calls")]

    caller.start_job(lead_id, related_modules=modules, apply_assignment_threshold=False)

    assert len(sim.conversions_of(lead_id)) == 1


def _converted(sim: Simulator) -> str:
    return sim.story("converted")


def _locked(sim: Simulator) -> str:
    return sim.story("locked")


def _unapproved(sim: Simulator) -> str:
    return sim.add_lead(**{"$approval_state": "approval_process_pending"}).id


def _in_review(sim: Simulator) -> str:
    return sim.add_lead(**{"$review": "review"}).id


def _in_merge(sim: Simulator) -> str:
    return sim.add_lead(**{"$in_merge": True}).id


def _colliding(sim: Simulator) -> str:
    sim.organisation.unique["Contacts"] = ["Email"]
    return sim.story("one_match")


@pytest.mark.parametrize(
    "bad", [_converted, _locked, _unapproved, _in_review, _in_merge, _colliding]
)
def test_a_lead_that_cannot_be_converted_only_counts_as_failed(
    caller: Caller, sim: Simulator, bad: Callable[[Simulator], str]
) -> None:
    bad_id, good_id = bad(sim), sim.add_lead().id
    before = sim.conversions_of(bad_id)

    job = caller.job(caller.start_job(bad_id, good_id))

    assert job == {
        "Status": "COMPLETED",
        "Total_Count": 2,
        "Converted_Count": 1,
        "Not_Converted_Count": 0,
        "Failed_Count": 1,
    }
    assert sim.conversions_of(bad_id) == before
    assert len(sim.conversions_of(good_id)) == 1


def test_a_collision_within_a_job_fails_the_later_lead(caller: Caller, sim: Simulator) -> None:
    sim.organisation.unique["Contacts"] = ["Email"]
    first, second = (sim.add_lead(Email="ada@engine.example").id for _ in range(2))

    job_id = caller.start_job(first, second)

    assert counts_of(caller.job(job_id)) == (1, 0, 1)
    assert len(sim.conversions_of(first)) == 1
    assert not sim.conversions_of(second)


def test_changes_before_a_lead_is_due_count(start: Callable[..., Caller]) -> None:
    caller = start(job_seconds_per_lead=1)
    sim = caller.simulator
    deleted, converted, kept = leads_of(sim, 3)
    job_id = caller.start_job(deleted, converted, kept)

    sim.delete("Leads", deleted)
    caller.convert(converted)
    sim.advance(3)

    assert counts_of(caller.job(job_id)) == (1, 0, 2)
    assert [each["via"] for each in sim.ledger()["conversions"]] == ["convert", "mass"]


def test_a_permission_lost_before_a_lead_is_due_counts(start: Callable[..., Caller]) -> None:
    caller = start(job_seconds_per_lead=1)
    job_id = caller.start_job(*leads_of(caller.simulator, 2))

    caller.simulator.advance(1)
    caller.simulator.organisation.denied.add("Crm_Implied_Create_Contacts")
    caller.simulator.advance(1)

    assert counts_of(caller.job(job_id)) == (1, 0, 1)


def test_a_lead_named_twice_is_converted_once(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.add_lead().id

    job_id = caller.start_job(lead_id, lead_id)

    assert counts_of(caller.job(job_id)) == (1, 0, 1)
    assert len(sim.conversions_of(lead_id)) == 1
    first, second = sim.ledger()["calls"]
    assert first["effect_at"] is not None
    assert second["effect_at"] is None


def test_the_ledger_has_a_call_for_each_lead(start: Callable[..., Caller]) -> None:
    caller = start(job_seconds_per_lead=2)
    sim = caller.simulator
    good, locked = sim.add_lead().id, sim.story("locked")
    caller.start_job(good, locked, Deals=DEAL)

    sim.advance(10)

    (conversion,) = sim.ledger()["conversions"]
    first, second = sim.ledger()["calls"]
    assert conversion["via"] == "mass"
    assert conversion["request"] == {
        "assign_to": {"id": sim.organisation.current_user["id"]},
        "Deals": DEAL,
    }
    assert [first["lead_id"], second["lead_id"]] == [good, locked]
    for name in ("received_at", "answered_at", "code"):
        assert first[name] == second[name]
    assert first["code"] == "SCHEDULED"
    assert first["effect_at"] == conversion["at"]
    took = datetime.fromisoformat(first["effect_at"]) - datetime.fromisoformat(first["received_at"])
    assert timedelta(seconds=2) <= took < timedelta(seconds=10)
    assert second["effect_at"] is None
    assert first["resolved_at"] == first["effect_at"] < second["resolved_at"]
    assert first["request"] == second["request"] == conversion["request"]


def test_the_ledger_keeps_refused_calls(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.add_lead().id

    caller.mass_convert(lead_id, "77", None)

    assert [(each["lead_id"], each["code"]) for each in sim.ledger()["calls"]] == [
        (lead_id, "INVALID_DATA"),
        ("77", "INVALID_DATA"),
    ]


@pytest.mark.parametrize("body", [None, [], {"ids": "7"}, {}])
def test_a_call_that_names_no_lead_leaves_no_entry(
    caller: Caller, sim: Simulator, body: Any
) -> None:
    answer = caller.post("/Leads/actions/mass_convert", body)

    assert answer.status_code == 400
    assert sim.ledger()["calls"] == []


def test_a_post_costs_200_credits_and_a_status_one(caller: Caller, sim: Simulator) -> None:
    job_id = caller.start_job(sim.add_lead().id)
    assert sim.stats()["credits_used"] == 200

    caller.job(job_id)

    assert sim.stats()["credits_used"] == 201


def test_too_few_credits_refuse_the_whole_job(start: Callable[..., Caller]) -> None:
    caller = start(credits=199)

    answer = caller.mass_convert(caller.simulator.add_lead().id)

    assert (answer.status_code, answer.json()["code"]) == (429, "TOO_MANY_REQUESTS")
    assert caller.simulator.ledger()["conversions"] == []


def test_calls_are_counted_by_address(caller: Caller, sim: Simulator) -> None:
    caller.job(caller.start_job(sim.add_lead().id))

    path = "/crm/v8/Leads/actions/mass_convert"
    assert sim.stats()["calls"][1:] == [
        {"method": "POST", "path": path, "status": 202, "count": 1},
        {"method": "GET", "path": path, "status": 200, "count": 1},
    ]


def test_a_lost_answer_hides_the_job_but_not_its_effect(any_caller: Caller) -> None:
    lead_ids = leads_of(any_caller.simulator, 2)
    any_caller.simulator.fail("mass_convert", "close_after", lead_id=lead_ids[1])

    with pytest.raises(requests.ConnectionError):
        any_caller.mass_convert(*lead_ids)

    ledger = any_caller.simulator.ledger()
    assert [each["lead_id"] for each in ledger["conversions"]] == lead_ids
    assert {(each["answered_at"], each["code"]) for each in ledger["calls"]} == {(None, None)}
    assert all(each["effect_at"] for each in ledger["calls"])


@pytest.mark.parametrize(("do", "converted"), [("error_before", 0), ("error_after", 2)])
def test_an_error_comes_before_or_after_the_job(
    caller: Caller, sim: Simulator, do: str, converted: int
) -> None:
    sim.fail("mass_convert", do, status=502)

    answer = caller.mass_convert(*leads_of(sim, 2))

    assert answer.status_code == 502
    assert len(sim.ledger()["conversions"]) == converted


def test_a_job_can_begin_after_the_connection_closed(start: Callable[..., Caller]) -> None:
    caller = start(job_seconds_per_lead=1)
    sim = caller.simulator
    lead_ids = leads_of(sim, 2)
    sim.fail("mass_convert", "late", seconds=30)
    with pytest.raises(requests.ConnectionError):
        caller.mass_convert(*lead_ids)

    sim.advance(29)
    assert sim.ledger()["conversions"] == []
    sim.advance(1)
    assert {call["resolved_at"] for call in sim.ledger()["calls"]} == {None}
    sim.advance(10)

    first, second = sim.ledger()["conversions"]
    assert None not in {call["resolved_at"] for call in sim.ledger()["calls"]}
    assert [first["lead_id"], second["lead_id"]] == lead_ids
    apart = datetime.fromisoformat(second["at"]) - datetime.fromisoformat(first["at"])
    assert apart == timedelta(seconds=1)


def test_the_begin_of_a_job_can_be_delayed(caller: Caller, sim: Simulator) -> None:
    sim.fail("mass_convert", "scheduled", seconds=60)
    job_id = caller.start_job(sim.add_lead().id)
    assert caller.job(job_id)["Status"] == "scheduled"

    sim.advance(60)

    assert caller.job(job_id)["Status"] == "COMPLETED"
