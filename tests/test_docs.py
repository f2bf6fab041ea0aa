"""The documentation names only what exists."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.dispatch import Signal

from zoho_crm import shortcuts, signals
from zoho_crm.conf import SETTING_NAMES
from zoho_crm.models import Connection, LeadConversion, MassConversion, Policy
from zoho_crm.services.import_tokens import Reason
from zoho_crm.services.permissions import MANAGERS, OPERATORS, VIEWERS
from zoho_crm.services.token_sources import Problem
from zoho_crm.types import Verdict

ROOT = Path(__file__).resolve().parent.parent
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def rows_of(heading: str) -> list[list[str]]:
    """Return the cells of the table rows under a heading of the glossary, without the header."""
    text = re.split(rf"^#+ {heading}\n", GLOSSARY, flags=re.MULTILINE)[1]
    section = re.split(r"^#", text, flags=re.MULTILINE)[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:1] == "|"]
    return rows[2:]


def rows_of_terms() -> list[list[str]]:
    """Return the cells of the rows of all tables that say where a term is in the code."""
    tables = re.findall(
        r"^\| .* \| in the code \|\n\|.*\n((?:\|.*\n)+)", GLOSSARY, flags=re.MULTILINE
    )
    return [line.strip("| ").split(" | ") for table in tables for line in table.splitlines()]


def names_in_code() -> list[str]:
    """Return the names in the last columns of these tables."""
    cells = [row[-1] for row in rows_of_terms()]
    return sorted({name for cell in cells for name in re.findall(r"`([^`]+)`", cell)})


def resolve(name: str) -> Any:
    """Return the module, or the attribute of a module or class, of a name in ``zoho_crm``."""
    found: Any = importlib.import_module("zoho_crm")
    path = "zoho_crm"
    for part in name.split("."):
        path = f"{path}.{part}"
        found = getattr(found, part) if hasattr(found, part) else importlib.import_module(path)
    return found


@pytest.mark.parametrize("name", names_in_code())
def test_what_the_glossary_names_exists(name: str) -> None:
    assert resolve(name) is not None


@pytest.mark.parametrize(
    ("heading", "members"),
    [
        ("Verdicts", Verdict),
        ("Statuses", LeadConversion.Status),
        ("Stages", MassConversion.Stage),
    ],
)
def test_the_glossary_has_every_verdict_status_and_stage(heading: str, members: Any) -> None:
    assert [cells[0].strip("`") for cells in rows_of(heading)] == [each.value for each in members]


def test_each_term_is_explained_once() -> None:
    terms = [term for row in rows_of_terms() for term in row[0].split(", ")]

    assert [term for term, number in Counter(terms).items() if number > 1] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    broken = []
    for link in (link for link in links if "://" not in link):
        path, _hash, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", text).strip().lower().replace(" ", "-") for text in headings}


def first_names(heading: str) -> set[str]:
    """Return the names in the first cells of the tables under a heading of the Python page."""
    page = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    text = re.split(rf"^## {heading}\n", page, flags=re.MULTILINE)[1]
    section = re.split(r"^## ", text, flags=re.MULTILINE)[0]
    cells = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    calls = [code for cell in cells for code in re.findall("`([^`]+)`", cell)]
    return {call.partition("(")[0].partition("=")[0].rpartition(".")[2] for call in calls}


def test_every_function_for_host_projects_is_in_the_reference() -> None:
    headings = ("One lead", "Many leads", "Other records", "Calls of your own")
    named = {name for heading in headings for name in first_names(heading)}

    assert named - {"filters", "every_open_lead"} == set(shortcuts.__all__)


def test_every_queryset_in_the_reference_exists() -> None:
    methods = first_names("Querysets")

    assert methods > {"of_lead", "converted", "failed", "needs_review"}
    assert [name for name in methods if not hasattr(LeadConversion.objects, name)] == []


def test_every_signal_is_in_the_reference() -> None:
    exist = {name for name, value in vars(signals).items() if isinstance(value, Signal)}

    assert first_names("Signals") == exist


def test_every_permission_is_explained_with_the_first_group_that_has_it() -> None:
    page = (ROOT / "docs" / "reference" / "permissions.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| .* \| ([VOM]) \|$", page, flags=re.MULTILINE)
    explained = {name: group for names, group in rows for name in re.findall(r"`(\w+)`", names)}
    groups = dict(zip("VOM", (VIEWERS, OPERATORS, MANAGERS), strict=True))
    asked = {*dict(Connection._meta.permissions), "view_connection", "change_connection"}
    asked |= {f"{word}_policy" for word in Policy._meta.default_permissions}

    assert explained == {
        name: next(letter for letter, names in groups.items() if name in names) for name in asked
    }


def endpoint_steps() -> str:
    """Return the table of the steps in which an endpoint is added."""
    (table,) = re.findall(r"^\| step .*\n\|.*\n((?:\|.*\n)+)", CONTRIBUTING, flags=re.MULTILINE)
    return table


def names_in_steps() -> list[str]:
    """Return the dotted names in the last column of that table."""
    cells = [line.strip("| ").split(" | ")[-1] for line in endpoint_steps().splitlines()]
    names = {name for cell in cells for name in re.findall(r"`([a-z_]+(?:\.\w+)+)`", cell)}
    return sorted(names - {"modules.ALL", "modules.contacts.READ"})


@pytest.mark.parametrize("name", names_in_steps())
def test_what_the_steps_of_an_endpoint_name_exists(name: str) -> None:
    assert resolve(name) is not None


def test_the_tests_in_the_steps_of_an_endpoint_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)`(?:: `(test_\w+)`)?", endpoint_steps())

    assert len(named) >= 5
    for path, test in named:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not test or f"def {test}(" in text


@pytest.mark.parametrize(
    "path",
    ["README.md", "CONTRIBUTING.md", ".github/workflows/ci.yml", ".pre-commit-config.yaml"],
)
def test_commands_are_targets_of_the_makefile(path: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    text = (ROOT / path).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^|run: |entry: )make ([a-z][a-z-]*)", text, flags=re.MULTILINE))
    named |= {
        word
        for row in re.findall(r"^ +command: \[(.*)\]", text, flags=re.MULTILINE)
        for word in re.findall(r'\b([a-z-]+)(?: ARGS=\S+)?"?(?:,|$)', row)
    }

    assert named
    assert [name for name in named if f"\n{name}:" not in makefile] == []


def test_the_reasons_of_an_import_are_explained() -> None:
    page = (ROOT / "docs" / "how-to" / "from-the-sdk.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^\| `reason` .*\n\|.*\n((?:\|.*\n)+)", page, flags=re.MULTILINE)
    cells = [line.strip("| ").split(" | ")[0] for line in table.splitlines()]

    # It is explained beside the table: the row is not left out.
    reasons = {*Problem, *Reason} - {Reason.OTHER_CONSENT}
    assert {name for cell in cells for name in re.findall("`([^`]+)`", cell)} == reasons


def test_what_the_stores_of_samples_fail_at_is_tested() -> None:
    page = (ROOT / "docs" / "how-to" / "from-the-sdk.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+)` \|$", page, flags=re.MULTILINE)
    paths = ("services/test_sdk_tokens.py", "sdk/test_token_store.py")
    tests = "".join((ROOT / "tests" / path).read_text(encoding="utf-8") for path in paths)

    assert len(named) > 10
    assert [name for name in named if f"def {name}(" not in tests] == []


def test_what_is_left_out_in_memory_is_named() -> None:
    page = (ROOT / "docs" / "how-to" / "from-the-sdk.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| SQLite in memory \|.*$", page, flags=re.MULTILINE)
    paths = ("services/test_sdk_tokens.py", "sdk/test_token_store.py")
    tests = "".join((ROOT / "tests" / path).read_text(encoding="utf-8") for path in paths)
    functions = re.split(r"^def ", tests, flags=re.MULTILINE)
    left_out = {each.partition("(")[0] for each in functions if "    skip_in_memory()" in each}

    assert set(re.findall(r"`(test_\w+)`", row)) == left_out


PHP_KEYS = """
    client_id client_secret redirect_uri currentUserEmail sandbox apiBaseUrl apiVersion access_type
    accounts_url persistence_handler_class persistence_handler_class_name token_persistence_path
    db_username db_password db_port host_address fileUploadUrl applicationLogFilePath
"""
PYTHON_KEYS = "environment token UserSignature store logger sdk_config resource_path proxy"


@pytest.mark.parametrize(
    ("header", "keys"),
    [("key of the PHP SDK", PHP_KEYS), ("argument of the Python SDK's `initialize`", PYTHON_KEYS)],
)
def test_every_key_of_the_sdks_is_explained(header: str, keys: str) -> None:
    page = (ROOT / "docs" / "how-to" / "from-the-sdk.md").read_text(encoding="utf-8")
    (table,) = re.findall(rf"^\| {header} .*\n\|.*\n((?:\|.*\n)+)", page, flags=re.MULTILINE)
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()]

    named = [name for cells in rows for name in re.findall("`([^`]+)`", cells[0])]
    assert sorted(named) == sorted(keys.split())
    ours = {name for cells in rows for name in re.findall(r'\["([A-Z_]+)"\]', cells[1])}
    assert ours <= set(SETTING_NAMES)
