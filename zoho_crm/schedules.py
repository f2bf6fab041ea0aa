"""
The schedule for Celery beat: ``app.conf.beat_schedule = {**BEAT_SCHEDULE}``.

It may be imported before the settings are complete, even in the module of the settings: beat reads
interval and queue from ``ZOHO_CRM`` when it starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from celery.schedules import BaseSchedule, schedule

from zoho_crm.conf import conf

#: Seconds after which a message expires: much longer than the interval, because the clocks of
#: sender and receiver may differ.
EXPIRES_SECONDS = 3600


class SweepInterval(schedule):
    """Every ``SWEEP_INTERVAL`` seconds, as the settings say when it is asked."""

    def __init__(self) -> None:
        self.relative = False
        BaseSchedule.__init__(self)

    @property
    def run_every(self) -> timedelta:
        """The interval of the settings."""
        return timedelta(seconds=conf().SWEEP_INTERVAL)

    def __reduce__(self) -> tuple[type[SweepInterval], tuple[()]]:
        return type(self), ()


class MessageOptions(Mapping[str, Any]):
    """The options of beat's messages, with the ``QUEUE`` of the settings when they are asked."""

    def __getitem__(self, name: str) -> Any:
        return self._options()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._options())

    def __len__(self) -> int:
        return len(self._options())

    def copy(self) -> dict[str, Any]:
        """Return the options as a dictionary, as beat asks for them before it sends a message."""
        return self._options()

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @staticmethod
    def _options() -> dict[str, Any]:
        queue = conf().QUEUE
        return {"expires": EXPIRES_SECONDS} | ({"queue": queue} if queue else {})


BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    name: {"task": task, "schedule": SweepInterval(), "options": MessageOptions()}
    for name, task in {
        "zoho-crm-sweep": "zoho_crm.tasks.sweep",
        "zoho-crm-send-signals": "zoho_crm.tasks.send_signals",
    }.items()
}
