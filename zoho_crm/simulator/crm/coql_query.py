"""
The grammar of COQL: a query as text becomes a :class:`Query`.

`COQL <https://www.zoho.com/crm/developer/docs/api/v8/COQL-Overview.html>`_,
`its OpenAPI <https://github.com/zoho/crm-oas/tree/main/v8.0/coql>`_. A quote in a text is doubled;
what a backslash means is documented nowhere, so here it is a character like any other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from zoho_crm.simulator import coql_refusals

AGGREGATES = ("COUNT", "SUM", "MIN", "MAX", "AVG")
DEFAULT_LIMIT = 200
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
      | (?P<number>-?\d+(?:\.\d+)?)
      | (?P<name>[A-Za-z_$][\w$]*(?:\.[\w$]+)*)
      | (?P<sign>!=|>=|<=|[=<>(),\#*])
    )""",
    re.VERBOSE,
)
_WORDS = ("select", "from", "where", "group", "order", "by", "limit", "offset", "and", "or", "as")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A selected field, perhaps of a look-up (``Account_Name.Account_Name``), or an aggregate."""

    name: str
    aggregate: str = ""
    alias: str = ""

    @property
    def key(self) -> str:
        """Return the key of its value in a row."""
        return self.alias or (f"{self.aggregate}({self.name})" if self.aggregate else self.name)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One condition: ``between`` has two values, ``in`` any number, ``is null`` none."""

    name: str
    operator: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Group:
    """Conditions that are joined by ``and`` or ``or``."""

    joined_by: str
    parts: tuple[Any, ...]


@dataclass(kw_only=True)
class Query:
    """A query that follows the grammar; whether its columns exist is another question."""

    columns: list[Column]
    module: str
    view: str = ""
    where: Any = None
    group_by: list[str] = field(default_factory=list)
    order_by: list[tuple[str, str]] = field(default_factory=list)
    limit: int = DEFAULT_LIMIT
    offset: int = 0


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    at: int


def parse(text: str) -> Query:
    """
    Return the query that a text says.

    :raises RefusedError: ``SYNTAX_ERROR`` and other refusals of COQL
    """
    return Parser(text).query()


def _tokens(text: str) -> list[Token]:
    tokens, at, end = [], 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None or found.end() == at:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise coql_refusals.unexpected_token(text, at)
        kind = str(found.lastgroup)
        tokens.append(Token(kind, found[kind], found.start(kind)))
        at = found.end()
    return tokens


class Parser:
    """Reads the tokens of one query from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.next = 0

    def query(self) -> Query:
        self._clause("select")
        columns = [self._column()]
        while self._take(","):
            columns.append(self._column())
        self._clause("from")
        query = Query(columns=columns, module=self._name())
        if self._take("#"):
            query.view = self._value()
        self._clause("where")
        query.where = self._conditions()
        self._ordering(query)
        self._window(query)
        if self.next < len(self.tokens):
            raise self._unexpected()
        return query

    def _ordering(self, query: Query) -> None:
        if self._take("group"):
            self._clause("by")
            query.group_by = [self._name(), *self._more_names()]
        if self._take("order"):
            self._clause("by")
            query.order_by = [self._order()]
            while self._take(","):
                query.order_by.append(self._order())

    def _more_names(self) -> list[str]:
        names = []
        while self._take(","):
            names.append(self._name())
        return names

    def _order(self) -> tuple[str, str]:
        name = self._column().key
        return name, "desc" if self._take("desc") else (self._take("asc") or "asc")

    def _window(self, query: Query) -> None:
        """Read ``limit n``, ``limit n offset m`` or ``limit m, n``."""
        if not self._take("limit"):
            return
        first = self._count("limit")
        if self._take(","):
            query.offset, query.limit = first, self._count("limit")
        else:
            query.limit = first
        if self._take("offset"):
            query.offset = self._count("offset")
        if query.limit < 1:
            raise coql_refusals.no_rows()

    def _count(self, name: str) -> int:
        token = self._peek()
        text = token.text if token else ""
        if not text.isdigit():
            raise coql_refusals.invalid_window(name, text)
        self.next += 1
        return int(text)

    def _column(self) -> Column:
        name = self._name()
        aggregate = ""
        if self._take("("):
            aggregate, name = name, self._name()
            self._expect(")")
            if aggregate.upper() not in AGGREGATES:
                raise coql_refusals.unknown_aggregate(f"{aggregate}({name})")
        alias = self._name() if self._take("as") else ""
        return Column(name=name, aggregate=aggregate.upper(), alias=alias)

    def _conditions(self) -> Any:
        """Read conditions; ``and`` binds more closely than ``or``."""
        parts = [self._all_of()]
        while self._take("or"):
            parts.append(self._all_of())
        return parts[0] if len(parts) == 1 else Group(joined_by="or", parts=tuple(parts))

    def _all_of(self) -> Any:
        parts = [self._condition()]
        while self._take("and"):
            parts.append(self._condition())
        return parts[0] if len(parts) == 1 else Group(joined_by="and", parts=tuple(parts))

    def _condition(self) -> Any:
        if self._take("("):
            inner = self._conditions()
            self._expect(")")
            return inner
        name = self._name()
        return self._comparison(name, self._operator())

    def _operator(self) -> str:
        for sign in ("=", "!=", ">", ">=", "<", "<="):
            if self._take(sign):
                return sign
        if self._take("is"):
            is_not = self._take("not")
            self._clause("null")
            return "is not null" if is_not else "is null"
        negation = "not " if self._take("not") else ""
        for word in ("like", "in", "between"):
            if self._take(word):
                return negation + word
        token = self._peek()
        raise coql_refusals.unsupported_operator(token.text if token else negation.strip())

    def _comparison(self, name: str, operator: str) -> Comparison:
        if operator.endswith("null"):
            return Comparison(name=name, operator=operator)
        if operator.endswith("between"):
            first = self._value()
            self._clause("and")
            return Comparison(name=name, operator=operator, values=(first, self._value()))
        if not operator.endswith("in"):
            return Comparison(name=name, operator=operator, values=(self._value(),))
        self._expect("(")
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        self._expect(")")
        return Comparison(name=name, operator=operator, values=tuple(values))

    def _value(self) -> str:
        token = self._peek()
        words = ("true", "false")
        if token is None or not (token.kind in ("text", "number") or token.text.lower() in words):
            raise self._unexpected()
        self.next += 1
        if token.kind != "text":
            return token.text
        quote = token.text[0]
        return token.text[1:-1].replace(quote * 2, quote)

    def _name(self) -> str:
        token = self._peek()
        if token is None or token.kind != "name" or token.text.lower() in _WORDS:
            raise self._unexpected()
        self.next += 1
        return token.text

    def _peek(self) -> Token | None:
        return self.tokens[self.next] if self.next < len(self.tokens) else None

    def _take(self, text: str) -> str:
        """Return the next token if it is this word or sign, and go on; else an empty text."""
        token = self._peek()
        if token is None or token.kind == "text" or token.text.lower() != text:
            return ""
        self.next += 1
        return text

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise self._unexpected()

    def _clause(self, word: str) -> None:
        if self._take(word):
            return
        if self._peek() is None and word in ("select", "from", "where"):
            raise coql_refusals.missing_clause(word)
        raise self._unexpected()

    def _unexpected(self) -> Exception:
        token = self._peek()
        return coql_refusals.unexpected_token(self.text, token.at if token else len(self.text))
