"""
API credits: count what our calls cost, and reserve a share for the organisation's other programs.

An organisation has a number of credits for any 24 hours; Zoho tells how many remain only when half
of them are used: https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC

from django.db import transaction
from django.db.models import F, Sum
from django.db.models.functions import TruncHour

from zoho_crm.conf import conf
from zoho_crm.models import ApiUsage, Connection, database, from_now
from zoho_crm.models._time import DbNow
from zoho_crm.services._transactions import in_transaction

DAY_SECONDS = 86_400
#: Credits in 24 hours by edition: base, credits for each licence, maximum.
ALLOWANCES: Mapping[str, tuple[int, int, int]] = {
    "free": (5_000, 0, 5_000),
    "standard": (50_000, 250, 100_000),
    "starter": (50_000, 250, 100_000),
    "professional": (50_000, 500, 3_000_000),
    "enterprise": (50_000, 1_000, 5_000_000),
    "zohoone": (50_000, 1_000, 5_000_000),
    "ultimate": (50_000, 2_000, 10**9),
    "crmplus": (50_000, 2_000, 10**9),
}
SMALLEST_ALLOWANCE = ALLOWANCES["free"]


def record(connection_id: int, calls: Iterable[tuple[str, bool]]) -> None:
    """
    Add calls to the counts of the current hour.

    :param calls: of each its kind, a key of ``CREDIT_COSTS``, and whether it hit a rate limit
    """
    costs = conf().costs
    calls = list(calls)
    refused = Counter(kind for kind, was_refused in calls if was_refused)
    for kind, number in Counter(kind for kind, _refused in calls).items():
        spent = number * costs.get(kind, costs["other"])
        _add(connection_id, kind, calls=number, credits=spent, refusals=refused[kind])


def _add(connection_id: int, kind: str, **numbers: int) -> None:
    hour = TruncHour(DbNow(), tzinfo=UTC)
    more = {name: F(name) + number for name, number in numbers.items()}
    rows = ApiUsage.objects.filter(connection_id=connection_id, kind=kind)
    if not rows.filter(hour=hour).update(**more):
        now = Connection.objects.filter(pk=connection_id).values_list(hour, flat=True)
        ApiUsage.objects.get_or_create(connection_id=connection_id, hour=now[0], kind=kind)
        rows.filter(hour=now[0]).update(**more)


def record_one(connection_id: int, kind: str, was_refused: bool) -> None:
    """
    Add one call to the counts of the current hour; inside a transaction after its commit.

    The row of the hour would be locked for all others until then.
    """

    def add() -> None:  # not a partial function: Django logs the name of one that fails
        record(connection_id, [(kind, was_refused)])

    if in_transaction():
        transaction.on_commit(add, using=database(), robust=True)
    else:
        add()


def spent(connection_id: int) -> int:
    """Return the estimated credits that our own calls cost in the last 24 hours."""
    last_day = ApiUsage.objects.filter(
        connection_id=connection_id, hour__gte=from_now(-DAY_SECONDS)
    )
    return int(last_day.aggregate(sum=Sum("credits"))["sum"] or 0)


def allowance(connection: Connection) -> int:
    """Return the credits of the organisation for 24 hours, by the settings or by its edition."""
    base, per_licence, most = ALLOWANCES.get(edition_key(connection.edition), SMALLEST_ALLOWANCE)
    return conf().CREDIT_BUDGET or min(base + per_licence * connection.licences, most)


def edition_key(edition: str) -> str:
    """Return an edition as our tables name it: ``Zoho One`` and ``zoho_one`` are ``zohoone``."""
    return "".join(filter(str.isalnum, edition.lower()))


def reserve(connection: Connection) -> int:
    """Return the credits that are reserved for other programs."""
    return int(allowance(connection) * conf().CREDIT_RESERVE / 100)


def is_used_up(connection: Connection, remaining: int | None) -> bool:
    """Return whether only the reserve remains, by Zoho's count or by the budget of the settings."""
    if remaining is not None and remaining < reserve(connection):
        return True
    budget = conf().CREDIT_BUDGET
    return bool(budget) and spent(connection.pk) >= budget - reserve(connection)
