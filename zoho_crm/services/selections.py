"""What a user chose in a list: remember it for a while, and find it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet

from zoho_crm.models import Selection, from_now, holds
from zoho_crm.models._database import DbNow

#: How long a selection can be used.
LIFETIME_SECONDS = 3600
#: Ids that are read with one query.
BATCH_IDS = 500


def select(
    *,
    user: AbstractBaseUser,
    of: str,
    ids: Sequence[Any] | None = None,
    filters: Mapping[str, list[str]] | None = None,
    newest_id: int | None = None,
    connection_id: int | None = None,
) -> Selection:
    """
    Remember what a user chose; what the same user chose before is deleted once it has expired.

    :param of: what is listed, as the label of a model
    :param ids: of the chosen rows; ``None`` for all that match the filters
    :param filters: the parameters of the list, each with its values
    :param newest_id: rows with a greater id do not belong to it
    """
    expired_selections().filter(user_id=user.pk).delete()
    return Selection.objects.create(
        user_id=user.pk,
        of=of,
        ids=None if ids is None else list(ids),
        filters=dict(filters or {}),
        newest_id=newest_id,
        connection_id=connection_id,
        expires_at=from_now(LIFETIME_SECONDS),
    )


def find_selection(*, pk: int, user: AbstractBaseUser, of: str) -> Selection | None:
    """Return a selection of this user; ``None`` if there is none, or it is of another list."""
    flags: dict[str, Any] = {"has_expired": holds(expires_at__lte=DbNow())}
    found = Selection.objects.annotate(**flags)
    return found.filter(pk=pk, user_id=user.pk, of=of).first()


def chosen_rows(selection: Selection, rows: QuerySet[Any]) -> QuerySet[Any]:
    """
    Return those of the rows that belong to a selection.

    :param rows: that the user may see; if it is of a filter, those that match it
    """
    if selection.connection_id is not None:
        rows = rows.filter(connection_id=selection.connection_id)
    if selection.ids is not None:
        return rows.filter(pk__in=selection.ids)
    return rows if selection.newest_id is None else rows.filter(pk__lte=selection.newest_id)


def id_batches(rows: QuerySet[Any], size: int = BATCH_IDS) -> Iterator[list[Any]]:
    """Yield the primary keys of all rows in their order, each batch read by a query of its own."""
    keys = rows.order_by("pk").values_list("pk", flat=True)
    batch = list(keys[:size])
    while batch:
        yield batch
        batch = list(keys.filter(pk__gt=batch[-1])[:size])


def expired_selections() -> QuerySet[Selection]:
    """Return the selections that can no longer be used."""
    return Selection.objects.filter(expires_at__lte=DbNow())
