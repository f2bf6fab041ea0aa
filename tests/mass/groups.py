"""How the rows of a run are grouped, written a second time: all rows at once, in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeAlias

from zoho_crm.models import LeadConversion, MassConversion


@dataclass(kw_only=True)
class Row:
    """What the grouping of a row depends on, and what it results in."""

    pk: int
    contact: str
    account: str
    similar: str
    is_planned: bool
    by_person: bool
    reason: str
    follows: int | None
    joins: str

    @property
    def result(self) -> Result:
        return self.is_planned, self.reason, self.follows, self.joins

    def leave(self, reason: str) -> None:
        if not self.by_person:
            self.is_planned, self.reason, self.follows, self.joins = False, reason, None, ""


Result: TypeAlias = tuple[bool, str, int | None, str]


def stored(run: MassConversion) -> dict[int, Result]:
    """Return the groups of a run as they are stored, by the row's primary key."""
    return {pk: row.result for pk, row in _rows_of(run).items()}


def regrouped(run: MassConversion) -> dict[int, Result]:
    """Return the groups of a run after all its rows were grouped."""
    rows = _rows_of(run)
    _regroup(rows)
    return {pk: row.result for pk, row in rows.items()}


def _rows_of(run: MassConversion) -> dict[int, Row]:
    stored = run.rows.filter(status=LeadConversion.Status.PREVIEWED).order_by("pk")
    return {
        row.pk: Row(
            pk=row.pk,
            contact=row.contact_key,
            account=row.account_key,
            similar=row.similar_key,
            is_planned=row.plan is not None,
            by_person=row.decided_by_id is not None,
            reason=row.reason,
            follows=row.follows_id,
            joins=row.joins,
        )
        for row in stored
    }


def _regroup(rows: dict[int, Row]) -> None:
    for row in rows.values():
        row.follows, row.joins = None, ""
    for similar in _groups(rows.values(), "similar"):
        if len({row.account for row in similar}) > 1:
            for row in similar:
                row.leave("similar")
    for name in ("contact", "account"):
        for leader, *others in _groups(rows.values(), name):
            for row in others:
                row.follows, row.joins = leader.pk, name
    followers = {row.pk for row in rows.values() if row.follows}
    for row in rows.values():
        if row.follows in followers:
            row.leave("group")


def _groups(rows: Iterable[Row], name: str) -> list[list[Row]]:
    """Return the rows with a plan that have the same key and join no contact."""
    by_key: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.is_planned and row.joins != "contact":
            by_key[getattr(row, name)].append(row)
    return [sorted(group, key=attrgetter("pk")) for key, group in by_key.items() if key]
