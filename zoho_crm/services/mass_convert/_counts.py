"""The numbers of a run: its rows by status and verdict, and the calls that they still need."""

from __future__ import annotations

import math
from dataclasses import dataclass

from django.db.models import Count

from zoho_crm.conf import conf
from zoho_crm.models import LeadConversion, MassConversion

Status = LeadConversion.Status
#: Leads that one call reads at most.
LEADS_PER_READ = 100
#: Seconds that a call takes on average, for the estimate of time.
SECONDS_PER_CALL = 0.4


def counts(run: MassConversion) -> dict[str, int]:
    """
    Return the number of rows by status and by verdict, and of decided rows as ``decided``.

    For a run that has ended these are the numbers stored when it ended.
    """
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
    """Return the number of rows that would be converted if the run were started now."""
    return run.rows.decided().count()


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An estimate of the calls that a run still needs."""

    calls: int
    credits: int
    seconds: int


def estimate(run: MassConversion) -> Estimate:
    """Return the calls, credits and seconds for the rest of a run if every lead is sent singly."""
    costs = conf().costs
    current = counts(run)
    to_preview = current.get(Status.NEW, 0)
    to_send = current.get(Status.READY, 0) + current["decided"]
    reads = math.ceil(to_preview / LEADS_PER_READ) + math.ceil(to_send / LEADS_PER_READ)
    other = to_preview + reads
    seconds = (other + to_send) * SECONDS_PER_CALL / max(1, conf().MAX_CONCURRENCY or 8)
    return Estimate(
        calls=other + to_send,
        credits=other * costs["other"] + to_send * costs["convert"],
        seconds=math.ceil(seconds),
    )
