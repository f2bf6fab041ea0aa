"""
Access tokens and connections at hand: kept in this process for some seconds, so that a call need
not read its own.

What this process writes to their tables makes it forget them all; what another process writes is
noticed when they are read again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from django.core.signals import setting_changed
from django.db import connections, transaction

from zoho_crm.models._database import database
from zoho_crm.types import Secret

#: Seconds for which what was read is used without reading its row again.
KEPT_SECONDS = 30

Value = TypeVar("Value")
#: Alias and name of the database, and what was read.
Place: TypeAlias = tuple[str, str, Hashable]


@dataclass(frozen=True, kw_only=True)
class _Kept(Generic[Value]):
    value: Value
    #: By the monotonic clock.
    until: float


class AtHand(Generic[Value]):
    """What a process has at hand; may be used by several threads."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin with nothing, as a new process: its copy of the lock may never be released."""
        self._lock = threading.Lock()
        self._kept: dict[Place, _Kept[Value]] = {}
        self._times_forgotten = 0

    def find(self, key: Hashable) -> Value | None:
        """Return what is kept; ``None`` if it is not, or was read too long ago."""
        kept = self._kept.get(_place(key))
        return kept.value if kept and time.monotonic() < kept.until else None

    @property
    def times_forgotten(self) -> int:
        """How often all was forgotten: to be read before the row, and given to ``keep``."""
        return self._times_forgotten

    def keep(self, key: Hashable, value: Value, times_forgotten: int) -> None:
        """
        Keep what was read just now, unless all was forgotten meanwhile.

        What is read inside a transaction may be old, or never be committed: it is not kept.
        """
        place = _place(key)
        used = connections[place[0]]
        if used.in_atomic_block or not used.get_autocommit():
            return
        with self._lock:
            if times_forgotten == self._times_forgotten:
                until = time.monotonic() + KEPT_SECONDS
                self._kept[place] = _Kept(value=value, until=until)

    def forget(self) -> None:
        """Forget all."""
        with self._lock:
            self._times_forgotten += 1
            self._kept.clear()

    def forget_on_commit(self, using: str) -> None:
        """Forget all now, and again after the commit: until then other threads read old rows."""
        self.forget()
        transaction.on_commit(self.forget, using=using, robust=True)


#: Access tokens, by the ids of their connections and, of one that is not the default, their own.
tokens_at_hand: AtHand[Secret] = AtHand()
#: Connections, by how they were named; nobody may change them.
connections_at_hand: AtHand[Any] = AtHand()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=tokens_at_hand.begin)
    os.register_at_fork(after_in_child=connections_at_hand.begin)


def _place(key: Hashable) -> Place:
    """Return where something is kept; a database of tests has another name."""
    alias = database()
    return alias, str(connections[alias].settings_dict["NAME"]), key


def _forget_with_settings(*, setting: str, **_signal: Any) -> None:
    """Forget all when a test changes the settings, as the fixture ``zoho`` does."""
    if setting == "ZOHO_CRM":
        tokens_at_hand.forget()
        connections_at_hand.forget()


setting_changed.connect(_forget_with_settings)
