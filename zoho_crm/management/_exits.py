"""How a command ends: what each exit code says, and which one wins when several fit."""

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


class ExitCode(IntEnum):
    """What a script may ask."""

    OK = 0
    ERROR = 1
    WRONG_USE = 2
    #: Finished, but some items failed.
    SOME_FAILED = 3
    #: A connection needs a person.
    NEEDS_PERSON = 4
    #: Stopped by a rate or credit limit.
    LIMIT = 5
    #: An outcome is unknown.
    UNKNOWN = 6
    #: Ctrl-C, and a request to end: 128 and the number of the signal.
    INTERRUPTED = 130
    TERMINATED = 143


#: The first that fits is the one that a command ends with.
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
    """Return the error for a command that was called in a way that makes no sense."""
    return CommandError(message, returncode=ExitCode.WRONG_USE)


class Problems:
    """What went wrong on the way; a command gathers it and fails once, at its end."""

    def __init__(self) -> None:
        self._messages: dict[str, ExitCode] = {}

    def add(self, code: ExitCode, message: str) -> None:
        """Remember something that has to be said at the end."""
        self._messages[message] = code

    def finish(self) -> None:
        """
        End the command.

        :raises CommandError: with all messages and the code that wins, if there was any problem
        """
        if self._messages:
            code = min(self._messages.values(), key=PRECEDENCE.index)
            raise CommandError("\n".join(self._messages), returncode=code)


def exit_code_of(error: Exception) -> ExitCode:
    """Return the code that an error stands for."""
    if isinstance(error, AuthorizationError):
        return ExitCode.NEEDS_PERSON
    if isinstance(error, RateLimitError | CreditsExhaustedError | TokenThrottledError):
        return ExitCode.LIMIT
    if isinstance(error, UnknownOutcomeError):
        return ExitCode.UNKNOWN
    return ExitCode.ERROR


def error_text(error: Exception) -> str:
    """Return what happened, and what to do next."""
    advice = next((text for kind, text in _advice().items() if isinstance(error, kind)), "")
    return f"{error} {advice}".strip()


def _advice() -> dict[type[Exception], str]:
    return {
        ConnectionLostError: _("Run: manage.py zoho_connect"),
        GrantRefusedError: _("Make a new code: each works once and for some minutes."),
        ClientRejectedError: _("A token keeps the client that it came from."),
        PermissionDeniedError: _("Grant it at Zoho, then: manage.py zoho_status --test"),
        SecretUnreadableError: _("Put the key back, or connect again: manage.py zoho_connect"),
        TransientError: _("Nothing is lost; try again later."),
    }
