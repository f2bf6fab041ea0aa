"""``manage.py zoho_disconnect``: revoke a connection's consent and delete its secrets."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from zoho_crm.management._command import ZohoCommand, named_connection
from zoho_crm.services import connect

FIELDS = ("connection", "org_id", "status", "waiting", "executed")


class Command(ZohoCommand):
    help = "Revoke a connection's consent at Zoho and delete its secrets; the history stays."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME", help="name of the connection")
        parser.add_argument("--execute", action="store_true", help="do it")

    def handle(self, *args: Any, name: str, execute: bool, **options: Any) -> None:
        connection = named_connection(name)
        waiting = connection.conversions.unfinished().count()
        if execute:
            connection = connect.disconnect(connection_id=connection.pk)
        row = {
            "connection": connection.name,
            "org_id": connection.org_id,
            "status": connection.status,
            "waiting": waiting,
            "executed": execute,
        }
        output = self.open_output(options)
        if output.is_table:
            for sentence in _sentences(row):
                output.write_line(sentence)
        else:
            output.show([row], fields=FIELDS, columns={})
        if not execute:
            self.hint(_("Nothing was done. To do it, add --execute"))


def _sentences(row: dict[str, Any]) -> list[str]:
    done = [
        _("“%(connection)s” (organisation %(org_id)s) is disconnected.") % row,
        _("Its consent was revoked at Zoho and its secrets are deleted; the history stays."),
    ]
    to_be_done = [
        _("“%(connection)s” (organisation %(org_id)s) would be disconnected:") % row,
        _("its consent is revoked at Zoho and its secrets are deleted; the history stays."),
    ]
    waiting = ngettext(
        "%(waiting)s lead is in progress; it waits until the organisation is connected again.",
        "%(waiting)s leads are in progress; they wait until the organisation is connected again.",
        row["waiting"],
    )
    return [
        *(done if row["executed"] else to_be_done),
        *([waiting % row] if row["waiting"] else []),
    ]
