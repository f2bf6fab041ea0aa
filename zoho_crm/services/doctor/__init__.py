"""Look at everything that has to work, and say of each thing that does not how to put it right."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from zoho_crm.services.doctor._connections import client, connections, secrets
from zoho_crm.services.doctor._database import clock, database_options, tables
from zoho_crm.services.doctor._findings import Finding, Result
from zoho_crm.services.doctor._network import accounts_servers, broker, redirect_address
from zoho_crm.services.doctor._workers import worker_findings, workers

__all__ = ["Finding", "Result", "run_checks", "worker_findings"]

ELSEWHERE: tuple[Callable[[], Iterator[Finding]], ...] = (redirect_address, broker)
IN_THE_TABLES: tuple[Callable[[], Iterator[Finding]], ...] = (
    database_options,
    clock,
    secrets,
    client,
    accounts_servers,
    connections,
    workers,
)


def run_checks() -> Iterator[Finding]:
    """Yield what every check finds; without our tables most of them are left out."""
    for look in ELSEWHERE:
        yield from look()
    database = list(tables())
    yield from database
    if all(finding.result == Result.OK for finding in database):
        for look in IN_THE_TABLES:
            yield from look()
