"""
Group the rows of a run that would create the same record, so that the run makes no duplicates.

Rows that would create the same contact (by e-mail) or account (by company) form a group. The row
with the smallest primary key is the leader and creates the record; the others follow it and are
attached to that record. Groups have one level: a row that would follow a follower is left for
review, and so are rows whose companies differ only in the legal form.

The column ``grouping`` marks the rows that have to be looked at. A new preview or decision marks
its row, and from there the marks spread to the rows for which it makes a difference. These have
greater primary keys, because leaders come first. The marked rows are taken in batches, in the order
of marks and primary keys, with a constant number of statements for each. A batch is read and then
written, each row once; a row that is decided between the two keeps its mark and is taken again.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeAlias

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from zoho_crm.models import LeadConversion, MassConversion, atomic, holds
from zoho_crm.models._moves import Move, NumberByRow

Grouping = LeadConversion.Grouping
Joins = LeadConversion.Joins
Status = LeadConversion.Status
#: Seconds after which ``regroup`` begins no further batch.
STEP_SECONDS = 0.4
#: Rows that are taken at a time.
BATCH_ROWS = 1_000
#: Rows that one statement marks at most.
MAX_MARKED_ROWS = 5_000
FOLLOWS_NONE: Mapping[str, Any] = {"follows": None, "joins": ""}
#: Whether a row would be converted if its run were started now.
IS_PLANNED = Q(status=Status.PREVIEWED, plan__isnull=False)
#: Columns that are read of marked rows.
COLUMNS = (
    *("status", "version", "grouping", "follows", "joins", "decided_by"),
    *("contact_key", "account_key", "similar_key"),
)
#: The marks that each mark does not replace.
KEPT_BY: Mapping[int, Collection[int]] = {
    Grouping.COMPARE: (Grouping.SIMILAR, Grouping.COMPARE),
    Grouping.CHECK: (Grouping.SIMILAR, Grouping.COMPARE, Grouping.CHECK),
}

#: Acts on a batch of marked rows of a run.
Action: TypeAlias = Callable[[MassConversion, list[LeadConversion]], None]


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
    flags: dict[str, Any] = {"is_planned": holds(IS_PLANNED)}
    rows = list(marked.annotate(**flags).only(*COLUMNS).order_by("grouping", "pk")[:BATCH_ROWS])
    if rows:
        mark = rows[0].grouping
        ACTIONS[mark](run, [row for row in rows if row.grouping == mark])
    return bool(rows)


# What is done with a batch of rows that have the same mark


def _leave_similar_companies(_run: MassConversion, rows: list[LeadConversion]) -> None:
    _write(_left_for_review(rows, "similar", Grouping.COMPARE), rows, Grouping.COMPARE)


def _compare(run: MassConversion, rows: list[LeadConversion]) -> None:
    """Make rows follow their leaders, unless companies among them have to be left for review."""
    # All at once: they are no longer found when some of them have lost their plans.
    if _similar_companies(run, rows).update(grouping=Grouping.SIMILAR):
        return
    # Who creates a contact depends on the plans alone; who joins one does not create an account.
    contacts = _leaders(_planned(run), "contact_key", rows)
    others = _planned(run).exclude(joins=Joins.CONTACT).exclude(grouping=Grouping.COMPARE)
    accounts = _leaders(others.filter(pk__lt=rows[-1].pk), "account_key", rows)
    leaders = {row.pk: _leader_of(row, contacts, accounts) for row in rows}
    with atomic():
        for move in _write(_follow(rows, leaders), rows, Grouping.DONE):
            move.row.follows_id = leaders[move.row.pk][0]
        if not _mark_affected(run, rows, contacts, accounts):
            batch = LeadConversion.objects.filter(pk__in=leaders)
            batch.update(grouping=Grouping.COMPARE)


def _leave_followers_of_followers(_run: MassConversion, rows: list[LeadConversion]) -> None:
    found = _following_followers(rows)
    followers = [row for row in rows if row.pk in found]
    _write(_left_for_review(followers, "group", Grouping.DONE), rows, Grouping.DONE)


#: What is done with the rows of each mark.
ACTIONS: Mapping[int, Action] = {
    Grouping.SIMILAR: _leave_similar_companies,
    Grouping.COMPARE: _compare,
    Grouping.CHECK: _leave_followers_of_followers,
}


# Leaders


def _leaders(
    candidates: QuerySet[LeadConversion], key: str, rows: Iterable[LeadConversion]
) -> dict[str, int]:
    """Return by key the primary key of the first candidate with the same key as one of the rows."""
    first = candidates.filter(**{key: OuterRef(key)}).order_by("pk").values("pk")[:1]
    found = _one_by_key(key, rows).values_list(key, Subquery(first))
    return {value: pk for value, pk in found if pk}


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
    # An expression, which no index has: rows are found by their keys, not among all of a status.
    return LeadConversion.objects.filter(holds(IS_PLANNED), mass_conversion=run)


def _one_by_key(key: str, rows: Iterable[LeadConversion]) -> QuerySet[LeadConversion]:
    """Return one of these rows that has a plan for each value of a key."""
    pks = {getattr(row, key): row.pk for row in rows if row.is_planned}
    return LeadConversion.objects.filter(pk__in=[pk for value, pk in pks.items() if value])


def _similar_companies(
    run: MassConversion, rows: Iterable[LeadConversion]
) -> QuerySet[LeadConversion]:
    """
    Return the rows whose company differs only in the legal form from another, like one of these.

    Rows that a person decided are left out.
    """
    similar = _planned(run).filter(similar_key=OuterRef("similar_key"))
    before = similar.filter(account_key__lt=OuterRef("account_key"))
    after = similar.filter(account_key__gt=OuterRef("account_key"))
    several = _one_by_key("similar_key", rows).filter(Exists(before) | Exists(after))
    keys = list(several.values_list("similar_key", flat=True))
    return _planned(run).filter(similar_key__in=keys, decided_by=None)


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
    pks: Collection[int],
    contacts: Mapping[str, int],
    accounts: Mapping[str, int],
) -> QuerySet[LeadConversion]:
    """
    Return the rows that follow one of these rows, which is not their leader.

    :param contacts: the leaders to a contact among them, by the key
    :param accounts: the leaders to an account among them, by the key
    """
    rows = LeadConversion.objects.filter(holds(status=Status.PREVIEWED), follows__in=pks)
    rows = rows.exclude(follows__in=list(contacts.values()), joins=Joins.CONTACT)
    return rows.exclude(follows__in=list(accounts.values()), joins=Joins.ACCOUNT)


# Changes


def _follow(
    rows: Iterable[LeadConversion], leaders: Mapping[int, tuple[int | None, str]]
) -> list[Move]:
    """Return the moves of the rows that do not follow their leader yet."""
    changed = [
        row
        for row in rows
        if row.status == Status.PREVIEWED and (row.follows_id, row.joins) != leaders[row.pk]
    ]
    moves = []
    for joined in ("", *Joins):
        joining = [row for row in changed if leaders[row.pk][1] == joined]
        follows = NumberByRow({row.pk: leaders[row.pk][0] for row in joining}) if joined else None
        values = {"follows": follows, "joins": joined, "grouping": Grouping.DONE}
        moves += [Move(row=row, to=Status.PREVIEWED, values=values) for row in joining]
    return moves


def _left_for_review(
    rows: Iterable[LeadConversion], reason: str, next_mark: Grouping
) -> list[Move]:
    """Return the moves that remove the plans that no person decided, with the reason."""
    values = {"plan": None, "reason": reason, **FOLLOWS_NONE, "grouping": next_mark}
    undecided = [row for row in rows if row.is_planned and row.decided_by_id is None]
    return [Move(row=row, to=Status.PREVIEWED, values=values) for row in undecided]


def _write(moves: list[Move], rows: Iterable[LeadConversion], next_mark: Grouping) -> list[Move]:
    """
    Write moves, and the next mark of the other rows; return the moves that were made.

    A row that was moved since it was read keeps its mark.
    """
    moved = {move.row.pk for move in moves}
    by_version: defaultdict[int, list[int]] = defaultdict(list)
    for row in rows:
        if row.pk not in moved:
            by_version[row.version].append(row.pk)
    with atomic():
        made = LeadConversion.objects.move(moves)
        for version, pks in by_version.items():
            as_read = LeadConversion.objects.filter(pk__in=pks, version=version)
            as_read.update(grouping=next_mark)
    return made


def _mark_affected(
    run: MassConversion,
    batch: Collection[LeadConversion],
    contacts: dict[str, int],
    accounts: dict[str, int],
) -> bool:
    """
    Mark the rows to which these rows may make a difference; return whether all were marked.

    :param contacts: the leaders to a contact by key, of which only those among these rows matter
    :param accounts: the leaders to an account, likewise
    """
    undecided = LeadConversion.objects.filter(decided_by=None)
    joining = [row for row in batch if row.joins == Joins.CONTACT]
    following = [row.pk for row in batch if row.follows_id]
    marked = [
        _mark(undecided.filter(pk__in=_following_followers(joining)), Grouping.CHECK),
        _mark(undecided.filter(follows__in=following), Grouping.CHECK),
    ]
    pks = {row.pk for row in batch}
    if _are_others_compared(run, pks):
        contacts = {key: pk for key, pk in contacts.items() if pk in pks}
        accounts = {key: pk for key, pk in accounts.items() if pk in pks}
        members_of_accounts = _members(run, "account_key", accounts, Joins.ACCOUNT)
        marked += [
            _mark(_without_leader(pks, contacts, accounts), Grouping.COMPARE),
            _mark(_members(run, "contact_key", contacts, Joins.CONTACT), Grouping.COMPARE),
            _mark(members_of_accounts.exclude(joins=Joins.CONTACT), Grouping.COMPARE),
        ]
    return max(marked) < MAX_MARKED_ROWS


def _are_others_compared(run: MassConversion, pks: Collection[int]) -> bool:
    """Return whether other rows, after the first of these, were compared and are not marked."""
    rows = LeadConversion.objects.filter(mass_conversion=run, pk__gte=min(pks))
    compared = rows.filter(grouping__in=[Grouping.DONE, Grouping.CHECK])
    return compared.exclude(pk__in=pks).exists()


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
