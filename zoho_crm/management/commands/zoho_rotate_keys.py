"""``manage.py zoho_rotate_keys``: encrypt all stored secrets with the newest key."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from zoho_crm import crypto
from zoho_crm.management._command import ZohoCommand
from zoho_crm.management._exits import ExitCode, Problems
from zoho_crm.services import keys
from zoho_crm.services.keys import Rotation

FIELDS = ("key_id", "known", "first", "before", "after")
COLUMNS = {
    "key": lambda row: row["key_id"] or "?",
    "use": lambda row: _use(row),
    "before": lambda row: str(row["before"]),
    "after": lambda row: str(row["after"]),
}


class Command(ZohoCommand):
    help = gettext_noop(
        "Encrypt every stored secret with the first of ZOHO_CRM['ENCRYPTION_KEYS']."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        rotation = keys.rotate()
        self.open_output(options).show(_rows(rotation), fields=FIELDS, columns=COLUMNS)
        problems = Problems()
        for why, names in rotation.unreadable.items():
            problems.add(ExitCode.NEEDS_PERSON, f"{why} ({', '.join(names)})")
        if rotation.unreadable:
            message = _(
                "What could not be read stayed as it is. Put its key back, or connect again."
            )
            problems.add(ExitCode.NEEDS_PERSON, message)
        problems.finish()
        self.hint(_("Keys that encrypt nothing any more may be removed from ENCRYPTION_KEYS."))


def _rows(rotation: Rotation) -> list[dict[str, Any]]:
    known = crypto.key_ids()
    return [
        {
            "key_id": key_id,
            "known": key_id in known,
            "first": known[:1] == [key_id],
            "before": rotation.before.get(key_id, 0),
            "after": rotation.after.get(key_id, 0),
        }
        for key_id in {**rotation.before, **rotation.after}
    ]


def _use(row: dict[str, Any]) -> str:
    if row["first"]:
        return _("encrypts")
    return _("decrypts") if row["known"] else _("is missing")
