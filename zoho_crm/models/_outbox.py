"""The outbox: records that were pushed and are to be sent to Zoho, and their events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from zoho_crm.models._connection import Connection
from zoho_crm.models._database import DbNow
from zoho_crm.models._moves import BaseMove, MovingQuerySet
from zoho_crm.models._queue import QueueEvent, QueueRow


class OutboxStatus(models.TextChoices):
    """The status of a pushed record."""

    PENDING = "PENDING", _("to be sent")
    RUNNING = "RUNNING", _("being sent")
    UNKNOWN = "UNKNOWN", _("being checked")
    SENT = "SENT", _("sent")
    REFUSED = "REFUSED", _("refused")
    NEEDS_REVIEW = "NEEDS_REVIEW", _("needs a person")
    SKIPPED = "SKIPPED", _("left out")


_S = OutboxStatus
#: The statuses that may follow each status; one that stays the same is a move with its event too.
OUTBOX_TRANSITIONS: Mapping[OutboxStatus, frozenset[OutboxStatus]] = {
    _S.PENDING: frozenset({_S.PENDING, _S.RUNNING, _S.REFUSED, _S.NEEDS_REVIEW, _S.SKIPPED}),
    _S.RUNNING: frozenset({_S.SENT, _S.REFUSED, _S.UNKNOWN, _S.NEEDS_REVIEW, _S.PENDING}),
    _S.UNKNOWN: frozenset({_S.UNKNOWN, _S.SENT, _S.PENDING, _S.NEEDS_REVIEW}),
    # A later push of the same key takes its values along.
    _S.REFUSED: frozenset({_S.RUNNING, _S.PENDING, _S.SKIPPED}),
    _S.NEEDS_REVIEW: frozenset({_S.PENDING, _S.SENT, _S.SKIPPED}),
    _S.SENT: frozenset(),
    _S.SKIPPED: frozenset(),
}
#: Statuses in which a row holds back the later ones of its key.
BLOCKING = (_S.RUNNING, _S.UNKNOWN, _S.NEEDS_REVIEW)
#: Statuses in which a worker or a person still has to act on a row.
WAITING = (_S.PENDING, _S.RUNNING, _S.UNKNOWN, _S.REFUSED, _S.NEEDS_REVIEW)


class OutboxAction(models.TextChoices):
    """What is to be done with a record."""

    CREATE = "create", _("create")
    UPDATE = "update", _("update")
    UPSERT = "upsert", _("update or create")
    DELETE = "delete", _("delete")
    TAG = "tag", _("add tags")
    UNTAG = "untag", _("remove tags")
    NOTE = "note", _("add a note")
    LINK = "link", _("attach a link")


#: Actions that may create a record.
CREATING_ACTIONS = (OutboxAction.CREATE, OutboxAction.UPSERT)
#: Actions whose values are those of the record, so that those of one key are merged.
VALUE_ACTIONS = (*CREATING_ACTIONS, OutboxAction.UPDATE)
#: Actions about tags, of which those of one key that follow each other are merged.
TAG_ACTIONS = (OutboxAction.TAG, OutboxAction.UNTAG)
#: Actions that add something to a record, each by a call of its own, and each time anew.
ADDING_ACTIONS = (OutboxAction.NOTE, OutboxAction.LINK)


class WhenKnown(models.TextChoices):
    """What to do before a lead is created whose e-mail address belongs to somebody known."""

    HOLD = "hold", _("let a person decide")
    UPDATE_CONTACT = "update_contact", _("update the contact")
    CREATE = "create", _("create the lead")


@dataclass(frozen=True, kw_only=True)
class OutboxMove(BaseMove["OutboxRecord", OutboxStatus]):
    """A change of one pushed record."""

    row: OutboxRecord


class OutboxRecordQuerySet(MovingQuerySet["OutboxRecord"]):
    """Move and select pushed records."""

    def workable(self) -> OutboxRecordQuerySet:
        """Return the rows, without those to be sent that an earlier one of their key holds back."""
        return self.filter(~self._held_back())

    def with_is_held_back(self) -> OutboxRecordQuerySet:
        """Annotate whether an earlier one of its key keeps a row from being sent."""
        return self.annotate(is_held_back=self._held_back())

    def _held_back(self) -> Q:
        of_key = self.model._default_manager.filter(
            connection=OuterRef("connection"), module=OuterRef("module"), key=OuterRef("key")
        )
        earlier = Q(pk__lt=OuterRef("pk"))
        # It waits for its next try, and takes the later ones along.
        blocking = Q(status__in=BLOCKING) | earlier & Q(status=_S.PENDING, due_at__gt=DbNow())
        # The record that these are about does not exist yet.
        unsent = earlier & Q(status=_S.REFUSED, record_id="", action__in=CREATING_ACTIONS)
        needs_record = ~Q(action__in=VALUE_ACTIONS)
        holds = Exists(of_key.filter(blocking)) | (needs_record & Exists(of_key.filter(unsent)))
        return Q(status=_S.PENDING) & ~Q(key="") & holds

    def of_key(self, record: OutboxRecord) -> OutboxRecordQuerySet:
        """Return the rows with the key of this one: only this one if it has none."""
        if not record.key:
            return self.filter(pk=record.pk)
        return self.filter(connection=record.connection_id, module=record.module, key=record.key)

    def sent(self) -> OutboxRecordQuerySet:
        """Return the rows whose change Zoho has."""
        return self.filter(status=_S.SENT)

    def refused(self) -> OutboxRecordQuerySet:
        """Return the rows that Zoho refused, with its code and message; a person has to act."""
        return self.filter(status=_S.REFUSED)

    def needs_review(self) -> OutboxRecordQuerySet:
        """Return the rows that a person has to decide about."""
        return self.filter(status=_S.NEEDS_REVIEW)

    def unfinished(self) -> OutboxRecordQuerySet:
        """Return the rows that a worker or a person still has to act on."""
        return self.filter(status__in=WAITING)


class OutboxRecord(QueueRow):
    """
    A change of a record that the host project pushed: what is to be sent, and what became of it.

    The primary key is the sequence: of rows with the same key the one with the larger is newer.
    """

    Status = OutboxStatus
    TRANSITIONS = OUTBOX_TRANSITIONS
    Action = OutboxAction
    WhenKnown = WhenKnown

    # With db_index=False: an index below begins with the foreign key.
    connection = models.ForeignKey(
        Connection,
        models.PROTECT,
        db_index=False,
        related_name="outbox",
        verbose_name=_("connection"),
    )
    action = models.CharField(_("action"), max_length=10, choices=Action)
    module = models.CharField(_("module"), max_length=100)
    #: Names the record in the host project; empty if it has no other changes.
    key = models.CharField(_("key"), max_length=200, blank=True)
    #: Values by API name as JSON, as ``services.outbox`` writes them; null after the retention.
    values = models.JSONField(null=True, editable=False)
    #: API name of the field that identifies the record; empty if none was named.
    unique_field = models.CharField(_("unique field"), max_length=100, blank=True)
    #: Names of the automations to run; null for all.
    trigger = models.JSONField(null=True, editable=False)
    when_known = models.CharField(
        _("if the person is known"), max_length=20, choices=WhenKnown, default=WhenKnown.HOLD
    )

    status = models.CharField(_("status"), max_length=20, choices=Status, default=Status.PENDING)

    #: The record that was written, and its module: a contact's, if that was updated for a lead.
    record_id = models.CharField(_("record"), max_length=19, blank=True)
    record_module = models.CharField(_("module of the record"), max_length=100, blank=True)
    #: The note or the link that was added to the record.
    added_id = models.CharField(_("note or link"), max_length=19, blank=True)
    #: The people whom Zoho knows by the e-mail address, as ``types.Person`` in JSON.
    known_people = models.JSONField(null=True, editable=False)
    created_at = models.DateTimeField(_("pushed"), auto_now_add=True)

    objects: ClassVar = OutboxRecordQuerySet.as_manager()

    class Meta:
        default_permissions = ()  # ``Connection`` has them.
        verbose_name = _("outgoing record")
        verbose_name_plural = _("outgoing records")
        indexes: ClassVar = [
            models.Index(fields=["connection", "due_at", "status"], name="zoho_crm_outbox_due"),
            models.Index(
                fields=["connection", "module", "key", "status"], name="zoho_crm_outbox_key"
            ),
            models.Index(fields=["status", "announced_at"], name="zoho_crm_outbox_signals"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.module} {self.key or self.pk}"

    @property
    def is_at_rest(self) -> bool:
        """Whether no worker will act on this row by itself."""
        return self.due_at is None


class OutboxRecordEvent(QueueEvent):
    """A move of a pushed record, written in the same transaction as the move."""

    record = models.ForeignKey(
        OutboxRecord, models.CASCADE, related_name="events", verbose_name=_("outgoing record")
    )
    from_status = models.CharField(_("from"), max_length=20, choices=OutboxStatus)
    to_status = models.CharField(_("to"), max_length=20, choices=OutboxStatus)

    class Meta:
        verbose_name = _("event of an outgoing record")
        verbose_name_plural = _("events of outgoing records")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["record", "version"], name="zoho_crm_one_outbox_event")
        ]

    def __str__(self) -> str:
        return f"{self.record_id} v{self.version}: {self.from_status} → {self.to_status}"
