"""
Update and insert many rows of a table with one statement each, for ``LeadConversionQuerySet``.

Django's ``bulk_update`` and ``bulk_create`` do the same, but compile an expression for each value
of each row, which takes several times as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from django.db import connections, models
from django.db.models.constants import OnConflict

from zoho_crm.models._time import DbNow

#: Values that are written into the statement, not passed as parameters: most of a new row's.
LITERALS: Mapping[Any, str] = {None: "NULL", "": "''"}


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
