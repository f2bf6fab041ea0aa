"""The errors: each is in the drawn tree, has a message and can be pickled."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from zoho_crm import exceptions
from zoho_crm.exceptions import RequestRefusedError, ZohoError
from zoho_crm.types import Reference

ERRORS = [
    error
    for _name, error in inspect.getmembers(exceptions, inspect.isclass)
    if issubclass(error, ZohoError)
]
DRAWN = re.compile(r"^(?P<indent> *)[*+-] (?P<name>\w+)", re.MULTILINE)


def drawn_parents() -> dict[str, str]:
    """Return the parent of each error in the tree that the module draws."""
    parents: dict[str, str] = {}
    above: list[str] = ["Exception"]
    for line in DRAWN.finditer(exceptions.__doc__ or ""):
        depth = len(line["indent"]) // 2
        parents[line["name"]] = above[depth]
        above[depth + 1 :] = [line["name"]]
    return parents


def test_the_drawn_tree_is_the_tree() -> None:
    assert drawn_parents() == {error.__name__: error.__base__.__name__ for error in ERRORS}


def test_every_error_but_the_root_says_who_can_put_it_right() -> None:
    lines = [line for line in (exceptions.__doc__ or "").splitlines() if DRAWN.match(line)]

    assert len(lines) == len(ERRORS)
    assert all(re.search(r"\.{3} \S", line) for line in lines[1:])


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_the_docstring_is_the_message(error: type[ZohoError]) -> None:
    assert error.__doc__
    assert "\n" not in error.__doc__
    assert error.__doc__.endswith(".")
    assert str(error()) == error.__doc__
    assert str(error("Something else.")) == "Something else."


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_an_error_travels_between_processes_with_all_that_it_knows(
    error: type[ZohoError],
) -> None:
    details = {"api_name": "Stage", "json_path": "$.data[0].Stage"}
    before = error("No.", code="MAPPING_MISMATCH", http_status=400, details=details)

    after = pickle.loads(pickle.dumps(before))

    assert type(after) is error
    assert str(after) == "No."
    assert (after.code, after.http_status, after.details) == ("MAPPING_MISMATCH", 400, details)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_an_error_that_knows_nothing_has_nothing_to_say(error: type[ZohoError]) -> None:
    after = pickle.loads(pickle.dumps(error()))

    assert (after.code, after.http_status, after.details) == ("", None, {})
    assert str(after) == error.__doc__


def test_a_refusal_names_field_and_path() -> None:
    details = {"api_name": "Stage", "json_path": "$.data[0].Stage"}

    error = RequestRefusedError(code="MAPPING_MISMATCH", details=details)

    assert (error.field, error.path) == ("Stage", "$.data[0].Stage")
    assert (RequestRefusedError().field, RequestRefusedError().path) == ("", "")


@pytest.mark.parametrize(
    ("code", "details", "duplicate"),
    [
        (
            "DUPLICATE_DATA",
            {"duplicate_record": {"id": "7", "module": {"api_name": "Contacts", "id": "1"}}},
            Reference(id="7", name="Contacts"),
        ),
        ("DUPLICATE_DATA", {"id": "7", "api_name": "Email"}, Reference(id="7")),
        ("DUPLICATE_DATA", {"duplicate_record": {"id": 7}}, Reference(id="7")),
        ("DUPLICATE_DATA", {"duplicate_record": {"id": "7", "module": "?"}}, Reference(id="7")),
        ("DUPLICATE_DATA", {"duplicate_record": "7", "id": "8"}, Reference(id="8")),
        ("DUPLICATE_DATA", {"api_name": "Email"}, None),
        ("DUPLICATE_DATA", {}, None),
        ("INVALID_DATA", {"id": "7"}, None),
    ],
)
def test_a_refusal_names_the_record_in_the_way(
    code: str, details: dict[str, object], duplicate: Reference | None
) -> None:
    assert RequestRefusedError(code=code, details=details).duplicate == duplicate
