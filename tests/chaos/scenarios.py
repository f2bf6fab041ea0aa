"""What is proved: how many leads, on what, and what happens to the site meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One run of chaos, and the bar that it has to clear."""

    database: str
    broker: str = "redis"
    leads: int
    hosts: int = 3
    #: How often each card is played.
    disruptions: Mapping[str, int] = field(default_factory=dict)
    #: How many answers to jobs have to be lost, and with which chance each is: few jobs need 1.
    lost_job_answers: int = 0
    job_answer_loss_share: float = 0.5
    #: How many kills that has to be, and how many of the holder of the lease.
    kills: int = 0
    lease_holder_kills: int = 0
    #: Seconds until every row has to be at rest, and convert calls a lead on average.
    seconds: float
    max_calls_per_lead: float = 1.15
    #: Which part of the requests take effect after their sender gave up, and after how long.
    late_share: float = 0.025
    late_seconds: float = 1.5
    #: Which part of all commits is cut off.
    cut_commit_share: float = 0.0
    #: Whether leads go by Zoho's mass conversion, in one run.
    is_mass: bool = False
    #: Whether the checker has to find something: a bench that finds nothing may be blind.
    expects_breaches: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


POSTGRESQL = Scenario(
    database="postgresql",
    leads=2_000,
    kills=25,
    lease_holder_kills=15,
    hosts=4,
    seconds=240,
    cut_commit_share=0.01,
    disruptions={
        "kill_lease_holder": 18,
        "kill_any": 10,
        "freeze_lease_holder": 3,
        "terminate_any": 3,
        "empty_broker": 3,
        "suspend_broker": 1,
        "restart_database": 2,
        "throttle": 3,
        "lower_limit": 1,
        "exhaust_credits": 1,
        "revoke_tokens": 1,
        "expire_access_tokens": 1,
    },
)
FEW_DISRUPTIONS = {
    "kill_lease_holder": 6,
    "kill_any": 4,
    "freeze_lease_holder": 1,
    "terminate_any": 1,
    "empty_broker": 3,
    "expire_access_tokens": 1,
    "throttle": 1,
    "lower_limit": 1,
}
SQLITE = Scenario(database="sqlite", leads=500, kills=8, seconds=180, disruptions=FEW_DISRUPTIONS)
MARIADB = replace(SQLITE, database="mariadb")
RABBITMQ = replace(SQLITE, database="postgresql", broker="rabbitmq", cut_commit_share=0.01)
MASS = Scenario(
    database="postgresql",
    leads=1_000,
    lost_job_answers=5,
    seconds=240,
    is_mass=True,
    disruptions={
        "kill_lease_holder": 5,
        "kill_any": 2,
        "empty_broker": 1,
        "expire_access_tokens": 1,
        "pause_run": 1,
    },
    max_calls_per_lead=2.2,
)
#: Without a quiet period, what takes effect late is sent again before.
UNSAFE = Scenario(
    database="sqlite",
    leads=60,
    hosts=1,
    seconds=90,
    expects_breaches=True,
    max_calls_per_lead=5,
    late_share=0.25,
    late_seconds=8,
    settings={"QUIET_PERIOD": 0},
    environment={"SILENCED_SYSTEM_CHECKS": "zoho_crm.E003"},
)

SCENARIOS: Mapping[str, Scenario] = {
    "postgresql": POSTGRESQL,
    "sqlite": SQLITE,
    "mariadb": MARIADB,
    "rabbitmq": RABBITMQ,
    "mass": MASS,
    "unsafe": UNSAFE,
}
SHORT: Mapping[str, Scenario] = {
    "postgresql": replace(
        POSTGRESQL,
        leads=250,
        kills=5,
        lease_holder_kills=3,
        hosts=3,
        seconds=120,
        disruptions={
            **dict.fromkeys(("freeze_lease_holder", "restart_database", "empty_broker"), 1),
            **dict.fromkeys(
                ("throttle", "lower_limit", "revoke_tokens", "expire_access_tokens"), 1
            ),
            "kill_lease_holder": 4,
            "kill_any": 1,
        },
    ),
    "mass": replace(
        MASS,
        leads=200,
        lost_job_answers=1,
        job_answer_loss_share=1,
        disruptions={"kill_lease_holder": 2, "pause_run": 1},
    ),
    "unsafe": UNSAFE,
}
