"""
Group the rows of a run that would create the same record, so that the run makes no duplicates.

Rows that would create the same contact (by e-mail) or account (by company) form a group. The row
with the smallest primary key is the leader and creates the record; the others follow it and are
attached to that record. Groups have one level: a row that would follow a follower is left for
review, and so are rows whose companies differ only in the legal form.

The column ``grouping`` marks the rows that have to be looked at. A new preview or decision marks
its row, and from there the marks spread to the rows for which it makes a difference. These have
greater primary keys, because leaders come first. The marked rows are taken in batches, in the order
of marks and primary keys, with a constant number of statements for each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeAlias

from django.db.models import F, Max, Min, Q, QuerySet

from zoho_crm.models import LeadConversion, MassConversion, Move, atomic, holds

Grouping = LeadConversion.Grouping
Joins = LeadConversion.Joins
Status = LeadConversion.Status
#: Seconds after which ``regroup`` begins no further batch.
STEP_SECONDS = 0.4
#: Rows that are taken at a time.
BATCH_ROWS = 1_000
#: Rows that one statement marks at most.
MAX_MARKED_ROWS = 5_000
FOLLOWS_NONE: Mapping[str, Any] = {"follows_id": None, "joins": ""}
#: Whether a row would be converted if its run were started now.
IS_PLANNED = Q(status=Status.PREVIEWED, plan__isnull=False)
#: Columns that are read to compare rows.
COLUMNS = (
    *("status", "version", "follows", "joins"),
    *("contact_key", "account_key", "similar_key"),
)
#: The marks that each mark does not replace.
KEPT_BY: Mapping[int, Collection[int]] = {
    Grouping.COMPARE: (Grouping.SIMILAR, Grouping.COMPARE),
    Grouping.CHECK: (Grouping.SIMILAR, Grouping.COMPARE, Grouping.CHECK),
}

#: Acts on a batch of rows of a run; returns whether that is finished.
Action: TypeAlias = Callable[[MassConversion, QuerySet[LeadConversion]], bool]


def regroup(run: MassConversion) -> bool:
    """
    Form the groups that the last previews and decisions changed, for a short time.

    :return: whether all of them were formed; else it has to be called again
    """
    end = time.monotonic() + STEP_SECONDS
    while _take_batch(run):
        if time.monotonic() >= end:
            return False
    return True


def _take_batch(run: MassConversion) -> bool:
    """Act on the next rows that have the same mark; return whether there are any."""
    marked = LeadConversion.objects.filter(mass_conversion=run, grouping__gt=Grouping.DONE)
    marked = marked.order_by("grouping", "pk")
    found = list(marked.values_list("grouping", "pk")[:BATCH_ROWS])
    if not found:
        return False
    mark = found[0][0]
    act, next_mark = ACTIONS[mark]
    rows = LeadConversion.objects.filter(pk__in=[pk for other, pk in found if other == mark])
    with atomic():
        # This locks the rows before they are read: who decides one meanwhile marks it afterwards.
        rows.filter(grouping=mark).update(grouping=next_mark)
        batch = rows.filter(grouping=next_mark)
        if not act(run, batch):
            batch.update(grouping=mark)
    return True


# What is done with a batch of rows that had the same mark; all return whether that is finished


def _leave_similar_companies(_run: MassConversion, batch: QuerySet[LeadConversion]) -> bool:
    _leave_for_review(batch, "similar")
    return True


def _compare(run: MassConversion, batch: QuerySet[LeadConversion]) -> bool:
    """Make rows follow their leaders, unless companies among them have to be left for review."""
    flags: dict[str, Any] = {"is_planned": holds(IS_PLANNED)}
    rows = list(batch.annotate(**flags).only(*COLUMNS).order_by("pk"))
    # All at once: they are no longer found when some of them have lost their plans.
    if _similar_companies(run, rows).update(grouping=Grouping.SIMILAR):
        return False
    pks = {row.pk for row in rows}
    # Who creates a contact depends on the plans alone; who joins one does not create an account.
    contacts = _leaders(_planned(run), "contact_key", rows)
    others = _planned(run).exclude(joins=Joins.CONTACT).exclude(pk__in=pks)
    accounts = _leaders(others, "account_key", rows)
    changes = []
    for row in rows:
        leader, joins = _leader_of(row, contacts, accounts)
        if row.status == Status.PREVIEWED and (row.follows_id, row.joins) != (leader, joins):
            changes.append((row, {"follows_id": leader, "joins": joins}))
    _update(changes)
    undecided = _planned(run).filter(decided_by=None)
    joining = [row for row in rows if row.joins == Joins.CONTACT]
    following = [row.pk for row in rows if row.follows_id]
    checked = [
        _mark(undecided.filter(pk__in=_following_followers(joining)), Grouping.CHECK),
        _mark(undecided.filter(follows__in=following), Grouping.CHECK),
    ]
    is_all_marked = _mark_affected(run, pks, contacts, accounts)
    return is_all_marked and max(checked) < MAX_MARKED_ROWS


def _mark_affected(
    run: MassConversion, pks: set[int], contacts: dict[str, int], accounts: dict[str, int]
) -> bool:
    """
    Mark the rows to which the leaders of these rows may make a difference; return whether all.

    :param contacts: the leaders to a contact by key, of which only those among these rows matter
    :param accounts: the leaders to an account, likewise
    """
    rows = LeadConversion.objects.filter(mass_conversion=run, pk__gte=min(pks, default=0))
    unmarked = rows.filter(grouping__in=[Grouping.DONE, Grouping.CHECK]).values_list("pk")
    if len(unmarked[: len(pks) + 1]) <= len(pks):
        return True  # there are none but these rows
    contacts = {key: pk for key, pk in contacts.items() if pk in pks}
    accounts = {key: pk for key, pk in accounts.items() if pk in pks}
    members_of_accounts = _members(run, "account_key", accounts, Joins.ACCOUNT)
    marked = [
        _mark(_without_leader(run, pks, contacts, accounts), Grouping.COMPARE),
        _mark(_members(run, "contact_key", contacts, Joins.CONTACT), Grouping.COMPARE),
        _mark(members_of_accounts.exclude(joins=Joins.CONTACT), Grouping.COMPARE),
    ]
    return max(marked) < MAX_MARKED_ROWS


def _leave_followers_of_followers(_run: MassConversion, batch: QuerySet[LeadConversion]) -> bool:
    found = _following_followers(batch.only("follows"))
    _leave_for_review(batch.filter(pk__in=found), "group")
    return True


#: For each mark what is done with its rows, and the mark that they have then.
ACTIONS: Mapping[int, tuple[Action, int]] = {
    Grouping.SIMILAR: (_leave_similar_companies, Grouping.COMPARE),
    Grouping.COMPARE: (_compare, Grouping.DONE),
    Grouping.CHECK: (_leave_followers_of_followers, Grouping.DONE),
}


# Leaders


def _leaders(
    candidates: QuerySet[LeadConversion], key: str, rows: Iterable[LeadConversion]
) -> dict[str, int]:
    """Return by key the primary key of the first candidate with the same key as one of the rows."""
    keys = {getattr(row, key) for row in rows if row.is_planned} - {""}
    by_key = candidates.filter(**{f"{key}__in": keys}).order_by().values_list(key)
    return dict(by_key.annotate(Min("pk")))


def _leader_of(
    row: LeadConversion, contact_leaders: Mapping[str, int], account_leaders: dict[str, int]
) -> tuple[int | None, str]:
    """
    Return the leader that a row has to follow and what it joins; ``None`` if it follows none.

    :param account_leaders: of the rows before this one; is updated if this one is a leader
    """
    if not row.is_planned:
        return None, ""
    contact = contact_leaders.get(row.contact_key, row.pk)
    if contact != row.pk:
        return contact, Joins.CONTACT
    account = min(row.pk, account_leaders.get(row.account_key, row.pk))
    if row.account_key:
        account_leaders[row.account_key] = account
    return (account, Joins.ACCOUNT) if account != row.pk else (None, "")


# Rows of a run


def _planned(run: MassConversion) -> QuerySet[LeadConversion]:
    return LeadConversion.objects.filter(IS_PLANNED, mass_conversion=run)


def _similar_companies(
    run: MassConversion, rows: Iterable[LeadConversion]
) -> QuerySet[LeadConversion]:
    """
    Return the rows whose company differs only in the legal form from another, like one of these.

    Rows that a person decided are left out.
    """
    keys = {row.similar_key for row in rows if row.is_planned} - {""}
    by_key = _planned(run).filter(similar_key__in=keys).order_by().values("similar_key")
    companies = by_key.annotate(first=Min("account_key"), last=Max("account_key"))
    several = list(companies.exclude(first=F("last")).values_list("similar_key", flat=True))
    return _planned(run).filter(similar_key__in=several, decided_by=None)


def _following_followers(rows: Collection[LeadConversion]) -> list[int]:
    """Return the primary keys of those of these rows that follow a follower."""
    # Not with a join: databases whose statistics are from before plan it badly.
    pks = {row.follows_id for row in rows if row.follows_id}
    leaders = LeadConversion.objects.filter(pk__in=pks)
    followers = set(leaders.filter(follows__isnull=False).values_list("pk", flat=True))
    return [row.pk for row in rows if row.follows_id in followers]


def _members(
    run: MassConversion, key: str, leaders: Mapping[str, int], joins: str
) -> QuerySet[LeadConversion]:
    """Return the rows that have the same key as one of these leaders and do not follow it."""
    pks = list(leaders.values())
    rows = _planned(run).filter(**{f"{key}__in": list(leaders)})
    return rows.exclude(pk__in=pks).exclude(follows__in=pks, joins=joins)


def _without_leader(
    run: MassConversion,
    pks: Collection[int],
    contacts: Mapping[str, int],
    accounts: Mapping[str, int],
) -> QuerySet[LeadConversion]:
    """
    Return the rows that follow one of these rows, which is not their leader.

    :param contacts: the leaders to a contact among them, by the key
    :param accounts: the leaders to an account among them, by the key
    """
    rows = LeadConversion.objects.filter(mass_conversion=run, follows__in=pks)
    rows = rows.filter(status=Status.PREVIEWED)
    rows = rows.exclude(follows__in=list(contacts.values()), joins=Joins.CONTACT)
    return rows.exclude(follows__in=list(accounts.values()), joins=Joins.ACCOUNT)


# Changes


def _mark(rows: QuerySet[LeadConversion], mark: int) -> int:
    """Mark rows, at most ``MAX_MARKED_ROWS``, and return how many there were."""
    # Excluded, not filtered by: a row is found by its key or leader, not among all without a mark.
    rows = rows.exclude(grouping__in=KEPT_BY[mark])
    pks = list(rows.values_list("pk", flat=True)[:MAX_MARKED_ROWS])
    if pks:
        # A row that was decided meanwhile keeps its mark.
        unmarked = LeadConversion.objects.exclude(grouping__in=KEPT_BY[mark])
        unmarked.filter(pk__in=pks).update(grouping=mark)
    return len(pks)


def _leave_for_review(rows: QuerySet[LeadConversion], reason: str) -> None:
    """Remove the plans that no person decided, with the reason."""
    undecided = {"plan": None, "reason": reason, **FOLLOWS_NONE}
    rows = rows.filter(IS_PLANNED, decided_by=None).only("status", "version")
    _update((row, undecided) for row in rows)


def _update(changes: Iterable[tuple[LeadConversion, dict[str, Any]]]) -> None:
    LeadConversion.objects.move(
        Move(row=row, to=Status.PREVIEWED, values=values) for row, values in changes
    )
