"""What lead conversions and pushed records have in common: the rows of a queue, and events."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from zoho_crm.models._database import PrimaryModel
from zoho_crm.models._moves import MAX_BY_LENGTH


class QueueRow(PrimaryModel):
    """A row of a queue: only moves change its status, and write an event for each change."""

    version = models.PositiveIntegerField(_("version"), default=0)
    #: The id of the last ``move`` that changed this row, by which it finds the rows it changed.
    claim_id = models.CharField(max_length=32, blank=True, editable=False)

    error_code = models.CharField(_("code"), max_length=60, blank=True)
    #: Zoho's message; empty if it gave none, or if the error is ours: the code has a sentence.
    error_message = models.TextField(_("message"), blank=True)
    #: The errors of Zoho's answer: ``problems`` of the exception.
    error_details = models.JSONField(null=True, editable=False)

    #: Sends, except those that were certainly not processed.
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    #: Whether Zoho may have processed a send whose outcome is not known.
    in_doubt = models.BooleanField(_("in doubt"), default=False)
    #: Reads that did not find what a send in doubt was to bring about.
    negative_reads = models.PositiveSmallIntegerField(default=0)
    #: Failed tries in a row, which the delay before the next one grows with.
    retry_count = models.PositiveSmallIntegerField(default=0)
    #: The queue: when a worker should act on this row; null if it should not.
    due_at = models.DateTimeField(_("due"), null=True)

    finished_at = models.DateTimeField(_("finished"), null=True)
    #: When the signal was sent to the host project.
    announced_at = models.DateTimeField(null=True, editable=False)
    #: Until when a process that is sending the signal has the row to itself; null if none is.
    signal_lease_until = models.DateTimeField(null=True, editable=False)

    class Meta(PrimaryModel.Meta):
        abstract = True


class QueueEvent(PrimaryModel):
    """A move of a row, written in the same transaction as the move."""

    version = models.PositiveIntegerField(_("version"))
    at = models.DateTimeField(_("at"))
    by = models.CharField(_("by"), max_length=MAX_BY_LENGTH, blank=True)
    #: SHA-256 of what is sent, for a move to RUNNING.
    payload_hash = models.CharField(_("payload"), max_length=64, blank=True)
    details: models.JSONField[Any, Any] = models.JSONField(_("details"), default=dict, blank=True)

    class Meta(PrimaryModel.Meta):
        abstract = True
