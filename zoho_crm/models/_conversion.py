"""The conversion of one lead, and its events."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.fields.json import KT
from django.utils.translation import gettext_lazy as _

from zoho_crm.models._connection import Connection
from zoho_crm.models._database import user_reference
from zoho_crm.models._mass import MassConversion, MassConversionJob
from zoho_crm.models._moves import TRANSITIONS, LeadConversionQuerySet, Status
from zoho_crm.models._queue import QueueEvent, QueueRow
from zoho_crm.types import ConversionOptions, ConversionPlan, Lead, Verdict

#: An expression for the API name of the field that Zoho refused first; null if it named none.
REFUSED_FIELD = KT("error_details__0__api_name")


class Verdicts(models.TextChoices):
    """The verdicts with their labels."""

    NOT_FOUND = Verdict.NOT_FOUND.value, _("not found")
    ALREADY_CONVERTED = Verdict.ALREADY_CONVERTED.value, _("already converted")
    NOT_CONVERTIBLE = Verdict.NOT_CONVERTIBLE.value, _("cannot be converted")
    NO_MATCH = Verdict.NO_MATCH.value, _("no match")
    ONE_MATCH = Verdict.ONE_MATCH.value, _("one match")
    ACCOUNT_ONLY = Verdict.ACCOUNT_ONLY.value, _("account only")
    SEVERAL_MATCHES = Verdict.SEVERAL_MATCHES.value, _("several matches")


class LeadConversion(QueueRow):
    """
    The conversion of one lead of a connection: its status, preview, plan and outcome.

    There is one row per lead and connection, because a lead can be converted only once.
    """

    Status = Status
    TRANSITIONS = TRANSITIONS

    class By(models.TextChoices):
        US = "us", _("us")
        ELSEWHERE = "elsewhere", _("elsewhere")

    class Evidence(models.TextChoices):
        ANSWER = "answer", _("Zoho's answer")
        READ = "read", _("reading the lead")

    class Joins(models.TextChoices):
        CONTACT = "contact", _("contact")
        ACCOUNT = "account", _("account")

    class Grouping(models.IntegerChoices):
        """What has to be done with a row to form the groups of its run, in the order of work."""

        #: Nothing.
        DONE = 0
        #: Its company differs from another only in the legal form: leave it for review.
        SIMILAR = 1
        #: It was previewed or decided, or another row was that it depends on: compare it again.
        COMPARE = 2
        #: If it follows a follower, leave it for review.
        CHECK = 3

    # With db_index=False: an index below begins with the foreign key, or no query filters by it.
    connection = models.ForeignKey(
        Connection,
        models.PROTECT,
        db_index=False,
        related_name="conversions",
        verbose_name=_("connection"),
    )
    lead_id = models.CharField(_("lead"), max_length=19)
    status = models.CharField(_("status"), max_length=20, choices=Status, default=Status.NEW)

    verdict = models.CharField(_("verdict"), max_length=20, choices=Verdicts, blank=True)
    #: A code, or Zoho's message if it refused to say what the lead can become.
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    #: Of the lead and its matches as they were read, for filters, in front of the snapshots, which
    #: are slow to search: the id of the lead's owner, and the API names of the fields in which a
    #: match has the same value, each between commas: ``,Email,Phone,``.
    lead_owner_id = models.CharField(max_length=19, blank=True, editable=False)
    matched_on = models.CharField(max_length=200, blank=True, editable=False)
    #: The lead and its conversion options as they were read for the preview.
    lead_snapshot = models.JSONField(null=True, editable=False)
    options_snapshot = models.JSONField(null=True, editable=False)
    previewed_at = models.DateTimeField(_("previewed"), null=True)
    plan = models.JSONField(null=True, editable=False)

    contact_id = models.CharField(_("contact"), max_length=19, blank=True)
    account_id = models.CharField(_("account"), max_length=19, blank=True)
    deal_id = models.CharField(_("deal"), max_length=19, blank=True)
    converted_by = models.CharField(_("converted by"), max_length=10, choices=By, blank=True)
    evidence = models.CharField(_("evidence"), max_length=10, choices=Evidence, blank=True)
    #: Reads that did not find the lead.
    empty_reads = models.PositiveIntegerField(default=0)
    #: UNKNOWN: an earlier read does not count as negative. SCHEDULED: the job is given up then.
    quiet_until = models.DateTimeField(null=True)

    mass_conversion = models.ForeignKey(
        MassConversion,
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="rows",
        verbose_name=_("run"),
    )
    #: Zoho's job that it was sent in; a row that was in a job is only sent singly afterwards.
    job = models.ForeignKey(MassConversionJob, models.PROTECT, null=True, related_name="rows")
    #: The leader: the row of the same run that creates the record which this lead is attached to.
    follows = models.ForeignKey("self", models.PROTECT, null=True, related_name="followers")
    joins = models.CharField(max_length=10, choices=Joins, blank=True)
    #: Hash of the effect of a job that can convert this row; empty for a row that is sent singly.
    effect = models.CharField(max_length=32, blank=True, editable=False)
    #: Hashes by which the rows of a run are grouped that would create the same record.
    contact_key = models.CharField(max_length=32, blank=True, editable=False)
    account_key = models.CharField(max_length=32, blank=True, editable=False)
    similar_key = models.CharField(max_length=32, blank=True, editable=False)
    grouping = models.PositiveSmallIntegerField(default=Grouping.DONE, editable=False)
    #: The revision of its run at the last decision about it: who was shown an earlier one has not
    #: seen that.
    run_revision = models.PositiveIntegerField(default=0, editable=False)

    #: Name of the policy that decides the plan; empty if a person does.
    policy = models.CharField(_("policy"), max_length=50, blank=True)
    decided_by = user_reference(_("decided by"), db_index=False)
    approved_by = user_reference(_("approved by"), db_index=False)
    approved_at = models.DateTimeField(_("approved"), null=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    #: Annotated by the services: whether a read counts as negative, whether the preview is old,
    #: whether it would be converted if its run were started now.
    is_conclusive: bool
    is_old: bool
    is_planned: bool

    objects: ClassVar = LeadConversionQuerySet.as_manager()

    class Meta:
        default_permissions = ()  # ``Connection`` has them.
        verbose_name = _("lead conversion")
        verbose_name_plural = _("lead conversions")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["lead_id", "connection"], name="zoho_crm_a_lead_converts_once"
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
            # What is to be announced; the rest lets the overview count without reading the rows.
            models.Index(
                fields=[
                    *("status", "announced_at"),
                    *("mass_conversion", "finished_at", "converted_by"),
                ],
                name="zoho_crm_leads_by_status",
            ),
            models.Index(fields=["mass_conversion", "status"], name="zoho_crm_rows_of_a_run"),
            models.Index(fields=["mass_conversion", "finished_at"], name="zoho_crm_last_outcomes"),
            models.Index(
                fields=["mass_conversion", "contact_key", "id"], name="zoho_crm_same_contact"
            ),
            models.Index(
                fields=["mass_conversion", "account_key", "id"], name="zoho_crm_same_account"
            ),
            models.Index(
                fields=["mass_conversion", "similar_key", "account_key"],
                name="zoho_crm_similar_companies",
            ),
            models.Index(
                fields=["mass_conversion", "grouping", "id"], name="zoho_crm_rows_to_group"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.lead_id} ({self.connection_id})"

    # Queries

    def stored_lead(self) -> Lead | None:
        """Return the lead of the preview; ``None`` before there is one."""
        return Lead.from_json(self.lead_snapshot) if self.lead_snapshot else None

    def stored_options(self) -> ConversionOptions:
        """Return the conversion options of the preview; empty before there is one."""
        return (
            ConversionOptions.from_json(self.options_snapshot)
            if self.options_snapshot
            else ConversionOptions()
        )

    def stored_plan(self) -> ConversionPlan | None:
        """Return the plan that was sent or is to be sent; ``None`` if there is none."""
        return ConversionPlan.from_json(self.plan) if self.plan else None

    # Properties

    @property
    def lead_name(self) -> str:
        """The lead's name in the preview, else its id."""
        return str(self.lead_snapshot["name"]) if self.lead_snapshot else self.lead_id

    @property
    def is_at_rest(self) -> bool:
        """Whether no worker will act on this row by itself."""
        return self.due_at is None and self.status != Status.RUNNING

    @property
    def is_in_run(self) -> bool:
        """Whether it belongs to a mass conversion that has not ended, which decides about it."""
        return self.mass_conversion is not None and self.mass_conversion.is_open


class ZohoLead(LeadConversion):
    """
    A lead as Zoho has it: gives the lead browser its place in the admin, and has no rows.

    Nobody needs a permission of it; what may be looked at is decided by those of conversions.
    """

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("lead at Zoho")
        verbose_name_plural = _("leads at Zoho")


class LeadConversionEvent(QueueEvent):
    """A move of a lead conversion, written in the same transaction as the move."""

    conversion = models.ForeignKey(
        LeadConversion, models.CASCADE, related_name="events", verbose_name=_("conversion")
    )
    from_status = models.CharField(_("from"), max_length=20, choices=Status)
    to_status = models.CharField(_("to"), max_length=20, choices=Status)

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
