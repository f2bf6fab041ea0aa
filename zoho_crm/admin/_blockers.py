"""Why due rows are not worked on, in sentences with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, TypeAlias

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from zoho_crm.admin._base import time_html
from zoho_crm.models import Connection
from zoho_crm.services import heartbeat, tokens
from zoho_crm.services.presentation import backoff_text

Text: TypeAlias = str | SafeString


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
        return [format_html(text, time_html(work.backoff_until), backoff_text(work))]
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


def _seen_text(text: str, at: datetime | None, command: str) -> SafeString:
    shown = format_html("<code>{}</code>", command)
    return format_html(text, *([time_html(at)] if at else []), shown)
