"""The state of a pushed record: what happened, why, and what a person may do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.models import OutboxRecord
from zoho_crm.services.presentation import outbox_error_text
from zoho_crm.services.states._blockers import find_blockers, next_try
from zoho_crm.services.states._sentences import StateText, Text

Outbox = OutboxRecord.Status


def describe_outbox_record(row: OutboxRecord, *, with_values: bool = False) -> StateText:
    """
    Return the description of a pushed record; fetch its connection with its work state first.

    :param with_values: whether to name values that were refused, which are personal data
    """
    tone, sentences = OUTBOX_RECORDS[row.status]
    this_row = OutboxRecord.objects.workable().filter(pk=row.pk)
    blockers = find_blockers(row.connection, this_row) if row.due_at else []
    details: list[Text] = []
    if row.status in (Outbox.REFUSED, Outbox.NEEDS_REVIEW):
        details.append(outbox_error_text(row, with_values=with_values))
    elif row.status == Outbox.SENT:
        details.append(
            _("Its record is %(id)s of %(module)s.")
            % {"id": row.record_id, "module": row.record_module}
        )
    elif row.status == Outbox.PENDING and row.due_at and not this_row.exists():
        details.append(_("It waits for an earlier one of its key."))
    if row.status in (Outbox.UNKNOWN, Outbox.PENDING) and row.retry_count + row.attempts:
        details.append(next_try(row))
    every = [*details, *map(str, sentences), *blockers]
    return StateText(sentences=[sentence for sentence in every if sentence], tone=tone)


def can_be_sent_again(row: OutboxRecord) -> bool:
    """Return whether a person may have the record sent again."""
    return row.status in (Outbox.REFUSED, Outbox.NEEDS_REVIEW)


def can_be_left_out(row: OutboxRecord) -> bool:
    """Return whether a person may leave the record out."""
    return row.status == Outbox.PENDING or can_be_sent_again(row)


OUTBOX_RECORDS: Mapping[str, tuple[str, tuple[Any, ...]]] = {
    Outbox.PENDING: ("neutral", (gettext_lazy("A worker sends it by itself."),)),
    Outbox.RUNNING: ("neutral", (gettext_lazy("It is being sent at this moment."),)),
    Outbox.UNKNOWN: (
        "warn",
        (gettext_lazy("It was sent, but no answer came. It is being checked; do not enter it."),),
    ),
    Outbox.SENT: ("good", ()),
    Outbox.REFUSED: (
        "bad",
        (
            gettext_lazy(
                "A later push of its key corrects it; or put the cause right, then send it again."
            ),
        ),
    ),
    Outbox.NEEDS_REVIEW: ("warn", (gettext_lazy("A person has to decide."),)),
    Outbox.SKIPPED: ("neutral", (gettext_lazy("It was left out and is not sent."),)),
}
