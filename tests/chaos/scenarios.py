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
    cards: Mapping[str, int] = field(default_factory=dict)
    #: How many answers to jobs have to be lost, and with which chance each is: few jobs need 1.
    lost_answers: int = 0
    chance_of_loss: float = 0.5
    #: How many kills that has to be, and how many of the holder of the lease.
    kills: int = 0
    kills_of_holder: int = 0
    #: Seconds until every row has to be at rest, and convert calls a lead on average.
    seconds: float
    most_calls: float = 1.15
    #: Which part of the requests take effect after their sender gave up, and after how long.
    late_share: float = 0.025
    late_seconds: float = 1.5
    #: Which part of all commits is cut off.
    cuts: float = 0.0
    #: Whether leads go by Zoho's mass conversion, in one run.
    is_mass: bool = False
    #: Whether the checker has to find something: a bench that finds nothing may be blind.
    is_blind_test: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


POSTGRESQL = Scenario(
    database="postgresql",
    leads=2_000,
    kills=25,
    kills_of_holder=15,
    hosts=4,
    seconds=240,
    cuts=0.01,
    cards={
        "kill_holder": 18,
        "kill_any": 10,
        "freeze_holder": 3,
        "end_any": 3,
        "lose_messages": 3,
        "stop_broker": 1,
        "restart_database": 2,
        "throttle": 3,
        "lower_limit": 1,
        "use_up_credits": 1,
        "revoke_tokens": 1,
        "expire_access_tokens": 1,
    },
)
FEW_CARDS = {
    "kill_holder": 6,
    "kill_any": 4,
    "freeze_holder": 1,
    "end_any": 1,
    "lose_messages": 3,
    "expire_access_tokens": 1,
    "throttle": 1,
    "lower_limit": 1,
}
SQLITE = Scenario(database="sqlite", leads=500, kills=8, seconds=180, cards=FEW_CARDS)
MARIADB = replace(SQLITE, database="mariadb")
RABBITMQ = replace(SQLITE, database="postgresql", broker="rabbitmq", cuts=0.01)
MASS = Scenario(
    database="postgresql",
    leads=1_000,
    lost_answers=5,
    seconds=240,
    is_mass=True,
    cards={
        "kill_holder": 5,
        "kill_any": 2,
        "lose_messages": 1,
        "expire_access_tokens": 1,
        "pause": 1,
    },
    most_calls=2.2,
)
#: Without a quiet period, what takes effect late is sent again before.
BLIND = Scenario(
    database="sqlite",
    leads=60,
    hosts=1,
    seconds=90,
    is_blind_test=True,
    most_calls=5,
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
    "blind": BLIND,
}
SHORT: Mapping[str, Scenario] = {
    "postgresql": replace(
        POSTGRESQL,
        leads=250,
        kills=5,
        kills_of_holder=3,
        hosts=3,
        seconds=120,
        cards={
            **dict.fromkeys(("freeze_holder", "restart_database", "lose_messages"), 1),
            **dict.fromkeys(
                ("throttle", "lower_limit", "revoke_tokens", "expire_access_tokens"), 1
            ),
            "kill_holder": 4,
            "kill_any": 1,
        },
    ),
    "mass": replace(
        MASS, leads=200, lost_answers=1, chance_of_loss=1, cards={"kill_holder": 2, "pause": 1}
    ),
    "blind": BLIND,
}
