"""``manage.py zoho_purge``: delete old personal data, events and counts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from zoho_crm.conf import conf
from zoho_crm.management import _arguments as arguments
from zoho_crm.management._command import ZohoCommand
from zoho_crm.services.purge import purge

FIELDS = (
    "before_images",
    "journal_details",
    "runs",
    "lines",
    "users",
    "events",
    "usage",
    "requests",
    "selections",
    "outbox",
    "older_than_days",
    "executed",
)


class Command(ZohoCommand):
    help = gettext_noop(
        "Show what is older than the retention period; with --execute, delete it. The outcome of"
        " each lead is never deleted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--older-than", type=arguments.days, metavar="90d", help=_("default: RETENTION_DAYS")
        )
        parser.add_argument("--execute", action="store_true", help=_("delete it"))

    def handle(self, *args: Any, older_than: int | None, execute: bool, **options: Any) -> None:
        days = conf().RETENTION_DAYS if older_than is None else older_than
        found = asdict(purge(days=days, execute=execute))
        output = self.open_output(options)
        if output.is_table:
            for name, text in _texts().items():
                output.write_line(f"{found[name]:>9,}  {text}")
        else:
            row = {**found, "older_than_days": days, "executed": execute}
            output.show([row], fields=FIELDS, columns={})
        if execute:
            message = ngettext(
                "Deleted: what is older than %s day.", "Deleted: what is older than %s days.", days
            )
            self.hint(message % days)
        else:
            self.hint(_("Nothing was deleted. To delete it, add --execute"))


def _texts() -> dict[str, str]:
    return {
        "before_images": _("snapshots of leads and their matches"),
        "journal_details": _("details in the journals of leads"),
        "runs": _("sources of runs"),
        "lines": _("lines that were left out of runs"),
        "users": _("users whose consent was revoked"),
        "events": _("events of connections"),
        "usage": _("hourly counts of calls"),
        "requests": _("abandoned attempts to connect, and tokens of Zoho's SDK that ended"),
        "selections": _("selections in lists of the admin that have expired"),
        "outbox": _("values of records that were pushed and sent, or left out"),
    }
