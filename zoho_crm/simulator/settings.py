"""The settings of a simulator."""

from __future__ import annotations

from dataclasses import dataclass

CLIENT_ID = "1000.SIMULATOR"
CLIENT_SECRET = "simulator-secret"  # not a secret: for loopback only


@dataclass(frozen=True, kw_only=True)
class SimulatorSettings:
    """Settings; the defaults are a large Enterprise organisation that answers at once."""

    #: The number of leads at the start, and the seed of their names.
    leads: int = 40
    seed: int = 0
    #: Seconds added to every CRM call.
    latency: float = 0.0
    #: CRM calls in progress of one organisation and client, and heavy ones among them.
    concurrency: int = 20
    sub_concurrency: int = 10
    #: Lifetime of access tokens and of codes of the authorization page.
    token_seconds: float = 3600
    code_seconds: float = 180
    #: Seconds in which a refresh token gives ten access tokens, and the page ten codes.
    token_quota_seconds: float = 600
    #: Whether ``expires_in`` is milliseconds, beside ``expires_in_sec``, as for legacy clients.
    legacy_expires_in: bool = False
    #: Credits in 24 hours: 50,000 and 1,000 for each of the organisation's 4,950 licences.
    credits: int = 5_000_000
    #: Seconds that a *mass convert* job takes for each lead.
    job_seconds_per_lead: float = 0.0
    #: Seconds that a *bulk read* job takes, and the most rows of one.
    bulk_seconds: float = 0.0
    bulk_rows: int = 200_000
    #: Seconds until a search finds a write.
    search_lag: float = 0.0
    #: The value of ``org.type``: production, sandbox or developer.
    environment: str = "production"
    #: Hosts besides loopback that a redirect URI may have.
    redirect_hosts: frozenset[str] = frozenset()
