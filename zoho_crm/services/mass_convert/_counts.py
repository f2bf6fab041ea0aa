"""How a run stands: one aggregate, frozen when it has ended; and what it will cost, estimated."""

from __future__ import annotations

import math
from dataclasses import dataclass

from django.db.models import Count

from zoho_crm.conf import conf
from zoho_crm.models import LeadConversion, MassConversion

Status = LeadConversion.Status
#: Leads that one call reads.
LEADS_PER_READ = 100
#: Seconds that a call takes, roughly, for the estimate of time.
SECONDS_PER_CALL = 0.4


def counts(run: MassConversion) -> dict[str, int]:
    """Return how many rows have each status and each verdict, and how many are decided."""
    if run.counts is not None:
        return dict(run.counts)
    rows = LeadConversion.objects.filter(mass_conversion=run)
    groups = rows.order_by().values("status", "verdict").annotate(count=Count("pk"))
    result: dict[str, int] = {}
    for group in groups:
        for key in filter(None, (group["status"], group["verdict"])):
            result[key] = result.get(key, 0) + group["count"]
    return {**result, "decided": decided_count(run)}


def decided_count(run: MassConversion) -> int:
    """Return how many rows would be sent if the run were started now."""
    return LeadConversion.objects.filter(
        mass_conversion=run, status=Status.PREVIEWED, plan__isnull=False
    ).count()


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What is still to come, roughly."""

    calls: int
    credits: int
    seconds: int


def estimate(run: MassConversion) -> Estimate:
    """Guess calls, credits and seconds of what is left to do, every lead by itself."""
    costs = conf().CREDIT_COSTS
    standing = counts(run)
    to_preview = standing.get(Status.NEW, 0)
    to_send = standing.get(Status.READY, 0) + standing["decided"]
    reads = math.ceil(to_preview / LEADS_PER_READ) + math.ceil(to_send / LEADS_PER_READ)
    other = to_preview + reads
    seconds = (other + to_send) * SECONDS_PER_CALL / max(1, conf().MAX_CONCURRENCY or 8)
    return Estimate(
        calls=other + to_send,
        credits=other * costs.get("other", 1) + to_send * costs.get("convert", 5),
        seconds=math.ceil(seconds),
    )
