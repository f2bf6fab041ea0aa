"""
The calls of the outbox: they send deliveries that go together, and find out what became of them.

They run in the threads of the worker, and read no table.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from zoho_crm.client import RecordClient, WriteResult, ZohoClient, sending_only_if
from zoho_crm.exceptions import PermissionDeniedError
from zoho_crm.models import OutboxRecord
from zoho_crm.services.outbox._deliveries import Delivery, loose

Action = OutboxRecord.Action
#: Zoho's code if the connection may not do such calls at all.
MISSING_SCOPE = "OAUTH_SCOPE_MISMATCH"
#: By how much the clocks of this host, of the one that pushed, and of Zoho may differ.
CLOCK_DIFFERENCE = timedelta(minutes=5)


def send(
    client: ZohoClient, *, deliveries: Sequence[Delivery], latest: float
) -> Sequence[WriteResult]:
    """
    Make the call of deliveries that go together, and return the result of each.

    :param latest: the time on the monotonic clock after which nothing is sent any more
    """
    with sending_only_if(lambda: time.monotonic() <= latest):
        try:
            return _write(client, deliveries)
        except PermissionDeniedError as error:
            if error.code == MISSING_SCOPE:
                raise
            # It is about this module, and the connection can do other things.
            return [WriteResult(error=error)] * len(deliveries)


def _write(client: ZohoClient, deliveries: Sequence[Delivery]) -> Sequence[WriteResult]:
    first = deliveries[0]
    records, trigger = client.records(first.module), first.trigger
    values = [delivery.values for delivery in deliveries]
    ids = [delivery.record_id for delivery in deliveries]
    if first.action == Action.CREATE:
        return records.create(values, trigger=trigger)
    if first.action == Action.UPSERT:
        fields = [first.unique_field] if first.unique_field else []
        return records.upsert(values, duplicate_check_fields=fields, trigger=trigger)
    if first.action == Action.UPDATE:
        identified = [{**each, "id": id} for each, id in zip(values, ids, strict=True)]
        return records.update(identified, trigger=trigger)
    if first.action == Action.DELETE:
        return records.delete(ids)
    if first.action == Action.TAG:
        return records.add_tags(ids, first.values["Tag"])
    if first.action == Action.UNTAG:
        return records.remove_tags(ids, first.values["Tag"])
    return [WriteResult(id=_add(records.record(first.record_id), first), action="insert")]


def _add(record: RecordClient, delivery: Delivery) -> str:
    """Add a note or a link to a record, and return its id."""
    values = delivery.values
    if delivery.action == Action.NOTE:
        return record.add_note(values["Note_Content"], title=values.get("Note_Title") or "")
    return record.attachments.add_link(values["attachmentUrl"], title=values.get("title") or "")


# Reads that settle


def read_ids(client: ZohoClient, *, deliveries: Sequence[Delivery]) -> list[list[str]]:
    """Return for each delivery the ids of the records that have the value of its unique field."""
    first = deliveries[0]
    name = first.unique_name
    query = f"select id, {name} from {first.module} where {name} in :values"
    ids: dict[str, list[str]] = defaultdict(list)
    for row in client.coql(query, values=[each.values[name] for each in deliveries]):
        ids[loose(str(row.get(name)))].append(str(row["id"]))
    return [ids[delivery.unique_value] for delivery in deliveries]


def read_notes(client: ZohoClient, *, deliveries: Sequence[Delivery]) -> list[list[str]]:
    """Return the ids of the notes of a record that say the same as the one that was sent."""
    (delivery,) = deliveries
    title, content = (delivery.values.get(name) or "" for name in ("Note_Title", "Note_Content"))
    notes = client.records(delivery.module).record(delivery.record_id).notes()
    wanted = (loose(title), loose(content))
    same = (note for note in notes if (loose(note.title), loose(note.content)) == wanted)
    return [[note.id for note in same if _may_be_of(delivery, note.created_at)]]


def read_links(client: ZohoClient, *, deliveries: Sequence[Delivery]) -> list[list[str]]:
    """Return the ids of the links of a record that are the same as the one that was sent."""
    (delivery,) = deliveries
    url, title = (str(delivery.values.get(name) or "") for name in ("attachmentUrl", "title"))
    links = client.records(delivery.module).record(delivery.record_id).attachments.list()
    same = [link for link in links if link.url.strip() == url.strip()]
    named = (link for link in same if not title or loose(link.name) == loose(title))
    return [[link.id for link in named if _may_be_of(delivery, link.created_at)]]


def _may_be_of(delivery: Delivery, created_at: datetime | None) -> bool:
    """Return whether what was created then may be what was sent: not before it was pushed."""
    pushed_at = min(row.created_at for row in delivery.rows)
    return created_at is None or created_at >= pushed_at - CLOCK_DIFFERENCE


#: The reads that settle what was sent, by action.
READS: Mapping[str, Callable[..., list[list[str]]]] = {
    Action.CREATE: read_ids,
    Action.UPSERT: read_ids,
    Action.NOTE: read_notes,
    Action.LINK: read_links,
}
