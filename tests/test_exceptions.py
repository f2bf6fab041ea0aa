"""The errors: each is in the drawn tree, has a message and can be pickled."""

from __future__ import annotations

import inspect
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import translation

from tests.catalogue import write_catalogue
from zoho_crm import exceptions
from zoho_crm.client import WriteResult
from zoho_crm.exceptions import (
    MESSAGES_BY_CODE,
    CodedError,
    RequestRefusedError,
    SecretUnreadableError,
    ServerError,
    WriteInterruptedError,
    WrongSettingsError,
    ZohoError,
)
from zoho_crm.types import Reference

CODED_ERRORS = [
    error
    for _name, error in inspect.getmembers(exceptions, inspect.isclass)
    if issubclass(error, CodedError)
]
ERRORS = [error for error in CODED_ERRORS if issubclass(error, ZohoError)]
#: Prints every error's message, where Python has removed all docstrings.
PRINT_MESSAGES = """
from django.conf import settings
settings.configure(USE_I18N=False)
from zoho_crm import exceptions
from zoho_crm.client import WriteResult
for name, kind in vars(exceptions).items():
    if isinstance(kind, type) and issubclass(kind, exceptions.CodedError):
        print(name, kind.__doc__, kind())
"""
DRAWN = re.compile(r"^(?P<indent> *)[*+-] (?P<name>\w+)", re.MULTILINE)


def drawn_parents() -> dict[str, str]:
    """Return the parent of each error in the tree that the module draws."""
    parents: dict[str, str] = {}
    above: list[str] = ["CodedError"]
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


@pytest.mark.parametrize("error", CODED_ERRORS, ids=lambda error: error.__name__)
def test_an_error_has_a_message_and_a_docstring_of_its_own(error: type[CodedError]) -> None:
    assert str(vars(error)["default_message"]).endswith(".")
    assert error.__doc__
    assert str(error()) == str(error.default_message)
    assert str(error("Something else.")) == "Something else."


def test_no_two_errors_have_the_same_message() -> None:
    messages = [*(error.default_message for error in CODED_ERRORS), *MESSAGES_BY_CODE.values()]

    assert len(set(map(str, messages))) == len(messages)


@pytest.mark.slow
def test_the_messages_are_there_without_docstrings() -> None:
    command = [sys.executable, "-OO", "-c", PRINT_MESSAGES]

    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert set(printed.splitlines()) == {
        f"{error.__name__} None {error.default_message}" for error in CODED_ERRORS
    }


@pytest.mark.parametrize("error", CODED_ERRORS, ids=lambda error: error.__name__)
def test_an_error_travels_between_processes_with_all_that_it_knows(
    error: type[CodedError],
) -> None:
    details = {"api_name": "Stage", "json_path": "$.data[0].Stage"}
    before = error("No.", code="MAPPING_MISMATCH", http_status=400, details=details)

    after = pickle.loads(pickle.dumps(before))

    assert type(after) is error
    assert (str(after), after.message) == ("No.", "No.")
    assert (after.code, after.http_status, after.details) == ("MAPPING_MISMATCH", 400, details)


def test_the_results_of_an_interrupted_write_travel_with_their_errors() -> None:
    refused = WriteResult(error=RequestRefusedError("No.", code="INVALID_DATA"))
    before = WriteInterruptedError(results=(WriteResult(id="7", action="insert"), refused))

    after = pickle.loads(pickle.dumps(before))

    assert [result.id for result in after.results] == ["7", ""]
    assert after.results[1].error.code == "INVALID_DATA"


@pytest.mark.parametrize("error", CODED_ERRORS, ids=lambda error: error.__name__)
def test_an_error_that_knows_nothing_has_nothing_to_say(error: type[CodedError]) -> None:
    after = pickle.loads(pickle.dumps(error()))

    assert (after.message, after.code, after.http_status, after.details) == ("", "", None, {})
    assert str(after) == str(error.default_message)


def test_the_message_of_a_code_names_the_values_in_the_details() -> None:
    before = SecretUnreadableError(code="key_missing", details={"key_id": "0badcafe"})

    after = pickle.loads(pickle.dumps(before))

    assert str(after) == "The encryption key 0badcafe is missing from ZOHO_CRM['ENCRYPTION_KEYS']."
    assert after.message == ""


def test_the_message_of_a_code_is_not_made_from_an_answer() -> None:
    answered = ServerError(code="key_missing", http_status=500, details={"key_id": "theirs"})

    assert str(answered) == "Zoho CRM is out of order."
    assert str(SecretUnreadableError(code="key_missing")).startswith("The encryption key  is")


def test_an_error_speaks_the_language_of_whoever_reads_it(tmp_path: Path, settings: Any) -> None:
    missing = MESSAGES_BY_CODE["key_missing"]
    german = {
        str(missing): "Der Schlüssel %(key_id)s fehlt.",
        str(ServerError.default_message): "Zoho CRM ist gestört.",
    }
    write_catalogue(tmp_path, "de", german)
    settings.LOCALE_PATHS = [tmp_path]

    with translation.override("de"):
        written_in_german = ServerError()
        assert str(pickle.loads(pickle.dumps(written_in_german))) == "Zoho CRM ist gestört."
    written_in_english = SecretUnreadableError(code="key_missing", details={"key_id": "0badcafe"})

    assert str(written_in_german) == "Zoho CRM is out of order."
    with translation.override("de"):
        assert str(written_in_english) == "Der Schlüssel 0badcafe fehlt."


def test_wrong_settings_are_outside_the_tree() -> None:
    assert issubclass(WrongSettingsError, ImproperlyConfigured)
    assert not issubclass(WrongSettingsError, ZohoError)


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
