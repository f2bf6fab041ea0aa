"""
Many rows of a kind in one go, for the writer of the rows of leads.

Django's ``bulk_update`` and ``bulk_create`` do the same, but put their statements together anew for
each value of each row, at several times the cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from django.db import connections, models
from django.db.models.constants import OnConflict

from zoho_crm.models._time import DbNow

#: Values that need not be handed over: most of a new row's are among them.
PLAIN: Mapping[Any, str] = {None: "NULL", "": "''"}


def update_rows(
    model: type[models.Model],
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    using: str,
) -> None:
    """Set these columns to plain values; behind the values of each row stands its primary key."""
    connection, meta = connections[using], model._meta
    quote = connection.ops.quote_name
    fields: list[Any] = [meta.get_field(name) for name in names]
    key: Any = meta.pk
    columns = ", ".join(f"{quote(field.column)} = %s" for field in fields)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {quote(meta.db_table)} SET {columns} WHERE {quote(key.column)} = %s",
            _stored([*fields, key], rows, connection),
        )


def insert_with_time(
    model: type[models.Model],
    moment: str,
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    using: str,
) -> None:
    """Insert rows with plain values in these columns, and the present in the column ``moment``."""
    fields: list[Any] = [model._meta.get_field(name) for name in (*names, moment)]
    places = [*("%s" for _name in names), _compiled(model, DbNow(), using)]
    stored = _stored(fields[:-1], rows, connections[using])
    _insert(model, fields, places, stored, using=using)


def insert_copies(template: models.Model, name: str, values: Iterable[Any], *, using: str) -> None:
    """Insert a row for each value of a column, else like the template; one that is there stays."""
    fields = [field for field in template._meta.concrete_fields if not field.primary_key]
    places: list[str] = []
    alike: dict[str, Any] = {}
    for field in fields:
        value = field.pre_save(template, add=True)
        if hasattr(value, "resolve_expression"):
            places.append(_compiled(type(template), value, using))
        elif field.name != name and value in PLAIN:
            places.append(PLAIN[value])
        else:
            places.append("%s")
            alike[field.name] = field.get_db_prep_save(value, connections[using])
    stored = [tuple({**alike, name: value}.values()) for value in values]
    _insert(type(template), fields, places, stored, using=using, on_conflict=OnConflict.IGNORE)


def _insert(
    model: type[models.Model],
    fields: Sequence[Any],
    places: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    *,
    using: str,
    on_conflict: OnConflict | None = None,
) -> None:
    ops = connections[using].ops
    verb = ops.insert_statement(on_conflict=on_conflict)
    table, columns = (
        ops.quote_name(model._meta.db_table),
        [ops.quote_name(f.column) for f in fields],
    )
    rest = ops.on_conflict_suffix_sql(fields, on_conflict, [], [])
    size = max(1, ops.bulk_batch_size(fields, rows))
    with connections[using].cursor() as cursor:
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            values = ", ".join([f"({', '.join(places)})"] * len(some))
            cursor.execute(
                f"{verb} {table} ({', '.join(columns)}) VALUES {values} {rest}",
                list(chain.from_iterable(some)),
            )


def _compiled(model: type[models.Model], expression: Any, using: str) -> str:
    """Return an expression without parameters as SQL."""
    compiler = model._default_manager.all().query.get_compiler(using)
    return str(compiler.compile(expression)[0])


def _stored(
    fields: Sequence[Any], rows: Sequence[Sequence[Any]], connection: Any
) -> list[tuple[Any, ...]]:
    """Return rows as the database takes them."""
    columns = (
        _column(field, [row[index] for row in rows], connection)
        for index, field in enumerate(fields)
    )
    return list(zip(*columns, strict=True))


def _column(field: Any, values: Sequence[Any], connection: Any) -> list[Any]:
    """Return a column's values as the database takes them; most of them are one and the same."""
    stored = {id(value): value for value in values}
    stored = {key: field.get_db_prep_save(value, connection) for key, value in stored.items()}
    return [stored[id(value)] for value in values]
