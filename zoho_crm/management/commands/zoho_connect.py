"""
``manage.py zoho_connect``: connect with a grant code, or print the page where a browser can.

Also chooses the default user among those who are connected, for sites that nobody opens.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import CommandError, CommandParser
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from zoho_crm.conf import conf
from zoho_crm.management import _arguments as arguments
from zoho_crm.management._command import (
    ZohoCommand,
    add_connection_argument,
    chosen_connection,
    read_secret,
    stdin_of,
)
from zoho_crm.management._exits import wrong_use
from zoho_crm.management._output import printable
from zoho_crm.models import Connection
from zoho_crm.services import connect, tokens, users
from zoho_crm.types import Environment, Secret

FIELDS = ("connection", "org_id", "user", "scopes", "missing_scopes")
DEFAULT_FIELDS = ("connection", "org_id", "user", "previous_user", "executed")


class Command(ZohoCommand):
    help = gettext_noop(
        "Connect to Zoho. Secrets come on stdin: the grant code of a self client on line 1, and"
        " with --client-id the client's secret on line 2. At a terminal they are asked for."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        way = parser.add_mutually_exclusive_group()
        way.add_argument("--web", action="store_true", help=_("print where a browser can connect"))
        way.add_argument(
            "--grant-code",
            type=arguments.stdin_only,
            metavar="-",
            help=_("read the code from stdin"),
        )
        way.add_argument(
            "--make-default",
            metavar="EMAIL",
            help=_("let a connection work as this user, who is connected; with --execute"),
        )
        add = parser.add_argument
        add("--data-center", type=arguments.data_center, metavar="DC", help=_("such as us or eu"))
        add("--environment", choices=[each.value for each in Environment])
        add("--name", default="", help=_("of the connection (default: the organisation's)"))
        add("--client-id", default="", help=_("of the self client (default: as in the settings)"))
        add_connection_argument(parser)
        add("--execute", action="store_true", help=_("do it; with --make-default"))

    def handle(self, *args: Any, web: bool, make_default: str | None, **options: Any) -> None:
        if make_default is not None:
            self._make_default(make_default, options)
        elif options["execute"] or options["connection"]:
            raise wrong_use(_("--execute and --connection belong to --make-default."))
        elif web:
            self._show_connect_page(options)
        else:
            self._connect(options)

    def _show_connect_page(self, options: dict[str, Any]) -> None:
        output = self.open_output(options)
        row = {"url": connect_page(conf().REDIRECT_URI)}
        if output.is_table:
            output.write_line(row["url"])
        else:
            output.show([row], fields=("url",), columns={})
        self.hint(_("Open it in a browser, and sign in as a user who may connect."))

    def _make_default(self, user: str, options: dict[str, Any]) -> None:
        connection, execute = chosen_connection(options["connection"]), options["execute"]
        token = tokens.token_of(connection, user)
        previous = connection.tokens.filter(is_default=True).first()
        if execute:
            users.make_default(token_id=token.pk)
        row = {
            "connection": connection.name,
            "org_id": connection.org_id,
            "user": token.user_label,
            "previous_user": previous.user_label if previous else None,
            "executed": execute,
        }
        output = self.open_output(options)
        if output.is_table:
            output.write_line(printable(_sentence_on_default(row) % row, max_width=1000))
        else:
            output.show([row], fields=DEFAULT_FIELDS, columns={})
        if not execute:
            self.hint(_("Nothing was done. To do it, add --execute"))

    def _connect(self, options: dict[str, Any]) -> None:
        settings = conf()
        code, secret = self._secrets(options)
        connection = connect.with_grant_code(
            code=code,
            data_center=options["data_center"] or settings.DATA_CENTER,
            environment=options["environment"] or settings.ENVIRONMENT,
            name=options["name"],
            client_id=options["client_id"],
            client_secret=secret,
        )
        self._report(connection, options)

    def _secrets(self, options: dict[str, Any]) -> tuple[Secret, Secret | None]:
        """Return the grant code, and the client secret if ``--client-id`` is given."""
        asks = stdin_of(options).isatty() and options["interactive"]
        if not (options["grant_code"] or asks):
            raise wrong_use(_("The grant code cannot be prompted for here. Use --grant-code -"))
        code = read_secret(options, _("Grant code (it is not shown): "))
        if not code:
            raise wrong_use(_("There is no grant code on line 1 of stdin."))
        if not options["client_id"]:
            return code, None
        client_secret = read_secret(options, _("Client secret (it is not shown): "))
        if not client_secret:
            raise wrong_use(_("With --client-id, line 2 of stdin is the client's secret."))
        return code, client_secret

    def _report(self, connection: Connection, options: dict[str, Any]) -> None:
        token = connection.tokens.get(is_default=True)
        row = {
            "connection": connection.name,
            "org_id": connection.org_id,
            "user": token.user_email or token.user_name or token.user_id,
            "scopes": token.scopes,
            "missing_scopes": connect.missing_scopes(token.scopes),
        }
        output = self.open_output(options)
        if not output.is_table:
            output.show([row], fields=FIELDS, columns={})
            return
        facts = {
            _("Connected"): connection.name,
            _("Organisation"): f"{connection.org_name} ({connection.org_id})",
            _("Place"): f"{connection.data_center}, {connection.environment}",
            _("User"): row["user"],
            _("Scopes"): ", ".join(row["scopes"]),
            _("Missing"): ", ".join(row["missing_scopes"]),
        }
        width = max(map(len, facts))
        for name, value in facts.items():
            if value:
                output.write_line(f"{name:<{width}}  {printable(value, max_width=1000)}")


def _sentence_on_default(row: dict[str, Any]) -> str:
    """Return what was done, or would be, as a sentence that names values of the row."""
    if row["user"] == row["previous_user"]:
        return _("“%(connection)s” works as %(user)s already.")
    if row["executed"]:
        return _("“%(connection)s” works as %(user)s from now on.")
    if row["previous_user"]:
        return _("“%(connection)s” would work as %(user)s instead of %(previous_user)s.")
    return _("“%(connection)s” would work as %(user)s; it has no default user.")


def connect_page(redirect_uri: str) -> str:
    """
    Return the URL of the connect page, on the host of the redirect URI; it leads to the admin's.

    :raises CommandError: if there is no redirect URI, or the project lacks the URLs
    """
    if not redirect_uri:
        message = _("Set ZOHO_CRM['REDIRECT_URI'], as it is registered at Zoho, to the callback.")
        raise CommandError(message)
    try:
        callback = reverse("zoho_crm:callback")
        page = reverse("zoho_crm:connect")
    except (NoReverseMatch, AttributeError) as error:  # the latter without ROOT_URLCONF
        message = _("This project's URLs must include zoho_crm.urls.")
        raise CommandError(message) from error
    parts = urlsplit(redirect_uri)
    prefix = parts.path.removesuffix(callback) if parts.path.endswith(callback) else ""
    return f"{parts.scheme}://{parts.netloc}{prefix}{page}"
