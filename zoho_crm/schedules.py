"""The schedule for Celery beat: ``app.conf.beat_schedule = {**BEAT_SCHEDULE}``."""

from __future__ import annotations

from typing import Any

from zoho_crm.conf import conf

#: Seconds after which a message expires: much longer than the interval, because the clocks of
#: sender and receiver may differ.
EXPIRES_SECONDS = 3600

_OPTIONS: dict[str, Any] = {"expires": EXPIRES_SECONDS} | (
    {"queue": conf().QUEUE} if conf().QUEUE else {}
)

BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "zoho-crm-sweep": {
        "task": "zoho_crm.tasks.sweep",
        "schedule": conf().SWEEP_INTERVAL,
        "options": _OPTIONS,
    },
    "zoho-crm-send-signals": {
        "task": "zoho_crm.tasks.send_signals",
        "schedule": conf().SWEEP_INTERVAL,
        "options": _OPTIONS,
    },
}
