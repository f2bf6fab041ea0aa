"""A ready beat schedule: ``app.conf.beat_schedule = {**BEAT_SCHEDULE}``."""

from __future__ import annotations

from typing import Any

from zoho_crm.conf import conf

#: Seconds after which a message is of no use. Who reads it may have another clock than who sent it,
#: so this is much longer than the time to the next one.
EXPIRES = 3600

_OPTIONS: dict[str, Any] = {"expires": EXPIRES} | ({"queue": conf().QUEUE} if conf().QUEUE else {})

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
