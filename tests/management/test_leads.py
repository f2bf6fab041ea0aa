from __future__ import annotations

import pytest

from tests.management.conftest import Run
from zoho_crm.models import Connection
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)


def test_open_leads_are_listed_newest_first(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    older, newer = zoho.story("no_match"), zoho.story("one_match")
    zoho.story("converted")

    lines = run("zoho_leads", "--format=json").lines

    lead = zoho.records["Leads"][newer]
    assert [line["lead_id"] for line in lines] == [newer, older]
    assert lines[0]["Email"] == lead["Email"]
    assert lines[0]["Owner"] == zoho.organisation.current_user["full_name"]


def test_a_filter_compares_whole_values(run: Run, connection: Connection, zoho: Simulator) -> None:
    wanted = zoho.add_lead(Lead_Status="Qualified", City="Graz")
    zoho.add_lead(Lead_Status="Not Qualified", City="Graz")
    zoho.add_lead(Lead_Status="Qualified", City="Graz-Ost")

    ran = run(
        *("zoho_leads", "--filter", "Lead_Status=qualified", "--filter", "City= Graz "),
        "--format=json",
    )

    assert ran.line["lead_id"] == wanted.id


def test_fields_can_be_chosen(run: Run, connection: Connection, zoho: Simulator) -> None:
    lead = zoho.add_lead(Tag=[{"name": "fair"}])

    ran = run("zoho_leads", "--fields", "id,Phone,Tag,Nonsense", "--format=json")

    assert ran.line == {
        "lead_id": lead.id,
        "id": lead.id,
        "Phone": lead["Phone"],
        "Tag": "fair",
        "Nonsense": "",
    }


def test_people_get_a_table_and_are_told_of_the_rest(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    for _number in range(3):
        zoho.add_lead()

    ran = run("zoho_leads", "--limit", "2")

    assert len(ran.out.splitlines()) == 3
    assert "more" in ran.err


def test_no_lead_is_no_error(run: Run, connection: Connection) -> None:
    ran = run("zoho_leads", "--format=csv")

    assert ran.code == 0
    assert ran.out.startswith("lead_id,")
    assert "No open lead matches" in ran.err


def test_a_list_that_repeats_a_page_ends_with_its_reason(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    page = {"data": [{"id": "1"}], "info": {"next_page_token": "same"}}
    zoho.fail("leads_list", "error_before", status=200, body=page, times=None)

    ran = run("zoho_leads", "--limit=5000", "--format=json")

    assert ran.code != 0
    assert len(ran.lines) == 2
    assert "Zoho CRM repeats pages of a list" in ran.err


def test_every_page_is_read(run: Run, connection: Connection, zoho: Simulator) -> None:
    first = zoho.add_lead(City="Graz")
    for _number in range(200):
        zoho.add_lead(City="Linz")

    ran = run("zoho_leads", "--filter", "City=Graz", "--format=json")

    assert ran.line["lead_id"] == first.id


def test_zoho_down_says_to_try_again(run: Run, connection: Connection, zoho: Simulator) -> None:
    zoho.fail("leads_list", "close_before")

    ran = run("zoho_leads")

    assert ran.code == 1
    assert "try again later" in ran.err
