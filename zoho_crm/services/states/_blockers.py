"""What keeps due rows from being worked on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from zoho_crm.models import Connection, LeadConversion, OutboxRecord
from zoho_crm.services import heartbeat, tokens
from zoho_crm.services.presentation import backoff_text
from zoho_crm.services.states._sentences import Sentence, ShellCommand, Text, sentence


def next_try(row: LeadConversion | OutboxRecord) -> Text:
    """Return when a row is acted on next; empty if it is not."""
    return sentence(_("Next try: {}"), row.due_at) if row.due_at else ""


def find_blockers(connection: Connection, rows: QuerySet[Any]) -> list[Text]:
    """
    Return why these rows are not worked on now, as sentences; empty if nothing blocks them.

    :param rows: of this connection, without those of paused runs
    """
    if connection.status != Connection.Status.ACTIVE:
        text = _("The connection %s has to be connected again first.")
        if tokens.needs_default(connection.pk):
            text = _("The connection %s needs a default user first: choose one among its tokens.")
        return [text % connection]
    work = getattr(connection, "work", None)
    if work and work.backoff_until and work.backoff_until > timezone.now():
        text = _("The connection waits until {}: {}")
        return [
            sentence(text, work.backoff_until, backoff_text(work)),
            _("It goes on by itself then, or at once after “Test” on the page of the connection."),
        ]
    return list(_missing_worker_texts(heartbeat.missing_workers(rows)))


def _missing_worker_texts(missing: heartbeat.MissingWorkers | None) -> Iterator[Text]:
    if missing is None:
        return
    if missing.worker:
        at, command = missing.worker_seen_at, heartbeat.worker_command()
        since = _("No worker has been seen since {} on this connection. Start one: {}")
        never = _("No worker has been seen yet. Start one: {}")
        yield _seen_text(since if at else never, at, command)
    if missing.sweep:
        at = missing.sweep_seen_at
        since = _(
            "No sweep, which wakes the workers, has been seen since {} on this connection."
            " Start beat: {}"
        )
        never = _("No sweep, which wakes the workers, has been seen yet. Start beat: {}")
        yield _seen_text(since if at else never, at, heartbeat.BEAT_COMMAND)


def _seen_text(text: str, at: datetime | None, command: str) -> Sentence:
    return sentence(text, *([at] if at else []), ShellCommand(command))
