"""
Checks of everything that the app needs to work; each problem that is found comes with its fix.

A check is a generator of findings. Those of the database's contents run only if it has our tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from zoho_crm.services.doctor._connections import (
    client,
    connections,
    sdk_failures,
    sdk_tokens,
    secrets,
)
from zoho_crm.services.doctor._database import clock, database_options, tables
from zoho_crm.services.doctor._findings import Check, Finding, Result
from zoho_crm.services.doctor._network import accounts_servers, broker, proxy, redirect_address
from zoho_crm.services.doctor._workers import worker_findings, workers

__all__ = ["Check", "Finding", "Result", "run_checks", "worker_findings"]

CHECKS_WITHOUT_TABLES: tuple[Callable[[], Iterator[Finding]], ...] = (redirect_address, broker)
CHECKS_WITH_TABLES: tuple[Callable[[], Iterator[Finding]], ...] = (
    database_options,
    clock,
    secrets,
    client,
    proxy,
    accounts_servers,
    connections,
    sdk_tokens,
    sdk_failures,
    workers,
)


def run_checks() -> Iterator[Finding]:
    """Yield the findings of all checks; most are left out if the database lacks our tables."""
    for check in CHECKS_WITHOUT_TABLES:
        yield from check()
    database = list(tables())
    yield from database
    if all(finding.result == Result.OK for finding in database):
        for check in CHECKS_WITH_TABLES:
            yield from check()
