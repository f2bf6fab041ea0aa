"""A Celery app that sends every message ten times: ``celery -A tests.chaos.message_repeater``."""

from __future__ import annotations

from typing import Any

from testproject.celery import app

COPIES = 10

_send = app.amqp.send_task_message


def _send_copies(*arguments: Any, **options: Any) -> Any:
    for _copy in range(COPIES - 1):
        _send(*arguments, **options)
    return _send(*arguments, **options)


app.amqp.send_task_message = _send_copies
