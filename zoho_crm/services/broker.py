"""
Celery's broker: messages that never hold up the caller for long.

A broker that accepts a connection and then never answers would block a request for minutes, however
few retries are allowed: not every transport has a time-out for its sockets. So each message is sent
in a thread, and the caller waits for two seconds at most. Our messages have connections of their
own, with time-outs, so that a thread that is stuck takes none from the project's pool.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from threading import Thread
from typing import Any

from celery import current_app
from django.db import connections
from django.utils.translation import gettext as _
from kombu import Connection, pools
from kombu.exceptions import LimitExceeded, OperationalError

from zoho_crm.conf import conf

logger = logging.getLogger(__name__)

#: Seconds for which sending a message may hold up the caller.
SEND_SECONDS = 2
#: A connection of the pool may be one that the broker has closed.
ONE_RETRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0}

#: The options of a transport (``Transport.driver_type``) that give its sockets a time-out.
TIMEOUT_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "redis": ("socket_connect_timeout", "socket_timeout"),
    "amqp": ("read_timeout", "write_timeout"),
}
#: Errors of a URL that no transport can use, or of a transport whose library is not installed.
UNUSABLE_ERRORS = (ImportError, LookupError, NameError, ValueError)


class _Pause:
    """Until when, by the monotonic clock, this process sends no messages."""

    until = 0.0


def send(apply_async: Callable[..., object], **arguments: Any) -> None:
    """
    Enqueue a task; if the broker fails or does not answer in time, log that and return.

    After a time-out no message is sent for ``SWEEP_INTERVAL``, so that several messages do not hold
    up the caller one after the other. Rows whose message is missing are found by the next sweep.

    :param apply_async: the task's method of this name, called with ``arguments``
    """
    if current_app.conf.task_always_eager:
        apply_async(**arguments)
    elif time.monotonic() >= _Pause.until:
        publish = partial(apply_async, retry_policy=ONE_RETRY, **arguments)
        began = time.monotonic()
        problem = _problem_within(SEND_SECONDS, partial(_publish, publish))
        if problem:
            logger.warning("No message was sent to the broker: %s", problem)
        if time.monotonic() - began >= SEND_SECONDS:
            _Pause.until = time.monotonic() + conf().SWEEP_INTERVAL


def problem_of_broker(seconds: float) -> str:
    """Return why the broker cannot be used; empty if it answers within so many seconds."""
    return _problem_within(seconds, _open_channel)


def driver_type() -> str:
    """Return the kind of the broker, such as ``redis``; empty if its URL cannot be used."""
    try:
        return str(current_app.connection_for_write().get_transport_cls().driver_type)
    except UNUSABLE_ERRORS:
        return ""


def _publish(publish: Callable[..., object], broker: Connection) -> None:
    with pools.producers[broker].acquire(block=True, timeout=SEND_SECONDS) as producer:
        publish(producer=producer)


def _open_channel(broker: Connection) -> None:
    with broker:
        broker.channel()


def _problem_within(seconds: float, act: Callable[[Connection], None]) -> str:
    """Return why an action on the broker fails; empty if it succeeds in time."""
    outcome: Future[str] = Future()
    try:
        broker = _connection(seconds)
    except UNUSABLE_ERRORS as error:
        return _unusable(error)

    def run() -> None:
        outcome.set_result(_problem(broker, act))

    Thread(target=copy_context().run, args=(run,), name="zoho_crm-broker", daemon=True).start()
    try:
        return outcome.result(seconds)
    except TimeoutError:
        return _("it does not answer within %s s") % seconds


def _connection(seconds: float) -> Connection:
    """Return a connection to the broker, not opened yet, whose sockets have a longer time-out."""
    timeout = seconds + 1
    plain = current_app.connection_for_write()
    names = TIMEOUT_OPTIONS.get(plain.get_transport_cls().driver_type, ())
    options: dict[str, Any] = dict.fromkeys(names, timeout)
    if names:
        # One attempt for each of the broker's hosts.
        options |= {"max_retries": len(plain.alt), "interval_start": 0, "interval_step": 0}
    return current_app.connection_for_write(connect_timeout=timeout, transport_options=options)


def _problem(broker: Connection, act: Callable[[Connection], None]) -> str:
    """Run an action in a thread of its own; return the error of the broker, empty if none."""
    try:
        return _refusal(broker, act)
    except UNUSABLE_ERRORS as error:
        return _unusable(error)
    finally:
        connections.close_all()  # a project's signal handler may have opened one in this thread


def _refusal(broker: Connection, act: Callable[[Connection], None]) -> str:
    errors: tuple[type[BaseException], ...] = (OperationalError, LimitExceeded)
    errors += (*broker.connection_errors, *broker.channel_errors)
    try:
        act(broker)
    except errors as error:
        return str(error) or type(error).__name__
    return ""


def _unusable(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
