"""
A run must not create the duplicates itself.

Rows that would create the same contact (e-mail) or account (company) form a group: the one with the
smallest key leads and creates it, the others follow and join. Depth one: a row that would follow a
follower is left to a person, and so are rows whose companies differ in a legal form only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery

from zoho_crm.models import LeadConversion, MassConversion, Move

Joins = LeadConversion.Joins
Status = LeadConversion.Status
#: Rows that are moved at a time.
SET = 500


def regroup(run: MassConversion) -> None:
    """Form the groups of a run anew, from the plans that its rows have now."""
    for rows in _similar(run):
        _leave_to_people(rows, "similar")
    for batch in _batches(_with_leaders(run)):
        _stay(
            (row, {"follows_id": leader, "joins": joins}) for row, leader, joins in _changed(batch)
        )
    _leave_to_people(_creating(run).filter(follows__follows__isnull=False), "group")
    for batch in _batches(_rows(run).filter(plan__isnull=True).exclude(follows=None)):
        _stay((row, {"follows_id": None, "joins": ""}) for row in batch)


def _rows(run: MassConversion) -> QuerySet[LeadConversion]:
    rows = LeadConversion.objects.filter(mass_conversion=run, status=Status.PREVIEWED)
    return rows.defer("lead", "options", "plan")


def _creating(run: MassConversion) -> QuerySet[LeadConversion]:
    return _rows(run).filter(plan__isnull=False)


def _with_leaders(run: MassConversion) -> QuerySet[LeadConversion]:
    """Annotate the first row that creates the same contact, and the same account."""
    same_contact = _first(_creating(run), "contact_key")
    rows = _creating(run).annotate(contact_leader=same_contact)
    creating_accounts = rows.filter(Q(contact_leader=None) | Q(contact_leader=F("pk")))
    return rows.annotate(account_leader=_first(creating_accounts, "account_key"))


def _first(rows: QuerySet[LeadConversion], key: str) -> Subquery:
    same = rows.exclude(**{key: ""}).filter(**{key: OuterRef(key)})
    return Subquery(same.order_by("pk").values("pk")[:1])


def _changed(rows: list[Any]) -> Iterator[tuple[LeadConversion, int | None, str]]:
    """Yield the rows that follow another than before, or nobody any more, and whom."""
    for row in rows:
        leader, joins = row.contact_leader, str(Joins.CONTACT)
        if leader in {None, row.pk}:
            leader, joins = row.account_leader, str(Joins.ACCOUNT)
        if leader in {None, row.pk}:
            leader, joins = None, ""
        if (row.follows_id, row.joins) != (leader, joins):
            yield row, leader, joins


def _similar(run: MassConversion) -> Iterator[QuerySet[LeadConversion]]:
    """Yield the rows whose companies are the same but for a legal form."""
    rows = _creating(run).exclude(loose_key="")
    loose = rows.order_by().values("loose_key").annotate(names=Count("account_key", distinct=True))
    for group in list(loose.filter(names__gt=1)):
        yield rows.filter(loose_key=group["loose_key"])


def _leave_to_people(rows: QuerySet[LeadConversion], reason: str) -> None:
    undecided = {"plan": None, "reason": reason, "follows_id": None, "joins": ""}
    for batch in _batches(rows.filter(decided_by=None)):
        _stay((row, undecided) for row in batch)


def _batches(rows: QuerySet[LeadConversion]) -> Iterator[list[LeadConversion]]:
    last = 0
    while batch := list(rows.filter(pk__gt=last).order_by("pk")[:SET]):
        yield batch
        last = batch[-1].pk


def _stay(decisions: Iterable[tuple[LeadConversion, dict[str, Any]]]) -> None:
    LeadConversion.objects.move(
        Move(row=row, to=Status.PREVIEWED, values=values) for row, values in decisions
    )
