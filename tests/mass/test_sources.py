"""What the sources of a run yield: a text for each line, so that numbers are those people see."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from zoho_crm.exceptions import RequestRefusedError, ServerError
from zoho_crm.matching import POLICIES
from zoho_crm.models import Connection, LeadConversion, MassConversion, MassConversionLine
from zoho_crm.services.mass_convert import (
    ids_in_file,
    ids_in_lines,
    ids_of_open_leads,
    prepare,
)
from zoho_crm.simulator import Simulator


def read(text: str | bytes, column: str = "") -> list[str]:
    content = text.encode() if isinstance(text, str) else text
    return list(ids_in_file(io.BytesIO(content), column=column))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("11\n12\n", ["11", "12"]),
        ("11\r\n 12 ", ["11", "12"]),
        ("\ufeff11\n12", ["11", "12"]),
        ("11\n\n# of the fair\n12", ["11", "", "", "12"]),
        ("11\nAda\n", ["11", "Ada"]),
    ],
    ids=["plain", "of Windows", "with a mark", "with blanks and comments", "with a name"],
)
def test_every_line_of_a_file_is_yielded(text: str, ids: list[str]) -> None:
    assert read(text) == ids


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Name,Id\nAda,11\nBo,12\n", ["", "11", "12"]),
        ("Name;Id\nAda, King;11\n", ["", "11"]),
        ("Name\tId\nAda\t11\n", ["", "11"]),
        ('"Name", "Id"\n"Ada, King",11\n', ["", "11"]),
        ('Name,Id\n"Ada\nKing",11\n,12\n', ["", "", "11", "12"]),
        ("Name,Id\n\nAda\nBo,\n", ["", "", "Ada", "Bo,"]),
        ("\ufeffId,Name\n11,Ada", ["", "11"]),
    ],
    ids=[
        "commas",
        "semicolons",
        "tabs",
        "quoted",
        "cells of several lines",
        "without an id",
        "with a mark",
    ],
)
def test_a_column_is_read_line_by_line(text: str, ids: list[str]) -> None:
    assert read(text, "Id") == ids


@pytest.mark.parametrize(
    ("content", "column", "code"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00", "", "no_text"),
        ("11\n12".encode("utf-16-le"), "", "no_text"),
        ("11\n12".encode("utf-16") + b"1", "", "no_text"),
        (b"PK\x03\x04\x14\x00\x06\x00", "", "no_text"),
        (b"11\n" * 40_000 + b"\0", "", "no_text"),
        (b"", "", "empty"),
        (b"", "Id", "empty"),
        (b"Name,Id\nAda,11\n", "Lead", "no_column"),
        (b'Name,Id\n"' + b"a" * 200_000 + b'",11\n', "Id", "no_csv"),
        (b"a" * 200_000 + b"\n11\n", "Id", "no_column"),
        (b'Id,Name\n11,Ada\n12,"Bo\n13,Cy\n', "Id", "no_csv"),
        (b'Name,Id\nAda,"', "Id", "no_csv"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(content: bytes, column: str, code: str) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        read(content, column)

    assert refused.value.code == code


HEADER = "Record Id,Lead Owner Id,Lead Owner,Last Name"
ROW = "zcrm_7130042000000418003,zcrm_7130042000000225013,Mara Lind,Jürgens"
READ = ["", "zcrm_7130042000000418003"]


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER}\n{ROW}\n".encode(),
        f"{HEADER}\r\n{ROW}\r\n".encode("utf-8-sig"),
        f"{HEADER}\n{ROW}\n".replace(",", ";").encode("latin-1"),
        f"{HEADER}\n{ROW}\n".replace(",", "\t").encode("utf-16"),
        b"\xfe\xff" + f"{HEADER}\n{ROW}\n".replace(",", "\t").encode("utf-16-be"),
        f"{HEADER}\n{ROW}\n".replace(",", "|").encode(),
        f"{HEADER}\n{ROW}".replace(",", '","').replace("\n", '"\n"').join('""').encode(),
        f"{HEADER.upper()}\n{ROW}\n".encode(),
        b"Id\nzcrm_7130042000000418003\n",
        b"Name,lead_id\nAda,zcrm_7130042000000418003\n",
    ],
    ids=[
        "Zoho's export",
        "CSV UTF-8 of Excel",
        "CSV of Excel, German",
        "Unicode text of Excel",
        "big-endian",
        "bars",
        "all quoted",
        "capitals",
        "one column",
        "our own export",
    ],
)
def test_the_column_of_ids_of_an_export_is_found(content: bytes) -> None:
    assert read(content) == READ


def test_the_line_that_names_the_delimiter_to_excel_is_no_lead() -> None:
    assert read("sep=;\nName;Record Id\nAda;11\n") == ["", "", "11"]
    assert read('"sep=\t"\n11\n') == ["", "11"]


def test_without_a_header_the_only_id_of_a_line_is_taken() -> None:
    lines = [f"{READ[1]};Ada;20095", "Ada;20095", f"{READ[1]},{READ[1][:-1]}5"]

    assert read("\n".join(lines)) == [READ[1].removeprefix("zcrm_"), *lines[1:]]


def test_a_row_without_its_id_does_not_become_the_lead_of_another_column() -> None:
    row = ",zcrm_7130042000000225013,Mara Lind,Ada"

    assert read(f"{HEADER}\n{row}\n") == ["", row]


def test_a_line_that_is_too_long_for_csv_is_a_line_of_text() -> None:
    ids = [str(number) for number in range(5922274000000418000, 5922274000000428000)]

    assert read(",".join(ids)) == [",".join(ids)]
    assert read("x" * 200_000 + "\n11\n") == ["x" * 200_000, "11"]


def test_a_quotation_that_does_not_end_is_refused_with_its_line() -> None:
    lines = ["Id,Name\n", "11,Ada\n", '12,"Bo\n', "13,Cy\n"]

    with pytest.raises(RequestRefusedError, match="In line 3 a quotation begins"):
        list(ids_in_lines(lines))


def test_quotation_marks_inside_of_a_cell_are_no_quotation() -> None:
    assert read('Id,Name\n11,a 19" rack\n12,"Bo" Berg\n') == ["", "11", "12"]


def test_a_column_that_is_missing_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(RequestRefusedError, match="“Lead”; the first line names: Name, Id"):
        read("Name;Id\nAda;11\n", "Lead")


def test_a_file_that_is_no_text_in_its_last_line_yields_no_line() -> None:
    lines = ids_in_file(io.BytesIO(b"11\n12\n\0"))

    with pytest.raises(RequestRefusedError):
        next(lines)


def test_the_file_stays_open_for_who_opened_it() -> None:
    file = io.BytesIO(b"11\n")

    list(ids_in_file(file))

    assert not file.closed


def test_open_leads_are_those_of_zoho_with_these_values(
    connection: Connection, zoho: Simulator
) -> None:
    fair = zoho.add_lead(Lead_Source="Fair").id
    zoho.add_lead(Lead_Source="Web")
    zoho.story("converted")

    assert list(ids_of_open_leads(connection, filters={"Lead_Source": "fair"})) == [fair]
    assert len(list(ids_of_open_leads(connection))) == 2


def taken(connection: Connection, lines: Iterator[str]) -> MassConversion:
    return prepare(connection_id=connection.pk, lead_ids=lines, policy=POLICIES["careful"])


def test_what_is_left_out_bears_the_number_of_its_line(connection: Connection) -> None:
    run = taken(connection, ids_in_lines(["# of the fair", "11", "", "Ada", "11"]))

    assert LeadConversion.objects.get().lead_id == "11"
    assert list(run.lines.order_by("number").values_list("number", "text", "reason")) == [
        (4, "Ada", "malformed"),
        (5, "11", "double"),
    ]


def test_the_forms_of_exports_become_ids_and_others_say_why_not(connection: Connection) -> None:
    row = ",zcrm_7130042000000225013"
    lines = ["Record Id,Owner Id", f"{READ[1]},1", "7.13004E+18,1", f"'{READ[1]},1", row]

    run = taken(connection, ids_in_lines(lines))

    assert LeadConversion.objects.get().lead_id == "7130042000000418003"
    assert list(run.lines.order_by("number").values_list("number", "text", "reason")) == [
        (3, "7.13004E+18", "rounded"),
        (4, "'zcrm_7130042000000418003", "double"),
        (5, row, "several_values"),
    ]


def test_a_source_of_blank_lines_is_an_empty_one(connection: Connection) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        taken(connection, ids_in_lines(["", "# nothing"]))

    assert refused.value.code == "empty"
    assert not MassConversion.objects.exists()


def interrupted(how_many: int, error: BaseException) -> Iterator[str]:
    yield from map(str, range(1, how_many + 1))
    raise error


@pytest.mark.parametrize("error", [ServerError(), KeyboardInterrupt()], ids=["Zoho", "a person"])
def test_a_source_that_ends_in_the_middle_leaves_a_run_that_is_cancelled(
    connection: Connection, error: BaseException
) -> None:
    with pytest.raises(type(error)):
        taken(connection, interrupted(1500, error))

    assert MassConversion.objects.get().stage == MassConversion.Stage.CANCELLED
    assert LeadConversion.objects.count() == 1000


def test_a_source_that_fails_at_once_leaves_nothing(connection: Connection) -> None:
    with pytest.raises(ServerError):
        taken(connection, interrupted(1, ServerError()))

    assert not MassConversion.objects.exists()
    assert not MassConversionLine.objects.exists()
