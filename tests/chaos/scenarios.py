"""What is proved: how many leads, on what, and what happens to the site meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A site, the work that it does, how it is disrupted, and what is demanded of it."""

    database: str
    broker: str = "redis"
    leads: int = 0
    #: Changes of records that are pushed, seven for each record; then no lead is converted.
    pushes: int = 0
    hosts: int = 3
    #: How often each disruption is planned, by the name of its method.
    disruptions: Mapping[str, int] = field(default_factory=dict)
    #: Kills that have to take place, and kills of the host that holds the lease among them.
    kills: int = 0
    lease_holder_kills: int = 0
    #: Answers to jobs that have to be lost, and the share of them that is: few jobs need 1.
    lost_job_answers: int = 0
    job_answer_loss_share: float = 0.5
    #: Whether Zoho's calls meet the faults of the profile.
    has_faults: bool = True
    #: Share of the requests that take effect after their sender gave up, and how long after.
    late_share: float = 0.025
    late_seconds: float = 1.5
    #: Share of the commits whose connection is cut.
    cut_commit_share: float = 0.0
    #: Convert calls a lead that are allowed on average.
    max_calls_per_lead: float = 1.15
    #: Whether leads go by Zoho's mass conversion, in one run.
    is_mass: bool = False
    #: Whether the checker has to find violations: this proves that it can.
    expects_violations: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> str:
        """How much is to be done, for people."""
        return f"{self.pushes} pushes" if self.pushes else f"{self.leads} leads"

    def undisturbed(self) -> Scenario:
        """Return the same scenario without kills and faults."""
        return replace(
            self,
            disruptions={},
            kills=0,
            lease_holder_kills=0,
            lost_job_answers=0,
            has_faults=False,
            cut_commit_share=0.0,
        )


POSTGRESQL = Scenario(
    database="postgresql",
    leads=2_000,
    kills=25,
    lease_holder_kills=15,
    hosts=4,
    cut_commit_share=0.01,
    disruptions={
        "kill_lease_holder": 18,
        "kill_any_worker": 10,
        "freeze_lease_holder": 3,
        "terminate_any_worker": 3,
        "empty_broker": 3,
        "suspend_broker": 1,
        "restart_database": 2,
        "throttle_calls": 3,
        "lower_limit": 1,
        "exhaust_credits": 1,
        "revoke_tokens": 1,
        "expire_access_tokens": 1,
    },
)
FEW_DISRUPTIONS = {
    "kill_lease_holder": 6,
    "kill_any_worker": 4,
    "freeze_lease_holder": 1,
    "terminate_any_worker": 1,
    "empty_broker": 3,
    "expire_access_tokens": 1,
    "throttle_calls": 1,
    "lower_limit": 1,
}
SQLITE = Scenario(database="sqlite", leads=600, kills=8, disruptions=FEW_DISRUPTIONS)
MARIADB = replace(SQLITE, database="mariadb")
RABBITMQ = replace(SQLITE, database="postgresql", broker="rabbitmq", cut_commit_share=0.01)
MASS = Scenario(
    database="postgresql",
    leads=1_000,
    kills=5,
    lease_holder_kills=3,
    lost_job_answers=5,
    is_mass=True,
    disruptions={
        "kill_lease_holder": 5,
        "kill_any_worker": 2,
        "empty_broker": 1,
        "expire_access_tokens": 1,
        "pause_run": 1,
    },
    max_calls_per_lead=2.2,
)
OUTBOX = Scenario(
    database="postgresql",
    pushes=2_100,
    kills=8,
    lease_holder_kills=5,
    disruptions=FEW_DISRUPTIONS,
    cut_commit_share=0.01,
)
#: Without a quiet period, leads whose request takes effect late are sent twice.
UNSAFE = Scenario(
    database="sqlite",
    leads=60,
    hosts=1,
    expects_violations=True,
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
    "outbox": OUTBOX,
    "unsafe": UNSAFE,
}
SHORT_SCENARIOS: Mapping[str, Scenario] = {
    "postgresql": replace(
        POSTGRESQL,
        leads=400,
        kills=5,
        lease_holder_kills=3,
        hosts=3,
        disruptions={
            "kill_lease_holder": 4,
            "kill_any_worker": 1,
            "freeze_lease_holder": 1,
            "restart_database": 1,
            "empty_broker": 1,
            "throttle_calls": 1,
            "lower_limit": 1,
            "revoke_tokens": 1,
            "expire_access_tokens": 1,
        },
    ),
    "mass": replace(
        MASS,
        leads=200,
        kills=1,
        lease_holder_kills=1,
        lost_job_answers=1,
        job_answer_loss_share=1,
        disruptions={"kill_lease_holder": 2, "pause_run": 1},
    ),
    "outbox": replace(
        OUTBOX,
        pushes=504,
        kills=5,
        lease_holder_kills=3,
        disruptions={"kill_lease_holder": 4, "kill_any_worker": 2, "throttle_calls": 1},
    ),
    "unsafe": UNSAFE,
}
