from __future__ import annotations

import io
import json
from operator import itemgetter
from typing import Any

import pytest
from django.core.management.base import OutputWrapper

from zoho_crm.management._output import Output, printable

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


def test_what_moves_a_cursor_or_turns_the_writing_is_not_printed():
    assert printable("a\x1b[31mb\u202ec\r\n d\te") == "a [31mb c d e"


def test_long_text_is_cut_where_one_sees_it():
    assert printable("x" * 100, 10) == "x" * 9 + "…"
