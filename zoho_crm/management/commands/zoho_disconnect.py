"""``manage.py zoho_disconnect``: revoke a connection's consent and delete its secrets."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from zoho_crm.management._command import ZohoCommand, named_connection
from zoho_crm.services import connect

FIELDS = ("connection", "org_id", "status", "waiting", "forgotten", "executed")


class Command(ZohoCommand):
    help = "Revoke a connection's consent at Zoho and delete its secrets; the history stays."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME", help="name of the connection")
        parser.add_argument(
            "--forget",
            action="store_true",
            help="delete secrets that cannot be read, and so cannot be revoked (their key is lost)",
        )
        parser.add_argument("--execute", action="store_true", help="do it")

    def handle(self, *args: Any, name: str, forget: bool, execute: bool, **options: Any) -> None:
        connection = named_connection(name)
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
        if not execute:
            self.hint(_("Nothing was done. To do it, add --execute"))


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
