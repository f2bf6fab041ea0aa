"""What a run still needs: how its leads go to Zoho, and the calls, credits and time for that."""

from __future__ import annotations

import math
from collections.abc import Iterable

from django.db.models import Count, Q

from zoho_crm import client as zoho
from zoho_crm.conf import conf
from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.services.mass_convert._jobs import min_job_size
from zoho_crm.services.mass_convert._steps import CANARY_ROWS
from zoho_crm.services.run_statistics import counts, rows_of
from zoho_crm.types import ValueObject

Status = LeadConversion.Status
#: Seconds that a call takes on average, for the estimate of time.
SECONDS_PER_CALL = 0.4
#: Polls of a job, and reads of its leads, beside the call that starts it; and the seconds it takes.
OTHER_CALLS_PER_JOB = 4
SECONDS_PER_JOB = 5
#: The rows that go by a job if enough of them have the same effect.
FIT_FOR_JOBS = Q(job=None) & ~Q(effect="")
FIT_FOR_JOBS &= Q(status=Status.READY, due_at=None) | Q(
    status=Status.PREVIEWED, plan__isnull=False, follows=None
)


class Routes(ValueObject):
    """How leads go to Zoho: so many in jobs, the others in a call each."""

    jobs: int = 0
    in_jobs: int = 0
    singly: int = 0


NOTHING_SENT = Routes()


class Estimate(ValueObject):
    """An estimate of the calls that a run still needs."""

    calls: int
    credits: int
    seconds: int


def estimate(run: MassConversion) -> Estimate:
    """Return the calls, credits and seconds for the rest of a run."""
    current = counts(run)
    return estimate_of(to_preview=current.get(Status.NEW, 0), routes=routes_of(run))


def estimate_of(*, to_preview: int = 0, routes: Routes = NOTHING_SENT) -> Estimate:
    """Return the calls, credits and seconds for so many leads."""
    costs, sent = conf().costs, routes.singly + routes.in_jobs
    reads = math.ceil(to_preview / zoho.MAX_IDS_PER_CALL) + math.ceil(sent / zoho.MAX_IDS_PER_CALL)
    other = to_preview + reads + routes.jobs * OTHER_CALLS_PER_JOB
    calls = other + routes.singly + routes.jobs
    credits = routes.singly * costs["convert"] + routes.jobs * costs["mass_convert"]
    seconds = calls * SECONDS_PER_CALL / max(1, conf().MAX_CONCURRENCY or 8)
    return Estimate(
        calls=calls,
        credits=credits + other * costs["other"],
        seconds=math.ceil(seconds + routes.jobs * SECONDS_PER_JOB),
    )


def routes_of(run: MassConversion) -> Routes:
    """Return how the decided leads of a run go to Zoho; two queries."""
    is_sent = Q(status=Status.READY) | Q(status=Status.PREVIEWED, plan__isnull=False)
    to_send = rows_of(run).filter(is_sent).count()
    if not run.may_use_jobs or to_send < min_job_size():
        return Routes(singly=to_send)
    groups = rows_of(run).filter(FIT_FOR_JOBS).order_by().values_list("effect")
    sizes = [size for _effect, size in groups.annotate(Count("pk"))]
    return routes_for(to_send, sizes, canaries=0 if run.is_armed else CANARY_ROWS)


def routes_for(to_send: int, sizes: Iterable[int], *, canaries: int = CANARY_ROWS) -> Routes:
    """
    Return how leads go to Zoho of which groups of these sizes have the same effect.

    :param canaries: those that are sent singly before any job, taken off the largest group
    """
    jobs = in_jobs = 0
    largest, *others = sorted(sizes, reverse=True) or [0]
    for size in (max(0, largest - canaries), *others):
        full, rest = divmod(size, zoho.MAX_LEADS_PER_JOB)
        for leads in [*[zoho.MAX_LEADS_PER_JOB] * full, rest]:
            if leads >= min_job_size():
                jobs, in_jobs = jobs + 1, in_jobs + leads
    return Routes(jobs=jobs, in_jobs=in_jobs, singly=to_send - in_jobs)
