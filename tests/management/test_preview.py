from __future__ import annotations

import pytest

from tests.management.conftest import Run
from tests.matches import many_matches
from zoho_crm.models import Connection, LeadConversion
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)


def preview(run: Run, *words: str) -> dict:
    return run("zoho_preview", *words, "--format=json").line


def test_a_preview_is_a_line_with_matches_plan_and_sentences(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("one_match")

    line = preview(run, lead_id)

    (contact,), (account,) = zoho.records["Contacts"].values(), zoho.records["Accounts"].values()
    assert (line["lead_id"], line["status"], line["verdict"]) == (
        lead_id,
        "PREVIEWED",
        "ONE_MATCH",
    )
    assert line["version"] == LeadConversion.objects.get().version
    assert line["contacts"] == [
        {
            "id": contact.id,
            "name": contact.all_values()["Full_Name"],
            "usable": True,
            "matched_on": ["Email"],
        }
    ]
    assert [match["id"] for match in line["accounts"]] == [account.id]
    assert line["plan"]["contact_id"] == contact.id
    assert any("joins the existing contact" in sentence for sentence in line["sentences"])


def test_of_very_many_matches_the_first_are_listed_with_the_number_of_all(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("no_match")
    zoho.fail("options", "error_before", status=200, body=many_matches(102), times=2)

    shown, line = run("zoho_preview", lead_id).out, preview(run, lead_id)

    assert "Of 102 contacts that match, the first 100 are offered." in shown
    assert shown.count("Okafor") == len(line["contacts"]) == 100
    assert line["sentences"][-1].startswith("Of 102 contacts that match")


@pytest.mark.parametrize(
    ("case", "verdict", "says"),
    [
        ("no_match", "no match", "A new contact"),
        ("one_match", "one match", "joins the existing contact"),
        ("account_only", "account only", "added to the existing account"),
        ("several", "several matches", "Several existing records match"),
        ("disagree", "several matches", "belongs to another account than"),
        ("unapproved", "several matches", "cannot be used"),
        ("locked", "cannot be converted", "locked at Zoho"),
        ("converted", "already converted", "converted elsewhere"),
        ("deleted", "not found", "Zoho has no lead with this id"),
        ("hostile", "no match", "A new contact"),
    ],
)
def test_people_read_what_each_verdict_means(
    run: Run, connection: Connection, zoho: Simulator, case: str, verdict: str, says: str
) -> None:
    ran = run("zoho_preview", zoho.story(case))

    assert ran.code == 0
    assert f"[{verdict}]" in ran.out
    assert says in ran.out
    assert not set(ran.out) & set("\x1b\u202e\t")


@pytest.mark.parametrize(("policy", "plans"), [("careful", False), ("attach", True)])
def test_a_policy_shows_what_it_would_do(
    run: Run, connection: Connection, zoho: Simulator, policy: str, plans: bool
) -> None:
    line = preview(run, zoho.story("one_match"), "--policy", policy)

    assert bool(line["plan"]) is plans
    assert ("person has to decide" in line["sentences"][0]) is not plans


def test_ids_come_from_stdin(run: Run, connection: Connection, zoho: Simulator) -> None:
    ids = [zoho.story("no_match"), zoho.story("locked")]

    ran = run("zoho_preview", "-", "--format=json", stdin="\n".join(ids))

    assert [line["lead_id"] for line in ran.lines] == ids


def test_a_lead_on_its_way_is_shown_as_it_is(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("no_match")
    preview(run, lead_id)
    LeadConversion.objects.update(status="UNKNOWN")

    line = preview(run, lead_id)

    assert line["status"] == "UNKNOWN"
    assert "already in progress" in line["sentences"][0]


def test_we_converted_it_is_said(run: Run, connection: Connection, zoho: Simulator) -> None:
    lead_id = zoho.story("no_match")
    run("zoho_convert", lead_id, "--execute")

    assert "We converted it: contact" in preview(run, lead_id)["sentences"][0]


@pytest.mark.parametrize("ids", [["12x"], ["1" * 20], []])
def test_malformed_ids_are_wrong_use_and_ask_nothing(
    run: Run, connection: Connection, zoho: Simulator, ids: list[str]
) -> None:
    calls = zoho.stats()["calls"]

    assert run("zoho_preview", *ids).code == 2
    assert zoho.stats()["calls"] == calls


def test_one_lead_that_cannot_be_read_does_not_stop_the_others(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    first, second = zoho.story("no_match"), zoho.story("no_match")
    zoho.fail("leads_list", "close_before", lead_id=first)

    ran = run("zoho_preview", first, second, "--format=json")

    assert ran.code == 1
    assert first in ran.err
    assert ran.line["lead_id"] == second


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [(403, "NO_PERMISSION", 4), (429, "TOO_MANY_REQUESTS", 5)],
)
def test_what_holds_for_the_connection_stops_at_the_first_lead(
    run: Run, connection: Connection, zoho: Simulator, status: int, code: str, exit_code: int
) -> None:
    body = {"code": code, "details": {}, "message": "no", "status": "error"}
    zoho.fail("leads_list", "error_before", status=status, body=body)
    ids = [zoho.story("no_match"), zoho.story("no_match")]

    ran = run("zoho_preview", *ids, "--format=json")

    assert (ran.code, ran.out) == (exit_code, "")
