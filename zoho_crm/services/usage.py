"""
API credits: count what our calls cost, and reserve a share for the organisation's other programs.

An organisation has a number of credits for any 24 hours; Zoho tells how many remain only when half
of them are used: https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html

The calls of a client are counted in its process and written in sets: after 25 calls, at the first
call after 5 seconds, at the end of a request or a task if none were written in the last 5 seconds,
and when the process ends; no thread waits for that. Until then other processes do not see them: at
most 24 calls, and all of a transaction, inside which nothing is written, so that a rollback loses
nothing. A killed process loses them.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from celery import signals
from django.core.signals import request_finished, setting_changed
from django.db import (
    DatabaseError,
    InterfaceError,
    close_old_connections,
    connections,
    transaction,
)
from django.db.models import F, Sum
from django.db.models.functions import TruncHour

from zoho_crm.conf import conf
from zoho_crm.models import ApiUsage, Connection, database, from_now
from zoho_crm.models._database import DbNow
from zoho_crm.services._zoho import in_transaction
from zoho_crm.types import ApiCall

logger = logging.getLogger(__name__)

#: Calls that are counted, and seconds since the first of them, after which they are written.
MAX_CALLS = 25
MAX_SECONDS = 5
DAY_SECONDS = 86_400
#: Credits in 24 hours by edition: base, credits for each licence, maximum.
ALLOWANCES: Mapping[str, tuple[int, int, int]] = {
    "free": (5_000, 0, 5_000),
    "standard": (50_000, 250, 100_000),
    "starter": (50_000, 250, 100_000),
    "professional": (50_000, 500, 3_000_000),
    "enterprise": (50_000, 1_000, 5_000_000),
    "zohoone": (50_000, 1_000, 5_000_000),
    "ultimate": (50_000, 2_000, 10**9),
    "crmplus": (50_000, 2_000, 10**9),
}
SMALLEST_ALLOWANCE = ALLOWANCES["free"]
#: Concurrent calls that Zoho allows an organisation and client, by edition.
#: https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html
CONCURRENCY_BY_EDITION: Mapping[str, int] = {
    "free": 5,
    "standard": 10,
    "starter": 10,
    "professional": 15,
    "enterprise": 20,
    "zohoone": 20,
    "ultimate": 25,
    "crmplus": 25,
}
DEFAULT_CONCURRENCY = 10
#: Concurrent calls reserved for web requests and other programs.
RESERVED_CALLS = 2
#: Concurrent conversions, and writes of many records, that Zoho allows in any edition.
MAX_CONCURRENT_CONVERSIONS = 10

#: Alias and name of the database, and id of the connection.
Place: TypeAlias = tuple[str, str, int]


def record(connection_id: int, calls: Iterable[ApiCall], *, using: str | None = None) -> None:
    """
    Add calls to the counts of the current hour, all or none; if the connection is gone, none.

    :param using: the database of its tables; by default the one that is used now
    """
    costs = conf().costs
    calls = list(calls)
    refused = Counter(call.kind for call in calls if call.was_refused)
    units: Counter[str] = Counter()
    for call in calls:
        units[call.kind] += call.units
    with transaction.atomic(using=using or database()):
        # Always in the same order, so that two processes never wait for each other.
        for kind, number in sorted(Counter(call.kind for call in calls).items()):
            spent = units[kind] * costs.get(kind, costs["other"])
            numbers = {"calls": number, "credits": spent, "refusals": refused[kind]}
            _add(connection_id, kind, using, **numbers)


def _add(connection_id: int, kind: str, using: str | None, **numbers: int) -> None:
    hour = TruncHour(DbNow(), tzinfo=UTC)
    more = {name: F(name) + number for name, number in numbers.items()}
    rows = ApiUsage.objects.using(using).filter(connection_id=connection_id, kind=kind)
    if rows.filter(hour=hour).update(**more):
        return
    found = Connection.objects.using(using).filter(pk=connection_id)
    for now in found.values_list(hour, flat=True):
        rows.get_or_create(connection_id=connection_id, hour=now, kind=kind)
        rows.filter(hour=now).update(**more)


class CountedCalls:
    """The calls of this process that are not written yet; may be used by several threads."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin with none, as a new process does: the calls in its memory are its parent's."""
        self._lock = threading.Lock()
        self._calls: Counter[tuple[Place, ApiCall]] = Counter()
        self._number = 0
        self._since = 0.0
        self._taken = -float(MAX_SECONDS)

    def add(self, connection_id: int, call: ApiCall) -> bool:
        """Count a call; return whether it is time to write them all."""
        alias = database()
        place = alias, _name(alias), connection_id
        with self._lock:
            self._calls[place, call] += 1
            self._number += 1
            if self._number == 1:
                self._since = time.monotonic()
            return self._number >= MAX_CALLS or time.monotonic() >= self._since + MAX_SECONDS

    @property
    def may_wait(self) -> bool:
        """Whether a request or a task may end with them: there are none, or some were written."""
        return self.is_empty or time.monotonic() < self._taken + MAX_SECONDS

    @property
    def is_empty(self) -> bool:
        """Whether all calls are written."""
        return not self._calls

    def take(self) -> dict[Place, list[ApiCall]]:
        """Return the calls by their places, and begin with none."""
        with self._lock:
            taken, self._calls = self._calls, Counter()
            self._number = 0
            self._taken = time.monotonic()
        by_place: dict[Place, list[ApiCall]] = defaultdict(list)
        for (place, call), number in taken.items():
            by_place[place] += [call] * number
        return by_place

    def put_back(self, place: Place, calls: list[ApiCall]) -> None:
        """Keep calls that could not be written until others are written."""
        with self._lock:
            self._calls.update((place, call) for call in calls)


counted_calls = CountedCalls()


def record_one(connection_id: int, call: ApiCall) -> None:
    """Count a call in this process; write all that are counted if it is time to."""
    if counted_calls.add(connection_id, call):
        write_counts()


def write_counts(**_signal: Any) -> None:
    """Write the calls that were counted in this process, unless a transaction is open."""
    if counted_calls.is_empty or in_transaction():
        return
    for place, calls in counted_calls.take().items():
        alias, name, connection_id = place
        if _name(alias) != name:  # a database of tests, which is gone
            continue
        try:
            record(connection_id, calls, using=alias)
        except (DatabaseError, InterfaceError) as error:
            counted_calls.put_back(place, calls)
            logger.warning(
                "Connection %s: the use of the API was not written yet: %s", connection_id, error
            )


def _name(alias: str) -> str:
    return str(connections[alias].settings_dict["NAME"])


def _write_at_the_end(**_signal: Any) -> None:
    """
    Write the counts at the end of a request or a task, unless some were written just before.

    A connection that is opened for this is closed again, if Django would not keep it either.
    """
    if counted_calls.may_wait:
        return
    used = connections[database()]
    was_closed = used.connection is None
    write_counts()
    if was_closed:
        used.close_if_unusable_or_obsolete()


def _begin_with_settings(*, setting: str, **_signal: Any) -> None:
    """Forget the counts when a test changes the settings, as the fixture ``zoho`` does."""
    if setting == "ZOHO_CRM":
        counted_calls.begin()


request_finished.connect(_write_at_the_end)
# Django closes its connections after that, so that the one of the request is used.
request_finished.disconnect(close_old_connections)
request_finished.connect(close_old_connections)
signals.task_postrun.connect(_write_at_the_end)
signals.worker_process_shutdown.connect(write_counts)
setting_changed.connect(_begin_with_settings)
atexit.register(write_counts)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=counted_calls.begin)


def spent(connection_id: int) -> int:
    """Return the estimated credits that our own calls cost in the last 24 hours."""
    write_counts()
    last_day = ApiUsage.objects.filter(
        connection_id=connection_id, hour__gte=from_now(-DAY_SECONDS)
    )
    return int(last_day.aggregate(sum=Sum("credits"))["sum"] or 0)


def refused_since(connection_id: int, at: datetime) -> int:
    """Return how many calls Zoho refused as too many since the beginning of this instant's hour."""
    hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    since = ApiUsage.objects.filter(connection_id=connection_id, hour__gte=hour)
    return int(since.aggregate(sum=Sum("refusals"))["sum"] or 0)


def allowance(connection: Connection) -> int:
    """Return the credits of the organisation for 24 hours, by the settings or by its edition."""
    base, per_licence, most = ALLOWANCES.get(edition_key(connection.edition), SMALLEST_ALLOWANCE)
    return conf().CREDIT_BUDGET or min(base + per_licence * connection.licences, most)


def credits_left(connection: Connection) -> int:
    """Return the estimated credits that are left for 24 hours: by Zoho's count if it is lower."""
    left = max(0, allowance(connection) - spent(connection.pk))
    work = getattr(connection, "work", None)
    told = work.credits_remaining if work else None
    return left if told is None else min(left, told)


def max_concurrency(setting: int, edition: str) -> int:
    """Return the largest number of concurrent calls: the setting, or by the edition if it is 0."""
    allowed = CONCURRENCY_BY_EDITION.get(edition_key(edition), DEFAULT_CONCURRENCY)
    return setting or max(1, min(MAX_CONCURRENT_CONVERSIONS, allowed - RESERVED_CALLS))


def edition_key(edition: str) -> str:
    """Return an edition as our tables name it: ``Zoho One`` and ``zoho_one`` are ``zohoone``."""
    return "".join(filter(str.isalnum, edition.lower()))


def reserve(connection: Connection) -> int:
    """Return the credits that are reserved for other programs."""
    return int(allowance(connection) * conf().CREDIT_RESERVE / 100)


def is_used_up(connection: Connection, remaining: int | None) -> bool:
    """Return whether only the reserve remains, by Zoho's count or by the budget of the settings."""
    if remaining is not None and remaining < reserve(connection):
        return True
    budget = conf().CREDIT_BUDGET
    return bool(budget) and spent(connection.pk) >= budget - reserve(connection)
