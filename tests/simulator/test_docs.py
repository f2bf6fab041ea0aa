"""``docs/simulator.md`` names every case, fault, route and option, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import load_command_class

from zoho_crm.simulator import control_api, faults, story
from zoho_crm.simulator.crm.routes import BASE, ROUTES

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()


def first_cells(heading: str) -> list[str]:
    """Return the names in backticks in the first column of the tables under a heading."""
    section = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (text,) = (part for part in section if part.startswith(heading))
    cells = re.findall(r"^\| (`[^|]+`) \|", text, flags=re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_every_case_is_explained() -> None:
    assert first_cells("The leads it begins with") == list(story.CASES)


def test_every_fault_is_explained() -> None:
    parameters = ["on", "do", "times", "share", "seed", "lead_id", "status", "body", "seconds"]

    explained = first_cells("Faults")

    assert explained[: len(parameters)] == parameters
    assert set(explained[len(parameters) :]) - {"do"} == set(faults.ACTIONS)


@pytest.mark.parametrize("kind", faults.REQUEST_KINDS)
def test_every_kind_of_call_is_named(kind: str) -> None:
    (row,) = (line for line in PAGE.splitlines() if line.startswith("| `on` |"))

    assert re.search(rf"\b{kind}\b", row)


def test_every_control_route_is_listed() -> None:
    known = [
        f"{method} {control_api.CONTROL_PREFIX}{name}"
        for method, name in control_api.CONTROL_ROUTES
    ]

    assert first_cells("Control routes") == known


def test_every_option_of_the_command_is_listed() -> None:
    command = load_command_class("zoho_crm", "zoho_simulator")
    parser = command.create_parser("manage.py", "zoho_simulator")
    own = [action.option_strings[0] for action in parser._actions]
    start, end = own.index("--port"), own.index("--legacy-expires-in")

    documented = [cell.split()[0] for cell in first_cells("Start it")]

    assert documented == own[start : end + 1]


def addresses() -> list[str]:
    """Return every address that is imitated, as the page writes it."""
    known = (route for route in ROUTES if route.kind != "not_imitated")
    return [f"{route.method} {route.path.removeprefix(BASE)}" for route in known]


@pytest.mark.parametrize("address", addresses())
def test_every_address_tells_which_form_it_follows(address: str) -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|") and f"`{address}`" in line]

    assert len(rows) == 1
    assert re.search("page|OpenAPI", rows[0])
