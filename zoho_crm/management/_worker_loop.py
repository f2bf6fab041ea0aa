"""Work the due rows of connections in the process of a command, until done or stopped."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from django.db import close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models import Q, QuerySet
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from zoho_crm.conf import conf
from zoho_crm.management._exits import ExitCode, Problems
from zoho_crm.models import Connection, ConnectionWork, LeadConversion, MassConversion
from zoho_crm.models._database import DbNow
from zoho_crm.services import signals, tokens, work
from zoho_crm.services.outages import OUTAGE_ERRORS, is_outage
from zoho_crm.services.presentation import backoff_text, followed_by

#: Seconds between two attempts while another process holds the lease of the connection.
POLL_SECONDS = 0.5
#: Outages of the database in a row after which a command ends that is not to run for ever.
MAX_OUTAGES = 5
#: The longest wait until the database is tried again.
MAX_OUTAGE_SECONDS = 30.0
#: The statement that limits all waits of a connection for locks to a second, by the database. A
#: wait is a call into the driver, in which Python handles no signal.
LOCK_LIMITS: Mapping[str, str] = {
    "postgresql": "SET lock_timeout = '1s'",
    "mysql": "SET SESSION innodb_lock_wait_timeout = 1, SESSION lock_wait_timeout = 1",
    "sqlite": "PRAGMA busy_timeout = 1000",
}


class StopEvent(threading.Event):
    """Set by the first SIGINT or SIGTERM."""

    signal_number: int = 0

    def stop(self, signal_number: int) -> None:
        """Set the event and remember which signal did it."""
        self.signal_number = signal_number
        self.set()

    def report(self, problems: Problems) -> None:
        """Add the exit code and message of a command that was stopped, if it was."""
        if self.is_set():
            code = (
                ExitCode.TERMINATED
                if self.signal_number == signal.SIGTERM
                else ExitCode.INTERRUPTED
            )
            message = _(
                "Stopped. Where an answer is missing, the next worker finds out the outcome."
            )
            problems.add(code, message)


@contextmanager
def stop_on_signals() -> Iterator[StopEvent]:
    """
    Yield an event that the first SIGINT or SIGTERM sets, so that calls in flight are finished.

    The second signal has its usual effect: it ends the command at once. No statement waits long for
    a lock of the database, as the first signal could not end that.
    """
    with short_lock_waits(), _set_by_signals() as stop:
        yield stop


@contextmanager
def _set_by_signals() -> Iterator[StopEvent]:
    stop = StopEvent()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def on_signal(number: int, _frame: FrameType | None) -> Any:
        stop.stop(number)
        signal.signal(number, before[number])

    numbers: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in before:
        signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class WorkerCommand:
    """
    Works connections in turn, for at most ``SLICE`` seconds each, until a time limit or stop.

    :param say: called with a message for a person
    :param max_outages: outages of the database in a row that it goes on after
    """

    def __init__(
        self,
        connection_ids: Callable[[], Iterable[int]],
        stop: StopEvent,
        say: Callable[[str], None],
        *,
        max_seconds: float | None = None,
        max_outages: float = MAX_OUTAGES,
    ) -> None:
        self._connection_ids = connection_ids
        self._stop = stop
        self._say = say
        self._max_outages = max_outages
        self._end = None if max_seconds is None else time.monotonic() + max_seconds

    @property
    def is_over(self) -> bool:
        """Return whether the time limit was reached or a stop was requested."""
        return self._stop.is_set() or (self._end is not None and time.monotonic() >= self._end)

    def work(self) -> float | None:
        """
        Work each connection once; return the seconds to the next due row, or ``None``.

        After an outage of the database this is repeated, with longer and longer waits.

        :raises Error: of the database, after too many outages
        """
        outages = 0
        while not self.is_over:
            try:
                return self._work_once()
            except OUTAGE_ERRORS as error:
                outages += 1
                if not is_outage(error) or outages > self._max_outages:
                    raise
                self._wait_for_database(error, min(2.0 ** (outages - 1), MAX_OUTAGE_SECONDS))
        return None

    def _wait_for_database(self, error: Exception, seconds: float) -> None:
        message = _("The database fails: %(error)s. It is tried again in %(seconds)s s.")
        facts = {"error": str(error).strip().rstrip("."), "seconds": number_format(seconds, 0)}
        self._say(message % facts)
        close_old_connections()
        self.sleep(seconds)

    def _work_once(self) -> float | None:
        waits: list[float | None] = []
        for connection_id in self._connection_ids():
            if not self.is_over:
                waits.append(work.work(connection_id=connection_id, stop=self._stop))
        signals.send_signals()
        return min((wait for wait in waits if wait is not None), default=None)

    def sleep(self, seconds: float) -> None:
        """Sleep for some seconds, at most until the time limit; a stop ends it early."""
        left = seconds if self._end is None else self._end - time.monotonic()
        self._stop.wait(max(0.0, min(seconds, left)))

    def work_until_done(
        self,
        rows: Callable[[], QuerySet[LeadConversion]],
        on_progress: Callable[[int], None],
        *,
        runs: QuerySet[MassConversion] | None = None,
    ) -> None:
        """
        Work until none of the rows is in progress, except on connections that are blocked.

        :param on_progress: called with the number of remaining rows whenever it changed
        :param runs: mass conversions whose due steps have to be done too
        """
        reported = 0
        while not self.is_over:
            wait = self.work()
            left = workable_rows(rows()).count()
            if not left and not (runs is not None and advancing_runs(runs).exists()):
                return
            pause = poll_delay(wait)
            if pause >= POLL_SECONDS and left not in (0, reported):
                on_progress(left)
                reported = left
            self.sleep(pause)


def poll_delay(wait: float | None) -> float:
    """Return the seconds to sleep if the next row is due in ``wait`` seconds; ``None`` is never."""
    return POLL_SECONDS if wait is None else min(wait, conf().SWEEP_INTERVAL)


def workable_rows(rows: QuerySet[LeadConversion]) -> QuerySet[LeadConversion]:
    """
    Return those of the rows that a worker can act on: not on blocked or inactive connections.

    Rows of paused mass conversions that have not been sent yet are left out.
    """
    begins = Q(status__in=(LeadConversion.Status.NEW, LeadConversion.Status.READY))
    held_back = Q(mass_conversion__in=MassConversion.objects.exclude(paused_reason=""))
    within = rows.filter(connection__status=Connection.Status.ACTIVE)
    within = within.exclude(connection__in=_blocked_connections().values("pk"))
    return within.filter(~begins | Q(mass_conversion=None) | ~held_back)


def advancing_runs(runs: QuerySet[MassConversion]) -> QuerySet[MassConversion]:
    """Return those of the mass conversions that a worker advances without a person."""
    due = runs.filter(paused_reason="", due_at__isnull=False)
    active = due.filter(connection__status=Connection.Status.ACTIVE)
    return active.exclude(connection__in=_blocked_connections().values("pk"))


def _blocked_connections() -> QuerySet[ConnectionWork]:
    """Return the connections that back off because of a person or a limit: waiting is useless."""
    return ConnectionWork.objects.filter(
        connection__status=Connection.Status.ACTIVE,
        backoff_until__gt=DbNow(),
        backoff_kind__in=[ConnectionWork.BackoffKind.PERSON, ConnectionWork.BackoffKind.LIMIT],
    )


def unknown_outcome_text(number: int) -> str:
    """Return the message that the outcome of a number of leads is unknown."""
    message = ngettext(
        "The outcome of %s lead is unknown and is being checked: do not convert it by hand.",
        "The outcome of %s leads is unknown and is being checked: do not convert them by hand.",
        number,
    )
    return message % number


def is_workable(connection_id: int) -> bool:
    """Return whether a connection is active and not blocked."""
    connection = Connection.objects.filter(pk=connection_id, status=Connection.Status.ACTIVE)
    return connection.exclude(pk__in=_blocked_connections().values("pk")).exists()


def report_blocked_connections(rows: QuerySet[LeadConversion], problems: Problems) -> None:
    """Add a problem for each connection that blocks some of these rows, with its reason."""
    connection_ids = rows.values("connection")
    connections = Connection.objects.annotate(lacks_default=tokens.lacks_default())
    lost = connections.filter(pk__in=connection_ids).exclude(status=Connection.Status.ACTIVE)
    for connection in lost:
        message = _("“%s” has to be connected again; its leads wait: manage.py zoho_connect")
        if connection.lacks_default:
            message = _(
                "“%s” needs a default user; its leads wait: choose one in the admin, or with "
                "manage.py zoho_connect --make-default EMAIL --execute"
            )
        problems.add(ExitCode.NEEDS_PERSON, message % connection)
    for state in _blocked_connections().filter(pk__in=connection_ids).select_related("connection"):
        facts = {"connection": state.connection, "why": backoff_text(state)}
        if state.backoff_kind == ConnectionWork.BackoffKind.PERSON:
            message = _("“%(connection)s” needs a person: %(why)s") % facts
            then = _("Then: manage.py zoho_status --test")
            problems.add(ExitCode.NEEDS_PERSON, followed_by(message, then))
        else:
            message = _("“%(connection)s” waits, and tries again by itself: %(why)s")
            problems.add(ExitCode.LIMIT, message % facts)


# Short waits for locks, as a signal is to end a command at any time


@contextmanager
def short_lock_waits() -> Iterator[None]:
    """Limit the waits for locks, in this block, of all connections to databases, in all threads."""
    connection_created.connect(_limit_lock_waits)
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None:
            _limit_lock_waits(connection)
    try:
        yield
    finally:
        connection_created.disconnect(_limit_lock_waits)
        for connection in connections.all(initialized_only=True):
            if not connection.in_atomic_block:  # a test's
                connection.close()


def _limit_lock_waits(connection: BaseDatabaseWrapper, **_signal: Any) -> None:
    # Behind a pooler that shares connections by transaction, other programs would get the limit;
    # this setting is Django's for such sites.
    is_shared = connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS", False)
    if connection.vendor in LOCK_LIMITS and not is_shared:
        with connection.cursor() as cursor:
            cursor.execute(LOCK_LIMITS[connection.vendor])
