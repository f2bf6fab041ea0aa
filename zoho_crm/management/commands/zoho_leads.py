"""``manage.py zoho_leads``: list the open leads that Zoho has now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from zoho_crm.management import _arguments as arguments
from zoho_crm.management._command import (
    ZohoCommand,
    add_connection_argument,
    add_user_argument,
    chosen_connection,
)
from zoho_crm.management._output import Row
from zoho_crm.services.leads import field_value, open_leads
from zoho_crm.types import Lead

DEFAULT_FIELDS = ("Full_Name", "Company", "Email", "Owner", "Lead_Status")
DEFAULT_LIMIT = 50


class Command(ZohoCommand):
    help = gettext_noop("List open leads, newest first. 200 leads are read for one credit.")

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_connection_argument(parser)
        add_user_argument(parser, _("list what this user sees (default: the default user)"))
        parser.add_argument(
            "--filter",
            type=arguments.assignment,
            action="append",
            metavar="FIELD=VALUE",
            help=_("only leads with this value, such as Lead_Status=Qualified; may be repeated"),
        )
        parser.add_argument(
            "--limit",
            type=arguments.count,
            default=DEFAULT_LIMIT,
            help=_("at most (default: %s)") % DEFAULT_LIMIT,
        )
        parser.add_argument(
            "--fields",
            type=arguments.names,
            default=DEFAULT_FIELDS,
            help=_("API names, separated by commas (default: %s)") % ",".join(DEFAULT_FIELDS),
        )

    def handle(self, *args: Any, fields: tuple[str, ...], limit: int, **options: Any) -> None:
        filters = dict(options["filter"] or ())
        leads = open_leads(
            chosen_connection(options["connection"]),
            fields=fields,
            filters=filters,
            limit=limit + 1,
            user=options["user"],
        )
        shown = self._limited(leads, limit)
        names = ("lead_id", *fields)
        columns: dict[str, Callable[[Row], str]] = {name: itemgetter(name) for name in names}
        rows = ({"lead_id": lead.id} | _values(lead, fields) for lead in shown)
        self.open_output(options).show(rows, fields=names, columns=columns)

    def _limited(self, leads: Iterator[Lead], limit: int) -> Iterator[Lead]:
        """Yield at most ``limit`` leads, then write a hint if there are more, or none."""
        number = 0
        for number, lead in enumerate(leads, start=1):  # noqa: B007
            if number > limit:
                self.hint(_("There are more; raise --limit to see them."))
                return
            yield lead
        if not number:
            self.hint(_("No open lead matches."))


def _values(lead: Lead, fields: tuple[str, ...]) -> dict[str, str]:
    return {name: field_value(lead, name) for name in fields}
