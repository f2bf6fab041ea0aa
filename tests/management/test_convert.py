from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kept import forget_metadata
from tests.management.conftest import Run
from tests.signals import heard
from zoho_crm.management._command_items import approve_item, preview_items
from zoho_crm.management._exits import ExitCode
from zoho_crm.management._plans import PlanOptions
from zoho_crm.matching import POLICIES, Action, Policy
from zoho_crm.models import Connection, ConnectionWork, LeadConversion, Token, from_now
from zoho_crm.models import Policy as SavedPolicy
from zoho_crm.services.convert import approve, decide
from zoho_crm.services.preview import preview
from zoho_crm.signals import lead_converted
from zoho_crm.simulator import Simulator
from zoho_crm.types import ConversionPlan, as_json

pytestmark = pytest.mark.django_db(transaction=True)

DEAL = ["--deal-name", "Roll-out", "--stage", "Qualification", "--closing-date", "2027-03-31"]


@pytest.fixture(autouse=True)
def fresh_choices() -> Iterator[None]:
    """Let no test use what another simulator offered."""
    forget_metadata()
    yield
    forget_metadata()


def convert(run: Run, *words: str) -> dict[str, Any]:
    return run("zoho_convert", *words, "--format=json").line


def contacts_of(zoho: Simulator, lead_id: str) -> list[Any]:
    email = zoho.records["Leads"][lead_id]["Email"]
    return [each for each in zoho.records["Contacts"].values() if each["Email"] == email]


def account_named(zoho: Simulator, name: str) -> Any:
    (found,) = [each for each in zoho.records["Accounts"].values() if each["Account_Name"] == name]
    return found


# Without --execute


@pytest.mark.parametrize(
    "case",
    ["no_match", "one_match", "several", "locked", "unapproved", "converted", "deleted"],
)
def test_without_execute_nothing_is_sent_and_all_is_well(
    run: Run, connection: Connection, zoho: Simulator, case: str
) -> None:
    lead_id = zoho.story(case)
    before = zoho.ledger()

    ran = run("zoho_convert", lead_id)

    assert ran.code == 0
    assert lead_id in ran.out
    assert "Nothing was sent" in ran.err
    assert zoho.ledger() == before


def test_without_execute_even_zoho_down_is_only_shown(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    zoho.fail("any", "close_before", times=None)

    ran = run("zoho_convert", "1", "2")

    assert ran.code == 0
    assert ran.out.count("try again later") == 2


def test_what_would_happen_is_said_in_sentences(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("several")
    contact, _other = contacts_of(zoho, lead_id)
    owner = zoho.organisation.users[1]

    words = ["--contact", contact.id, *DEAL, "--owner", owner["id"], "--tags", "fair"]
    ran = run("zoho_convert", lead_id, *words)

    assert "joins the existing contact" in ran.out
    assert "A deal “Roll-out” is created in stage Qualification" in ran.out
    assert f"assigned to {owner['full_name']}" in ran.out
    assert "Tags fair go to: contact, account, deal" in ran.out


def test_the_line_of_a_plan_says_that_nothing_was_executed(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    line = convert(run, zoho.story("no_match"))

    assert line["executed"] is False
    assert line["plan"]["contact_id"] == ""
    assert line["contact_id"] is line["by"] is line["evidence"] is line["error_code"] is None


def test_without_execute_a_lead_in_doubt_is_left_alone(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("no_match")
    preview(connection_id=connection.pk, lead_id=lead_id)
    LeadConversion.objects.update(status="UNKNOWN", due_at=from_now(-1))

    ran = run("zoho_convert", lead_id, "--format=json")

    assert ran.code == 0
    assert (ran.line["status"], ran.line["executed"]) == ("UNKNOWN", False)
    assert "nothing would be" in ran.err


# With --execute


def test_a_lead_without_matches_is_converted(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("no_match")

    line = convert(run, lead_id, "--execute")

    (entry,) = zoho.conversions_of(lead_id)
    assert line["status"] == "CONVERTED"
    assert line["executed"] is True
    assert (line["by"], line["evidence"]) == ("us", "answer")
    assert {name: line[name] for name in ("contact_id", "account_id", "deal_id")} == {
        name: entry[name] for name in ("contact_id", "account_id", "deal_id")
    }


def test_people_get_a_table(run: Run, connection: Connection, zoho: Simulator) -> None:
    ran = run("zoho_convert", zoho.story("no_match"), "--execute", force_color=True)

    assert ran.code == 0
    assert ran.out.splitlines()[0].split() == [
        *("lead", "name", "verdict", "plan", "result", "contact", "account", "deal")
    ]
    assert "converted" in ran.out


def test_converting_again_changes_nothing_and_is_fine(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("no_match")
    first = convert(run, lead_id, "--execute")

    ran = run("zoho_convert", lead_id, "--execute", "--format=json")

    assert ran.code == 0
    assert ran.line == {**first, "executed": False}
    assert len(zoho.ledger()["calls"]) == 1


@pytest.mark.parametrize("case", ["one_match", "account_only", "several", "disagree"])
def test_what_the_policy_leaves_to_a_person_is_not_sent(
    run: Run, connection: Connection, zoho: Simulator, case: str
) -> None:
    lead_id = zoho.story(case)

    ran = run("zoho_convert", lead_id, "--execute", "--format=json")

    assert ran.code == 3
    assert ran.line["executed"] is False
    assert ran.line["error_code"] == "undecided"
    assert "A person has to decide" in ran.line["message"]
    assert zoho.ledger()["calls"] == []


@pytest.mark.parametrize("case", ["one_match", "account_only"])
def test_the_policy_attach_attaches(
    run: Run, connection: Connection, zoho: Simulator, case: str
) -> None:
    lead_id = zoho.story(case)
    contacts = len(zoho.records["Contacts"])

    ran = run("zoho_convert", lead_id, "--policy", "attach", "--execute")

    assert ran.code == 0
    assert len(zoho.records["Contacts"]) == contacts + (case == "account_only")
    assert len(zoho.records["Accounts"]) == 1


@pytest.mark.parametrize(("case", "says"), [("locked", "locked"), ("deleted", "no lead")])
def test_what_cannot_be_converted_says_why(
    run: Run, connection: Connection, zoho: Simulator, case: str, says: str
) -> None:
    ran = run("zoho_convert", zoho.story(case), "--execute", "--format=json")

    assert ran.code == 3
    assert says in ran.line["message"]


def test_some_converted_and_some_not_ends_with_3(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    ids = [zoho.story("no_match"), zoho.story("several"), zoho.story("no_match")]

    ran = run("zoho_convert", *ids, "--execute", "--format=json")

    assert ran.code == 3
    assert "1 lead was not converted" in ran.err
    assert [line["status"] for line in ran.lines] == ["CONVERTED", "PREVIEWED", "CONVERTED"]


# What a person chooses


def test_a_person_chooses_a_contact(run: Run, connection: Connection, zoho: Simulator) -> None:
    lead_id = zoho.story("several")
    contact, _other = contacts_of(zoho, lead_id)

    line = convert(run, lead_id, "--contact", contact.id, "--execute")

    assert line["contact_id"] == contact.id


def test_a_person_chooses_to_create_beside_what_matches(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("one_match")
    contacts, accounts = len(zoho.records["Contacts"]), len(zoho.records["Accounts"])

    ran = run("zoho_convert", lead_id, "--contact=new", "--account=new", "--execute")

    assert ran.code == 0
    assert len(zoho.records["Contacts"]) == contacts + 1
    assert len(zoho.records["Accounts"]) == accounts + 1


@pytest.mark.parametrize("unique", [["Email"], ["Email", "Last_Name"]])
def test_each_field_that_zoho_refuses_is_named_with_its_value(
    run: Run, connection: Connection, zoho: Simulator, unique: list[str]
) -> None:
    lead_id = zoho.story("one_match")
    lead, (contact,) = zoho.records["Leads"][lead_id], contacts_of(zoho, lead_id)
    zoho.change(contact, Last_Name=lead["Last_Name"])
    zoho.organisation.unique["Contacts"] = unique

    words = (lead_id, "--contact=new", "--account=new", "--execute")
    ran = run("zoho_convert", *words, "--format=json")

    has_it = f"a record has it: Contacts {contact.id}"
    assert (ran.code, ran.line["status"]) == (3, "FAILED")
    for label, name in [("E-mail (Email)", "Email"), ("Last Name (Last_Name)", "Last_Name")]:
        said = f"duplicate data: field {label}, value “{lead[name]}”, {has_it}"
        assert (said in ran.line["message"]) is (name in unique)
    assert "(DUPLICATE_DATA)" in run("zoho_convert", *words).out


def save_policy(**rules: Any) -> None:
    """Save a policy named ``mine``."""
    SavedPolicy.objects.create(name="mine", rules=as_json(Policy(name="mine", **rules)))


def test_a_saved_policy_is_used_by_its_name(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    save_policy(on_several_matches=Action.NEWEST, notify_new_owner=True)

    ran = run("zoho_convert", zoho.story("several"), "--policy=mine", "--execute", "--format=json")

    assert (ran.code, ran.line["status"]) == (0, "CONVERTED")
    assert ran.line["plan"]["notify_new_owner"] is True


@pytest.mark.parametrize(
    ("rule", "words", "code", "says"),
    [
        (Action.REVIEW, [], 3, "A person has to decide (no match): --contact new"),
        (Action.REVIEW, ["--contact=new"], 0, ""),
        (Action.SKIP, [], 3, "The policy “mine” leaves this lead out."),
        (Action.SKIP, ["--contact=new"], 0, ""),
    ],
)
def test_a_saved_policy_may_leave_a_lead_without_a_match_to_a_person_or_out(
    run: Run,
    connection: Connection,
    zoho: Simulator,
    rule: Action,
    words: list[str],
    code: int,
    says: str,
) -> None:
    save_policy(on_no_match=rule)

    lead_id = zoho.story("no_match")
    ran = run("zoho_convert", lead_id, "--policy=mine", *words, "--execute", "--format=json")

    assert (ran.code, ran.line["message"]) == (code, says)
    assert len(zoho.ledger()["calls"]) == (0 if code else 1)


def test_a_saved_policy_leaves_the_lead_of_an_inactive_owner_until_one_is_named(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    heir, leaver = (user["id"] for user in zoho.organisation.users[1:3])
    zoho.organisation.user(leaver)["status"] = "inactive"
    save_policy(owner_for_inactive_id=heir)
    lead = zoho.add_lead(Owner=zoho.organisation.owner(zoho.organisation.user(leaver)))

    line = convert(run, lead.id, "--policy=mine")

    assert line["plan"]["owner_id"] == heir


@pytest.mark.parametrize("command", ["zoho_convert", "zoho_preview"])
def test_a_policy_that_does_not_exist_is_wrong_use(
    run: Run, connection: Connection, zoho: Simulator, command: str
) -> None:
    save_policy()

    ran = run(command, zoho.story("no_match"), "--policy=reckless")

    assert ran.code == 2
    assert "known are: careful, attach, mine" in ran.err
    assert not LeadConversion.objects.exists()


@pytest.mark.parametrize("policy", ["careful", "attach"])
def test_a_new_contact_leaves_the_account_open(
    run: Run, connection: Connection, zoho: Simulator, policy: str
) -> None:
    ran = run(
        *("zoho_convert", zoho.story("one_match"), "--contact=new", "--policy", policy),
        *("--execute", "--format=json"),
    )

    assert ran.code == 3
    assert "--account ID" in ran.line["message"]


def test_an_account_and_a_new_contact(run: Run, connection: Connection, zoho: Simulator) -> None:
    lead_id = zoho.story("disagree")
    account = account_named(zoho, zoho.records["Leads"][lead_id]["Company"])

    words = ["--contact=new", "--account", account.id, "--execute"]
    line = convert(run, lead_id, *words)

    assert line["account_id"] == account.id
    assert line["contact_id"] not in {each.id for each in contacts_of(zoho, lead_id)[:-1]}


def test_a_record_that_is_no_match_is_refused_before_anything_is_sent(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    ran = run("zoho_convert", zoho.story("one_match"), "--contact=77", "--execute", "--format=json")

    assert ran.code == 3
    assert ran.line["error_code"] == "not_a_match"
    assert zoho.ledger()["calls"] == []


def test_each_field_of_a_deal_is_sent_as_its_type_asks(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    given = {
        "Probability": ("50", 50),
        "Budget": ("12.50", 12.5),
        "Margin": ("7", 7),
        "Is_Renewal": ("yes", True),
        "Kick_Off": ("2027-04-01T09:00:00+02:00", "2027-04-01T09:00:00+02:00"),
        "Interests": ("A;C", ["A", "C"]),
        "Campaign_Source": ("4711", {"id": "4711"}),
        "External_Number": ("815", "815"),
        "Type": ("New Business", "New Business"),
    }
    words = [f"--deal-field={name}={text}" for name, (text, _value) in given.items()]

    ran = run("zoho_convert", zoho.story("no_match"), *DEAL, *words, "--execute", "--format=json")

    assert (ran.code, ran.line["message"]) == (0, "")
    deal = zoho.records["Deals"][ran.line["deal_id"]]
    assert {name: deal[name] for name in given} == {name: pair[1] for name, pair in given.items()}


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("Probability=half", "Probability: “half” is not a whole number."),
        ("Campaign_Source=Fair", "is not the id of a record"),
        ("Probabillity=50", "Deals have no field “Probabillity”."),
        ("Amount=50", "Amount has an option of its own: --amount."),
    ],
)
def test_what_no_field_of_a_deal_takes_is_wrong_use(
    run: Run, connection: Connection, zoho: Simulator, field: str, says: str
) -> None:
    ran = run("zoho_convert", zoho.story("no_match"), *DEAL, "--deal-field", field, "--execute")

    assert (ran.code, says in ran.err) == (2, True)
    assert zoho.ledger()["calls"] == []


def test_attachments_move_where_zoho_asks_for_the_id_of_the_module(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    zoho.organisation.convert_needs_module_id = True
    lead_id = zoho.story("no_match")
    zoho.organisation.attachments[lead_id] = ["offer.pdf"]

    words = ["--move-attachments-to=Accounts", "--execute", "--format=json"]
    ran = run("zoho_convert", lead_id, *words)

    assert ran.code == 0
    assert zoho.organisation.attachments[ran.line["account_id"]] == ["offer.pdf"]


def test_attachments_move_also_if_the_modules_may_not_be_read(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    refusal = {"code": "NO_PERMISSION", "message": "no", "details": {}, "status": "error"}
    zoho.fail("metadata", "error_before", status=403, body=refusal, times=None)
    words = ["--move-attachments-to=Accounts", "--execute", "--format=json"]

    ran = run("zoho_convert", zoho.story("no_match"), *words)

    assert (ran.code, ran.line["status"]) == (0, "CONVERTED")


def test_all_that_can_be_chosen_is_sent(run: Run, connection: Connection, zoho: Simulator) -> None:
    lead_id = zoho.story("account_only")
    account = account_named(zoho, zoho.records["Leads"][lead_id]["Company"])
    owner = zoho.organisation.users[1]["id"]
    role = next(iter(zoho.organisation.contact_roles))["id"]

    ran = run(
        *("zoho_convert", lead_id, "--account", account.id, *DEAL, "--amount", "12.50"),
        *("--pipeline", "Standard (Standard)", "--contact-role", role, "--owner", owner),
        *("--deal-field", "Next_Step=Call", "--overwrite", "--move-attachments-to", "Deals"),
        *("--tags", "fair,web", "--notify-lead-owner", "--notify-new-owner"),
        *("--execute", "--format=json"),
    )

    (entry,) = zoho.conversions_of(lead_id)
    assert ran.code == 0
    assert entry["request"] == {
        "overwrite": True,
        "notify_lead_owner": True,
        "notify_new_entity_owner": True,
        "move_attachments_to": zoho.organisation.module("Deals"),
        "Accounts": {"id": account.id},
        "assign_to": {"id": owner},
        "Deals": {
            "Deal_Name": "Roll-out",
            "Stage": "Qualification",
            "Closing_Date": "2027-03-31",
            "Pipeline": "Standard (Standard)",
            "Amount": 12.5,
            "Contact_Role": role,
            "Next_Step": "Call",
        },
        "carry_over_tags": {
            "Contacts": ["fair", "web"],
            "Accounts": ["fair", "web"],
            "Deals": ["fair", "web"],
        },
    }


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--deal-name", "Roll-out"], "--stage, --closing-date"),
        ([*DEAL[:3], "Nope", *DEAL[4:]], "it has: Qualification"),
        ([*DEAL, "--pipeline", "Nope"], "known are: Standard"),
        ([*DEAL, "--contact-role", "7"], "contact role 7"),
        (["--owner", "7"], "user 7"),
        (["--move-attachments-to", "Deals"], "--deal-name"),
    ],
)
def test_what_the_organisation_does_not_have_is_wrong_use(
    run: Run, connection: Connection, zoho: Simulator, words: list[str], says: str
) -> None:
    ran = run("zoho_convert", zoho.story("no_match"), *words, "--execute")

    assert ran.code == 2
    assert says in ran.err
    assert zoho.ledger()["calls"] == []


def test_a_new_owner_without_a_deal_needs_no_layout(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    last = [zoho.add_user() for _ in range(201)][-1]
    zoho.fail("metadata", "empty", times=None)

    ran = run("zoho_convert", zoho.story("no_match"), "--owner", last["id"], "--format=json")

    assert (ran.code, ran.line["plan"]["owner_id"]) == (0, last["id"])
    assert "cannot be read" not in ran.err


def test_a_deal_whose_fields_cannot_be_read_is_left_to_zoho(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    zoho.fail("metadata", "empty", times=None)

    ran = run("zoho_convert", zoho.story("no_match"), *DEAL, "--format=json")

    assert ran.line["plan"]["deal"]["stage"] == "Qualification"
    assert "The stages of deals cannot be read: The user of this connection sees" in ran.err


def test_a_mandatory_field_of_deals_is_asked_for(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    zoho.organisation.required["Deals"].append("Lead_Source")
    lead_id = zoho.story("no_match")

    without = run("zoho_convert", lead_id, *DEAL)
    with_it = run("zoho_convert", lead_id, *DEAL, "--deal-field", "Lead_Source=Partner")

    assert without.code == 2
    assert "--deal-field Lead_Source=…" in without.err
    assert with_it.code == 0


def test_a_mandatory_field_with_an_option_names_the_option(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    zoho.organisation.required["Deals"].append("Amount")

    ran = run("zoho_convert", zoho.story("no_match"), *DEAL)

    assert "--amount" in ran.err


def test_an_organisation_without_pipelines_has_stages(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    zoho.organisation.pipelines.clear()

    ran = run("zoho_convert", zoho.story("no_match"), *DEAL, "--format=json")
    wrong = run("zoho_convert", zoho.story("no_match"), *DEAL[:3], "Nope", *DEAL[4:])

    assert ran.line["plan"]["deal"]["pipeline"] == ""
    assert "Nope" in wrong.err


def test_where_zoho_does_not_say_what_there_is_it_judges_itself(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    zoho.fail("metadata", "error_before", times=None)
    words = [*DEAL, "--pipeline", "Nope", "--contact-role", "7", "--owner", "7", "--execute"]

    ran = run("zoho_convert", zoho.story("no_match"), *words, "--format=json")

    assert ran.code == 3
    assert ran.line["status"] == "FAILED"
    assert ran.line["error_code"]


def test_what_a_person_decided_stands_before_the_policy(
    run: Run, connection: Connection, zoho: Simulator, admin_user: Any
) -> None:
    lead_id = zoho.story("several")
    contact, _other = contacts_of(zoho, lead_id)
    row = preview(connection_id=connection.pk, lead_id=lead_id)
    plan = ConversionPlan(contact_id=contact.id)
    decide(conversion_id=row.pk, version=row.version, plan=plan, by=admin_user)

    line = convert(run, lead_id, "--execute")

    assert line["contact_id"] == contact.id


# What goes wrong on the way


def test_a_lost_answer_is_unknown(run: Run, connection: Connection, zoho: Simulator) -> None:
    lead_id = zoho.story("no_match")
    zoho.fail("convert", "close_after")

    ran = run("zoho_convert", lead_id, "--execute", "--format=json")

    assert ran.code == 6
    assert ran.line["status"] == "UNKNOWN"
    assert "do not convert it by hand" in ran.line["message"]
    assert "zoho_work --until-idle" in ran.err


def test_unknown_before_some_failed(run: Run, connection: Connection, zoho: Simulator) -> None:
    ids = [zoho.story("no_match"), zoho.story("several")]
    zoho.fail("convert", "close_after")

    assert run("zoho_convert", *ids, "--execute").code == 6


def test_what_zoho_refuses_failed(run: Run, connection: Connection, zoho: Simulator) -> None:
    body = {
        "data": [
            {"code": "INVALID_DATA", "details": {}, "message": "invalid data", "status": "error"}
        ]
    }
    zoho.fail("convert", "error_before", status=400, body=body)

    ran = run("zoho_convert", zoho.story("no_match"), "--execute", "--format=json")

    assert ran.code == 3
    assert (ran.line["status"], ran.line["error_code"]) == ("FAILED", "INVALID_DATA")


def test_too_many_calls_are_made_again(run: Run, connection: Connection, zoho: Simulator) -> None:
    zoho.fail("convert", "throttle")

    ran = run("zoho_convert", zoho.story("no_match"), "--execute")

    assert ran.code == 0
    assert "1 lead is in progress" in ran.err


def test_used_up_credits_stop_it(run: Run, connection: Connection, zoho: Simulator) -> None:
    lead_id = zoho.story("no_match")
    reads = 3  # the lead, its options, and the lead once more before it is sent
    zoho.world.credits.allowed = zoho.stats()["credits_used"] + reads

    ran = run("zoho_convert", lead_id, "--execute", "--format=json")

    assert ran.code == 5
    assert "waits, and tries again by itself" in ran.err
    assert ran.line["status"] == "READY"
    assert zoho.conversions_of(lead_id) == []


def test_a_missing_permission_needs_a_person_and_keeps_the_approval(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    body = {"code": "NO_PERMISSION", "details": {}, "message": "permission denied"}
    zoho.fail("convert", "error_before", status=403, body={**body, "status": "error"})

    ran = run("zoho_convert", zoho.story("no_match"), "--execute", "--format=json")

    assert ran.code == 4
    assert "permission denied" in ran.err
    assert ran.line["status"] == "READY"


def test_a_connection_that_waits_for_credits_says_when_asked(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    ConnectionWork.objects.create(
        connection=connection,
        backoff_until=from_now(600),
        backoff_kind=ConnectionWork.BackoffKind.LIMIT,
        backoff_reason="reserve",
    )

    ran = run("zoho_convert", zoho.story("no_match"), "--execute", "--format=json")

    assert ran.code == 5
    assert "reserved for other programs" in ran.err


def test_a_consent_that_was_withdrawn_needs_a_person(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    zoho.fail("refresh", "error_before", status=200, body={"error": "invalid_code"})
    Token.objects.update(expires_at=from_now(-1))
    ids = [zoho.story("no_match"), zoho.story("no_match")]

    ran = run("zoho_convert", *ids, "--execute", "--format=json")

    assert ran.code == 4
    assert [line["executed"] for line in ran.lines] == [False, False]
    assert all("zoho_connect" in line["message"] for line in ran.lines)


def test_a_connection_that_is_lost_on_the_way_needs_a_person(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("no_match")
    row = preview(connection_id=connection.pk, lead_id=lead_id)
    approve(conversion_id=row.pk, version=row.version, plan=ConversionPlan())
    Connection.objects.update(status=Connection.Status.NEEDS_RECONNECT)

    ran = run("zoho_convert", lead_id, "--execute", "--format=json")

    assert ran.code == 4
    assert ran.line["status"] == "READY"


def test_a_lead_that_changed_after_it_was_shown_is_not_sent(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("no_match")
    row = preview(connection_id=connection.pk, lead_id=lead_id)
    approve(conversion_id=row.pk, version=row.version, plan=ConversionPlan())
    zoho.change(zoho.records["Leads"][lead_id], Phone="+49 40 1")

    ran = run("zoho_convert", lead_id, "--execute", "--format=json")

    assert ran.code == 3
    assert "changed at Zoho" in ran.line["message"]
    assert zoho.ledger()["calls"] == []


def test_a_preview_that_somebody_made_anew_meanwhile_is_not_approved(
    connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("no_match")
    plan_options = PlanOptions(policy=POLICIES["careful"], common={}, names={})
    (item,) = preview_items(connection.pk, [lead_id], plan_options)
    preview(connection_id=connection.pk, lead_id=lead_id)

    refused = approve_item(item)

    assert refused.code == ExitCode.SOME_FAILED
    assert not refused.executed
    assert "changed since it was shown" in refused.message


def test_what_needs_a_person_and_cannot_be_read_stays_so(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("deleted")
    LeadConversion.objects.create(
        connection=connection,
        lead_id=lead_id,
        status="NEEDS_REVIEW",
        error_code="UNREADABLE",
    )

    ran = run("zoho_convert", lead_id, "--execute", "--format=json")

    assert ran.code == 3
    assert ran.line["message"] == "The lead can no longer be read."


def test_a_lead_on_its_way_from_before_is_worked(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("one_match")
    row = preview(connection_id=connection.pk, lead_id=lead_id)
    approve(conversion_id=row.pk, version=row.version, plan=row.stored_plan())

    ran = run("zoho_convert", lead_id, "--execute", "--format=json")

    assert ran.code == 0
    assert (ran.line["status"], ran.line["executed"]) == ("CONVERTED", True)


def test_the_time_can_be_bounded(run: Run, connection: Connection, zoho: Simulator) -> None:
    lead_id = zoho.story("no_match")
    zoho.fail("convert", "throttle", times=None)

    words = ["--execute", "--max-seconds", "0.5", "--format=json"]
    ran = run("zoho_convert", lead_id, *words)

    assert ran.code == 1
    assert "next worker" in ran.err
    assert ran.line["status"] == "READY"


def test_ctrl_c_lets_what_was_sent_have_its_answer(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    ids = [zoho.story("no_match"), zoho.story("no_match")]
    zoho.fail("convert", "throttle", times=None, lead_id=ids[1])

    before = signal.getsignal(signal.SIGINT)

    def press(**_more: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    lead_converted.connect(press)
    try:
        ran = run("zoho_convert", *ids, "--execute", "--format=json")
    finally:
        lead_converted.disconnect(press)

    assert ran.code == 130
    assert [line["status"] for line in ran.lines] == ["CONVERTED", "READY"]
    assert signal.getsignal(signal.SIGINT) is before


def test_the_host_project_is_told(run: Run, connection: Connection, zoho: Simulator) -> None:
    with heard(lead_converted, "conversion") as conversions:
        line = convert(run, zoho.story("no_match"), "--execute")

    assert [each.lead_id for each in conversions] == [line["lead_id"]]
