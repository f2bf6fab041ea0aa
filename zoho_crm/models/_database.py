"""
The database of our tables, which routers may choose: the one that is written to is read, too.

A replica may be behind, so nothing is decided by what it shows. Users may be in another database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connections, models, router, transaction
from django.db.models.deletion import Collector

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

View = TypeVar("View", bound=Callable[..., Any])
ModelT = TypeVar("ModelT", bound=models.Model)
ModelT_co = TypeVar("ModelT_co", bound=models.Model, covariant=True)

#: Rows that ``batches`` reads with one query.
BATCH_ROWS = 500


class PrimaryQuerySet(models.QuerySet[ModelT_co]):
    """Rows, read from the database that they are written to."""

    @property
    def db(self) -> str:
        """The alias of the database that is used if this query is executed now."""
        chosen: str | None = self._db  # type: ignore[attr-defined]
        return chosen or router.db_for_write(self.model, **self._hints)  # type: ignore[attr-defined]


class PrimaryModel(models.Model):
    """A table of ours: its managers, foreign keys included, read where they write."""

    objects: ClassVar = PrimaryQuerySet.as_manager()

    class Meta:
        abstract = True
        base_manager_name = "objects"


def database() -> str:
    """Return the alias of the database that all our tables are in."""
    return router.db_for_write(apps.get_model("zoho_crm", "Connection"))


def atomic() -> transaction.Atomic:
    """Return the context manager of a transaction in the database of our tables."""
    return transaction.atomic(using=database())


def batches(rows: models.QuerySet[ModelT], *, newest_first: bool = False) -> Iterator[list[ModelT]]:
    """
    Yield all rows by their primary key, 500 at a time.

    Each batch is a query of its own. ``iterator`` needs a cursor that stays open, which a pooler of
    connections may not allow, or reads all rows at once where the database has no such cursors.
    """
    rows = rows.order_by("-pk" if newest_first else "pk")
    batch = list(rows[:BATCH_ROWS])
    while batch:
        yield batch
        after = {"pk__lt" if newest_first else "pk__gt": batch[-1].pk}
        batch = list(rows.filter(**after)[:BATCH_ROWS])


def non_atomic_requests(view: View) -> View:
    """Return a view that Django calls outside of transactions, in whichever database they are."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


# Users


def set_null(
    collector: Collector, field: Any, rows: models.QuerySet[Any], _users_database: str
) -> None:
    """
    Set references to users that are deleted to null, in our database; used as ``on_delete``.

    Django's ``SET_NULL`` looks for our tables in the database of the users.
    """
    collector.add_field_update(field, None, rows.using(database()))


# As for Django's own: the rows need not be read, which would happen in the database of the users.
set_null.lazy_sub_objs = True  # type: ignore[attr-defined]


def user_reference(verbose_name: StrPromise, **options: Any) -> models.ForeignKey[Any, Any]:
    """Return the field that refers to a user, who may be in another database or be deleted."""
    return models.ForeignKey(
        settings.AUTH_USER_MODEL,
        set_null,
        null=True,
        db_constraint=False,
        related_name="+",
        verbose_name=verbose_name,
        **options,
    )


def with_users(rows: models.QuerySet[ModelT], *names: str) -> models.QuerySet[ModelT]:
    """Return the rows with the users that these fields name, read from the users' database."""
    model = get_user_model()
    users = model._base_manager.using(router.db_for_read(model))
    return rows.prefetch_related(*(models.Prefetch(name, users) for name in names))
