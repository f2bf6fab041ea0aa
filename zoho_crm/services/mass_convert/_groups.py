"""
Group the rows of a run that would create the same record, so that the run makes no duplicates.

Rows that would create the same contact (by e-mail) or account (by company) form a group. The row
with the smallest primary key is the leader and creates the record; the others follow it and are
attached to that record. Groups have one level: a row that would follow a follower is left for
review, and so are rows whose companies differ only in the legal form.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Count, Q, QuerySet

from zoho_crm.models import LeadConversion, MassConversion, Move
from zoho_crm.services.mass_convert._decisions import WRITE_BATCH_ROWS, batches

Joins = LeadConversion.Joins
Status = LeadConversion.Status
FOLLOWS_NONE: dict[str, Any] = {"follows_id": None, "joins": ""}


def regroup(run: MassConversion) -> None:
    """Form the groups of a run's previewed rows again, from the plans that they have now."""
    for rows in _similar_companies(run):
        _leave_for_review(rows, "similar")
    _follow_leaders(_planned(run), "contact_key", Joins.CONTACT)
    _follow_leaders(_planned(run).exclude(joins=Joins.CONTACT), "account_key", Joins.ACCOUNT)
    _leave_for_review(_planned(run).filter(follows__follows__isnull=False), "group")
    for batch in batches(_previewed(run).filter(plan__isnull=True).exclude(follows=None)):
        _update((row, FOLLOWS_NONE) for row in batch)


def _previewed(run: MassConversion) -> QuerySet[LeadConversion]:
    rows = LeadConversion.objects.filter(mass_conversion=run, status=Status.PREVIEWED)
    return rows.defer("lead_snapshot", "options_snapshot", "plan")


def _planned(run: MassConversion) -> QuerySet[LeadConversion]:
    return _previewed(run).filter(plan__isnull=False)


def _follow_leaders(rows: QuerySet[LeadConversion], key: str, joins: str) -> None:
    """Make rows with the same key follow the first of them; end what they followed by it before."""
    leader: LeadConversion | None = None
    for batch in _sorted_batches(rows, key):
        changes = []
        for row in batch:
            value = getattr(row, key)
            if leader is None or not value or getattr(leader, key) != value:
                leader = row
            to_join = {"follows_id": leader.pk, "joins": joins}
            if row is not leader and (row.follows_id, row.joins) != (leader.pk, joins):
                changes.append((row, to_join))
            elif row is leader and row.joins == joins:
                changes.append((row, FOLLOWS_NONE))
        _update(changes)


def _sorted_batches(rows: QuerySet[LeadConversion], key: str) -> Iterator[list[LeadConversion]]:
    """Yield rows in the order of their key; rows without a key only if they follow another."""
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


def _similar_companies(run: MassConversion) -> Iterator[QuerySet[LeadConversion]]:
    """Yield the rows of each set of companies that differ only in the legal form."""
    rows = _planned(run).exclude(similar_key="")
    by_key = rows.order_by().values("similar_key")
    companies = by_key.annotate(names=Count("account_key", distinct=True))
    for group in list(companies.filter(names__gt=1)):
        yield rows.filter(similar_key=group["similar_key"])


def _leave_for_review(rows: QuerySet[LeadConversion], reason: str) -> None:
    """Remove the plans that no person decided, with the reason."""
    undecided = {"plan": None, "reason": reason, **FOLLOWS_NONE}
    for batch in batches(rows.filter(decided_by=None)):
        _update((row, undecided) for row in batch)


def _update(changes: Iterable[tuple[LeadConversion, dict[str, Any]]]) -> None:
    LeadConversion.objects.move(
        Move(row=row, to=Status.PREVIEWED, values=values) for row, values in changes
    )
