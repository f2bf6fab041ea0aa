"""``zoho_records``: records of any module at the command line, and a CSV file brought in."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from tests.kept import forget_metadata
from tests.management.conftest import Run, Terminal
from zoho_crm.management._exits import ExitCode
from zoho_crm.management._record_files import Results, Source
from zoho_crm.models import Connection
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)

HEAD = "E-mail,Name,Phone\n"
MAPPED = ("--map", "E-mail=Email", "--map", "Name=Last_Name", "--map", "Phone=Phone")


@pytest.fixture(autouse=True)
def fresh_metadata() -> Iterator[None]:
    """Let no test use what another simulator has."""
    forget_metadata()
    yield
    forget_metadata()


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


def upsert(run: Run, path: Path, *words: str, **more: Any) -> Any:
    """Bring contacts in by their e-mail address."""
    given = ("zoho_records", "upsert", "Contacts", "--from-file", str(path), "--key", "Email")
    return run(*given, *MAPPED, *words, "--format=json", **more)


def outcomes(ran: Any) -> list[tuple[int, str]]:
    return [(line["row"], line["outcome"]) for line in ran.lines]


def contacts(zoho: Simulator) -> dict[str, str]:
    return {each["Email"]: each["Last_Name"] for each in zoho.records["Contacts"].values()}


def upserts(zoho: Simulator) -> int:
    return sum(each["count"] for each in zoho.stats()["calls"] if each["path"].endswith("/upsert"))


# Reading


def test_records_are_shown_by_id(run: Run, connection: Connection, zoho: Simulator) -> None:
    first = zoho.add("Contacts", Last_Name="King", Email="king@engine.example")
    second = zoho.add("Contacts", Last_Name="Byron")

    ran = run("zoho_records", "get", "Contacts", second.id, first.id, "404", "--format=json")

    assert [line["id"] for line in ran.lines] == [second.id, first.id]
    assert ran.lines[1]["Email"] == "king@engine.example"
    assert ran.code == ExitCode.SOME_FAILED
    assert "There is no record with the id 404." in ran.err


def test_records_are_listed_and_searched(run: Run, connection: Connection, zoho: Simulator) -> None:
    ids = [zoho.add("Contacts", Last_Name=f"King {n}", Mailing_City="Bonn").id for n in range(3)]
    other = zoho.add("Contacts", Last_Name="Byron", Mailing_City="Bonn-Beuel", Email="b@x.example")

    listed = run("zoho_records", "list", "Contacts", "--sort-by=id", "--limit=2", "--format=json")
    table = run("zoho_records", "list", "Contacts", "--fields=Last_Name,Owner")
    found = run(
        *("zoho_records", "search", "Contacts", "--filter=Mailing_City=bonn"),
        *("--fields=Last_Name", "--format=csv"),
    )
    by_email = run("zoho_records", "search", "Contacts", "--email=B@x.example", "--format=json")

    assert [line["id"] for line in listed.lines] == ids[:2]
    assert "There are more" in listed.err
    assert "Byron" in table.out
    assert zoho.organisation.current_user["full_name"] in table.out
    assert sorted(found.out.splitlines()[1:]) == sorted(
        f"{each},King {number}" for number, each in enumerate(ids)
    )
    assert by_email.line["id"] == other.id


@pytest.mark.parametrize(
    "words",
    [
        ("get", "Contacts", "x"),
        ("get", "Contacts"),
        ("list", "Contacts", "--sort-by=Email"),
        ("list", "Contacts", "--fields=" + ",".join(f"F{n}" for n in range(60))),
        ("search", "Contacts"),
        ("nonsense", "Contacts"),
    ],
)
def test_wrong_use_is_told(run: Run, connection: Connection, words: tuple[str, ...]) -> None:
    assert run("zoho_records", *words).code in {ExitCode.WRONG_USE, 1}


def test_an_unknown_module_is_told(run: Run, connection: Connection) -> None:
    ran = run("zoho_records", "list", "Nonsense")

    assert ran.code == ExitCode.ERROR
    assert ran.err


# Changes


def test_changes_continue_where_the_last_call_ended(
    run: Run, connection: Connection, zoho: Simulator, tmp_path: Path
) -> None:
    path = tmp_path / "cursor"
    words = ("zoho_records", "changes", "Contacts", "--cursor-file", str(path), "--format=json")
    contact = zoho.add("Contacts", Last_Name="King")

    first, second = run(*words), run(*words)
    zoho.advance(2)
    zoho.delete("Contacts", contact.id)
    third = run(*words)

    assert [(line["id"], line["deleted"]) for line in first.lines] == [(contact.id, False)]
    assert second.lines == []
    assert [(line["id"], line["deleted"]) for line in third.lines] == [(contact.id, True)]


def test_a_cursor_stays_as_it_is_if_the_reading_fails(
    run: Run, connection: Connection, zoho: Simulator, tmp_path: Path
) -> None:
    path = tmp_path / "cursor"
    words = ("zoho_records", "changes", "Contacts", "--cursor-file", str(path), "--format=json")
    run(*words)
    kept = path.read_text()
    contact = zoho.add("Contacts", Last_Name="King")
    zoho.fail("coql", "close_before")

    failed = run(*words)

    assert failed.code == ExitCode.ERROR
    assert path.read_text() == kept
    assert run(*words).line["id"] == contact.id
    path.write_text("nonsense")
    assert "no cursor" in run(*words).err


# Deleting


def test_records_are_deleted_if_that_is_wanted(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    contact = zoho.add("Contacts", Last_Name="King")
    words = ("zoho_records", "delete", "Contacts", contact.id, "404", "--format=json")

    shown = run(*words)
    assert [line["outcome"] for line in shown.lines] == ["would_delete", "would_delete"]
    assert contact.id in zoho.records["Contacts"]

    done = run(*words, "--execute")
    assert [line["outcome"] for line in done.lines] == ["deleted", "failed"]
    assert done.code == ExitCode.SOME_FAILED
    assert not zoho.records["Contacts"]


# Bringing in a file


def test_what_would_be_done_is_shown_and_nothing_sent(
    run: Run, connection: Connection, zoho: Simulator, people: Path
) -> None:
    same = zoho.add("Contacts", Last_Name="Same", Email="same@x.example", Phone="1")
    other = zoho.add("Contacts", Last_Name="Old", Email="Other@x.example")
    people.write_text(
        HEAD + "new@x.example,New,\nsame@x.example,Same,1\nother@x.example,Other,2\n"
        ",Nobody,3\nnoname@x.example,,\nshort@x.example\n"
        f"{'l' * 90}@long.example.example,Long,1\n"
    )

    ran = upsert(run, people)

    assert outcomes(ran) == [
        (2, "new"),
        (3, "unchanged"),
        (4, "changed"),
        (5, "invalid"),
        (6, "invalid"),
        (7, "invalid"),
        (8, "invalid"),
    ]
    assert [line["id"] for line in ran.lines[:3]] == [None, same.id, other.id]
    assert ran.lines[2]["fields"] == ["Email", "Last_Name", "Phone"]
    assert "Last_Name" in ran.lines[4]["message"]
    assert ran.code == ExitCode.SOME_FAILED
    assert "1 new, 1 changed, 1 unchanged, 4 invalid." in ran.err
    assert "Nothing was sent" in ran.err
    assert upserts(zoho) == 0
    assert sorted(path.name for path in people.parent.iterdir()) == ["people.csv"]


def test_the_rows_that_differ_are_written_and_kept(
    run: Run, connection: Connection, zoho: Simulator, people: Path
) -> None:
    zoho.add("Contacts", Last_Name="Same", Email="same@x.example")
    zoho.add("Contacts", Last_Name="Old", Email="other@x.example")
    people.write_text(HEAD + "new@x.example,New,\nsame@x.example,Same,\nother@x.example,Other,2\n")

    ran = upsert(run, people, "--execute")

    assert ran.code == 0
    assert outcomes(ran) == [(2, "created"), (3, "unchanged"), (4, "updated")]
    assert contacts(zoho) == {
        "new@x.example": "New",
        "same@x.example": "Same",
        "other@x.example": "Other",
    }
    with people.with_name("people.csv.results.csv").open(newline="") as file:
        kept = list(csv.DictReader(file))
    assert [(row["row"], row["outcome"]) for row in kept] == [
        ("2", "created"),
        ("3", "unchanged"),
        ("4", "updated"),
    ]
    again = upsert(run, people, "--execute")
    assert again.lines == []
    assert "3 rows were done before." in again.err
    assert upserts(zoho) == 1


@pytest.mark.parametrize("do", ["close_before", "close_after", "error_after"])
def test_a_second_run_continues_where_the_first_one_was_lost(
    run: Run, connection: Connection, zoho: Simulator, people: Path, do: str
) -> None:
    rows = [f"p{number}@x.example,Person {number},\n" for number in range(250)]
    people.write_text(HEAD + "".join(rows))
    zoho.fail("upsert", "delay", seconds=0)
    zoho.fail("upsert", do)

    first = upsert(run, people, "--execute")
    second = upsert(run, people, "--execute")

    assert [outcome for _row, outcome in outcomes(first)][:100] == ["created"] * 100
    assert {outcome for _row, outcome in outcomes(first)[100:]} == {"unknown"}
    assert len(first.lines) == 200
    assert first.code == ExitCode.UNKNOWN
    assert second.code == 0
    assert len(second.lines) == 150
    assert len(zoho.records["Contacts"]) == 250
    assert contacts(zoho) == {f"p{n}@x.example": f"Person {n}" for n in range(250)}


def test_a_refused_row_does_not_hold_others_up_and_is_tried_again(
    run: Run, connection: Connection, zoho: Simulator, people: Path
) -> None:
    people.write_text(HEAD + "a@x.example,A,\nb@x.example,B,\n")
    zoho.organisation.unique["Contacts"] = ["Phone"]
    zoho.add("Contacts", Last_Name="Owner", Phone="7")
    people.write_text(HEAD + "a@x.example,A,7\nb@x.example,B,8\n")
    zoho.add("Contacts", Last_Name="A", Email="a@x.example")

    first = upsert(run, people, "--execute")
    people.write_text(HEAD + "a@x.example,A,9\nb@x.example,B,8\n")
    second = upsert(run, people, "--execute")

    assert outcomes(first) == [(2, "refused"), (3, "created")]
    assert first.lines[0]["error_code"] == "DUPLICATE_DATA"
    assert first.code == ExitCode.SOME_FAILED
    assert outcomes(second) == [(2, "updated")]


def test_limits_end_the_run_with_their_code(
    run: Run, connection: Connection, zoho: Simulator, people: Path
) -> None:
    people.write_text(HEAD + "a@x.example,A,\n")
    zoho.fail("upsert", "throttle")

    ran = upsert(run, people, "--execute")

    assert ran.code == ExitCode.LIMIT
    assert outcomes(ran) == [(2, "not_sent")]
    assert outcomes(upsert(run, people, "--execute")) == [(2, "created")]


def test_one_key_twice_is_written_twice_in_order(
    run: Run, connection: Connection, zoho: Simulator, people: Path
) -> None:
    people.write_text(HEAD + "a@x.example,First,\nA@X.example,Second,\n")

    ran = upsert(run, people, "--execute")

    assert outcomes(ran) == [(2, "created"), (3, "updated")]
    assert [each["Last_Name"] for each in zoho.records["Contacts"].values()] == ["Second"]


def test_records_that_cannot_be_told_apart_and_converted_leads_are_not_written(
    run: Run, connection: Connection, zoho: Simulator, people: Path
) -> None:
    for _number in range(2):
        zoho.add_lead(Email="two@x.example")
    converted = zoho.records["Leads"][zoho.story("converted")]
    zoho.add("Contacts", Last_Name="Known", Email="Contact@x.example")
    people.write_text(
        "Email,Last_Name,Company\ntwo@x.example,Two,X\n"
        f"{converted['Email']},Known,X\nnew@x.example,New,X\ncontact@x.example,Known,X\n"
    )

    ran = run(
        *("zoho_records", "upsert", "Leads", "--from-file", str(people), "--key=Email"),
        *("--execute", "--format=json"),
    )

    assert outcomes(ran) == [(2, "invalid"), (3, "invalid"), (4, "created"), (5, "invalid")]
    codes = [line["error_code"] for line in ran.lines]
    assert codes == ["several_records", "converted_lead", None, "known_contact"]


def test_values_have_the_types_of_their_fields(
    run: Run, connection: Connection, zoho: Simulator, people: Path
) -> None:
    words = ("zoho_records", "upsert", "Leads", "--from-file", str(people), "--key=Email")
    people.write_text(
        "\ufeffEmail;Last_Name;Company;Annual_Revenue;No_of_Employees;Email_Opt_Out\n"
        'a@x.example;A;"Größe; ""X""";900.50;7;true\n'
        "b@x.example;B;X;many;7;true\n"
    )

    first = run(*words, "--execute", "--format=json")
    second = run(*words, "--results", str(people.with_name("other.csv")), "--format=json")

    assert outcomes(first) == [(2, "created"), (3, "invalid")]
    assert "Annual_Revenue" in first.lines[1]["message"]
    [lead] = zoho.records["Leads"].values()
    assert lead["Company"] == 'Größe; "X"'
    assert (lead["Annual_Revenue"], lead["No_of_Employees"]) == (900.5, 7)
    assert lead["Email_Opt_Out"] is True
    assert outcomes(second) == [(2, "unchanged"), (3, "invalid")]


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        (b"A,B\n1,2\n", MAPPED, "no column for E-mail"),
        (b"Name,Phone\n1,2\n", (), "no column for Email"),
        (b"", (), "no column for Email"),
        (b"Email,Last_Name\n\xff\xfe,x\n", (), "cannot be read"),
        (None, (), "cannot be read"),
        (b"Email\nx\n", ("--results", "RESULTS"), "no results of this command"),
    ],
)
def test_files_that_do_not_fit_are_wrong_use(
    run: Run,
    connection: Connection,
    people: Path,
    content: bytes | None,
    words: tuple[str, ...],
    message: str,
) -> None:
    if content is not None:
        people.write_bytes(content)
    results = people.with_name("results")
    results.write_text("anything,else\n")
    words = tuple(str(results) if word == "RESULTS" else word for word in words)

    ran = run(
        *("zoho_records", "upsert", "Contacts", "--from-file", str(people), "--key=Email"), *words
    )

    assert ran.code == ExitCode.WRONG_USE
    assert message in ran.err


def test_results_of_another_file_are_not_taken_for_its_own(
    run: Run, connection: Connection, people: Path
) -> None:
    people.write_text(HEAD + "a@x.example,A,\n")
    upsert(run, people, "--execute")
    people.write_text(HEAD + "b@x.example,B,\n")

    ran = upsert(run, people, "--execute")

    assert ran.code == ExitCode.WRONG_USE
    assert "results of another file" in ran.err


def test_results_that_were_cut_are_continued(
    run: Run, connection: Connection, zoho: Simulator, people: Path
) -> None:
    people.write_text(HEAD + "a@x.example,A,\nb@x.example,B,\n")
    upsert(run, people, "--execute")
    results = people.with_name("people.csv.results.csv")
    results.write_bytes(results.read_bytes()[:-50])

    second, third = upsert(run, people, "--execute"), upsert(run, people, "--execute")

    assert outcomes(second) == [(3, "unchanged")]
    assert third.lines == []
    assert len(zoho.records["Contacts"]) == 2


def test_a_terminal_sees_the_progress_and_a_pipe_does_not(
    run: Run, connection: Connection, people: Path
) -> None:
    people.write_text(HEAD + "a@x.example,A,\n")
    terminal = Terminal()

    call_command(
        *("zoho_records", "upsert", "Contacts", "--from-file", str(people), "--key", "Email"),
        *MAPPED,
        stdout=io.StringIO(),
        stderr=terminal,
    )

    assert "\r1 new" in terminal.getvalue()
    assert "\r" not in upsert(run, people).err


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(
    run: Run, connection: Connection, zoho: Simulator, people: Path
) -> None:
    source = Source(str(people_of(people, 20_000)), {}, "Email")
    results = Results(str(people.with_name("results")))

    tracemalloc.start()
    number = sum(not results.is_done(row) for row in source.rows())
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert number == 20_000
    assert peak < 500_000


def people_of(path: Path, number: int) -> Path:
    with path.open("w") as file:
        file.write("Email,Last_Name\n")
        file.writelines(f"p{each}@x.example,Person {each}\n" for each in range(number))
    return path
