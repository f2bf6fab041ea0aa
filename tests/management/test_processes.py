"""Commands as processes of their own, over real HTTP."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.management.conftest import PATIENCE, Site
from zoho_crm.simulator import Simulator
from zoho_crm.simulator.faults import Fault

pytestmark = pytest.mark.slow


def test_a_fresh_site_is_connected_and_converts_its_first_lead(
    site: Site, live_zoho: Simulator
) -> None:
    lead_id = live_zoho.story("no_match")
    code = live_zoho.grant_code()

    connect = site.run(
        *("zoho_connect", "--grant-code", "-", "--data-center", "local", "--name", "Acme"),
        *("--no-input", "--format", "json"),
        stdin=f"{code}\n",
    )
    preview = site.run("zoho_preview", lead_id, "--format", "json")
    convert = site.run("zoho_convert", "-", "--execute", "--format", "json", stdin=lead_id)
    status = site.run("zoho_status", "--format", "json")

    (entry,) = live_zoho.conversions_of(lead_id)
    assert [ran.code for ran in (connect, preview, convert, status)] == [0, 0, 0, 0]
    assert [ran.err for ran in (connect, preview, convert, status)] == ["", "", "", ""]
    assert connect.line["connection"] == "Acme"
    assert preview.line["verdict"] == "NO_MATCH"
    assert convert.line["contact_id"] == entry["contact_id"]
    assert status.line["status"] == "ACTIVE"


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("zoho_preview 12x", 2),
        ("zoho_preview 1", 4),
        ("zoho_doctor", 0),
        # Other arguments are refused in the same way.
        pytest.param("zoho_convert 1 --deal-name Roll-out", 2, marks=pytest.mark.long),
        pytest.param("zoho_convert 1 --closing-date tomorrow", 2, marks=pytest.mark.long),
        pytest.param("zoho_connect --grant-code 1000.code", 2, marks=pytest.mark.long),
        pytest.param("zoho_connect --data-center mars", 2, marks=pytest.mark.long),
        pytest.param("zoho_connect", 2, marks=pytest.mark.long),
        pytest.param("zoho_work --loop 0", 2, marks=pytest.mark.long),
    ],
)
def test_exit_codes_of_a_site_that_is_not_connected(site: Site, typed: str, code: int) -> None:
    ran = site.run(*typed.split())

    assert ran.code == code, ran.err
    assert "Traceback" not in ran.err


@pytest.mark.long
def test_exit_codes_of_a_conversion(connected: Site, live_zoho: Simulator) -> None:
    done, undecided = live_zoho.story("no_match"), live_zoho.story("one_match")

    assert connected.run("zoho_convert", done, undecided).code == 0
    assert connected.run("zoho_convert", done, "--execute").code == 0
    assert connected.run("zoho_convert", done, undecided, "--execute").code == 3


@pytest.mark.long
def test_doubt_is_6_until_it_is_settled(connected: Site, live_zoho: Simulator) -> None:
    lead_id = live_zoho.story("no_match")
    live_zoho.fail("convert", "close_after")

    convert = connected.run("zoho_convert", lead_id, "--execute", "--format", "json")
    work = connected.run("zoho_work", "--until-idle", "--format", "json")

    assert (convert.code, convert.line["status"]) == (6, "UNKNOWN")
    assert (work.code, work.line["converted"], work.line["unknown"]) == (0, 1, 0)
    assert len(live_zoho.conversions_of(lead_id)) == 1


@pytest.mark.long
def test_the_key_of_a_new_site_comes_before_its_settings(site: Site) -> None:
    broken = {"ZOHO_CRM_ENCRYPTION_KEYS": "no key", "ZOHO_CRM_SLICE": "9999"}

    key = site.run("zoho_new_key", **broken)
    status = site.run("zoho_status", **broken)

    assert key.code == 0
    assert (status.code, status.out) == (1, "")
    assert "zoho_crm.E002" in status.err
    assert "Traceback" not in status.err


def test_a_database_without_tables_is_no_traceback(site: Site, tmp_path: Path) -> None:
    empty = {"DATABASE_URL": f"sqlite:///{tmp_path / 'new.sqlite3'}"}

    status = site.run("zoho_status", **empty)
    doctor = site.run("zoho_doctor", **empty)

    assert (status.code, doctor.code) == (1, 1)
    assert "zoho_doctor" in status.err
    assert "manage.py migrate" in doctor.out
    assert "Traceback" not in status.err + doctor.err


@pytest.mark.long
def test_ctrl_c_while_zoho_is_asked_ends_at_once(connected: Site, live_zoho: Simulator) -> None:
    lead_id = live_zoho.story("no_match")
    fault = live_zoho.fail("leads_list", "delay", seconds=15)
    process = connected.start("zoho_preview", lead_id)
    _wait_for(fault)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)

    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err


def test_ctrl_c_while_a_lead_is_sent_waits_for_its_answer(
    connected: Site, live_zoho: Simulator
) -> None:
    lead_id = live_zoho.story("no_match")
    fault = live_zoho.fail("convert", "delay", seconds=1)
    process = connected.start("zoho_convert", lead_id, "--execute", "--format", "json")
    _wait_for(fault)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)

    assert process.returncode == 130
    assert '"status": "CONVERTED"' in out
    assert "Traceback" not in err


@pytest.mark.long
def test_the_second_ctrl_c_ends_at_once_and_the_lead_is_settled_later(
    connected: Site, live_zoho: Simulator
) -> None:
    # What was left behind is found when the lease has expired.
    site = connected.with_settings(CALL_DEADLINE=2, QUIET_PERIOD=2, LEASE=5, SLICE=3)
    lead_id = live_zoho.story("no_match")
    fault = live_zoho.fail("convert", "delay", seconds=1.5)
    process = site.start("zoho_convert", lead_id, "--execute")
    _wait_for(fault)

    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=PATIENCE)
    work = site.run("zoho_work", "--until-idle", "--format", "json")

    assert process.returncode == 130
    assert "Traceback" not in err
    assert work.code == 0
    assert len(live_zoho.conversions_of(lead_id)) == 1


@pytest.mark.long
def test_ctrl_c_leaves_a_mass_conversion_where_it_is(connected: Site, live_zoho: Simulator) -> None:
    ids = [live_zoho.story("no_match") for _ in range(4)]
    words = ("create", "--ids-file", "-", "--wait", "--format", "json")
    made = connected.run("zoho_mass_convert", *words, stdin="\n".join(ids)).line
    number = str(made["run"])
    fault = live_zoho.fail("convert", "delay", seconds=1)
    words = ("run", number, "--expect-count", "4", "--execute", "--wait", "--format", "json")
    process = connected.start("zoho_mass_convert", *words)
    _wait_for(fault)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    resumed = connected.run("zoho_mass_convert", "resume", number, "--wait", "--format", "json")

    assert process.returncode == 130
    assert '"stage": "CONVERTING"' in out
    assert f"resume {number} --wait" in err
    assert "Traceback" not in err
    assert (resumed.code, resumed.line["counts"]["CONVERTED"]) == (0, 4)
    assert {len(live_zoho.conversions_of(lead_id)) for lead_id in ids} == {1}


@pytest.mark.long
def test_whoever_reads_the_output_may_go_away(connected: Site, live_zoho: Simulator) -> None:
    for _number in range(30):
        live_zoho.add_lead(Description="x" * 5000)
    process = connected.start("zoho_leads", "--format", "json", "--fields", "Description")
    assert process.stdout is not None
    assert process.stderr is not None

    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()

    assert process.wait(PATIENCE) == 141
    assert err == ""


def test_at_a_terminal_secrets_are_asked_for_and_not_shown(
    site: Site, live_zoho: Simulator
) -> None:
    code = live_zoho.grant_code()
    shown, status = _at_a_terminal(
        site,
        ["zoho_connect", "--client-id", "1000.SIMULATOR"],
        {"Grant code": code, "Client secret": "simulator-secret"},
    )

    assert status == 0
    assert "Connected" in shown
    assert code not in shown
    assert "simulator-secret" not in shown


@pytest.mark.long
def test_a_file_that_was_killed_half_way_is_brought_in_once(
    connected: Site, live_zoho: Simulator, tmp_path: Path
) -> None:
    people = tmp_path / "people.csv"
    rows = [f"p{number}@x.example,Person {number}\n" for number in range(350)]
    people.write_text("Email,Last_Name\n" + "".join(rows))
    words = ("zoho_records", "upsert", "Contacts", "--from-file", str(people), "--key=Email")
    live_zoho.fail("upsert", "delay", seconds=0)
    fault = live_zoho.fail("upsert", "delay", seconds=30)
    process = connected.start(*words, "--execute", "--format=csv")
    _wait_for(fault)

    process.kill()
    process.communicate(timeout=PATIENCE)
    again = connected.run(*words, "--execute", "--format=json")

    contacts = live_zoho.records["Contacts"].values()
    assert again.code == 0, again.err
    assert sorted(each["Email"] for each in contacts) == sorted(row.split(",")[0] for row in rows)
    outcomes = [line["outcome"] for line in again.lines]
    assert outcomes == ["unchanged"] * 100 + ["created"] * 150


def _wait_for(fault: Fault) -> None:
    """Wait until the fault has applied to a call, which is in flight then."""
    while fault.times:
        time.sleep(0.01)


def _at_a_terminal(site: Site, words: list[str], answers: dict[str, str]) -> tuple[str, int]:
    """Run a command at a terminal of its own; answer each prompt once."""
    here, there = pty.openpty()
    process = site.start(*words, stdin=there, stdout=there, stderr=there)
    os.close(there)
    shown, waiting = "", dict(answers)
    with suppress(OSError):  # the terminal is gone when the command has ended
        while part := os.read(here, 1024).decode():
            shown += part
            for prompt in [prompt for prompt in waiting if prompt in shown]:
                os.write(here, f"{waiting.pop(prompt)}\n".encode())
    os.close(here)
    return shown, process.wait(PATIENCE)
