"""
COQL, Zoho's query language: values are parameters, which are quoted here; rows come page by page.

https://www.zoho.com/crm/developer/docs/api/v8/Get-Records-through-COQL-Query.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import TypeAlias

from zoho_crm.client._answers import id_of, parse_answer
from zoho_crm.client._api import Api
from zoho_crm.client._values import Comparable, text_of_value, unusable
from zoho_crm.exceptions import RequestRefusedError, ServerError
from zoho_crm.types import JsonObject, Record, Reference, ValueObject

PATH = "/crm/v8/coql"
#: Zoho's limits; where its pages differ, the smaller one.
ROWS_PER_CALL = 200
MAX_ROWS_BY_OFFSET = 10_000
MAX_VALUES = 50

#: A value of a parameter; a list or tuple is for ``in``.
Parameter: TypeAlias = Comparable | list[Comparable] | tuple[Comparable, ...]

_TOKEN = re.compile(
    r"""
    (?P<blank>\s+)
    | (?P<text>'(?:[^'\\\x00-\x1f\x7f]|'')*')
    | (?P<parameter>:[A-Za-z_][A-Za-z0-9_]*)
    | (?P<name>\$?[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*(?:\#[0-9]+)?)
    | (?P<number>-?[0-9]+(?:\.[0-9]+)?)
    | (?P<sign>!=|<=|>=|[(),=<>*])
    """,
    re.VERBOSE | re.ASCII,
)
_CLAUSES = ("select", "from", "where", "group", "order", "limit")
FORM = "A query is: select … from … where …, perhaps group by, order by, limit."
_AGGREGATE = re.compile(r"\b(SUM|MIN|MAX|AVG|COUNT) ?\(", re.IGNORECASE)


class Query(ValueObject):
    """A query with its values quoted, as the texts of its clauses."""

    select: str
    source: str
    where: str
    #: ``group by`` and ``order by`` with what follows; empty if the query has neither.
    order: str = ""
    #: ``limit`` with what follows; empty if the query has none.
    limit: str = ""

    def __str__(self) -> str:
        head = f"select {self.select} from {self.source} where {self.where}"
        return " ".join(filter(None, [head, self.order, self.limit]))

    @property
    def is_plain(self) -> bool:
        """Whether the rows are records, in no order of the query's own."""
        return not self.order and not _AGGREGATE.search(self.select)

    def after(self, record_id: str) -> Query:
        """Return the query for the next rows by id; the first ones if the id is empty."""
        larger = f"(({self.where}) and id > '{record_id}')" if record_id else self.where
        limit = f"limit {ROWS_PER_CALL}"
        return replace(self, where=larger, order="order by id asc", limit=limit)

    def from_row(self, offset: int) -> Query:
        """Return the query for the rows from this one on."""
        return replace(self, limit=f"limit {ROWS_PER_CALL} offset {offset}")


class Rows(ValueObject):
    """The rows of one call."""

    rows: tuple[JsonObject, ...]
    has_more: bool


def parse_query(text: str, values: Mapping[str, Parameter]) -> Query:
    """
    Return a query with its values quoted.

    :param text: the query, with ``:name`` where a value stands
    :raises ValueError: if the text is not a query with ``select``, ``from`` and ``where``
    :raises TypeError: if a parameter has no value, or a value no parameter
    :raises RequestRefusedError: for a value that Zoho may misread
    """
    tokens = list(_tokens(text))
    named = {token[1:] for kind, token in tokens if kind == "parameter"}
    if named != set(values):
        odd = ", ".join(sorted(named ^ set(values)))
        raise TypeError(f"The parameters and the values of the query differ in: {odd}.")
    parts: list[str] = []
    starts: dict[str, int] = {}
    depth = 0
    for kind, token in tokens:
        word = token.lower()
        if kind == "name" and depth == 0 and word in _CLAUSES and word not in starts:
            starts[word] = len(parts)
        depth += {"(": 1, ")": -1}.get(token, 0)
        parts.append(quoted(token[1:], values[token[1:]]) if kind == "parameter" else token)
        if depth < 0:
            break
    if depth or not _are_in_order(list(starts)):
        raise ValueError(FORM)
    return _query(parts, starts)


def quoted(name: str, value: Parameter) -> str:
    """
    Return the value of a parameter as a literal, or as the list of an ``in``.

    A quote inside a text is doubled.

    :raises RequestRefusedError: for a text with a backslash, whose meaning Zoho does not say, and
        for what ``text_of_value`` refuses
    """
    if isinstance(value, list | tuple):
        if not 1 <= len(value) <= MAX_VALUES:
            details = {"api_name": name, "number": len(value), "limit": MAX_VALUES}
            raise RequestRefusedError(code="number_of_values", details=details)
        return f"({', '.join(_literal(name, item) for item in value)})"
    return _literal(name, value)


def rows_of(api: Api, query: Query) -> Iterator[JsonObject]:
    """
    Yield the rows of a query, call by call.

    Records in no order of their own are read by growing id, so that none is missing or comes twice
    and there is no limit; others by their number, of which Zoho reads 10,000. A query with a
    ``limit`` of its own is one call.

    :raises RequestRefusedError: if there are more rows than Zoho reads
    """
    if query.limit:
        yield from read_rows(api, query).rows
    elif query.is_plain:
        yield from _by_id(api, query)
    else:
        yield from _by_number(api, query)


def _by_id(api: Api, query: Query) -> Iterator[JsonObject]:
    last_id = ""
    while True:
        page = read_rows(api, query.after(last_id))
        yield from page.rows
        if not page.has_more or not page.rows:
            return
        newest_id = id_of(page.rows[-1].get("id"))
        if last_id and int(newest_id) <= int(last_id):
            raise ServerError(code="endless_list")
        last_id = newest_id


def _by_number(api: Api, query: Query) -> Iterator[JsonObject]:
    for offset in range(0, MAX_ROWS_BY_OFFSET, ROWS_PER_CALL):
        page = read_rows(api, query.from_row(offset))
        yield from page.rows
        if not page.has_more:
            return
    raise RequestRefusedError(code="query_limit", details={"limit": MAX_ROWS_BY_OFFSET})


def read_rows(api: Api, query: Query) -> Rows:
    """Return the rows of one call."""
    body = api.call("POST", PATH, json={"select_query": str(query)}, is_read=True)
    return parse_answer(_rows, body)


def _rows(body: JsonObject) -> Rows:
    rows = tuple(map(_row, body.get("data") or []))
    return Rows(rows=rows, has_more=bool((body.get("info") or {}).get("more_records")))


def _row(row: JsonObject) -> JsonObject:
    return {**row, "id": id_of(row["id"])} if "id" in row else {**row}


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """
    Yield the kinds and texts of the parts of a query, with one blank for many.

    :raises ValueError: for what is no part of a query
    """
    place = 0
    while found := _TOKEN.match(text, place):
        place = found.end()
        kind = str(found.lastgroup)
        yield kind, " " if kind == "blank" else found[0]
    if place < len(text):
        raise ValueError(f"A query cannot have this: {text[place : place + 20]!r}.")


def _are_in_order(clauses: list[str]) -> bool:
    known = [clause for clause in _CLAUSES if clause in clauses]
    return clauses == known and clauses[:3] == list(_CLAUSES[:3])


def _query(parts: list[str], starts: Mapping[str, int]) -> Query:
    """
    Return the query of these parts, whose clauses start at these places.

    :raises ValueError: if there is nothing to select, to select from or to compare
    """
    ends = [*list(starts.values())[1:], len(parts)]
    texts = {
        clause: "".join(parts[start:end]).strip()
        for (clause, start), end in zip(starts.items(), ends, strict=True)
    }
    select, source, where = (texts[clause].partition(" ")[2] for clause in _CLAUSES[:3])
    if not (select and source and where):
        raise ValueError(FORM)
    order = " ".join(filter(None, [texts.get("group"), texts.get("order")]))
    return Query(
        select=select, source=source, where=where, order=order, limit=texts.get("limit", "")
    )


def _literal(name: str, value: Comparable) -> str:
    text = text_of_value(name, value)
    if isinstance(value, bool | str | date | Record | Reference):
        if "\\" in text:
            raise unusable(name, "backslash")
        doubled = text.replace("'", "''")
        return f"'{doubled}'"
    return text
