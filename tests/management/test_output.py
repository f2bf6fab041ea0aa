from __future__ import annotations

import csv
import io
import json
import re
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import OutputWrapper

from tests.management.conftest import Run
from zoho_crm import management
from zoho_crm.management._output import Output, printable
from zoho_crm.models import Connection
from zoho_crm.simulator import Simulator

ROWS = [
    {"name": "Ines", "count": 2, "tags": ["a", "b"], "plan": None},
    {"name": "Amara Okafor", "count": 10, "tags": [], "plan": {"deal": None}},
]
FIELDS = ("name", "count", "tags", "plan")
COLUMNS = {"name": itemgetter("name"), "how many": lambda row: str(row["count"])}


def shown(output_format: str, rows: list[dict[str, Any]] = ROWS, **more: Any) -> str:
    stdout = io.StringIO()
    output = Output(OutputWrapper(stdout), output_format, coloured=more.pop("coloured", False))
    output.show(rows, fields=FIELDS, columns=COLUMNS, **more)
    return stdout.getvalue()


def test_table_is_aligned():
    assert shown("table").splitlines() == [
        "name          how many",
        "Ines          2",
        "Amara Okafor  10",
    ]


def test_with_widths_a_row_of_the_table_is_written_when_it_is_there():
    stdout = io.StringIO()
    seen = []

    def rows():
        for row in ROWS:
            yield row
            seen.append(stdout.getvalue().splitlines()[-1])

    output = Output(OutputWrapper(stdout), "table")
    output.show(rows(), fields=FIELDS, columns=COLUMNS, widths={"name": 8})

    assert seen == ["Ines      2", "Amara Okafor  10"]


def test_wide_letters_take_two_columns_and_accents_none():
    rows = [{**ROWS[0], "name": "田中"}, {**ROWS[0], "name": "e\u0301a"}]

    table = shown("table", rows)

    assert table.splitlines() == ["name  how many", "田中  2", "e\u0301a    2"]


def test_table_without_rows_is_empty():
    assert shown("table", []) == ""


def test_colours_stand_around_padded_cells():
    table = shown("table", coloured=True, styles=lambda row: {"name": lambda text: f"<{text}>"})

    assert "<Ines        >  2" in table


def test_without_a_terminal_nothing_is_coloured():
    table = shown("table", styles=lambda row: {"name": lambda text: f"<{text}>"})

    assert "<" not in table


def test_json_is_one_object_a_line():
    lines = shown("json").splitlines()

    assert [json.loads(line) for line in lines] == ROWS


def test_csv_has_a_heading_and_flat_cells():
    assert shown("csv").splitlines() == [
        "name,count,tags,plan",
        "Ines,2,a; b,",
        'Amara Okafor,10,,"{""deal"": null}"',
    ]


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd|x"])
def test_csv_disarms_what_a_spreadsheet_would_run(text):
    output = shown("csv", [{**ROWS[0], "name": text}])

    assert f"'{text}" in output


@pytest.mark.parametrize("text", ["+49 40 5550000", "-12.5"])
def test_csv_leaves_numbers_alone(text):
    output = shown("csv", [{**ROWS[0], "name": text}])

    assert f"\n{text}," in output


@pytest.mark.parametrize("text", ["a\rb", "a\nb", "a\r\nb", '"', "a,b", "\r=1+1", "＝1+1"])
def test_a_csv_cell_never_begins_another_row_or_a_formula(text):
    output = shown("csv", [{**ROWS[0], "name": text}])

    (row,) = csv.DictReader(io.StringIO(output, newline=""))
    assert row["name"].removeprefix("'") == text
    assert not row["name"].startswith(("=", "＝", "\r"))


def test_csv_has_nothing_that_a_terminal_obeys():
    assert "a [31mb" in shown("csv", [{**ROWS[0], "name": "a\x1b[31mb"}])


def test_a_line_is_one_visible_line():
    stdout = io.StringIO()
    Output(OutputWrapper(stdout), "table").write_line("a  b\x1b[2J\u202ec\nd")

    assert stdout.getvalue() == "a  b [2J c d\n"


def test_what_moves_a_cursor_or_turns_the_writing_is_not_printed():
    assert printable("a\x1b[31mb\u202ec\r\n d\te") == "a [31mb c d e"


def test_long_text_is_cut_where_one_sees_it():
    assert printable("x" * 100, 10) == "x" * 9 + "…"


# Texts of Zoho's

#: Moves the cursor, sets the title of the window, clears the screen, turns the writing around.
EVIL = "bad\x1b]0;title\x07\x1b[2J\u202e\rname"
SEEN = "bad ]0;title  [2J  name"
CONTROL = re.compile(r"[^\n\x20-\x7e\u00a0-\u1fff\u2010-\u2027\u2030-\uffff]")


@pytest.mark.django_db(transaction=True)
def test_an_error_message_of_zohos_does_not_command_the_terminal(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    refusal = {"code": "INVALID_QUERY", "message": EVIL, "details": {}, "status": "error"}
    zoho.fail("leads_list", "error_before", status=400, body=refusal)

    ran = run("zoho_preview", zoho.story("no_match"))

    assert SEEN in ran.err
    assert not CONTROL.search(ran.err + ran.out)


@pytest.mark.django_db(transaction=True)
def test_a_name_in_a_message_of_ours_does_not_command_the_terminal(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    zoho.organisation.contact_roles[0]["name"] = EVIL
    deal = ("--deal-name=x", "--stage=Qualification", "--closing-date=2027-03-31")

    ran = run("zoho_convert", zoho.story("no_match"), *deal, "--contact-role=7")

    assert (ran.code, SEEN in ran.err) == (2, True)
    assert not CONTROL.search(ran.err + ran.out)


def test_commands_write_by_the_filtering_functions_only() -> None:
    writers = re.compile(r"(?:stdout|stderr)\.write\(|\bprint\(")
    folder = Path(management.__file__).parent
    found = {
        path.name
        for path in folder.rglob("*.py")
        if writers.search(path.read_text(encoding="utf-8"))
    }

    # The simulator prints its own address, and the export of a run the lines of the CSV writer.
    expected = {"_output.py", "_command.py", "zoho_simulator.py", "zoho_mass_convert.py"}
    assert found == expected
