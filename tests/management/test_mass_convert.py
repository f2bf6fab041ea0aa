from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache

from tests.management.conftest import Run
from zoho_crm.models import Connection, ConnectionWork, LeadConversion, MassConversion, from_now
from zoho_crm.models import Policy as SavedPolicy
from zoho_crm.services.policies import policies
from zoho_crm.simulator import Simulator
from zoho_crm.types import as_json

pytestmark = pytest.mark.django_db(transaction=True)

NO_PERMISSION = {"code": "NO_PERMISSION", "details": {}, "message": "no right", "status": "error"}
REFUSAL = {"code": "INVALID_DATA", "details": {}, "message": "no such thing", "status": "error"}


@pytest.fixture(autouse=True)
def fresh_choices() -> Iterator[None]:
    """Let no test use what another simulator offered."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def ids_file(tmp_path: Path) -> Path:
    return tmp_path / "leads.txt"


def mass(run: Run, *words: str, **more: Any) -> Any:
    return run("zoho_mass_convert", *words, **more)


def in_review(run: Run, ids_file: Path, ids: list[str], *words: str) -> dict[str, Any]:
    """Create a run, wait until its leads are previewed, and return its JSON."""
    ids_file.write_text("\n".join(ids))
    ran = mass(run, "create", "--ids-file", str(ids_file), *words, "--wait", "--format=json")
    assert ran.code == 0, ran.err
    line: dict[str, Any] = ran.line
    return line


def start(run: Run, number: int, count: int, *words: str) -> Any:
    expected = ["--expect-count", str(count), "--execute"]
    return mass(run, "run", str(number), *expected, *words, "--format=json")


# create


def test_a_run_is_taken_in_previewed_and_shown(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    ids = [zoho.story(case) for case in ("no_match", "no_match", "one_match", "several", "locked")]

    line = in_review(run, ids_file, [*ids, "Ada", ids[0]], "--name", "Fair")

    number = MassConversion.objects.get(name="Fair", source_details={"file": "leads.txt"}).pk
    assert line == {
        "run": number,
        "stage": "REVIEW",
        "paused_reason": "",
        "counts": {
            "PREVIEWED": 5,
            "NO_MATCH": 2,
            "ONE_MATCH": 1,
            "SEVERAL_MATCHES": 1,
            "NOT_CONVERTIBLE": 1,
            "decided": 2,
        },
        "left_out": 2,
        "estimate": {"calls": 3, "credits": 11, "seconds": 1},
    }
    assert zoho.ledger()["calls"] == []


def test_without_wait_the_previews_are_left_to_a_worker(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    ids_file.write_text(zoho.story("no_match"))

    ran = mass(run, "create", "--ids-file", str(ids_file), "--format=json")

    assert (ran.code, ran.line["stage"], ran.line["counts"]["NEW"]) == (0, "PREVIEWING", 1)


def test_people_see_a_table_and_what_to_do_next(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    ids_file.write_text("\n".join([zoho.story("no_match"), zoho.story("several"), "Ada"]))

    ran = mass(run, "create", "--ids-file", str(ids_file), "--wait")

    assert "Previewed 2 of 2 leads." in ran.err
    assert "waits for decisions" in ran.out
    assert "left out: no id of a lead (1)" in ran.out
    assert "Remaining, estimated: 2 calls" in ran.out
    assert "--expect-count 1 --execute" in ran.err


def test_all_open_leads_are_a_source(run: Run, connection: Connection, zoho: Simulator) -> None:
    for case in ("no_match", "several", "converted"):
        zoho.story(case)

    ran = mass(run, "create", "--all", "--format=json")

    assert ran.line["counts"]["NEW"] == 2
    assert MassConversion.objects.get().source == "all_open_leads"
    assert mass(run, "list", "--format=json").line["source"] == "all open leads"


def test_a_filter_is_a_source(run: Run, connection: Connection, zoho: Simulator) -> None:
    fair = zoho.add_lead(Lead_Source="Fair", City="Kiel").id
    zoho.add_lead(Lead_Source="Fair", City="Graz")

    words = ["--filter", "Lead_Source=fair", "--filter", "City=Kiel"]
    ran = mass(run, "create", *words, "--format=json")

    assert ran.code == 0
    assert LeadConversion.objects.get().lead_id == fair
    assert MassConversion.objects.get().source == "open_leads"
    shown = mass(run, "list", "--format=json").line["source"]
    assert shown == "open leads with Lead_Source=fair, City=Kiel"


@pytest.mark.parametrize(
    ("words", "stdin"),
    [(["--ids-file", "-"], "{0}\n{1}\n"), (["--ids-file=-", "--column=Id"], "A;Id\nx;{0}\ny;{1}")],
)
def test_stdin_is_a_source(
    run: Run, connection: Connection, zoho: Simulator, words: list[str], stdin: str
) -> None:
    ids = [zoho.story("no_match"), zoho.story("no_match")]

    ran = mass(run, "create", *words, "--format=json", stdin=stdin.format(*ids))

    assert (ran.code, ran.line["counts"]["NEW"], ran.line["left_out"]) == (0, 2, 0)


def test_a_column_of_a_csv_file_is_a_source(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    ids_file.write_text(f"Name,Lead Id\nAda,{zoho.story('no_match')}\nBo,\n")

    words = ["--ids-file", str(ids_file), "--column", "Lead Id", "--format=json"]
    ran = mass(run, "create", *words)

    assert (ran.line["counts"]["NEW"], ran.line["left_out"]) == (1, 1)


@pytest.mark.parametrize(
    ("content", "words", "says"),
    [
        (b"\x89PNG\r\n\x00", [], "not a text file"),
        (b"", [], "empty"),
        (b"\n# none\n", [], "not one lead"),
        (b"Name,Id\nAda,11\n", ["--column", "Lead"], "the first line names: Name, Id"),
        (None, [], "No such file"),
    ],
)
def test_a_file_that_makes_no_sense_is_wrong_use(
    run: Run,
    connection: Connection,
    ids_file: Path,
    content: bytes | None,
    words: list[str],
    says: str,
) -> None:
    if content is not None:
        ids_file.write_bytes(content)

    ran = mass(run, "create", "--ids-file", str(ids_file), *words)

    assert ran.code == 2
    assert says in ran.err
    assert str(ids_file) in ran.err
    assert not MassConversion.objects.exists()


def test_no_open_lead_is_wrong_use(run: Run, connection: Connection) -> None:
    assert mass(run, "create", "--all").code == 2


def test_a_column_without_a_file_is_wrong_use(run: Run, connection: Connection) -> None:
    assert mass(run, "create", "--all", "--column", "Id").code == 2


def test_without_a_connection_there_is_no_run(run: Run, zoho: Simulator, ids_file: Path) -> None:
    ids_file.write_text("1")

    assert mass(run, "create", "--ids-file", str(ids_file)).code == 4


def test_zoho_out_of_order_leaves_nothing_behind(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    zoho.story("no_match")
    zoho.fail("leads_list", "error_before", times=None)

    assert mass(run, "create", "--all").code == 1
    assert not MassConversion.objects.exists()


# Policies


def policy_of(run: Run, *words: str) -> dict[str, Any]:
    ran = mass(run, "create", "--ids-file", "-", *words, stdin="11")
    assert ran.code == 0, ran.err
    policy: dict[str, Any] = MassConversion.objects.get().policy
    return policy


def test_a_policy_is_copied_with_what_the_options_say(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    owner, heir = (user["id"] for user in zoho.organisation.users[:2])

    policy = policy_of(
        run,
        *("--policy", "attach", "--on-no-match", "skip", "--on-several-matches", "newest"),
        *("--owner", owner, "--owner-for-inactive", heir, "--tags-to", "Contacts,Deals"),
        *("--attachments-to", "Deals", "--notify-lead-owner", "--deal-name", "{Company}: order"),
        *("--stage", "Qualification", "--closing-days", "14", "--amount", "12.50"),
    )

    assert policy == {
        "name": "attach",
        "on_no_match": "skip",
        "on_one_match": "attach",
        "on_account_only": "attach",
        "on_several_matches": "newest",
        "deal": {
            "name": "{Company}: order",
            "stage": "Qualification",
            "closing_days": 14,
            "pipeline": "Standard (Standard)",
            "amount": "12.50",
            "contact_role": "",
        },
        "owner_id": owner,
        "owner_for_inactive_id": heir,
        "tags_to": ["Contacts", "Deals"],
        "attachments_to": "Deals",
        "notify_lead_owner": True,
        "notify_new_owner": False,
    }


def test_a_saved_policy_is_used_by_its_name_and_its_deal_can_be_changed(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    rules = policies()["attach"]
    deal = {"name": "Fair", "stage": "Qualification", "closing_days": 7, "pipeline": ""}
    deal |= {"amount": None, "contact_role": ""}
    saved = {**as_json(rules), "deal": deal, "notify_new_owner": True}
    SavedPolicy.objects.create(name="Fairs", rules=saved)

    words = ["--policy", "Fairs", "--closing-days", "30", "--no-notify-new-owner"]
    policy = policy_of(run, *words)

    assert (policy["name"], policy["on_one_match"]) == ("Fairs", "attach")
    assert policy["deal"] == {**deal, "closing_days": 30, "pipeline": "Standard (Standard)"}
    assert policy["notify_new_owner"] is False


def test_a_run_knows_who_may_get_records(run: Run, connection: Connection, zoho: Simulator) -> None:
    policy_of(run)

    owners = {
        user["id"]
        for user in zoho.organisation.users
        if user["status"] == "active" and user["confirm"]
    }
    assert set(MassConversion.objects.get().active_owners) == owners


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--policy", "reckless"], "known are: careful, attach"),
        (["--owner", "7"], "user 7"),
        (["--owner-for-inactive", "7"], "user 7"),
        (["--deal-name", "x"], "--stage"),
        (["--stage", "Qualification"], "--deal-name"),
        (["--deal-name", "x", "--stage", "Nope"], "it has: Qualification"),
        (["--deal-name", "{Compani}", "--stage", "Qualification"], "“{Compani}” is no field"),
        (
            ["--deal-name", "x", "--stage", "Qualification", "--pipeline", "Nope"],
            "known are: Standard",
        ),
        (["--attachments-to", "Deals"], "--deal-name"),
        (["--tags-to", "Deals"], "--deal-name"),
        (["--user", "nobody"], "no user “nobody”"),
    ],
)
def test_a_policy_that_cannot_be_carried_out_is_wrong_use(
    run: Run, connection: Connection, zoho: Simulator, words: list[str], says: str
) -> None:
    ran = mass(run, "create", "--ids-file", "-", *words, stdin="11")

    assert ran.code == 2
    assert says in ran.err
    assert not MassConversion.objects.exists()


def test_the_last_of_many_users_may_own_records(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    last = [zoho.add_user() for _ in range(201)][-1]

    ran = mass(run, "create", "--ids-file", "-", "--owner", last["id"], stdin="11")

    assert ran.code == 0, ran.err
    assert last["id"] in MassConversion.objects.get().active_owners


@pytest.mark.parametrize(
    "fault",
    [
        {"on": "metadata", "do": "empty"},
        {"on": "metadata", "do": "error_before", "status": 403, "body": NO_PERMISSION},
        {"on": "metadata", "do": "error_before", "status": 500},
    ],
)
def test_what_only_a_deal_needs_is_not_read_without_one(
    run: Run, connection: Connection, zoho: Simulator, fault: dict[str, Any]
) -> None:
    zoho.fail(**fault, times=None)

    ran = mass(run, "create", "--ids-file", "-", stdin="11")

    assert ran.code == 0, ran.err
    assert "cannot be read" not in ran.err
    assert MassConversion.objects.get().active_owners


def test_users_that_cannot_be_read_are_a_notice(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    zoho.fail("users", "error_before", status=403, body=NO_PERMISSION)

    ran = mass(run, "create", "--ids-file", "-", stdin="11")

    assert ran.code == 0, ran.err
    assert "The users cannot be read, so owners are not checked: no right" in ran.err


# decide


def test_a_whole_verdict_is_decided(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    number = in_review(run, ids_file, [zoho.story("one_match"), zoho.story("no_match")])["run"]

    words = ["decide", str(number), "--verdict", "one_match", "--as", "attach", "--format=json"]
    ran = mass(run, *words)

    assert (ran.code, ran.line["counts"]["decided"]) == (0, 2)
    assert "1 lead was decided." in ran.err
    assert MassConversion.objects.get().due_at is None


def test_who_decides_is_kept(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    ada = User.objects.create(username="ada")
    number = in_review(run, ids_file, [zoho.story("no_match")], "--user", "ada")["run"]

    mass(run, "decide", str(number), "--verdict=NO_MATCH", "--as=create", "--user=ada")

    assert LeadConversion.objects.get().decided_by == ada
    assert MassConversion.objects.get().created_by == ada


@pytest.mark.parametrize(
    ("verdict", "decision"), [("NO_MATCH", "attach"), ("SEVERAL_MATCHES", "attach")]
)
def test_what_cannot_be_said_of_a_verdict_is_wrong_use(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path, verdict: str, decision: str
) -> None:
    number = in_review(run, ids_file, [zoho.story("no_match")])["run"]

    ran = mass(run, "decide", str(number), "--verdict", verdict, "--as", decision)

    assert ran.code == 2


def test_only_a_run_in_review_is_decided(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    ids_file.write_text(zoho.story("no_match"))
    mass(run, "create", "--ids-file", str(ids_file))
    number = MassConversion.objects.get().pk

    ran = mass(run, "decide", str(number), "--verdict=NO_MATCH", "--as=skip")

    assert ran.code == 1
    assert "not waiting for decisions" in ran.err


# run


def test_without_execute_nothing_starts(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    number = in_review(run, ids_file, [zoho.story("no_match")])["run"]

    ran = mass(run, "run", str(number), "--expect-count", "7", "--format=json")

    assert (ran.code, ran.line["stage"]) == (0, "REVIEW")
    assert "Nothing was sent" in ran.err


@pytest.mark.parametrize("words", [["--expect-count", "2"], []], ids=["another", "none"])
def test_a_wrong_count_starts_nothing(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path, words: list[str]
) -> None:
    number = in_review(run, ids_file, [zoho.story("no_match")])["run"]

    ran = mass(run, "run", str(number), "--execute", *words, "--wait")

    assert ran.code == 2
    assert MassConversion.objects.get().stage == "REVIEW"
    assert zoho.ledger()["calls"] == []


def test_a_run_is_worked_to_its_end(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    ids = [zoho.story(case) for case in ("no_match", "no_match", "one_match", "several")]
    number = in_review(run, ids_file, ids, "--policy", "attach")["run"]

    ran = start(run, number, 3, "--wait")

    assert (ran.code, ran.line["stage"]) == (0, "FINISHED")
    assert ran.line["counts"]["CONVERTED"] == 3
    assert "3 converted, 0 refused" in ran.err
    assert {entry["lead_id"] for entry in zoho.ledger()["conversions"]} == set(ids[:3])


def test_those_that_follow_others_are_waited_for(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    ids = [zoho.add_lead(Company="Nordlicht Optik", Email=f"{n}@nord.example").id for n in "abc"]
    number = in_review(run, ids_file, ids)["run"]
    assert "2 join what another lead" in mass(run, "show", str(number)).out

    ran = start(run, number, 3, "--wait")

    assert (ran.code, ran.line["counts"]["CONVERTED"]) == (0, 3)
    assert len({entry["account_id"] for entry in zoho.ledger()["conversions"]}) == 1


def test_until_idle_waits_for_runs_too(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    ids = [zoho.add_lead(Company="Nordlicht Optik", Email=f"{n}@nord.example").id for n in "ab"]
    number = in_review(run, ids_file, ids)["run"]
    start(run, number, 2)

    ran = run("zoho_work", "--until-idle", "--format=json")

    assert (ran.code, ran.line["converted"]) == (0, 2)
    assert MassConversion.objects.get().stage == "FINISHED"


def test_without_wait_a_run_only_starts(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    number = in_review(run, ids_file, [zoho.story("no_match")])["run"]

    ran = start(run, number, 1)

    assert (ran.code, ran.line["stage"]) == (0, "CONVERTING")
    assert zoho.ledger()["calls"] == []


def test_a_run_starts_once(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    number = in_review(run, ids_file, [zoho.story("no_match")])["run"]
    start(run, number, 1)

    assert start(run, number, 1).code == 1


def test_a_run_some_of_which_failed_ends_with_3_and_says_why(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    ids = [zoho.story("no_match"), zoho.story("no_match")]
    number = in_review(run, ids_file, ids)["run"]
    zoho.fail("convert", "error_before", status=400, body=REFUSAL, lead_id=ids[1])

    ran = start(run, number, 2, "--wait")

    assert (ran.code, ran.line["stage"]) == (3, "FINISHED")
    assert "1 lead was not converted." in ran.err
    assert "1, INVALID_DATA: no such thing" in mass(run, "show", str(number)).out


def test_a_lead_that_changed_meanwhile_is_not_sent_and_ends_with_3(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    ids = [zoho.story("no_match"), zoho.story("no_match")]
    number = in_review(run, ids_file, ids)["run"]
    zoho.change(zoho.records["Leads"][ids[1]], Company="Another")

    ran = start(run, number, 2, "--wait")

    assert (ran.code, ran.line["counts"]["CONVERTED"]) == (3, 1)


def test_a_run_that_is_stopped_by_refusals_says_so(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    ids = [zoho.story("no_match") for _ in range(7)]
    number = in_review(run, ids_file, ids)["run"]
    zoho.fail("convert", "error_before", status=400, body=REFUSAL, times=None)

    ran = start(run, number, 7, "--wait")

    assert (ran.code, ran.line["stage"]) == (1, "CONVERTING")
    message = "5 of the last 5 leads were refused; see why before going on."
    assert ran.line["paused_reason"] == message
    assert message in ran.err
    assert f"resume {number} --wait" in ran.err


def test_doubt_when_the_time_is_over_ends_with_6(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    number = in_review(run, ids_file, [zoho.story("no_match")])["run"]
    zoho.fail("convert", "close_before")

    ran = start(run, number, 1, "--wait", "--max-seconds", "1")

    assert (ran.code, ran.line["counts"]["UNKNOWN"]) == (6, 1)


@pytest.mark.parametrize(
    ("kind", "code"),
    [(ConnectionWork.BackoffKind.LIMIT, 5), (ConnectionWork.BackoffKind.PERSON, 4)],
)
def test_limits_and_people_are_not_waited_for(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path, kind: str, code: int
) -> None:
    number = in_review(run, ids_file, [zoho.story("no_match")])["run"]
    ConnectionWork.objects.update(
        backoff_until=from_now(600), backoff_kind=kind, backoff_reason="reserve"
    )

    ran = start(run, number, 1, "--wait")

    assert (ran.code, ran.line["stage"]) == (code, "CONVERTING")
    assert "reserved for other programs" in ran.err


# pause, resume, cancel, retry


def test_a_paused_run_stands_still_until_it_is_resumed(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    User.objects.create(username="ada")
    number = in_review(run, ids_file, [zoho.story("no_match")])["run"]
    start(run, number, 1)

    paused = mass(run, "pause", str(number), "--user=ada", "--format=json")
    worked = run("zoho_work", "--until-idle", "--format=json")
    before = zoho.ledger()["calls"]
    resumed = mass(run, "resume", str(number), "--wait", "--format=json")

    assert (paused.code, paused.line["paused_reason"]) == (0, "Paused by ada.")
    assert (worked.code, before) == (0, [])
    assert (resumed.code, resumed.line["stage"]) == (0, "FINISHED")


def test_pausing_twice_is_fine_and_a_run_that_has_ended_cannot_be_paused(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    number = str(in_review(run, ids_file, [zoho.story("no_match")])["run"])
    in_vain = mass(run, "pause", number)
    start(run, int(number), 1)

    assert in_vain.code == 1
    assert "waits for decisions" in in_vain.err
    assert [mass(run, "pause", number).code for _ in range(2)] == [0, 0]


def test_a_cancelled_run_leaves_out_what_was_not_sent(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    number = in_review(run, ids_file, [zoho.story("no_match")])["run"]

    ran = mass(run, "cancel", str(number), "--wait", "--format=json")

    assert (ran.code, ran.line["stage"], ran.line["counts"]["SKIPPED"]) == (0, "CANCELLED", 1)
    assert zoho.ledger()["calls"] == []


def test_a_finished_run_cannot_be_cancelled(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    number = in_review(run, ids_file, [zoho.story("no_match")])["run"]
    start(run, number, 1, "--wait")

    assert mass(run, "cancel", str(number)).code == 1


def test_what_failed_is_tried_again(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    number = in_review(run, ids_file, [zoho.story("no_match")])["run"]
    zoho.fail("convert", "error_before", status=400, body=REFUSAL)
    start(run, number, 1, "--wait")

    again = mass(run, "retry", str(number), "--wait", "--format=json")
    ran = start(run, number, 1, "--wait")

    assert (again.code, again.line["stage"], again.line["counts"]["decided"]) == (0, "REVIEW", 1)
    assert "1 lead is retried." in again.err
    assert (ran.code, ran.line["counts"]["CONVERTED"]) == (0, 1)


def test_only_a_finished_run_is_tried_again(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    number = in_review(run, ids_file, [zoho.story("no_match")])["run"]

    assert mass(run, "retry", str(number)).code == 1


# export, list, show


def test_results_are_exported(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path, tmp_path: Path
) -> None:
    lead_id = zoho.story("no_match")
    number = str(in_review(run, ids_file, [lead_id, "=1+1"])["run"])
    start(run, int(number), 1, "--wait")
    path = tmp_path / "results.csv"

    ran = mass(run, "export", number)
    to_file = mass(run, "export", number, "--output", str(path))

    converted, left_out = csv.DictReader(io.StringIO(ran.out))
    assert (converted["lead_id"], converted["status"]) == (lead_id, "CONVERTED")
    assert (left_out["line"], left_out["lead_id"]) == ("2", "'=1+1")
    assert (to_file.code, to_file.out) == (0, "")
    assert path.read_bytes().decode() == ran.out


def test_a_file_that_cannot_be_written_is_wrong_use(
    run: Run, connection: Connection, ids_file: Path, tmp_path: Path
) -> None:
    number = in_review(run, ids_file, ["11"])["run"]

    assert mass(run, "export", str(number), "--output", str(tmp_path)).code == 2


def test_runs_are_listed_the_newest_first(run: Run, connection: Connection, ids_file: Path) -> None:
    ids_file.write_text("11")
    for name in ("First", "Second"):
        mass(run, "create", "--ids-file", str(ids_file), "--name", name)

    lines = mass(run, "list", "--format=json").lines
    table = mass(run, "list").out

    assert [line["name"] for line in lines] == ["Second", "First"]
    assert table.splitlines()[0].split()[:3] == ["run", "name", "connection"]


def test_a_run_of_a_disconnected_organisation_says_what_it_waits_for(
    run: Run, connection: Connection, zoho: Simulator, ids_file: Path
) -> None:
    number = in_review(run, ids_file, [zoho.story("no_match")])["run"]
    Connection.objects.update(status=Connection.Status.DISABLED)

    ran = start(run, number, 1, "--wait")

    assert ran.code == 4
    assert f"“{connection}” has to be connected again" in ran.err
    found = run("zoho_doctor", "--format=json").lines
    [finding] = [line for line in found if line["check"] == f"connection {connection}"]
    assert "0 of its leads and 1 of its runs" in finding["message"]


@pytest.mark.parametrize("action", ["show", "run", "pause", "resume", "cancel", "retry", "export"])
def test_a_run_that_does_not_exist_is_wrong_use(
    run: Run, connection: Connection, action: str
) -> None:
    ran = mass(run, action, "77")

    assert ran.code == 2
    assert "no run 77" in ran.err
