from __future__ import annotations

import io
from argparse import ArgumentTypeError
from datetime import date
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command

from zoho_crm.management import _arguments as arguments


@pytest.mark.parametrize(
    ("convert", "text", "value"),
    [
        (arguments.record_id, "5922274000000418003", "5922274000000418003"),
        (arguments.record_id_or_new, "12", "12"),
        (arguments.record_id_or_new, "new", "new"),
        (arguments.stdin_only, "-", "-"),
        (arguments.non_empty, " Roll-out ", "Roll-out"),
        (arguments.day, "2026-12-31", date(2026, 12, 31)),
        (arguments.amount, "1250.50", Decimal("1250.50")),
        (arguments.amount, "-99999999999999.99", Decimal("-99999999999999.99")),
        (arguments.seconds, "1.5", 1.5),
        (arguments.count, "7", 7),
        (arguments.count, "0010", 10),
        (arguments.natural, "0", 0),
        (arguments.days, "90d", 90),
        (arguments.names, "web, fair,", ("web", "fair")),
        (arguments.assignment, "Lead_Status = Qualified", ("Lead_Status", "Qualified")),
        (arguments.assignment, "City=", ("City", "")),
        (arguments.data_center, "eu", "eu"),
    ],
)
def test_what_is_typed_becomes_a_value(convert, text, value):
    assert convert(text) == value


@pytest.mark.parametrize(
    ("convert", "text"),
    [
        (arguments.record_id, "12x"),
        (arguments.record_id, "1" * 20),
        (arguments.record_id, "٣"),
        (arguments.record_id_or_new, "newer"),
        (arguments.stdin_only, "1000.code"),
        (arguments.non_empty, "  "),
        (arguments.day, "31.12.2026"),
        (arguments.amount, "12,50"),
        (arguments.amount, "NaN"),
        (arguments.amount, "1e999999"),
        (arguments.amount, "999999999999999"),
        (arguments.amount, "1.005"),
        (arguments.amount, "١"),
        (arguments.seconds, "soon"),
        (arguments.seconds, "0"),
        (arguments.seconds, "inf"),
        (arguments.count, "0"),
        (arguments.count, "-1"),
        (arguments.natural, "-1"),
        (arguments.days, "0d"),
        (arguments.names, " , "),
        (arguments.assignment, "Lead_Status"),
        (arguments.assignment, "=Qualified"),
        (arguments.data_center, "mars"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(convert, text):
    with pytest.raises(ArgumentTypeError, match="[a-z]{2}"):
        convert(text)


@pytest.mark.parametrize(
    ("convert", "text"),
    [
        (arguments.seconds, "1e300"),
        (arguments.count, "99999999999999999999"),
        (arguments.natural, "99999999999999999999"),
        (arguments.days, "999999d"),
        (arguments.days, "9999999999"),
        (arguments.closing_days, "3651"),
    ],
)
def test_what_nobody_can_count_to_is_refused_with_the_largest_that_is_taken(convert, text):
    with pytest.raises(ArgumentTypeError, match=r"is too much: it may be [0-9,]+ at most"):
        convert(text)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "command",
    [
        ("zoho_purge", "--older-than", "9999999999"),
        ("zoho_usage", "--days", "999999"),
        ("zoho_work", "--loop", "1e12"),
        ("zoho_leads", "--limit", "99999999999999999999"),
    ],
)
def test_a_command_refuses_a_number_that_the_database_or_the_system_would(command):
    with pytest.raises(CommandError, match="is too much"):
        call_command(*command)


def test_a_code_in_the_arguments_is_not_repeated():
    with pytest.raises(ArgumentTypeError) as caught:
        arguments.stdin_only("1000.code")

    assert "1000.code" not in str(caught.value)


def test_ids_come_from_arguments_file_and_stdin_each_once(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("\ufeff3\n\n# a remark\n 4 \n1\n", encoding="utf-8")

    ids = arguments.lead_ids(["1", "-"], str(path), io.StringIO("2\n1\n"))

    assert ids == ["1", "2", "3", "4"]


def test_a_malformed_id_is_named_with_its_place(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("1\nx\n", encoding="utf-8")

    with pytest.raises(CommandError, match=r"“x” \(.*ids.txt, line 2\)") as caught:
        arguments.lead_ids([], str(path), io.StringIO())

    assert caught.value.returncode == 2


def test_the_forms_of_exports_and_spreadsheets_are_ids_too(tmp_path):
    path = tmp_path / "export.csv"
    path.write_bytes("Record Id\tName\nzcrm_3\tJürgen\n".encode("utf-16"))

    ids = arguments.lead_ids(["zcrm_1", '="2"', "-"], str(path), io.StringIO("sep=,\n4,\n"))

    assert ids == ["1", "2", "4", "3"]


def test_a_number_that_a_spreadsheet_rounded_is_named_as_one():
    with pytest.raises(CommandError, match=r"“7.13E\+18” \(argument; rounded by a spreadsheet"):
        arguments.lead_ids(["1", "7.13E+18"], None, io.StringIO())


def test_of_many_malformed_ids_some_are_named():
    with pytest.raises(CommandError, match="“a4”.*…") as caught:
        arguments.lead_ids([f"a{number}" for number in range(9)], None, io.StringIO())

    assert "a5" not in str(caught.value)


@pytest.mark.parametrize("stdin", ["", "\n# nothing\n"])
def test_no_id_at_all_is_wrong_use(stdin):
    with pytest.raises(CommandError, match="--ids-file") as caught:
        arguments.lead_ids(["-"], None, io.StringIO(stdin))

    assert caught.value.returncode == 2


def test_a_file_that_cannot_be_read_is_wrong_use(tmp_path):
    with pytest.raises(CommandError, match="no-such-file") as caught:
        arguments.lead_ids([], str(tmp_path / "no-such-file"), io.StringIO())

    assert caught.value.returncode == 2


def test_a_file_that_is_no_text_is_wrong_use(tmp_path):
    path = tmp_path / "ids.bin"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(CommandError, match="ids.bin: It is not a text file") as caught:
        arguments.lead_ids([], str(path), io.StringIO())

    assert caught.value.returncode == 2
