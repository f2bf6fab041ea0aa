"""Outages of the database: statements that fail, and connections that the server cuts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from django.db import connection as database

#: How a connection learns its number at the server, and another one ends it.
OWN_NUMBER = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}
KILL = {"postgresql": "SELECT pg_terminate_backend(%s)", "mysql": "KILL %s"}

#: Whether a statement with these parameters fails.
Fails = Callable[[str, Any], bool]


@contextmanager
def failing(error: Exception, fails: Fails) -> Iterator[None]:
    """Raise an error instead of executing the statements that fail, in this thread."""

    def execute(run: Callable[..., Any], sql: str, params: Any, *more: Any) -> Any:
        if fails(sql, params):
            raise error
        return run(sql, params, *more)

    with database.execute_wrapper(execute):
        yield


def written(params: Any) -> str:
    """Return the parameters of a statement as text; some drivers wrap those that are JSON."""
    if isinstance(params, list | tuple):
        return " ".join(map(written, params))
    return str(getattr(params, "obj", params))


def at(number: int) -> Fails:
    """Fail at the statement with this number, counted from 0, and at no other."""
    numbers = count()
    return lambda _sql, _params: next(numbers) == number


def own_number() -> int:
    """Return the number of this thread's connection at the server."""
    with database.cursor() as cursor:
        cursor.execute(OWN_NUMBER[database.vendor])
        (number,) = cursor.fetchone()
    return int(number)


def cut(number: int) -> None:
    """Have the server cut the connection with this number; use another connection."""
    with database.cursor() as cursor:
        cursor.execute(KILL[database.vendor], [number])
