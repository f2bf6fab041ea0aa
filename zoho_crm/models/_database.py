"""
The database of our tables, which routers may choose, its clock, and statements for many rows.

The database that is written to is read, too: a replica may be behind, so nothing is decided by what
it shows. Users may be in another database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Case, Q, When
from django.db.models.constants import OnConflict
from django.db.models.deletion import Collector
from django.db.models.expressions import Expression
from django.db.models.functions import Now

if TYPE_CHECKING:
    from django.db.models.sql.compiler import SQLCompiler
    from django_stubs_ext import StrPromise

View = TypeVar("View", bound=Callable[..., Any])
ModelT = TypeVar("ModelT", bound=models.Model)
ModelT_co = TypeVar("ModelT_co", bound=models.Model, covariant=True)

#: Rows that ``batches`` reads with one query.
BATCH_ROWS = 500
#: Values that are written into the statement, not passed as parameters: most of a new row's.
LITERALS: Mapping[Any, str] = {None: "NULL", "": "''"}


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


# Its clock, in UTC: every comparison of times uses it. Clocks of hosts are for display


class DbNow(Now):
    """The current time of the database, comparable with every stored time."""

    #: All instances are equal; Django's own ``identity`` is computed slowly for each instance.
    identity = ("the present moment",)

    def as_mysql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> tuple[str, Any]:
        # CURRENT_TIMESTAMP is in the time zone of the session; Django stores UTC.
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **extra)


@lru_cache
def from_now(seconds: float) -> Expression:
    """Return the time in so many seconds, or so many seconds ago, by the database's clock."""
    # SQLite formats a sum in another way, which compares as a little later than the same time.
    return DbNow() + timedelta(seconds=seconds) if seconds else DbNow()


def holds(*conditions: Q, **condition: Any) -> Case:
    """Return a boolean expression for ``annotate``: whether all conditions hold; NULL is false."""
    when = When(Q(*conditions, **condition), then=True)
    return Case(when, default=False, output_field=BooleanField())


# Many rows with one statement, for ``MovingQuerySet``. Django's ``bulk_update`` and ``bulk_create``
# do the same, but compile an expression for each value of each row: several times as long


def update_rows(
    model: type[models.Model],
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    using: str,
) -> None:
    """
    Set these columns of many rows.

    :param names: names of fields
    :param rows: for each row the values of these fields, then its primary key
    :param using: alias of the database
    """
    connection, meta = connections[using], model._meta
    quote = connection.ops.quote_name
    fields: list[Any] = [meta.get_field(name) for name in names]
    key: Any = meta.pk
    columns = ", ".join(f"{quote(field.column)} = %s" for field in fields)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {quote(meta.db_table)} SET {columns} WHERE {quote(key.column)} = %s",
            _database_rows([*fields, key], rows, connection),
        )


def insert_with_time(
    model: type[models.Model],
    time_name: str,
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    using: str,
) -> None:
    """
    Insert many rows with the database's current time in one column.

    :param time_name: name of the field that gets the time
    :param names: names of the other fields
    :param rows: for each row the values of these other fields
    :param using: alias of the database
    """
    fields: list[Any] = [model._meta.get_field(name) for name in (*names, time_name)]
    placeholders = [*("%s" for _name in names), _sql(model, DbNow(), using)]
    values = _database_rows(fields[:-1], rows, connections[using])
    _insert(model, fields, placeholders, values, using=using)


def insert_copies(template: models.Model, name: str, values: Iterable[Any], *, using: str) -> None:
    """
    Insert a copy of an instance for each value of one field; a row that exists stays as it is.

    :param name: name of the field that differs
    :param using: alias of the database
    """
    fields = [field for field in template._meta.concrete_fields if not field.primary_key]
    placeholders: list[str] = []
    parameters: dict[str, Any] = {}
    for field in fields:
        value = field.pre_save(template, add=True)
        if hasattr(value, "resolve_expression"):
            placeholders.append(_sql(type(template), value, using))
        elif field.name != name and value in LITERALS:
            placeholders.append(LITERALS[value])
        else:
            placeholders.append("%s")
            parameters[field.name] = field.get_db_prep_save(value, connections[using])
    rows = [tuple({**parameters, name: value}.values()) for value in values]
    _insert(type(template), fields, placeholders, rows, using=using, on_conflict=OnConflict.IGNORE)


def _insert(
    model: type[models.Model],
    fields: Sequence[Any],
    placeholders: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    *,
    using: str,
    on_conflict: OnConflict | None = None,
) -> None:
    ops = connections[using].ops
    verb = ops.insert_statement(on_conflict=on_conflict)
    table = ops.quote_name(model._meta.db_table)
    columns = [ops.quote_name(field.column) for field in fields]
    suffix = ops.on_conflict_suffix_sql(fields, on_conflict, [], [])
    size = max(1, ops.bulk_batch_size(fields, rows))
    with connections[using].cursor() as cursor:
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            values = ", ".join([f"({', '.join(placeholders)})"] * len(batch))
            cursor.execute(
                f"{verb} {table} ({', '.join(columns)}) VALUES {values} {suffix}",
                list(chain.from_iterable(batch)),
            )


def _sql(model: type[models.Model], expression: Any, using: str) -> str:
    """Return an expression without parameters as SQL."""
    compiler = model._default_manager.all().query.get_compiler(using)
    return str(compiler.compile(expression)[0])


def _database_rows(
    fields: Sequence[Any], rows: Sequence[Sequence[Any]], connection: Any
) -> list[tuple[Any, ...]]:
    """Return the values of rows as the database's driver expects them."""
    columns = (
        _database_values(field, [row[index] for row in rows], connection)
        for index, field in enumerate(fields)
    )
    return list(zip(*columns, strict=True))


def _database_values(field: Any, values: Sequence[Any], connection: Any) -> list[Any]:
    """Return a field's values as the database's driver expects them; each object only once."""
    distinct = {id(value): value for value in values}
    prepared = {key: field.get_db_prep_save(value, connection) for key, value in distinct.items()}
    return [prepared[id(value)] for value in values]


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
