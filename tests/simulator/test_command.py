"""``manage.py zoho_simulator``"""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from django.core.management import CommandError, call_command

from zoho_crm.simulator import Server, Simulator, SimulatorSettings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command in a process of its own."""
    processes: list[subprocess.Popen[str]] = []

    def run_one(*arguments: str) -> subprocess.Popen[str]:
        command = (sys.executable, "manage.py", "zoho_simulator", "--port", "0", *arguments)
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        processes.append(process)
        return process

    yield run_one
    for process in processes:
        process.kill()
        process.communicate()


def test_the_command_prints_its_address_and_ends_with_ctrl_c(
    run: Callable[..., subprocess.Popen[str]],
) -> None:
    process = run("--leads", "3", "--token-seconds", "60")
    assert process.stdout
    line = process.stdout.readline()

    assert line.startswith("Zoho simulator on http://127.0.0.1:")
    stories = requests.get(f"{line.split()[-1]}/_simulator/story", timeout=60).json()
    assert len(stories) == 3
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (130, "", "")


def test_the_duration_of_jobs_can_be_set(
    run: Callable[..., subprocess.Popen[str]],
) -> None:
    process = run("--leads", "1", "--job-ms-per-lead", "3600000")
    assert process.stdout
    origin = process.stdout.readline().split()[-1]
    (story,) = requests.get(f"{origin}/_simulator/story", timeout=60).json()
    code = requests.post(f"{origin}/_simulator/grant-codes", timeout=60).json()
    form = {**code, "grant_type": "authorization_code"}
    token = requests.post(f"{origin}/oauth/v2/token", data=form, timeout=60).json()["access_token"]
    headers = {"Authorization": f"Zoho-oauthtoken {token}"}
    user = requests.get(f"{origin}/crm/v8/users?type=CurrentUser", headers=headers, timeout=60)
    assign_to = {"id": user.json()["users"][0]["id"]}
    url = f"{origin}/crm/v8/Leads/actions/mass_convert"
    body = {"ids": [story["lead_id"]], "assign_to": assign_to}

    job = requests.post(url, json=body, headers=headers, timeout=60).json()["details"]

    shown = requests.get(url, params=job, headers=headers, timeout=60).json()["data"]
    assert [each["Status"] for each in shown] == ["scheduled"]


def test_ctrl_c_closes_the_port() -> None:
    class Interrupting(io.StringIO):
        """Raises SIGINT as soon as output is flushed."""

        def flush(self) -> None:
            signal.raise_signal(signal.SIGINT)

    output = Interrupting()

    with pytest.raises(SystemExit) as caught:
        call_command("zoho_simulator", "--port", "0", stdout=output)

    assert caught.value.code == 130
    port = int(output.getvalue().rpartition(":")[2])
    with Server(Simulator(SimulatorSettings(leads=0)), port=port) as server:
        assert server.origin.endswith(str(port))


def test_a_taken_port_is_an_error() -> None:
    with Server(Simulator(SimulatorSettings(leads=0))) as server:
        port = server.origin.rpartition(":")[2]

        with pytest.raises(CommandError, match=f"Port {port} cannot be used"):
            call_command("zoho_simulator", "--port", port)


@pytest.mark.parametrize("port", ["-1", "x"])
def test_a_port_has_to_be_a_number(port: str) -> None:
    with pytest.raises(CommandError, match="--port"):
        call_command("zoho_simulator", "--port", port)


def test_a_port_has_to_exist() -> None:
    with pytest.raises(CommandError, match="Port 99999 cannot be used"):
        call_command("zoho_simulator", "--port", "99999")
