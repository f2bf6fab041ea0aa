"""What waits in the broker of this process for a worker."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from queue import Empty
from typing import Any

from testproject.celery import app

QUEUE = "celery"


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A message that no worker took."""

    task: str
    kwargs: dict[str, Any]
    #: When it is to be run; nothing for now.
    eta: datetime | None


def take_all(queue: str = QUEUE) -> list[Sent]:
    """Take all messages out of a queue, in their order."""
    taken: list[Sent] = []
    with app.connection_for_read() as broker, broker.SimpleQueue(queue) as waiting:
        while True:
            try:
                message = waiting.get(block=False)
            except Empty:
                return taken
            message.ack()
            taken.append(_sent(message))


def _sent(message: Any) -> Sent:
    _args, kwargs, _embed = message.payload
    eta = message.headers["eta"]
    return Sent(
        task=message.headers["task"].rpartition(".")[2],
        kwargs=kwargs,
        eta=datetime.fromisoformat(eta) if eta else None,
    )
