"""
Count what our calls cost, and leave the others of the organisation their share.

Zoho gives an organisation so many credits in any 24 hours, and tells what is left only when half of
them are used: https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC

from django.db.models import F, Sum
from django.db.models.functions import TruncHour

from zoho_crm.conf import conf
from zoho_crm.models import ApiUsage, Connection, DbNow, from_now

DAY = 86_400
#: Credits a day by edition: a base, more for each licence, and at most.
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
SMALLEST = ALLOWANCES["free"]


def record(connection_id: int, calls: Iterable[tuple[str, bool]]) -> None:
    """
    Count calls in this hour.

    :param calls: kind of each, and whether Zoho refused it as one too many
    """
    costs = conf().CREDIT_COSTS
    calls = list(calls)
    refused = Counter(kind for kind, was_refused in calls if was_refused)
    for kind, number in Counter(kind for kind, _refused in calls).items():
        spent = number * costs.get(kind, costs.get("other", 1))
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
    """Count one call in this hour."""
    record(connection_id, [(kind, was_refused)])


def spent(connection_id: int) -> int:
    """Return the credits that our own calls cost in the last 24 hours, roughly."""
    lately = ApiUsage.objects.filter(connection_id=connection_id, hour__gte=from_now(-DAY))
    return int(lately.aggregate(sum=Sum("credits"))["sum"] or 0)


def allowance(connection: Connection) -> int:
    """Return the credits that the organisation has in 24 hours: as set, or by its edition."""
    base, each, most = ALLOWANCES.get(connection.edition.lower().replace(" ", ""), SMALLEST)
    return conf().CREDIT_BUDGET or min(base + each * connection.licences, most)


def reserve(connection: Connection) -> int:
    """Return the credits that are left to other programs."""
    return int(allowance(connection) * conf().CREDIT_RESERVE / 100)


def is_used_up(connection: Connection, remaining: int | None) -> bool:
    """Whether only the share of others is left, by Zoho's count or by the budget that was set."""
    if remaining is not None and remaining < reserve(connection):
        return True
    budget = conf().CREDIT_BUDGET
    return bool(budget) and spent(connection.pk) >= budget - reserve(connection)
