"""A store of metadata in memory, for clients without a database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from zoho_crm.client import ZohoClient
from zoho_crm.types import JsonObject


@dataclass
class MemoryStore:
    """What was read, as old as a test says."""

    parts: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    failures: set[str] = field(default_factory=set)
    age: float = 0

    def get(
        self, part: str, load: Callable[[JsonObject], Any], max_age: float | None
    ) -> tuple[Any, ...] | None:
        return None if max_age is not None and self.age > max_age else self.parts.get(part)

    def put(self, part: str, values: tuple[Any, ...]) -> None:
        self.parts[part], self.age = values, 0

    def note_failure(self, part: str) -> None:
        self.failures.add(part)

    def has_failed(self, part: str) -> bool:
        return part in self.failures


def checking(client: ZohoClient) -> tuple[ZohoClient, MemoryStore]:
    """Return the client with a store, so that it checks what it sends."""
    store = MemoryStore()
    return replace(client, metadata_store=store), store
