"""``manage.py zoho_disconnect``: revoke a connection's consent and delete its secrets."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from zoho_crm.exceptions import ConnectionLostError
from zoho_crm.management._command import ZohoCommand, add_user_argument, named_connection
from zoho_crm.management._exits import wrong_use
from zoho_crm.models import Connection
from zoho_crm.services import connect, tokens
from zoho_crm.services.users import disconnect_user

FIELDS = ("connection", "org_id", "status", "waiting", "forgotten", "executed")
USER_FIELDS = ("connection", "org_id", "user", "was_default", "status", "executed")


class Command(ZohoCommand):
    help = gettext_noop(
        "Revoke a connection's consent at Zoho and delete its secrets; the history stays."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME", help=_("name of the connection"))
        parser.add_argument(
            "--forget",
            action="store_true",
            help=_(
                "delete secrets that cannot be read, and so cannot be revoked (their key is lost)"
            ),
        )
        add_user_argument(parser, _("end the consent of this user only; the others stay connected"))
        parser.add_argument("--execute", action="store_true", help=_("do it"))

    def handle(self, *args: Any, name: str, forget: bool, execute: bool, **options: Any) -> None:
        connection, user = named_connection(name), options["user"]
        if user is None:
            self._disconnect(connection, forget, execute, options)
        elif forget:
            raise wrong_use(_("--user and --forget exclude each other."))
        else:
            self._disconnect_user(connection, user, execute, options)
        if not execute:
            self.hint(_("Nothing was done. To do it, add --execute"))

    def _disconnect(
        self, connection: Connection, forget: bool, execute: bool, options: dict[str, Any]
    ) -> None:
        waiting = connection.conversions.unfinished().count()
        unreadable = len(connect.unreadable_tokens(connection))
        if execute:
            end = connect.forget if forget else connect.disconnect
            connection = end(connection_id=connection.pk)
        row = {
            "connection": connection.name,
            "org_id": connection.org_id,
            "status": connection.status,
            "waiting": waiting,
            "forgotten": unreadable if forget else 0,
            "executed": execute,
        }
        output = self.open_output(options)
        if output.is_table:
            for sentence in _sentences(row):
                output.write_line(sentence)
        else:
            output.show([row], fields=FIELDS, columns={})
        if forget and unreadable:
            self.hint(connect.how_to_end_consent(connection))
        elif unreadable:
            self.hint(_("Its secrets cannot be read. To delete them here only, add --forget"))

    def _disconnect_user(
        self, connection: Connection, user: str, execute: bool, options: dict[str, Any]
    ) -> None:
        chosen = list(tokens.tokens_of(connection, user).exclude(refresh_token_cipher=""))
        if not chosen:
            details = {"user": user, "connection": connection.name}
            raise ConnectionLostError(code="no_such_user", details=details)
        for token in chosen if execute else []:
            disconnect_user(token_id=token.pk)
        connection.refresh_from_db()
        row = {
            "connection": connection.name,
            "org_id": connection.org_id,
            "user": chosen[0].user_label,
            "was_default": chosen[0].is_default,
            "status": connection.status,
            "executed": execute,
        }
        output = self.open_output(options)
        if output.is_table:
            for sentence in _sentences_on_user(row):
                output.write_line(sentence % row)
        else:
            output.show([row], fields=USER_FIELDS, columns={})


def _sentences_on_user(row: dict[str, Any]) -> list[str]:
    """Return what was done, or would be, to one user, as sentences that name values of the row."""
    if row["executed"]:
        done = _("%(user)s is disconnected from “%(connection)s”; the history stays.")
    else:
        done = _("The consent of %(user)s for “%(connection)s” would be revoked at Zoho.")
    default = _("This is the default user; no other one takes its place until a person chooses.")
    return [done, default] if row["was_default"] else [done]


def _sentences(row: dict[str, Any]) -> list[str]:
    waiting = ngettext(
        "%(waiting)s lead is in progress; it waits until the organisation is connected again.",
        "%(waiting)s leads are in progress; they wait until the organisation is connected again.",
        row["waiting"],
    )
    sentences = [*_ending(row), *([waiting] if row["waiting"] else [])]
    return [sentence % row for sentence in sentences]


def _ending(row: dict[str, Any]) -> list[str]:
    """Return what was done, or would be, as sentences that name values of the row."""
    if row["executed"]:
        return [
            _("“%(connection)s” (organisation %(org_id)s) is disconnected."),
            _("Its secrets are deleted, but the consent was not revoked; the history stays.")
            if row["forgotten"]
            else _(
                "Its consent was revoked at Zoho and its secrets are deleted; the history stays."
            ),
        ]
    return [
        _("“%(connection)s” (organisation %(org_id)s) would be disconnected:"),
        _("its secrets are deleted, but the consent is not revoked; the history stays.")
        if row["forgotten"]
        else _("its consent is revoked at Zoho and its secrets are deleted; the history stays."),
    ]
