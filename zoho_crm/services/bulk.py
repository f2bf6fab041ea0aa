"""
Act on many rows in sets: preview leads again, leave them out, find out what happened.

Each function takes the ids of at most some hundred rows and returns for how many it was done. A row
that was moved meanwhile, or that no longer fits, stays as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet

from zoho_crm.exceptions import StaleDecisionError
from zoho_crm.models import LeadConversion, MassConversion, atomic
from zoho_crm.models._database import DbNow
from zoho_crm.models._moves import Move
from zoho_crm.services import clients, lifecycle
from zoho_crm.services.obstacles import (
    PREVIEW_OBSTACLES,
    SETTLE_OBSTACLES,
    Obstacles,
    look_again_obstacles,
    without_obstacles,
)
from zoho_crm.services.preview import REOPENABLE
from zoho_crm.types import Lead

Grouping = LeadConversion.Grouping
Status = LeadConversion.Status
#: Leads that are read together: as many as one call may, known here without loading the client.
LEADS_PER_READ = 100
#: Columns that are large, and that no decision here depends on.
SNAPSHOTS = ("lead_snapshot", "options_snapshot", "plan")


def preview_again(*, ids: Sequence[int], by: AbstractBaseUser) -> int:
    """
    Queue leads to be previewed by the worker; nothing is sent, whatever policy they came with.

    A plan that a person decided is kept if it still fits. Leads of runs that have not ended stay as
    they are.
    """
    rows = _fitting(ids, PREVIEW_OBSTACLES).defer(*SNAPSHOTS)
    moves = [lifecycle.detached_from_run(_queued(row, str(by))) for row in rows]
    return len(LeadConversion.objects.move(moves))


def look_again(*, run: MassConversion, versions: Mapping[int, int], by: AbstractBaseUser) -> int:
    """
    Queue leads of a run under review to be previewed by the worker, and decided by its policy.

    A plan that a person decided is kept if it still fits; a lead that was left out is taken in
    again.

    :param versions: of the rows by primary key, as they were shown; one of another version stays
    :raises StaleDecisionError: if the run is not in review
    """
    fitting = _fitting(list(versions), look_again_obstacles(takes_left_out=True))
    rows = fitting.filter(mass_conversion=run).defer(*SNAPSHOTS)
    shown = [row for row in rows if row.version == versions[row.pk]]
    with atomic():
        revision = run.bump_revision()
        if not revision:
            raise StaleDecisionError(code="changed")
        moves = [_queued_in_run(row, str(by), revision) for row in shown]
        return len(LeadConversion.objects.move(moves))


def preview_leads(*, connection_id: int, lead_ids: Sequence[str], by: AbstractBaseUser) -> int:
    """Queue leads of a connection to be previewed, known ones again; as ``preview_again``."""
    of_these = LeadConversion.objects.filter(connection_id=connection_id, lead_id__in=lead_ids)
    known = dict(of_these.values_list("lead_id", "pk"))
    added = [lead_id for lead_id in lead_ids if lead_id not in known]
    LeadConversion.objects.add(added, connection_id=connection_id, due_at=DbNow())
    return len(added) + preview_again(ids=list(known.values()), by=by)


def _queued(row: LeadConversion, who: str) -> Move:
    reset = lifecycle.reopened if row.status in REOPENABLE else lifecycle.reset_to_new
    move = reset(row, by=who)
    # With a policy the worker would decide, and send.
    return replace(move, values={**move.values, "policy": ""})


def _queued_in_run(row: LeadConversion, who: str, revision: int) -> Move:
    move = _queued(row, who)
    # Other rows may follow this one.
    values = {"follows": None, "joins": "", "grouping": Grouping.COMPARE, "run_revision": revision}
    if row.status == Status.SKIPPED:
        # What was decided was to leave it out.
        values |= {"plan": None, "decided_by": None}
    return replace(move, values={**move.values, **values})


def skip(*, ids: Sequence[int], obstacles: Obstacles, by: AbstractBaseUser) -> int:
    """
    Leave leads out; nothing is sent for them.

    :param obstacles: those of ``skip_obstacles`` for the user
    """
    rows = list(_fitting(ids, obstacles).select_related("mass_conversion").defer(*SNAPSHOTS))
    runs = {run.pk: run for row in rows if (run := row.mass_conversion)}
    with atomic():
        # Other rows may follow these; a run that was started meanwhile keeps its leads.
        revisions = {pk: run.bump_revision() for pk, run in runs.items()}
        started = {
            pk
            for pk, run in runs.items()
            if not revisions[pk] and run.stage == MassConversion.Stage.REVIEW
        }
        moves = [
            _skipped(row, by, revisions.get(row.mass_conversion_id, 0))
            for row in rows
            if row.mass_conversion_id not in started
        ]
        return len(LeadConversion.objects.move(moves))


def _skipped(row: LeadConversion, by: AbstractBaseUser, revision: int) -> Move:
    values: dict[str, Any] = {**lifecycle.AT_REST, "policy": "", "decided_by_id": by.pk}
    if row.mass_conversion_id:
        values |= {"grouping": LeadConversion.Grouping.COMPARE, "run_revision": revision}
    return Move(row=row, to=Status.SKIPPED, by=str(by), values=values)


def settle(*, ids: Sequence[int]) -> int:
    """
    Read the leads of conversions in doubt now; return how many are in doubt no more.

    As with one lead, a read before its time can prove a conversion, and nothing else.

    :raises ZohoError: if Zoho cannot be asked; what was read before that is recorded
    """
    doubtful = _fitting(ids, SETTLE_OBSTACLES).with_is_conclusive()
    return sum(_settle(rows) for rows in _read_together(doubtful))


def _read_together(rows: QuerySet[LeadConversion]) -> Iterator[list[LeadConversion]]:
    """Yield rows in sets that one call reads: of one connection, at most 100."""
    by_connection: dict[int, list[LeadConversion]] = defaultdict(list)
    for row in rows.select_related("connection"):
        by_connection[row.connection_id].append(row)
    for of_one in by_connection.values():
        for start in range(0, len(of_one), LEADS_PER_READ):
            yield of_one[start : start + LEADS_PER_READ]


def _leads_of(rows: list[LeadConversion]) -> Mapping[str, Lead]:
    leads = clients.client_for(rows[0].connection).leads
    return leads.get_many([row.lead_id for row in rows])


def find_converted(*, ids: Sequence[int]) -> int:
    """
    Read the leads that need a person now; return how many Zoho shows converted, which is recorded.

    :raises ZohoError: if Zoho cannot be asked; what was read before that is recorded
    """
    rows = LeadConversion.objects.filter(pk__in=ids, status=Status.NEEDS_REVIEW)
    found = 0
    for together in _read_together(rows):
        leads = _leads_of(together)
        converted = [(row, lead.converted) for row in together if (lead := leads.get(row.lead_id))]
        moves = [lifecycle.read_converted(row, outcome) for row, outcome in converted if outcome]
        found += len(LeadConversion.objects.move(moves))
    return found


def _settle(rows: list[LeadConversion]) -> int:
    """Read the leads of at most 100 rows of one connection, and record what that proves."""
    leads, moves = _leads_of(rows), []
    for row in rows:
        lead = leads.get(row.lead_id)
        if row.is_conclusive or (lead is not None and lead.converted):
            moves.append(lifecycle.read_back(row, lead, is_conclusive=row.is_conclusive))
    made = LeadConversion.objects.move(moves)
    return sum(move.to not in (Status.UNKNOWN, Status.SCHEDULED) for move in made)


def _fitting(ids: Sequence[int], obstacles: Obstacles) -> Any:
    return without_obstacles(LeadConversion.objects.filter(pk__in=ids), obstacles).order_by("pk")
