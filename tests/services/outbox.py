"""What the tests of the outbox have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zoho_crm.models import Connection, OutboxRecord
from zoho_crm.services import work
from zoho_crm.simulator import Simulator

Push = Callable[..., OutboxRecord]


def run_until_nothing_is_due(
    connection: Connection, later: Callable[[float], None], slices: int = 60
) -> None:
    """Work a connection, and let time pass between the slices, until no row is due any more."""
    for _slice in range(slices):
        seconds = work.work(connection_id=connection.pk)
        if seconds is None:
            return
        later(seconds + 0.01)
    raise AssertionError("still due")


def statuses() -> list[str]:
    """Return the statuses of all pushed records, in their order."""
    return list(OutboxRecord.objects.order_by("pk").values_list("status", flat=True))


def links_of(zoho: Simulator, record_id: str) -> list[str]:
    """Return the addresses that are attached to a record, sorted."""
    return sorted(each.values["$link_url"] for each in zoho.organisation.attachments[record_id])


def records(zoho: Simulator, module: str = "Contacts") -> list[dict[str, Any]]:
    """Return the values of the records of a module."""
    return [dict(record.data) for record in zoho.organisation.records[module].values()]
