"""Generated leads: each case has the records that it describes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.simulator.conftest import Caller
from zoho_crm.simulator import Simulator, SimulatorSettings


def options_of(caller: Caller, lead_id: str) -> tuple[int, list[Any], list[Any]]:
    """Return the status, the contacts and the accounts of the conversion options."""
    answer = caller.options(lead_id)
    found = answer.json().get("__conversion_options", {}) if answer.content else {}
    return answer.status_code, found.get("Contacts") or [], found.get("Accounts") or []


def test_no_match_alternates_between_204_and_nulls(caller: Caller, sim: Simulator) -> None:
    answers = [options_of(caller, sim.story("no_match")) for _ in range(4)]

    assert answers == [(204, [], []), (200, [], [])] * 2


def test_one_match_is_a_contact_with_the_account_that_it_belongs_to(
    caller: Caller, sim: Simulator
) -> None:
    _, (contact,), (account,) = options_of(caller, sim.story("one_match"))

    assert contact["Account_Name"]["id"] == account["id"]


def test_account_only_has_no_contact(caller: Caller, sim: Simulator) -> None:
    _, contacts, accounts = options_of(caller, sim.story("account_only"))

    assert (len(contacts), len(accounts)) == (0, 1)


def test_several_has_two_contacts(caller: Caller, sim: Simulator) -> None:
    _, contacts, accounts = options_of(caller, sim.story("several"))

    assert (len(contacts), len(accounts)) == (2, 1)


def test_the_older_one_of_several_is_the_more_active(caller: Caller, sim: Simulator) -> None:
    _, contacts, _ = options_of(caller, sim.story("several"))

    older, younger = (sim.records["Contacts"][each["id"]] for each in contacts)
    assert older["Created_Time"] < younger["Created_Time"] < younger["Last_Activity_Time"]
    assert younger["Last_Activity_Time"] < older["Last_Activity_Time"]


def test_disagree_is_a_contact_of_another_account(caller: Caller, sim: Simulator) -> None:
    _, (contact,), (account,) = options_of(caller, sim.story("disagree"))

    assert contact["Account_Name"]["id"] != account["id"]


def test_locked_is_a_locked_lead(caller: Caller, sim: Simulator) -> None:
    (lead,) = caller.get(f"/Leads/{sim.story('locked')}").json()["data"]

    assert (lead["Locked__s"], lead["$locked_for_me"]) == (True, True)


def test_unapproved_has_one_match_that_cannot_be_used(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("unapproved")

    _, (contact,), (account,) = options_of(caller, lead_id)

    assert contact["$approval_state"] != "approved"
    assert contact["Account_Name"]["id"] == account["id"]
    assert sim.records["Leads"][lead_id]["$approval_state"] == "approved"


def test_converted_was_converted_elsewhere(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("converted")

    (conversion,) = sim.conversions_of(lead_id)

    assert (conversion["via"], conversion["request"]) == ("elsewhere", None)
    assert options_of(caller, lead_id)[0] == 400


def test_deleted_does_not_exist(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("deleted")

    assert caller.get(f"/Leads/{lead_id}", converted="both").status_code == 204


def test_hostile_values_are_kept_as_they_are(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("hostile")

    (lead,) = caller.get(f"/Leads/{lead_id}").json()["data"]

    assert "<script>" in lead["Company"]
    assert "'" in lead["Last_Name"]
    assert "\u202e" in lead["Designation"]
    assert len(lead["Description"]) > 20_000
    assert caller.convert(lead_id).status_code == 200


def test_leads_match_only_the_records_of_their_own_case(start: Callable[..., Caller]) -> None:
    caller = start(leads=300)

    for each in caller.simulator.stories():
        if each["case"] == "no_match":
            assert options_of(caller, each["lead_id"])[1:] == ([], [])
        if each["case"] == "one_match":
            _, contacts, accounts = options_of(caller, each["lead_id"])
            assert (len(contacts), len(accounts)) == (1, 1)


def test_names_emails_and_companies_do_not_repeat() -> None:
    leads = Simulator(SimulatorSettings(leads=5_000, seed=3)).records["Leads"].values()
    ordinary = [lead for lead in leads if "<" not in lead["Company"]]

    for name in ("Full_Name", "Email", "Company"):
        assert len({lead[name].casefold() for lead in ordinary}) == len(ordinary)
    assert all(lead["Email"].endswith(".example") for lead in ordinary)
    assert all(lead["Email"].isascii() for lead in ordinary)


def test_ids_have_a_prefix_of_the_organisation_and_fit_into_64_bits() -> None:
    first, second = (Simulator(SimulatorSettings(leads=3)) for _ in range(2))

    ids = [*first.records["Leads"], first.organisation.id]
    assert {len(each) for each in ids} == {19}
    assert all(int(each) < 2**63 for each in ids)
    assert len({each[:7] for each in ids}) == 1
    assert not set(ids) & set(second.records["Leads"])


def test_another_seed_makes_other_names() -> None:
    def names(seed: int) -> list[str]:
        simulator = Simulator(SimulatorSettings(leads=5, seed=seed))
        return [lead["Full_Name"] for lead in simulator.records["Leads"].values()]

    assert names(1) == names(1)
    assert names(1) != names(2)


@pytest.mark.parametrize("number", [1_300, 50_000, 100_000, 900_000])
def test_names_differ_for_large_numbers_too(number: int) -> None:
    values = Simulator(SimulatorSettings(leads=0)).engine.story_factory.lead_values
    values.number = number

    one, two = values.next(), values.next()

    assert one["Email"] != two["Email"]
    assert one["Company"] != two["Company"]


def test_a_lead_is_newer_than_those_before_it(sim: Simulator) -> None:
    ids = [sim.story("no_match") for _ in range(70)]

    times = [sim.records["Leads"][lead_id]["Created_Time"] for lead_id in ids]

    assert times == sorted(set(times))
