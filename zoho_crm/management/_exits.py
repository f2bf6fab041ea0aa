"""Exit codes of the commands, the order of precedence among them, and their messages."""

from __future__ import annotations

from enum import IntEnum

from django.core.management.base import CommandError
from django.utils.translation import gettext as _

from zoho_crm.exceptions import (
    AuthorizationError,
    ClientRejectedError,
    ConnectionLostError,
    CreditsExhaustedError,
    GrantRefusedError,
    PermissionDeniedError,
    RateLimitError,
    SecretUnreadableError,
    TokenThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from zoho_crm.management._output import visible
from zoho_crm.services.presentation import describe_error, followed_by


class ExitCode(IntEnum):
    """Exit codes of all commands."""

    OK = 0
    ERROR = 1
    WRONG_USE = 2
    #: The command finished, but some items failed.
    SOME_FAILED = 3
    #: A connection needs a person, for example to connect again.
    NEEDS_PERSON = 4
    #: Stopped by a rate or credit limit.
    LIMIT = 5
    #: The outcome of a conversion is unknown.
    UNKNOWN = 6
    #: SIGINT and SIGTERM: 128 plus the number of the signal.
    INTERRUPTED = 130
    TERMINATED = 143


#: If several codes apply, the command ends with the first of these.
PRECEDENCE = (
    ExitCode.INTERRUPTED,
    ExitCode.TERMINATED,
    ExitCode.WRONG_USE,
    ExitCode.NEEDS_PERSON,
    ExitCode.LIMIT,
    ExitCode.UNKNOWN,
    ExitCode.SOME_FAILED,
    ExitCode.ERROR,
    ExitCode.OK,
)


def wrong_use(message: str) -> CommandError:
    """Return the error for invalid options or arguments."""
    return CommandError(visible(message), returncode=ExitCode.WRONG_USE)


class Problems:
    """Collects problems, so that a command reports all of them when it ends."""

    def __init__(self) -> None:
        self._messages: dict[str, ExitCode] = {}

    def add(self, code: ExitCode, message: str) -> None:
        """Add a problem, or change the code of the one that has the same message."""
        self._messages[visible(message)] = code

    def finish(self) -> None:
        """
        Fail if there was any problem.

        :raises CommandError: with all messages, and the code that takes precedence
        """
        if self._messages:
            code = min(self._messages.values(), key=PRECEDENCE.index)
            raise CommandError("\n".join(self._messages), returncode=code)


def exit_code_of(error: Exception) -> ExitCode:
    """Return the exit code for an error."""
    if isinstance(error, AuthorizationError):
        return ExitCode.NEEDS_PERSON
    if isinstance(error, RateLimitError | CreditsExhaustedError | TokenThrottledError):
        return ExitCode.LIMIT
    if isinstance(error, UnknownOutcomeError):
        return ExitCode.UNKNOWN
    return ExitCode.ERROR


def error_text(error: Exception) -> str:
    """Return the message of an error and, where there is one, the advice what to do next."""
    advice = next((text for kind, text in _advice().items() if isinstance(error, kind)), "")
    return visible(followed_by(describe_error(error), advice))


def _advice() -> dict[type[Exception], str]:
    return {
        ConnectionLostError: _("Run: manage.py zoho_connect"),
        GrantRefusedError: _("Make a new code: each works once and for some minutes."),
        ClientRejectedError: _("A token keeps the client that it came from."),
        PermissionDeniedError: _("Grant it at Zoho, then: manage.py zoho_status --test"),
        SecretUnreadableError: _("Put the key back, or connect again: manage.py zoho_connect"),
        TransientError: _("Nothing is lost; try again later."),
    }
