"""``manage.py zoho_connect``: connect with a grant code, or print the page where a browser can."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import CommandError, CommandParser
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from zoho_crm.conf import conf
from zoho_crm.management import _arguments as arguments
from zoho_crm.management._command import ZohoCommand, read_secret, stdin_of
from zoho_crm.management._exits import wrong_use
from zoho_crm.management._output import printable
from zoho_crm.models import Connection
from zoho_crm.services import connect
from zoho_crm.types import Environment, Secret

FIELDS = ("connection", "org_id", "user", "scopes", "missing_scopes")


class Command(ZohoCommand):
    help = (
        "Connect to Zoho. Secrets come on stdin: the grant code of a self client on line 1, and"
        " with --client-id the client's secret on line 2. At a terminal they are asked for."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        way = parser.add_mutually_exclusive_group()
        way.add_argument("--web", action="store_true", help="print where a browser can connect")
        way.add_argument(
            "--grant-code", type=arguments.stdin_only, metavar="-", help="read the code from stdin"
        )
        add = parser.add_argument
        add("--data-center", type=arguments.data_center, metavar="DC", help="such as us or eu")
        add("--environment", choices=[each.value for each in Environment])
        add("--name", default="", help="of the connection (default: the organisation's)")
        add("--client-id", default="", help="of the self client (default: as in the settings)")

    def handle(self, *args: Any, web: bool, **options: Any) -> None:
        if web:
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
    except NoReverseMatch as error:
        message = _("This project's URLs must include zoho_crm.urls.")
        raise CommandError(message) from error
    parts = urlsplit(redirect_uri)
    prefix = parts.path.removesuffix(callback) if parts.path.endswith(callback) else ""
    return f"{parts.scheme}://{parts.netloc}{prefix}{page}"
