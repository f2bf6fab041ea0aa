"""The page on the architecture describes the code as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.test_architecture import BELOW_THE_WAYS_IN, MAY_IMPORT, WORDS
from tests.test_docs import resolve
from zoho_crm.models._moves import TRANSITIONS

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
GROUPS = {"WORDS": WORDS, "BELOW_THE_WAYS_IN": BELOW_THE_WAYS_IN}


def rows_of(header: str) -> list[list[str]]:
    """Return the cells of the rows of the table that has this header."""
    (table,) = re.findall(
        rf"^\| {re.escape(header)} \|\n\|.*\n((?:\|.*\n)+)", PAGE, flags=re.MULTILINE
    )
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]


def codes(text: str) -> list[str]:
    """Return what stands between backticks in a text, within a line."""
    return re.findall(r"`([^`\n]+)`", text)


def steps() -> list[list[str]]:
    return rows_of("step | function | what it does")


def status_changes() -> set[tuple[str, str]]:
    """Return the status changes in the table, as pairs."""
    rows = rows_of("from | to | when")
    return {(codes(before)[0], after) for before, to, _when in rows for after in codes(to)}


def names() -> list[str]:
    """Return the dotted names of the package on the page."""
    return sorted({name for name in codes(PAGE) if re.fullmatch(r"zoho_crm(\.\w+)+", name)})


def files() -> list[str]:
    """Return the files and folders on the page, as paths from the root."""
    return sorted({name for name in codes(PAGE) if re.fullmatch(r"[\w./-]+(/|\.(py|md))", name)})


def test_a_lead_takes_twelve_steps() -> None:
    assert [row[0] for row in steps()] == [str(number) for number in range(1, 13)]


@pytest.mark.parametrize("row", steps(), ids=lambda row: row[0])
def test_the_function_of_each_step_exists(row: list[str]) -> None:
    (name,) = codes(row[1])

    assert callable(resolve(name.removeprefix("zoho_crm.")))


@pytest.mark.parametrize("name", names())
def test_what_the_page_names_exists(name: str) -> None:
    assert resolve(name.removeprefix("zoho_crm.")) is not None


@pytest.mark.parametrize("path", files())
def test_every_file_on_the_page_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_table_of_imports_is_that_of_the_rules() -> None:
    table = {}
    for layer, allowed, _why in rows_of("layer | may import | because"):
        named = [GROUPS.get(name, {name}) for name in codes(allowed)]
        table[codes(layer)[0]] = set().union(*named) - set(codes(layer))

    assert table == {layer: allowed - {layer} for layer, allowed in MAY_IMPORT.items()}


def test_the_table_of_status_changes_is_that_of_the_code() -> None:
    assert status_changes() == {
        (before.value, after.value) for before, to in TRANSITIONS.items() for after in to
    }


def test_the_diagram_has_the_status_changes_of_the_table() -> None:
    drawn = re.findall(r"^    (\w+) --> (\w+)$", PAGE, flags=re.MULTILINE)

    assert len(drawn) == len(set(drawn))
    assert set(drawn) == {pair for pair in status_changes() if pair[0] != pair[1]}
