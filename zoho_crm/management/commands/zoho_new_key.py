"""``manage.py zoho_new_key``: print a new key for encrypting tokens."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from zoho_crm import crypto
from zoho_crm.management._command import ZohoCommand


class Command(ZohoCommand):
    help = gettext_noop("Print a new key for ZOHO_CRM['ENCRYPTION_KEYS'].")
    # A new site has no key yet, so the checks of its settings must not stop this command.
    requires_system_checks: tuple[str, ...] = ()

    def handle(self, *args: Any, **options: Any) -> None:
        key = crypto.new_key()
        output = self.open_output(options)
        if output.is_table:
            output.write_line(key)
        else:
            row = {"key": key, "key_id": crypto.key_id(key)}
            output.show([row], fields=tuple(row), columns={"key": itemgetter("key")})
        self.hint(_("Put it first in ENCRYPTION_KEYS, and keep it as you keep a password."))
        self.hint(_("Keep older keys behind it until you have run: manage.py zoho_rotate_keys"))
