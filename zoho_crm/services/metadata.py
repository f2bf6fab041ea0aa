"""
Metadata of an organisation, kept in Django's cache for an hour and in each process for a minute.

A process that cannot reach the cache, or has none, asks Zoho again after that minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from zoho_crm.models import Connection
from zoho_crm.services import _cache
from zoho_crm.types import JsonObject, ValueObject

Value = TypeVar("Value")

CACHE_SECONDS = 3600.0
#: How long a process keeps a part, and does not ask again for one that it could not read.
MEMORY_SECONDS = 60.0
#: Parts that a process keeps at most: the fields of a module may take a megabyte.
MAX_PARTS = 100


class _Kept(NamedTuple):
    """A part that this process has."""

    values: tuple[Any, ...]
    #: Instants of the monotonic clock.
    read_at: float
    until: float


class _Failure(NamedTuple):
    """That a part could not be read."""

    is_refusal: bool
    #: An instant of the monotonic clock.
    until: float


#: By the key of the connection and its user, and the part; the oldest first.
_memory: dict[tuple[str, str], _Kept] = {}
#: The parts that could not be read, and are not asked for again until then.
_failures: dict[tuple[str, str], _Failure] = {}


class CachedMetadata(ValueObject):
    """
    The store of metadata of one connection, as one of its users sees it.

    Threads may share it: what two of them read at the same time is read twice.
    """

    connection: Connection
    #: Primary key of the user's token; ``None`` for the connection's default user.
    token_id: int | None = None

    def get(
        self, part: str, load: Callable[[JsonObject], Value], max_age: float | None
    ) -> tuple[Value, ...] | None:
        """Return the values of a part that are not older than seconds; ``None`` if it has none."""
        oldest = CACHE_SECONDS if max_age is None else max_age
        now = time.monotonic()
        kept = _memory.get(self._key(part))
        if kept and now < kept.until and now - kept.read_at <= oldest:
            return kept.values

        def load_all(stored: list[JsonObject]) -> tuple[Value, ...]:
            return tuple(map(load, stored))

        found = _cache.cached(self.connection, self._name(part), load_all, max_age=oldest)
        if found is None:
            return None
        values, age = found
        self._keep(part, values, read_at=now - age)
        return values

    def put(self, part: str, values: tuple[Any, ...]) -> None:
        """Keep the values of a part, which can be read again."""
        _failures.pop(self._key(part), None)
        self._keep(part, values, read_at=time.monotonic())
        _cache.put(self.connection, self._name(part), values, CACHE_SECONDS)

    def note_failure(self, part: str, *, is_refusal: bool = False) -> None:
        """
        Remember for a minute that a part cannot be read, also if older values are kept.

        :param is_refusal: whether Zoho refuses it, so that it cannot be read later either
        """
        now = time.monotonic()
        for key in [key for key, failure in list(_failures.items()) if failure.until <= now]:
            _failures.pop(key, None)
        _failures[self._key(part)] = _Failure(is_refusal, now + MEMORY_SECONDS)

    def has_failed(self, part: str) -> bool:
        """Return whether a part could not be read in the last minute."""
        failure = _failures.get(self._key(part))
        return failure is not None and time.monotonic() < failure.until

    def is_refused(self, part: str) -> bool:
        """Return whether a part could not be read in the last minute as Zoho refuses it."""
        failure = _failures.get(self._key(part))
        return failure is not None and failure.is_refusal and time.monotonic() < failure.until

    def _keep(self, part: str, values: tuple[Any, ...], *, read_at: float) -> None:
        now, key = time.monotonic(), self._key(part)
        _memory.pop(key, None)
        outdated = [each for each, kept in list(_memory.items()) if kept.until <= now]
        for each in outdated or list(_memory)[: 1 - MAX_PARTS]:
            _memory.pop(each, None)
        _memory[key] = _Kept(values, read_at, now + MEMORY_SECONDS)

    def _name(self, part: str) -> str:
        return f"metadata.{self.token_id or ''}.{part}"

    def _key(self, part: str) -> tuple[str, str]:
        return f"{self.connection.pk}.{self.connection.org_id}.{self.token_id or ''}", part


def clear(connection: Connection) -> None:
    """Forget the metadata of a connection; other processes keep theirs for up to a minute."""
    forget_memory()
    _cache.clear(connection, CACHE_SECONDS)


def forget_memory() -> None:
    """Forget what this process keeps of all connections, but not what is cached."""
    _memory.clear()
    _failures.clear()
