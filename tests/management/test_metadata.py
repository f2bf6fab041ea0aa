from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache

from tests.management.conftest import Run
from zoho_crm.models import Connection
from zoho_crm.services import metadata
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    yield
    cache.clear()
    metadata.forget_memory()


def test_the_modules_are_listed(run: Run, connection: Connection, zoho: Simulator) -> None:
    lines = run("zoho_metadata", "--format=json").lines

    assert {"Leads", "Contacts", "Deals"} <= {line["api_name"] for line in lines}
    assert lines[0]["id"] == zoho.organisation.modules["Leads"]["id"]


def test_the_fields_of_a_module_are_listed(run: Run, connection: Connection) -> None:
    fields = {
        line["api_name"]: line for line in run("zoho_metadata", "Deals", "--format=json").lines
    }

    assert fields["Deal_Name"]["required"]
    assert (fields["Deal_Name"]["data_type"], fields["Deal_Name"]["length"]) == ("text", 120)
    assert "Qualification" in fields["Stage"]["choices"]
    assert fields["Account_Name"]["lookup_module"] == "Accounts"


def test_people_get_a_table_of_fields(run: Run, connection: Connection) -> None:
    ran = run("zoho_metadata", "Contacts")

    [line] = [line for line in ran.out.splitlines() if line.startswith("Salutation")]
    assert line.split() == [
        *("Salutation", "Salutation", "picklist", "(25)"),
        *("Mr.", "|", "Mrs.", "|", "Ms.", "|", "Dr.", "|", "Prof."),
    ]
    assert "required" in next(each for each in ran.out.splitlines() if "Last_Name" in each)
    assert "read-only" in next(each for each in ran.out.splitlines() if "Full_Name" in each)


@pytest.mark.parametrize(
    ("words", "key", "expected"),
    [
        (["Leads", "--layouts"], "name", "Trade fair"),
        (["Leads", "--tags"], "name", "fair"),
        (["--pipelines"], "value", "Partners (Standard)"),
        (["--roles"], "name", "CEO"),
        (["--contact-roles"], "name", "Decision Maker"),
        (["--users"], "email", "mara@nordwind.example"),
        (["--org"], "name", "Nordwind Trading"),
    ],
)
def test_every_part_is_listed_in_every_format(
    run: Run,
    connection: Connection,
    zoho: Simulator,
    words: list[str],
    key: str,
    expected: str,
) -> None:
    zoho.organisation.tag("Leads", "fair")

    lines = run("zoho_metadata", *words, "--format=json").lines

    assert expected in {line[key] for line in lines}
    assert expected in run("zoho_metadata", *words).out
    assert expected in run("zoho_metadata", *words, "--format=csv").out


@pytest.mark.parametrize(
    "words", [["--fields"], ["--layouts"], ["--tags"], ["Leads", "--users"], ["Leads", "--modules"]]
)
def test_a_module_is_named_where_it_matters(
    run: Run, connection: Connection, words: list[str]
) -> None:
    assert run("zoho_metadata", *words).code == 2


def test_an_unknown_module_ends_with_its_name(run: Run, connection: Connection) -> None:
    ran = run("zoho_metadata", "Nonsense")

    assert ran.code == 1
    assert run("zoho_metadata", "no name").code == 1
    assert run("zoho_metadata", "--connection", "Nobody").code == 2


def test_without_a_connection_a_person_is_needed(run: Run) -> None:
    assert run("zoho_metadata").code == 4


def test_what_was_cleared_is_read_again(run: Run, connection: Connection, zoho: Simulator) -> None:
    assert not run("zoho_metadata", "Leads", "--tags").out
    zoho.organisation.tag("Leads", "fair")
    assert not run("zoho_metadata", "Leads", "--tags").out

    ran = run("zoho_metadata", "--clear")

    assert (ran.code, ran.out) == (0, "")
    assert "is forgotten" in ran.err
    assert "fair" in run("zoho_metadata", "Leads", "--tags").out
    zoho.organisation.tag("Leads", "other")
    assert "other" in run("zoho_metadata", "Leads", "--tags", "--clear").out


def test_what_the_user_may_not_see_is_said(run: Run, connection: Connection) -> None:
    assert "may not see them" in run("zoho_metadata", "Leads", "--tags").err
