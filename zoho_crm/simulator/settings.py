"""What can be chosen when a simulator is started."""

from __future__ import annotations

from dataclasses import dataclass

CLIENT_ID = "1000.SIMULATOR"
CLIENT_SECRET = "simulator-secret"  # a secret that everybody may know


@dataclass(frozen=True, kw_only=True)
class SimulatorSettings:
    """The knobs; the defaults are a big Enterprise organisation that answers at once."""

    #: How many leads the story has, and which names they bear.
    leads: int = 40
    seed: int = 0
    #: Seconds that every CRM call takes.
    latency: float = 0.0
    #: CRM calls in flight of one organisation and client; the heavy ones among them.
    concurrency: int = 20
    sub_concurrency: int = 10
    #: Lifetime of access tokens and of codes given out by the authorization page.
    token_seconds: float = 3600
    code_seconds: float = 180
    #: Seconds in which a refresh token gives ten access tokens, and the page ten codes.
    token_quota_seconds: float = 600
    #: ``expires_in`` in milliseconds beside ``expires_in_sec``, as legacy clients get it.
    legacy_expires_in: bool = False
    #: Credits of 24 hours: 50,000 and 1,000 for each of the organisation's 4,950 licences.
    credits: int = 5_000_000
    #: Seconds that a job of *mass convert* takes for each of its leads.
    job_seconds_per_lead: float = 0.0
    #: Seconds until a search finds what was written.
    search_lag: float = 0.0
    #: What ``org.type`` says: production, sandbox or developer.
    environment: str = "production"
    #: Hosts besides loopback that a redirect URI may name.
    redirect_hosts: frozenset[str] = frozenset()
