"""The base class of all commands: common options, choice of a connection, errors."""

from __future__ import annotations

import getpass
import os
import signal
import sys
from typing import Any, TextIO

from django.core.checks import Tags
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, ProgrammingError
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from zoho_crm.exceptions import RequestRefusedError, ZohoError
from zoho_crm.management._exits import ExitCode, error_text, exit_code_of, wrong_use
from zoho_crm.management._output import FORMATS, Output, visible
from zoho_crm.models import Connection
from zoho_crm.services.connections import default_connection, find_connection
from zoho_crm.types import HiddenVariables, Secret


class TranslatedCommand(BaseCommand):
    """A command whose ``help`` is marked with ``gettext_noop``, and shown in the language used."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return Django's parser, with the translated ``help``."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.description = translation.gettext(self.help)
        return parser


class ZohoCommand(TranslatedCommand):
    """A command with ``--format`` and ``--no-input``, and with the exit codes of ``ExitCode``."""

    requires_system_checks: tuple[str, ...] = (Tags.compatibility,)
    stealth_options = ("stdin",)

    #: Values of ``--format``; the first is the default.
    formats: tuple[str, ...] = FORMATS
    format_help = gettext_noop(
        "table for people; json (one object a line) or csv for programs (default: table)"
    )

    verbosity: int

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options that every command has."""
        parser.add_argument(
            "--format",
            choices=self.formats,
            default=self.formats[0],
            help=translation.gettext(self.format_help),
        )
        parser.add_argument(
            "--no-input",
            "--noinput",
            action="store_false",
            dest="interactive",
            help=_("never prompt"),
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        """
        Run the command and turn every expected error into one message.

        :raises CommandError: with the exit code of the error
        """
        self.verbosity = options["verbosity"]
        try:
            return super().execute(*args, **options)
        except KeyboardInterrupt as error:
            message = _("Stopped. The next worker finds out the outcome of what was sent.")
            raise CommandError(message, returncode=ExitCode.INTERRUPTED) from error
        except CommandError as error:
            error.args = (visible(str(error), keep="\n"),)
            raise
        except BrokenPipeError:
            # The reader closed the pipe. Without this, Python complains when it flushes the rest.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(128 + signal.SIGPIPE)
        except (OperationalError, ProgrammingError) as error:
            message = _("The database reports an error: %s. See: manage.py zoho_doctor")
            message %= visible(str(error)).strip()
            raise CommandError(message, returncode=ExitCode.ERROR) from error
        except (ZohoError, ImproperlyConfigured) as error:
            raise CommandError(error_text(error), returncode=exit_code_of(error)) from error

    def open_output(self, options: dict[str, Any]) -> Output:
        """Return the output in the chosen format, coloured if stdout is a terminal."""
        coloured = self.stdout.isatty() or bool(options.get("force_color"))
        return Output(self.stdout, options["format"], coloured=coloured)

    def hint(self, message: str) -> None:
        """Write a message that is not part of the result to stderr, unless verbosity is 0."""
        if self.verbosity > 0:
            self.stderr.write(visible(message), str)

    def progress(self, text: str) -> None:
        """Write a text to stderr over the last one if it is a terminal; end the line if empty."""
        if self.verbosity > 0 and self.stderr.isatty():
            shown = f"\r{visible(text)}\033[K" if text else "\n"
            self.stderr.write(shown, str, ending="")

    def hint_in_progress(self, number: int) -> None:
        """Write to stderr how many leads are in progress."""
        message = ngettext("%s lead is in progress.", "%s leads are in progress.", number)
        self.hint(message % number)


def add_connection_argument(parser: CommandParser) -> None:
    """Add ``--connection``."""
    parser.add_argument(
        "--connection", metavar="NAME", help=_("which connection (default: the default one)")
    )


def add_user_argument(parser: CommandParser, help: str) -> None:
    """Add ``--user``, which names one of the users who gave consent for a connection."""
    parser.add_argument("--user", metavar="EMAIL", help=help)


def chosen_connection(name: str | None) -> Connection:
    """
    Return the connection of this name, or the default one if the name is ``None``.

    :raises CommandError: if there is no connection of this name
    :raises ConnectionLostError: if there is no connection at all
    """
    return default_connection() if name is None else named_connection(name)


def named_connection(name: str) -> Connection:
    """
    Return the connection of this name.

    :raises CommandError: if there is none; it names the existing ones
    """
    try:
        return find_connection(name)
    except RequestRefusedError as error:
        raise wrong_use(str(error)) from error


def stdin_of(options: dict[str, Any]) -> TextIO:
    """Return the ``stdin`` that ``call_command`` was given, or that of the process."""
    given: TextIO | None = options.get("stdin")
    return given or sys.stdin


def read_secret(options: dict[str, Any], prompt: str) -> Secret:
    """Return a secret that is typed at a terminal, where it is not shown, or a line of stdin."""
    stdin = stdin_of(options)
    asks = stdin.isatty() and options["interactive"]
    with HiddenVariables():
        return Secret((getpass.getpass(prompt) if asks else stdin.readline()).strip())
