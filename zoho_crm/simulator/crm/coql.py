"""
Answers to COQL queries, which see every write at once.

`Query <https://www.zoho.com/crm/developer/docs/api/v8/Get-Records-through-COQL-Query.html>`_,
`limitations <https://www.zoho.com/crm/developer/docs/api/v8/COQL-Limitations.html>`_
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoho_crm.simulator import coql_refusals, refusals, schema
from zoho_crm.simulator.admission import granted
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.crm.comparing import NUMBERS, comparable, sort_key
from zoho_crm.simulator.crm.coql_query import Column, Comparison, Group, Query, parse
from zoho_crm.simulator.crm.items import object_of
from zoho_crm.simulator.organisation import Organisation
from zoho_crm.simulator.records import Record
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

Json = dict[str, Any]
MAX_ROWS = 2_000
MAX_ROWS_BY_OFFSET = 100_000
MAX_COLUMNS = 500
MAX_CONDITIONS = 25
MAX_VALUES = 100
MAX_ORDERS, MAX_GROUPS, MAX_AGGREGATES, MAX_JOINS = 10, 4, 5, 2

_EQUALITY = ("=", "!=", "in", "not in")
_ORDER = (">", ">=", "<", "<=", "between", "not between")
#: The operators of each type besides ``is null`` and ``is not null``.
_OPERATORS_BY_TYPE: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("text", "email", "phone", "website", "picklist"), (*_EQUALITY, "like", "not like")
    ),
    **dict.fromkeys(("lookup", "ownerlookup"), _EQUALITY),
    **dict.fromkeys(("date", "datetime", "bigint", *NUMBERS), (*_EQUALITY, *_ORDER)),
    "multiselectpicklist": _EQUALITY,
    "boolean": ("=",),
}
#: Columns that one live organisation refused in criteria, although they are filterable.
_REFUSED_IN_CRITERIA = ("Converted__s",)

Predicate = Callable[[Record], bool]


def query(world: World, context: RequestContext) -> Answer:
    """``POST /coql``: rows of the selected columns; converted leads are among them."""
    text = object_of(context).get("select_query")
    if text is None:
        raise coql_refusals.missing_query()
    if not isinstance(text, str):
        raise coql_refusals.wrong_query_type()
    wanted = parse(text)
    _check_module(world, context, wanted)
    _check_limits(wanted)
    rows = QueryRun(world.organisation, context, wanted).rows()
    shown = rows[wanted.offset : wanted.offset + wanted.limit]
    more = len(rows) > wanted.offset + wanted.limit
    info = {"count": len(shown), "more_records": more}
    return Answer.json({"data": shown, "info": info}) if shown else Answer.no_content()


def _check_module(world: World, context: RequestContext, wanted: Query) -> None:
    if wanted.module not in world.organisation.records:
        raise coql_refusals.unknown_module()
    scopes = context.access_token.scopes if context.access_token else ()
    if not granted(f"ZohoCRM.modules.{wanted.module}.READ", scopes):
        raise refusals.missing_scope()
    if wanted.view and wanted.view != world.organisation.custom_views[wanted.module]:
        raise coql_refusals.invalid_view(wanted.view)


def _check_limits(wanted: Query) -> None:
    if wanted.limit > MAX_ROWS:
        raise coql_refusals.invalid_window("limit", str(wanted.limit))
    if wanted.offset + wanted.limit > MAX_ROWS_BY_OFFSET:
        raise coql_refusals.invalid_window("offset", str(wanted.offset))
    aggregates = [column for column in wanted.columns if column.aggregate]
    counts = (
        ("select", wanted.columns, MAX_COLUMNS),
        ("where", list(_comparisons(wanted.where)), MAX_CONDITIONS),
        ("order by", wanted.order_by, MAX_ORDERS),
        ("group by", wanted.group_by, MAX_GROUPS),
        ("aggregate", aggregates, MAX_AGGREGATES),
    )
    for what, found, limit in counts:
        if len(found) > limit:
            raise coql_refusals.too_many(what, limit)
    keys: set[str] = set()
    for column in wanted.columns:
        if column.key in keys:
            raise coql_refusals.duplicate_column(column.name, column.aggregate)
        keys.add(column.key)


def _comparisons(part: Any) -> Iterable[Comparison]:
    if isinstance(part, Group):
        for each in part.parts:
            yield from _comparisons(each)
    else:
        yield part


@dataclass(frozen=True)
class QueryRun:
    """The rows of one query."""

    organisation: Organisation
    context: RequestContext
    wanted: Query

    def rows(self) -> list[Json]:
        """
        Return all rows in order.

        :raises RefusedError: for a column that does not exist, or an operator that does not fit
        """
        fits = self._predicate(self.wanted.where)
        for column in self.wanted.columns:
            self._field(column.name)
        found = [record for record in self._records() if fits(record)]
        if self.wanted.group_by or any(column.aggregate for column in self.wanted.columns):
            return self._aggregated(found)
        return [self._row(record) for record in self._ordered(found)]

    def _records(self) -> Iterable[Record]:
        seen_at = self.context.seen_at
        for record in self.organisation.records[self.wanted.module].data.values():
            yield self.organisation.as_of(record, seen_at) if seen_at else record

    def _row(self, record: Record) -> Json:
        values = {
            each.key: self._shown(self.value(record, each.name)) for each in self.wanted.columns
        }
        return {**values, "id": record.id}

    @staticmethod
    def _shown(value: Any) -> Any:
        """Return a look-up without its name; tags and everything else as it is."""
        return {"id": value["id"]} if isinstance(value, dict) and "id" in value else value

    def _ordered(self, records: list[Record]) -> list[Record]:
        names = {column.alias: column.name for column in self.wanted.columns if column.alias}
        for name, direction in reversed(self.wanted.order_by):
            column = names.get(name, name)
            kind = self._field(column).type
            records.sort(
                key=lambda record: sort_key(kind, self.value(record, column)),  # noqa: B023
                reverse=direction == "desc",
            )
        return records

    def _aggregated(self, records: list[Record]) -> list[Json]:
        """Return one row for each combination of the grouped values, without an id."""
        groups: dict[str, list[Record]] = {}
        for name in self.wanted.group_by:
            self._field(name)
        for record in records:
            key = repr([self._shown(self.value(record, name)) for name in self.wanted.group_by])
            groups.setdefault(key, []).append(record)
        rows = [self._group_row(members) for members in groups.values()]
        for name, direction in reversed(self.wanted.order_by):
            rows.sort(
                key=lambda row: (row.get(name) is not None, row.get(name) or 0),  # noqa: B023
                reverse=direction == "desc",
            )
        return rows

    def _group_row(self, members: Sequence[Record]) -> Json:
        return {
            column.key: self._aggregate(column, members)
            if column.aggregate
            else self._shown(self.value(members[0], column.name))
            for column in self.wanted.columns
        }

    def _aggregate(self, column: Column, members: Sequence[Record]) -> Any:
        values = [self.value(record, column.name) for record in members]
        values = [value for value in values if value is not None]
        if column.aggregate == "COUNT":
            return len(values)
        if column.aggregate in ("MIN", "MAX"):
            choose = min if column.aggregate == "MIN" else max
            return choose(values) if values else None
        if self._field(column.name).type not in NUMBERS:
            raise coql_refusals.unknown_aggregate(column.key)
        total = sum(values)
        return total / len(values) if column.aggregate == "AVG" and values else total

    def _field(self, name: str) -> schema.Field:
        """Return the field of a column, which may be one of a look-up's module."""
        *steps, last = name.split(".")
        if len(steps) > MAX_JOINS:
            raise coql_refusals.unknown_column(name)
        module = self.wanted.module
        for step in steps:
            reference = schema.field(module, step)
            if reference is None or reference.target not in self.organisation.records:
                raise coql_refusals.unknown_column(name)
            module = reference.target
        found = schema.field(module, last)
        if found is None:
            raise coql_refusals.unknown_column(name)
        return found

    def value(self, record: Record, name: str) -> Any:
        """Return a record's value of a column; null where a look-up on the way is empty."""
        *steps, last = name.split(".")
        shown: Record | None = record
        for step in steps:
            reference = shown.get(step) if shown else None
            field = schema.field(shown.table.module, step) if shown and shown.table else None
            table = self.organisation.records[field.target] if field else {}
            shown = table.get(reference["id"]) if reference else None
        return shown.get(last) if shown else None

    def _predicate(self, part: Any) -> Predicate:
        if isinstance(part, Comparison):
            return self._test(part)
        tests = [self._predicate(each) for each in part.parts]
        join = all if part.joined_by == "and" else any
        return lambda record: join(test(record) for test in tests)

    def _test(self, wanted: Comparison) -> Predicate:
        field = self._field(wanted.name)
        if not field.filterable or field.name in _REFUSED_IN_CRITERIA:
            raise coql_refusals.unsupported_in_criteria(wanted.name, wanted.operator)
        if wanted.operator.endswith("null"):
            is_null = wanted.operator == "is null"
            return lambda record: (self.value(record, wanted.name) in (None, "", [])) == is_null
        if wanted.operator not in _OPERATORS_BY_TYPE.get(field.type, ()):
            reason = "invalid operator found"
            raise coql_refusals.invalid_condition(wanted.name, wanted.operator, reason)
        if len(wanted.values) > MAX_VALUES:
            raise coql_refusals.too_many("in", MAX_VALUES)
        test = _compared(field, wanted)
        return lambda record: test(comparable(field.type, self.value(record, wanted.name)))


def _compared(field: schema.Field, wanted: Comparison) -> Callable[[Any], bool]:
    """Return a test of a comparable value; a record without a value fits only a negation."""
    negates = wanted.operator.startswith("not ")
    operator = wanted.operator.removeprefix("not ")
    try:
        values = [comparable(field.type, value) for value in wanted.values]
        pattern = _pattern(wanted) if operator == "like" else None
    except ValueError:
        reason = "invalid value found"
        raise coql_refusals.invalid_condition(wanted.name, wanted.operator, reason) from None
    first, last = values[0], values[-1]
    tests: Mapping[str, Callable[[Any], bool]] = {
        "=": lambda value: value == first,
        "!=": lambda value: value != first,
        "in": lambda value: value in values,
        "like": lambda value: bool(pattern and pattern.fullmatch(value)),
        "between": lambda value: first <= value <= last,
        ">": lambda value: value > first,
        ">=": lambda value: value >= first,
        "<": lambda value: value < first,
        "<=": lambda value: value <= first,
    }
    test = tests[operator]
    is_negation = negates or operator == "!="
    return lambda value: is_negation if value is None else test(value) != negates


def _pattern(wanted: Comparison) -> re.Pattern[str]:
    """
    Return the pattern of ``like``, with ``%`` at one or both ends; at both for ``not like``.

    :raises ValueError: for ``%`` elsewhere
    """
    text = wanted.values[0]
    inner = text.removeprefix("%").removesuffix("%")
    is_open = text.startswith("%") and text.endswith("%")
    if "%" in inner or (wanted.operator == "not like" and not is_open):
        raise ValueError(text)
    begin, end = (".*" if edge == "%" else "" for edge in (text[:1], text[-1:]))
    words = comparable("text", inner) or ""
    return re.compile(f"{begin}{re.escape(words)}{end}", re.DOTALL)
