"""A mass conversion of leads of every kind, and whether it kept its promises."""

from __future__ import annotations

from collections import Counter
from itertools import cycle, islice
from typing import Any

from django.contrib.auth.models import User

from testproject.demo.results import compare_with_ledger
from zoho_crm.matching import POLICIES
from zoho_crm.models import Connection, LeadConversion, MassConversion
from zoho_crm.services import mass_convert
from zoho_crm.simulator import Simulator
from zoho_crm.simulator.story import CASES as STORIES
from zoho_crm.types import Verdict

Status = LeadConversion.Status
#: Every other lead matches nothing; the rest are of every other story in turn.
OTHERS = [case for case in STORIES if case != "no_match"]
CASES = [case for other in OTHERS for case in ("no_match", other)]
#: Among the leads without a match, every so many have the company, or the address, of another.
SAME_COMPANY, SAME_ADDRESS = 5, 9
#: Every so many leads are locked by somebody after the run was started.
LOCKED = 61


def visitors(zoho: Simulator, number: int) -> list[str]:
    """Put leads of every story in, some of one company or one person, and of several owners."""
    users = [user for user in zoho.organisation.users if user["confirm"]]
    owners = cycle({"id": user["id"], "name": user["full_name"]} for user in users)
    leads: list[str] = []
    before: dict[str, Any] = {}
    for count, case in enumerate(islice(cycle(CASES), number)):
        if case == "no_match" and before and count % SAME_COMPANY == 0:
            lead = zoho.add_lead(Company=before["Company"], Owner=next(owners))
        elif case == "no_match" and before and count % SAME_ADDRESS == 0:
            lead = zoho.add_lead(Email=before["Email"], Owner=next(owners))
        elif case == "no_match":
            lead = before = zoho.add_lead(Owner=next(owners))
        else:
            leads.append(zoho.story(case))
            continue
        leads.append(lead["id"])
    return leads


def prepare(connection: Connection, leads: list[str], by: User) -> MassConversion:
    """Take the leads in, and two lines that cannot be."""
    return mass_convert.prepare(
        connection_id=connection.pk,
        lead_ids=[*leads, leads[0], "Ada Lovelace"],
        policy=POLICIES["attach"],
        name="Trade fair",
        by=by,
    )


def decide(run: MassConversion, by: User) -> None:
    """Create records for leads with several matches, as a person may want to."""
    several, create = Verdict.SEVERAL_MATCHES, "create"
    mass_convert.decide(run_id=run.pk, verdict=several, action=create, by=by)


def start(run: MassConversion, zoho: Simulator, by: User) -> frozenset[str]:
    """Start the run as it stands, lock some of the leads; return the records that were there."""
    run.refresh_from_db()
    count = mass_convert.decided_count(run)
    mass_convert.start(run_id=run.pk, revision=run.revision, count=count, by=by)
    for lead in list(zoho.records["Leads"].values())[::LOCKED]:
        zoho.change(lead, Locked__s=True)
    return frozenset(zoho.records["Contacts"]) | frozenset(zoho.records["Accounts"])


def check(
    run: MassConversion, zoho: Simulator, leads: list[str], were_there: frozenset[str]
) -> None:
    """Make sure that every lead is accounted for, and that nothing was made twice."""
    rows = list(LeadConversion.objects.filter(mass_conversion=run))
    assert sorted(row.lead_id for row in rows) == sorted(leads)
    assert {line.reason for line in run.lines.all()} == {"double", "malformed"}
    assert {row.verdict for row in rows} == {verdict.value for verdict in Verdict}
    assert all(compare_with_ledger(rows, zoho.ledger()).values())
    assert "ID_ALREADY_CONVERTED" not in {call["code"] for call in zoho.ledger()["calls"]}
    assert {row.status for row in rows} == {Status.CONVERTED, Status.FAILED, Status.PREVIEWED}
    assert not [row for row in rows if row.status == Status.PREVIEWED and row.plan]
    assert {row.error_code for row in rows if row.status == Status.FAILED} == {"RECORD_LOCKED"}
    routes = Counter(entry["via"] for entry in zoho.ledger()["conversions"])
    assert min(routes["convert"], routes["mass"]) > 0
    check_records(rows, zoho, were_there)


def check_records(rows: list[LeadConversion], zoho: Simulator, were_there: frozenset[str]) -> None:
    """Make sure that no two records that were made are alike, and that every owner was kept."""
    for module, name in (("Contacts", "Email"), ("Accounts", "Account_Name")):
        made = [zoho.records[module][key] for key in zoho.records[module].keys() - were_there]
        values = Counter(" ".join(str(record[name]).casefold().split()) for record in made)
        assert [value for value, number in values.items() if number > 1] == []
    leaders = [row for row in rows if row.converted_by == "us" and row.follows_id is None]
    for row in leaders:
        lead = row.stored_lead()
        if lead and lead.owner and row.contact_id not in were_there:
            assert zoho.records["Contacts"][row.contact_id]["Owner"]["id"] == lead.owner.id
