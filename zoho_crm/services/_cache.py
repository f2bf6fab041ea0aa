"""
What is read of Zoho's settings is kept in Django's cache, as a text of JSON.

The cache is only a help: if it does not work, Zoho is asked.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from django.core.cache import cache

from zoho_crm.models import Connection
from zoho_crm.types import as_json

logger = logging.getLogger(__name__)

Value = TypeVar("Value")


def cached(
    connection: Connection,
    part: str,
    load: Callable[[Any], Value],
    *,
    max_age: float,
) -> tuple[Value, float] | None:
    """
    Return a part of what is cached of a connection, and its age in seconds.

    ``None`` if it is not cached, is older than ``max_age``, or was cached before the last
    ``clear``.
    """
    key, cleared_key = _key(connection, part), _key(connection, "cleared")
    with _IfTheCacheWorks():
        found = cache.get_many([key, cleared_key])
        if key not in found:
            return None
        stored = json.loads(found[key])
        age = time.time() - stored["at"]
        if 0 <= age <= max_age and stored["at"] > found.get(cleared_key, 0):
            return load(stored["value"]), age
    return None


def put(connection: Connection, part: str, value: object, seconds: float) -> None:
    """Cache a part of a connection, a value that ``as_json`` can store."""
    stored = {"at": time.time(), "value": as_json(value)}
    with _IfTheCacheWorks():
        cache.set(_key(connection, part), json.dumps(stored), seconds)


def clear(connection: Connection, seconds: float) -> None:
    """
    Forget what is cached of a connection.

    :param seconds: how long it may have been cached for
    """
    with _IfTheCacheWorks():
        cache.set(_key(connection, "cleared"), time.time(), seconds)


def _key(connection: Connection, part: str) -> str:
    return f"zoho_crm.{connection.pk}.{connection.org_id}.{part}"


class _IfTheCacheWorks:
    """Logs an error inside the block and goes on: those of cache backends have no common class."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        failed = isinstance(error, Exception)
        if failed:
            logger.warning("The cache cannot be used: %s", type(error).__name__)
        return failed
