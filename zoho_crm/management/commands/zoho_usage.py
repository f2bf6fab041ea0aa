"""``manage.py zoho_usage``: show API calls and their estimated credits by day."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from zoho_crm.management import _arguments as arguments
from zoho_crm.management._command import ZohoCommand, named_connection
from zoho_crm.models import ApiUsage, Connection, batches, from_now
from zoho_crm.services import usage

FIELDS = ("connection", "day", "kind", "calls", "credits", "refused")
COLUMNS = {
    "connection": lambda row: row["connection"],
    "day": lambda row: row["day"],
    "kind of call": lambda row: row["kind"],
    "calls": lambda row: f"{row['calls']:,}",
    "credits (estimated)": lambda row: f"{row['credits']:,}",
    "refused as too many": lambda row: f"{row['refused']:,}",
}


class Command(ZohoCommand):
    help = gettext_noop("Show how many API calls were made each day, and their estimated credits.")

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--connection", metavar="NAME", help=_("only this one"))
        parser.add_argument("--days", type=arguments.days, default=7, help=_("default: 7"))

    def handle(self, *args: Any, connection: str | None, days: int, **options: Any) -> None:
        chosen = Connection.objects.order_by("name")
        if connection is not None:
            chosen = chosen.filter(pk=named_connection(connection).pk)
        rows = [row for each in chosen for row in _days(each, days)]
        self.open_output(options).show(rows, fields=FIELDS, columns=COLUMNS)
        if not rows:
            self.hint(_("No call was made in this time."))
        for each in chosen:
            message = _(
                "%(connection)s: about %(spent)s of %(allowance)s credits in the last 24 hours;"
                " %(reserve)s are left to other programs."
            )
            figures = {
                "spent": usage.spent(each.pk),
                "allowance": usage.allowance(each),
                "reserve": usage.reserve(each),
            }
            words = {name: f"{number:,}" for name, number in figures.items()}
            self.hint(message % {"connection": each, **words})


def _days(connection: Connection, days: int) -> list[dict[str, Any]]:
    """Return a row for each kind of call and day (in this site's time zone), the latest first."""
    hours = ApiUsage.objects.filter(connection=connection, hour__gt=from_now(-86_400 * days))
    sums: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for hour in chain.from_iterable(batches(hours)):
        total = sums[timezone.localtime(hour.hour).date().isoformat(), hour.kind]
        for place, number in enumerate((hour.calls, hour.credits, hour.refusals)):
            total[place] += number
    return [
        {
            "connection": connection.name,
            "day": day,
            "kind": kind,
            **dict(zip(("calls", "credits", "refused"), numbers, strict=True)),
        }
        for (day, kind), numbers in sorted(sums.items(), reverse=True)
    ]
