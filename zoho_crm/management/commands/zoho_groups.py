"""``manage.py zoho_groups``: create or update the app's three user groups."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from zoho_crm.management._command import ZohoCommand
from zoho_crm.management._exits import ExitCode
from zoho_crm.management._output import Row
from zoho_crm.services.permissions import update_groups

FIELDS = ("group", "permissions", "created", "added", "removed")
COLUMNS = {
    "group": lambda row: row["group"],
    "permissions": lambda row: str(row["permissions"]),
    "": lambda row: _done(row),
}


class Command(ZohoCommand):
    help = gettext_noop(
        "Create the groups Zoho viewers (view), Zoho operators (preview, convert, prepare mass"
        " conversions) and Zoho managers (start those, connect), or bring them up to date."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = [asdict(group) for group in update_groups()]
        except LookupError as error:
            message = _("Permissions are missing: %s. Run first: manage.py migrate")
            raise CommandError(message % error, returncode=ExitCode.ERROR) from error
        rows = [{**group, "group": group["name"]} for group in made]
        self.open_output(options).show(rows, fields=FIELDS, columns=COLUMNS)


def _done(row: Row) -> str:
    if row["created"]:
        return _("created")
    if row["added"] or row["removed"]:
        words = {"added": row["added"], "removed": row["removed"]}
        return _("%(added)s permissions added, %(removed)s removed") % words
    return _("as it should be")
