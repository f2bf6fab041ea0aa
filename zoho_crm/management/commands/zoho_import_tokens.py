"""``manage.py zoho_import_tokens``: take over the tokens that Zoho's SDKs have stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop, ngettext

from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.management import _arguments as arguments
from zoho_crm.management._command import ZohoCommand, read_secret
from zoho_crm.management._exits import ExitCode, Problems, wrong_use
from zoho_crm.services import token_sources
from zoho_crm.services.display import relative_time
from zoho_crm.services.import_tokens import (
    ImportOptions,
    Reason,
    Result,
    TokenImport,
    lack_client_secret,
    plan_imports,
    run_imports,
)
from zoho_crm.services.token_sources import FoundToken
from zoho_crm.types import Environment, HiddenVariables, Secret

RESULTS = {
    Result.FOUND: gettext_lazy("found"),
    Result.IMPORTED: gettext_lazy("imported"),
    Result.PRESENT: gettext_lazy("present"),
    Result.UNUSABLE: gettext_lazy("unusable"),
}
FIELDS = (
    "source_row",
    "user",
    "client_id",
    "data_center",
    "result",
    "reason",
    "connection",
    "environment",
    "expires_at",
    "message",
)


class Command(ZohoCommand):
    help = gettext_noop(
        "Take over tokens that Zoho's SDK for Python or PHP has stored. Shows what it finds; with"
        " --execute it asks Zoho whom each token is for, and stores it. The source is only read."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument(
            "--from-file", metavar="PATH", help=_("token file of the SDK for Python or PHP")
        )
        source.add_argument(
            "--from-sqlite", metavar="PATH", help=_("SQLite file, such as zohooauth.db")
        )
        source.add_argument("--database", metavar="ALIAS", help=_("a database of the settings"))
        add = parser.add_argument
        add("--table", default="", metavar="NAME", help=_("default: oauthtoken or oauthtokens"))
        place = parser.add_mutually_exclusive_group()
        place.add_argument(
            "--data-center",
            type=arguments.data_center,
            metavar="DC",
            help=_("ask this one (default: the one that the source names)"),
        )
        place.add_argument(
            "--try",
            dest="tried",
            type=arguments.data_centers,
            default=(),
            metavar="DC,DC",
            help=_("ask these, until one knows the token"),
        )
        add("--environment", choices=[each.value for each in Environment])
        add(
            "--client-id",
            default="",
            help=_(
                "the client that the tokens are of (default: of the source, else of the settings);"
                " with --execute, a secret that neither of them has is on line 1 of stdin"
            ),
        )
        add(
            "--no-verify", action="store_true", help=_("get no new access token while one is valid")
        )
        add("--execute", action="store_true", help=_("do it"))

    def handle(self, *args: Any, execute: bool, **options: Any) -> None:
        found = _read_source(options)
        planned = plan_imports(found, _import_options(options))
        done: list[TokenImport] = []
        imports = self._run(planned, options) if execute else planned
        self.open_output(options).show(
            map(_row, _kept(imports, done)),
            fields=FIELDS,
            columns=_columns(),
            widths=_widths(planned),
        )
        if not found:
            self.hint(_("The source has no tokens."))
        elif not execute:
            self.hint(_("Nothing was imported, and Zoho was not asked. To do it, add --execute"))
        else:
            _report_unusable(done)

    def _run(self, planned: list[TokenImport], options: dict[str, Any]) -> Iterator[TokenImport]:
        secret = Secret("")
        if lack_client_secret(planned):
            secret = read_secret(options, _("Client secret (it is not shown): "))
            if not secret:
                raise wrong_use(_("Line 1 of stdin is the secret of the client in --client-id."))
        return run_imports(planned, verify=not options["no_verify"], client_secret=secret)


def _import_options(options: dict[str, Any]) -> ImportOptions:
    one = options["data_center"]
    return ImportOptions(
        data_centers=(one,) if one else tuple(options["tried"]),
        environment=options["environment"] or "",
        client_id=options["client_id"].strip(),
    )


def _read_source(options: dict[str, Any]) -> list[FoundToken]:
    """
    Return the tokens of the source that was named.

    :raises CommandError: if it cannot be read, or is of another format
    """
    table, names = options["table"], ("from_file", "from_sqlite", "database")
    kind, name = next((each, options[each]) for each in names if options[each] is not None)
    if kind == "from_file" and table:
        raise wrong_use(_("--table belongs to --database or --from-sqlite."))
    try:
        with HiddenVariables():
            if kind == "from_file":
                return token_sources.read_file(Path(name))
            if kind == "from_sqlite":
                return token_sources.read_sqlite(Path(name), table=table)
            return token_sources.read_table(name, table=table)
    except RequestRefusedError as error:
        message = f"{name}: {error}"
        if error.code == "cannot_be_read":
            raise CommandError(message, returncode=ExitCode.ERROR) from error
        raise wrong_use(message) from error


def _kept(imports: Iterable[TokenImport], done: list[TokenImport]) -> Iterator[TokenImport]:
    """Yield the imports, and add each to a list."""
    for each in imports:
        done.append(each)
        yield each


def _row(each: TokenImport) -> dict[str, Any]:
    """Return the values for ``FIELDS``: no secret is among them."""
    expires_at = each.found.expires_at
    return {
        "source_row": each.found.source_row,
        "user": each.found.user,
        "client_id": each.client_id or None,
        "data_center": ",".join(each.data_centers) or None,
        "result": each.result.value,
        "reason": each.reason or None,
        "connection": each.connection or None,
        "environment": each.environments[0],
        "expires_at": expires_at and expires_at.isoformat(),
        "message": each.message,
        "age": _age(expires_at),
    }


def _columns() -> dict[str, Any]:
    return {
        _("Row"): lambda row: row["source_row"],
        _("User"): lambda row: row["user"],
        _("Client"): lambda row: row["client_id"] or "–",
        _("Data center"): lambda row: row["data_center"] or "–",
        _("Access token"): lambda row: row["age"],
        _("Result"): lambda row: str(RESULTS[row["result"]]),
        _("Connection or reason"): lambda row: row["message"] or row["connection"] or "",
    }


def _widths(planned: Iterable[TokenImport]) -> dict[str, int]:
    """Return the widths of the columns but the last, so that rows are shown as they are done."""
    *names, _last = _columns()
    rows = list(map(_row, planned))
    show = _columns()
    return {name: max([len(name), *(len(show[name](row)) for row in rows)]) for name in names}


def _age(expires_at: datetime | None) -> str:
    """Return how long ago the access token expired, or until when it is valid."""
    if expires_at is None:
        return "–"
    if expires_at > timezone.now():
        return _("valid")
    return _("expired %s") % relative_time(expires_at)


def _report_unusable(done: list[TokenImport]) -> None:
    unusable = [each for each in done if each.result == Result.UNUSABLE]
    problems = Problems()
    if unusable:
        is_limited = any(each.reason == Reason.THROTTLED for each in unusable)
        message = ngettext(
            "%s token was not imported.", "%s tokens were not imported.", len(unusable)
        )
        code = ExitCode.LIMIT if is_limited else ExitCode.SOME_FAILED
        problems.add(code, message % len(unusable))
    problems.finish()
