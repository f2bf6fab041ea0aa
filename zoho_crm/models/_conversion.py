"""The life of one lead, and its journal."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from zoho_crm.models._connection import Connection
from zoho_crm.models._mass import MassConversion, MassConversionJob
from zoho_crm.models._moves import LeadConversionQuerySet, Status
from zoho_crm.types import ConversionOptions, ConversionPlan, Lead, Verdict


class Verdicts(models.TextChoices):
    """The verdicts, as people read them."""

    NOT_FOUND = Verdict.NOT_FOUND.value, _("not found")
    ALREADY_CONVERTED = Verdict.ALREADY_CONVERTED.value, _("already converted")
    NOT_CONVERTIBLE = Verdict.NOT_CONVERTIBLE.value, _("cannot be converted")
    NO_MATCH = Verdict.NO_MATCH.value, _("no match")
    ONE_MATCH = Verdict.ONE_MATCH.value, _("one match")
    ACCOUNT_ONLY = Verdict.ACCOUNT_ONLY.value, _("account only")
    SEVERAL_MATCHES = Verdict.SEVERAL_MATCHES.value, _("several matches")


class LeadConversion(models.Model):
    """One lead of one connection: a lead converts once in its life, and this row is the outcome."""

    Status = Status

    class By(models.TextChoices):
        US = "us", _("us")
        ELSEWHERE = "elsewhere", _("elsewhere")

    class Evidence(models.TextChoices):
        ANSWER = "answer", _("Zoho's answer")
        READ = "read", _("reading the lead")

    class Joins(models.TextChoices):
        CONTACT = "contact", _("contact")
        ACCOUNT = "account", _("account")

    # Where a foreign key has no index of its own, one below begins with it, or nobody asks by it.
    connection = models.ForeignKey(
        Connection,
        models.PROTECT,
        db_index=False,
        related_name="conversions",
        verbose_name=_("connection"),
    )
    lead_id = models.CharField(_("lead"), max_length=19)
    status = models.CharField(_("status"), max_length=20, choices=Status, default=Status.NEW)
    version = models.PositiveIntegerField(_("version"), default=0)
    #: Marks the rows of one set that a move reached.
    claim_id = models.CharField(max_length=32, blank=True, editable=False)

    verdict = models.CharField(_("verdict"), max_length=20, choices=Verdicts, blank=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    #: The before-image: the lead and its matches as they were shown.
    lead_snapshot = models.JSONField(null=True, editable=False)
    options_snapshot = models.JSONField(null=True, editable=False)
    previewed_at = models.DateTimeField(_("previewed"), null=True)
    plan = models.JSONField(null=True, editable=False)

    contact_id = models.CharField(_("contact"), max_length=19, blank=True)
    account_id = models.CharField(_("account"), max_length=19, blank=True)
    deal_id = models.CharField(_("deal"), max_length=19, blank=True)
    converted_by = models.CharField(_("converted by"), max_length=10, choices=By, blank=True)
    evidence = models.CharField(_("evidence"), max_length=10, choices=Evidence, blank=True)
    error_code = models.CharField(_("code"), max_length=60, blank=True)
    error_message = models.TextField(_("message"), blank=True)

    #: Sends that were not surely in vain.
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    #: Whether some send may have been processed.
    in_doubt = models.BooleanField(_("in doubt"), default=False)
    #: Reads that count as "not converted", and reads that said nothing.
    negative_reads = models.PositiveSmallIntegerField(default=0)
    empty_reads = models.PositiveIntegerField(default=0)
    #: Tries in a row that came to nothing, for the next delay.
    retry_count = models.PositiveSmallIntegerField(default=0)
    #: UNKNOWN: no read counts as negative before. SCHEDULED: Zoho's job is given up after.
    quiet_until = models.DateTimeField(null=True)
    #: The queue: when a machine should act; null where it should not.
    due_at = models.DateTimeField(_("due"), null=True)

    mass_conversion = models.ForeignKey(
        MassConversion,
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="rows",
        verbose_name=_("mass conversion"),
    )
    #: Zoho's job that it was sent with; from then on it goes singly.
    job = models.ForeignKey(MassConversionJob, models.PROTECT, null=True, related_name="rows")
    #: The row of the run that makes the record which this one joins.
    follows = models.ForeignKey("self", models.PROTECT, null=True, related_name="followers")
    joins = models.CharField(max_length=10, choices=Joins, blank=True)
    #: What rows that may go by one job have in common; empty for a row that goes singly.
    effect = models.CharField(max_length=32, blank=True, editable=False)
    #: What a new contact, a new account would be the same by, within a run.
    contact_key = models.CharField(max_length=32, blank=True, editable=False)
    account_key = models.CharField(max_length=32, blank=True, editable=False)
    similar_key = models.CharField(max_length=32, blank=True, editable=False)

    #: Which policy decides without a person; empty where a person does.
    policy = models.CharField(_("policy"), max_length=50, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        db_index=False,
        related_name="+",
        verbose_name=_("decided by"),
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        db_index=False,
        related_name="+",
        verbose_name=_("approved by"),
    )
    approved_at = models.DateTimeField(_("approved"), null=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    #: When the host project was told.
    announced_at = models.DateTimeField(null=True, editable=False)

    #: Set by the queries of the services: whether a read may count, whether the preview is old.
    is_conclusive: bool
    is_old: bool

    objects: ClassVar = LeadConversionQuerySet.as_manager()

    class Meta:
        verbose_name = _("lead conversion")
        verbose_name_plural = _("lead conversions")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["connection", "lead_id"], name="zoho_crm_a_lead_converts_once"
            ),
            models.CheckConstraint(
                condition=~models.Q(status=Status.CONVERTED) | ~models.Q(converted_by=""),
                name="zoho_crm_converted_by_somebody",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["connection", "due_at", "status"], name="zoho_crm_what_is_due"),
            models.Index(
                fields=["connection", "status", "mass_conversion", "due_at", "id"],
                name="zoho_crm_the_queue",
            ),
            models.Index(fields=["status", "announced_at"], name="zoho_crm_leads_to_announce"),
            models.Index(fields=["mass_conversion", "status"], name="zoho_crm_rows_of_a_run"),
            models.Index(fields=["mass_conversion", "finished_at"], name="zoho_crm_last_outcomes"),
            models.Index(fields=["mass_conversion", "contact_key"], name="zoho_crm_same_contact"),
            models.Index(fields=["mass_conversion", "account_key"], name="zoho_crm_same_account"),
        ]
        permissions: ClassVar = [
            ("preview_leadconversion", _("Can preview the conversion of a lead")),
            ("approve_leadconversion", _("Can convert leads")),
            ("resolve_leadconversion", _("Can settle conversions and close those that need it")),
            ("export_leadconversion", _("Can export conversions")),
            ("view_payload_leadconversion", _("Can see what was read and sent")),
        ]

    def __str__(self) -> str:
        return f"{self.lead_id} ({self.connection_id})"

    # Queries

    def stored_lead(self) -> Lead | None:
        """Return the lead as it was shown."""
        return Lead.from_json(self.lead_snapshot) if self.lead_snapshot else None

    def stored_options(self) -> ConversionOptions:
        """Return the matches as they were shown."""
        return (
            ConversionOptions.from_json(self.options_snapshot)
            if self.options_snapshot
            else ConversionOptions()
        )

    def stored_plan(self) -> ConversionPlan | None:
        """Return what was or would be sent."""
        return ConversionPlan.from_json(self.plan) if self.plan else None

    # Properties

    @property
    def lead_name(self) -> str:
        """What people call the lead."""
        return str(self.lead_snapshot["name"]) if self.lead_snapshot else self.lead_id

    @property
    def is_at_rest(self) -> bool:
        """Whether no machine will move it by itself."""
        return self.due_at is None and self.status != Status.RUNNING


class LeadConversionEvent(models.Model):
    """The journal: every step of every row, written with it."""

    conversion = models.ForeignKey(
        LeadConversion, models.CASCADE, related_name="events", verbose_name=_("conversion")
    )
    version = models.PositiveIntegerField(_("version"))
    from_status = models.CharField(_("from"), max_length=20, choices=Status)
    to_status = models.CharField(_("to"), max_length=20, choices=Status)
    at = models.DateTimeField(_("at"))
    by = models.CharField(_("by"), max_length=150, blank=True)
    #: SHA-256 of the request's body, for a step to RUNNING.
    payload_hash = models.CharField(_("payload"), max_length=64, blank=True)
    details: models.JSONField[Any, Any] = models.JSONField(_("details"), default=dict, blank=True)

    class Meta:
        verbose_name = _("event of a conversion")
        verbose_name_plural = _("events of conversions")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["conversion", "version"], name="zoho_crm_one_event_per_version"
            )
        ]

    def __str__(self) -> str:
        return f"{self.conversion_id} v{self.version}: {self.from_status} → {self.to_status}"
