"""
A run must not create the duplicates itself.

Rows that would create the same contact (e-mail) or account (company) form a group: the one with the
smallest key leads and creates it, the others follow and join. Depth one: a row that would follow a
follower is left to a person, and so are rows whose companies differ in a legal form only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Count, Q, QuerySet

from zoho_crm.models import LeadConversion, MassConversion, Move

Joins = LeadConversion.Joins
Status = LeadConversion.Status
#: Rows that are moved at a time.
WRITE_BATCH_ROWS = 500
NOBODY: dict[str, Any] = {"follows_id": None, "joins": ""}


def regroup(run: MassConversion) -> None:
    """Form the groups of a run anew, from the plans that its rows have now."""
    for rows in _similar(run):
        _leave_to_people(rows, "similar")
    _follow_the_first(_creating(run), "contact_key", Joins.CONTACT)
    _follow_the_first(_creating(run).exclude(joins=Joins.CONTACT), "account_key", Joins.ACCOUNT)
    _leave_to_people(_creating(run).filter(follows__follows__isnull=False), "group")
    for batch in _batches(_rows(run).filter(plan__isnull=True).exclude(follows=None)):
        _stay((row, NOBODY) for row in batch)


def _rows(run: MassConversion) -> QuerySet[LeadConversion]:
    rows = LeadConversion.objects.filter(mass_conversion=run, status=Status.PREVIEWED)
    return rows.defer("lead_snapshot", "options_snapshot", "plan")


def _creating(run: MassConversion) -> QuerySet[LeadConversion]:
    return _rows(run).filter(plan__isnull=False)


def _follow_the_first(rows: QuerySet[LeadConversion], key: str, joins: str) -> None:
    """Let rows of the same key follow the first of them, and no row anybody else in that way."""
    leader: LeadConversion | None = None
    for batch in _sorted_batches(rows, key):
        decisions = []
        for row in batch:
            value = getattr(row, key)
            if leader is None or not value or getattr(leader, key) != value:
                leader = row
            to_join = {"follows_id": leader.pk, "joins": joins}
            if row is not leader and (row.follows_id, row.joins) != (leader.pk, joins):
                decisions.append((row, to_join))
            elif row is leader and row.joins == joins:
                decisions.append((row, NOBODY))
        _stay(decisions)


def _sorted_batches(rows: QuerySet[LeadConversion], key: str) -> Iterator[list[LeadConversion]]:
    """Yield rows by their key; those without one only if they follow somebody."""
    rows = rows.only("status", "version", "follows_id", "joins", key).order_by(key, "pk")
    rows = rows.exclude(**{key: "", "follows": None})
    value, pk = "", 0
    while batch := list(
        rows.filter(
            Q(**{f"{key}__gt": value}) | Q(**{key: value, "pk__gt": pk}), **{f"{key}__gte": value}
        )[:WRITE_BATCH_ROWS]
    ):
        yield batch
        value, pk = getattr(batch[-1], key), batch[-1].pk


def _similar(run: MassConversion) -> Iterator[QuerySet[LeadConversion]]:
    """Yield the rows whose companies are the same but for a legal form."""
    rows = _creating(run).exclude(similar_key="")
    loose = (
        rows.order_by().values("similar_key").annotate(names=Count("account_key", distinct=True))
    )
    for group in list(loose.filter(names__gt=1)):
        yield rows.filter(similar_key=group["similar_key"])


def _leave_to_people(rows: QuerySet[LeadConversion], reason: str) -> None:
    undecided = {"plan": None, "reason": reason, **NOBODY}
    for batch in _batches(rows.filter(decided_by=None)):
        _stay((row, undecided) for row in batch)


def _batches(rows: QuerySet[LeadConversion]) -> Iterator[list[LeadConversion]]:
    last = 0
    while batch := list(rows.filter(pk__gt=last).order_by("pk")[:WRITE_BATCH_ROWS]):
        yield batch
        last = batch[-1].pk


def _stay(decisions: Iterable[tuple[LeadConversion, dict[str, Any]]]) -> None:
    LeadConversion.objects.move(
        Move(row=row, to=Status.PREVIEWED, values=values) for row, values in decisions
    )
