"""The results of a run as CSV: a stream that a spreadsheet can open without being harmed."""

from __future__ import annotations

import csv
from collections.abc import Iterator

import pytest

from tests.mass.bench import Bench
from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.services import mass_convert

HEADER = (
    "line,lead_id,lead,status,verdict,reason,contact_id,account_id,deal_id,by,evidence,attempts,"
    "error_code,error_message,finished_at"
)


def exported(run: MassConversion) -> list[dict[str, str]]:
    return list(csv.DictReader(mass_convert.export(run_id=run.pk)))


def test_the_header_never_changes(bench: Bench) -> None:
    run = bench.prepare(["rubbish"])

    assert next(iter(mass_convert.export(run_id=run.pk))) == f"{HEADER}\r\n"


def test_every_lead_and_every_line_that_was_left_out_is_in_it(bench: Bench) -> None:
    good, bad = bench.leads(2)
    bench.refuse(bad)
    run = bench.finished([good, "rubbish", bad, good])

    lines = {(line["line"], line["lead_id"]): line for line in exported(run)}

    assert set(lines) == {("", good), ("", bad), ("2", "rubbish"), ("4", good)}
    assert lines["", good]["contact_id"] == bench.row(good).contact_id
    assert (lines["", good]["by"], lines["", good]["evidence"]) == ("us", "answer")
    assert lines["", bad]["error_code"] == "MANDATORY_NOT_FOUND"
    assert lines["", bad]["error_message"] == (
        "required field not found: field Last Name (Last_Name)"
    )
    assert (lines["2", "rubbish"]["status"], lines["2", "rubbish"]["reason"]) == (
        "LEFT_OUT",
        "malformed",
    )


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_what_a_spreadsheet_would_take_for_a_formula_is_text(bench: Bench, start: str) -> None:
    run = bench.prepare(["1", "=HYPERLINK(1)"])
    evil = f'{start}HYPERLINK("http://bad.example","x")'
    LeadConversion.objects.update(lead_snapshot={"name": evil}, error_message=evil, reason=evil)

    row, line = exported(run)

    assert {row["lead"], row["error_message"], row["reason"]} == {f"'{evil}"}
    assert line["lead_id"] == "'=HYPERLINK(1)"


def test_quotes_commas_and_new_lines_stay_in_their_cell(bench: Bench) -> None:
    run = bench.prepare(["1"])
    odd = 'a "b", c\nd; e'
    LeadConversion.objects.update(lead_snapshot={"name": odd})

    (row,) = exported(run)

    assert row["lead"] == odd


def test_it_comes_line_by_line(bench: Bench) -> None:
    run = bench.prepare(str(number) for number in range(1, 4))

    lines = mass_convert.export(run_id=run.pk)

    assert isinstance(lines, Iterator)
    assert [line.count("\r\n") for line in lines] == [1, 1, 1, 1]
