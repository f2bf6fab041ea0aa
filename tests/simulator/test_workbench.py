"""The simulator in the hands of a test."""

from __future__ import annotations

import pytest

from tests.simulator.conftest import Caller
from zoho_crm.simulator import Simulator


def test_a_lead_may_be_changed_and_deleted_by_somebody_else(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()

    sim.change(lead, Company="Other")
    assert caller.get(f"/Leads/{lead.id}").json()["data"][0]["Company"] == "Other"

    sim.delete("Leads", lead.id)
    assert caller.get(f"/Leads/{lead.id}").status_code == 204


def test_a_lead_may_be_converted_by_somebody_else(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()

    sim.convert_elsewhere(lead.id)

    assert caller.convert(lead.id).json()["code"] == "ID_ALREADY_CONVERTED"
    assert [each["via"] for each in sim.conversions_of(lead.id)] == ["elsewhere"]


def test_look_ups_follow_what_a_test_writes(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()
    contact = sim.add("Contacts", Last_Name="A", Email=lead["Email"])
    assert caller.options(lead.id).status_code == 200

    contact["Email"] = "moved@away.example"
    assert caller.options(lead.id).status_code == 204

    contact["Email"] = lead["Email"]
    assert caller.options(lead.id).status_code == 200

    other = sim.add("Contacts", Last_Name="B", Email=lead["Email"])
    del sim.records["Contacts"][contact.id]
    found = caller.options(lead.id).json()["__conversion_options"]["Contacts"]
    assert [each["id"] for each in found] == [other.id]


def test_a_full_name_is_taken_apart_and_put_together(sim: Simulator) -> None:
    whole = sim.add("Contacts", Full_Name="Ines Maria Albrecht")
    parts = sim.add("Contacts", First_Name="Ines", Last_Name="Albrecht")
    single = sim.add("Contacts", Full_Name="Ines")
    both = sim.add("Contacts", Full_Name="Shown", Last_Name="Given")

    assert (whole["First_Name"], whole["Last_Name"]) == ("Ines Maria", "Albrecht")
    assert parts["Full_Name"] == "Ines Albrecht"
    assert (single["First_Name"], single["Last_Name"]) == (None, "Ines")
    assert (both["Full_Name"], both["Last_Name"]) == ("Shown", "Given")


def test_a_field_never_written_answers_its_default(sim: Simulator) -> None:
    lead = sim.add_lead()

    assert lead["Fax"] is None
    assert lead["Tag"] == []
    assert lead.get("Made_Up__c", "nothing") == "nothing"
    with pytest.raises(KeyError):
        lead["Made_Up__c"]
    lead["Tag"].append("lost")
    assert sim.add_lead()["Tag"] == [], "a default is never shared"
