"""The control API in Python."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tests.simulator.conftest import Caller
from zoho_crm.simulator import Simulator


def test_a_lead_can_be_changed_and_deleted_outside_the_api(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()

    sim.change(lead, Company="Other")
    assert caller.get(f"/Leads/{lead.id}").json()["data"][0]["Company"] == "Other"

    sim.delete("Leads", lead.id)
    assert caller.get(f"/Leads/{lead.id}").status_code == 204


def test_a_lead_can_be_converted_outside_the_api(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()

    sim.convert_elsewhere(lead.id)

    assert caller.convert(lead.id).json()["code"] == "ID_ALREADY_CONVERTED"
    assert [each["via"] for each in sim.conversions_of(lead.id)] == ["elsewhere"]


def test_indexes_follow_direct_writes(caller: Caller, sim: Simulator) -> None:
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


def test_full_name_and_its_parts_complete_each_other(sim: Simulator) -> None:
    whole = sim.add("Contacts", Full_Name="Ines Maria Albrecht")
    parts = sim.add("Contacts", First_Name="Ines", Last_Name="Albrecht")
    single = sim.add("Contacts", Full_Name="Ines")
    both = sim.add("Contacts", Full_Name="Shown", Last_Name="Given")

    assert (whole["First_Name"], whole["Last_Name"]) == ("Ines Maria", "Albrecht")
    assert parts["Full_Name"] == "Ines Albrecht"
    assert (single["First_Name"], single["Last_Name"]) == (None, "Ines")
    assert (both["Full_Name"], both["Last_Name"]) == ("Shown", "Given")


def test_an_unset_field_has_its_default(sim: Simulator) -> None:
    lead = sim.add_lead()

    assert lead["Fax"] is None
    assert lead["Tag"] == []
    assert lead.get("Made_Up__c", "nothing") == "nothing"
    with pytest.raises(KeyError):
        lead["Made_Up__c"]
    lead["Tag"].append("lost")
    assert sim.add_lead()["Tag"] == [], "a default is never shared"


def test_settings_can_be_changed_while_it_runs(caller: Caller, sim: Simulator) -> None:
    sim.tune(job_seconds_per_lead=3600, credits=201, concurrency=0)
    assert caller.get("/org").status_code == 429, "no call may be in flight"

    sim.tune(concurrency=1)
    job_id = caller.start_job(sim.add_lead().id)

    assert caller.job(job_id)["Status"] == "scheduled"
    assert caller.get("/org").status_code == 429, "all credits are used"


def test_only_settings_that_exist_can_be_changed(sim: Simulator) -> None:
    with pytest.raises(TypeError, match="colour"):
        sim.tune(colour="red")


def test_reading_runs_due_events_first(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()

    caller.start_job(lead.id)

    assert len(sim.records["Contacts"]) == 1
    assert lead["Converted__s"]


def test_due_events_run_in_order_with_the_instant_they_were_due(sim: Simulator) -> None:
    seen: list[tuple[str, datetime]] = []
    begin = sim.world.clock.now()

    def event(name: str, next_after: float | None = None) -> Callable[[datetime], None]:
        def run(at: datetime) -> None:
            seen.append((name, at))
            if next_after is not None:
                sim.world.schedule(at + timedelta(seconds=next_after), event("follows"))

        return run

    sim.world.schedule(begin + timedelta(seconds=3), event("third"))
    sim.world.schedule(begin + timedelta(seconds=1), event("first", next_after=1))
    sim.world.schedule(begin + timedelta(seconds=3), event("fourth"))

    sim.advance(2.5)
    sim.advance(2.5)

    assert seen == [
        ("first", begin + timedelta(seconds=1)),
        ("follows", begin + timedelta(seconds=2)),
        ("third", begin + timedelta(seconds=3)),
        ("fourth", begin + timedelta(seconds=3)),
    ]
