"""A ready beat schedule: ``app.conf.beat_schedule = {**BEAT_SCHEDULE}``."""

from __future__ import annotations

from typing import Any

from zoho_crm.conf import conf

_OPTIONS = {"queue": conf().QUEUE} if conf().QUEUE else {}

BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "zoho-crm-sweep": {
        "task": "zoho_crm.tasks.sweep",
        "schedule": conf().SWEEP_INTERVAL,
        "options": {**_OPTIONS, "expires": conf().SWEEP_INTERVAL},
    },
    "zoho-crm-announce": {
        "task": "zoho_crm.tasks.announce",
        "schedule": conf().SWEEP_INTERVAL,
        "options": {**_OPTIONS, "expires": conf().SWEEP_INTERVAL},
    },
}
