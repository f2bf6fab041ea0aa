from __future__ import annotations

from itertools import combinations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError

from zoho_crm.exceptions import (
    ClientRejectedError,
    ConnectionLostError,
    CreditsExhaustedError,
    RateLimitError,
    RequestRefusedError,
    TokenThrottledError,
    TransportError,
    UnknownOutcomeError,
)
from zoho_crm.management._exits import PRECEDENCE, ExitCode, Problems, error_text, exit_code_of


@pytest.mark.parametrize(("stronger", "weaker"), list(combinations(PRECEDENCE[:-1], 2)))
def test_of_several_codes_one_wins(stronger, weaker):
    problems = Problems()
    problems.add(weaker, "this")
    problems.add(stronger, "that")

    with pytest.raises(CommandError, match="this\nthat") as caught:
        problems.finish()

    assert caught.value.returncode == stronger


def test_every_code_has_a_rank():
    assert set(PRECEDENCE) == set(ExitCode)


def test_without_a_problem_nothing_is_raised():
    Problems().finish()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectionLostError(), ExitCode.NEEDS_PERSON),
        (ClientRejectedError(), ExitCode.NEEDS_PERSON),
        (RateLimitError(), ExitCode.LIMIT),
        (CreditsExhaustedError(), ExitCode.LIMIT),
        (TokenThrottledError(), ExitCode.LIMIT),
        (UnknownOutcomeError(), ExitCode.UNKNOWN),
        (TransportError(), ExitCode.ERROR),
        (RequestRefusedError(), ExitCode.ERROR),
        (ImproperlyConfigured("no key"), ExitCode.ERROR),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_stands_for_a_code(error, code):
    assert exit_code_of(error) == code


def test_a_message_says_what_to_do_next():
    assert "zoho_connect" in error_text(ConnectionLostError())
    assert "try again" in error_text(TransportError())
    assert error_text(TransportError("GET x: lost (errno 104)")).startswith(
        "GET x: lost (errno 104). Nothing is lost"
    )
    assert ".." not in error_text(TransportError("It is late."))
    assert error_text(ImproperlyConfigured("no key")) == "no key"
