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
        ("11\nJürgen".encode("latin-1"), "", "no_text"),
        ("11\n12".encode("utf-16"), "", "no_text"),
        (("12\n" * 40_000 + "ü").encode()[:-1], "", "no_text"),
        (b"", "", "empty"),
        (b"", "Id", "empty"),
        (b"Name,Id\nAda,11\n", "Lead", "no_column"),
        (b'Name,Id\n"' + b"a" * 200_000 + b'",11\n', "Id", "no_csv"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(content: bytes, column: str, code: str) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        read(content, column)

    assert refused.value.code == code


def test_a_column_that_is_missing_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(RequestRefusedError, match="“Lead”; the first line names: Name, Id"):
        read("Name;Id\nAda;11\n", "Lead")


def test_a_file_that_is_no_text_in_its_last_line_yields_no_line() -> None:
    lines = ids_in_file(io.BytesIO(b"11\n12\n\xff"))

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
