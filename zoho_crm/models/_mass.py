"""Mass conversions, Zoho's jobs for them, the lines that were left out, and saved policies."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from django.db import models
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from zoho_crm import matching
from zoho_crm.models._connection import Connection
from zoho_crm.models._database import DbNow, PrimaryModel, user_reference
from zoho_crm.models._moves import STARTABLE_STAGES


class Policy(PrimaryModel):
    """A policy that was saved under a name; a run stores its own copy."""

    name = models.CharField(_("name"), max_length=50, unique=True)
    rules = models.JSONField(_("rules"))
    changed_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("policy")
        verbose_name_plural = _("policies")

    def __str__(self) -> str:
        return self.name

    # Queries

    def as_value(self) -> matching.Policy:
        """Return the policy as a value, named like this row."""
        return matching.Policy.from_json({**self.rules, "name": self.name})


class Stage(models.TextChoices):
    """The stage of a run."""

    STAGING = "STAGING", _("taking leads in")
    PREVIEWING = "PREVIEWING", _("previewing")
    REVIEW = "REVIEW", _("waits for decisions")
    CONVERTING = "CONVERTING", _("converting")
    FINISHED = "FINISHED", _("finished")
    CANCELLED = "CANCELLED", _("cancelled")


#: Stages in which no other run may take the rows.
OPEN_STAGES = (Stage.STAGING, Stage.PREVIEWING, Stage.REVIEW, Stage.CONVERTING)


class MassConversion(PrimaryModel):
    """A mass conversion, called a run: many leads that are converted under one policy."""

    Stage = Stage
    OPEN_STAGES = OPEN_STAGES
    MAX_NAME_LENGTH = 100

    connection = models.ForeignKey(
        Connection, models.PROTECT, related_name="runs", verbose_name=_("connection")
    )
    name = models.CharField(_("name"), max_length=MAX_NAME_LENGTH, blank=True)
    stage = models.CharField(_("stage"), max_length=20, choices=Stage, default=Stage.STAGING)
    #: Why it is paused: a code, empty if it is not, and the values of the code's sentence.
    paused_reason = models.CharField(_("paused"), max_length=50, blank=True)
    paused_details = models.JSONField(default=dict, blank=True, editable=False)
    #: Grows with every decision, so that a start confirms exactly the decisions that were shown.
    revision = models.PositiveIntegerField(_("revision"), default=0)
    #: The run's own copy of its policy.
    policy = models.JSONField(_("policy"))
    #: Ids of the users who may own records, as of the day of preparation; empty if not known.
    active_owners = models.JSONField(default=list)
    #: Where its leads come from: a code, and the values of the code's sentence.
    source = models.CharField(_("source"), max_length=50, blank=True)
    source_details = models.JSONField(default=dict, blank=True, editable=False)
    #: The open leads that the worker stages: values by API name; null if it was given lead ids.
    filters = models.JSONField(null=True, editable=False)
    #: The progress of that: Zoho's token for the next page, and the leads read so far.
    page_token = models.TextField(blank=True, editable=False)
    seen = models.PositiveIntegerField(default=0, editable=False)
    #: Digests of the tokens of the pages that were read, to notice a list that does not end.
    page_digests = models.JSONField(default=list, editable=False)
    #: Whether all decided rows that follow no other were moved to READY since the start.
    is_armed = models.BooleanField(default=False)
    #: Whether Zoho's mass conversion may be used.
    may_use_jobs = models.BooleanField(default=True)
    #: Previews and outcomes since then count for the rate, the canaries and the circuit breaker.
    counted_from = models.DateTimeField(null=True)
    #: Its rows by status and verdict, stored when it ends.
    counts = models.JSONField(_("counts"), null=True)
    due_at = models.DateTimeField(_("due"), null=True)
    created_by = user_reference(_("prepared by"))
    started_by = user_reference(_("started by"))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    started_at = models.DateTimeField(_("started"), null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)
    announced_at = models.DateTimeField(null=True, editable=False)
    #: Until when a process that is sending the signal has the row to itself; null if none is.
    signal_lease_until = models.DateTimeField(null=True, editable=False)

    #: Set by ``advance_runs``.
    is_due: bool

    class Meta:
        default_permissions = ()  # ``Connection`` has them.
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        indexes: ClassVar = [
            models.Index(fields=["connection", "due_at"], name="zoho_crm_runs_due")
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.name}".strip()

    # Mutators

    def advance(self, from_stages: Collection[str], to: str, **values: Any) -> bool:
        """Set the stage and other columns if the stage is one of ``from_stages``; return if so."""
        rows = MassConversion.objects.filter(pk=self.pk, stage__in=from_stages)
        return bool(rows.update(stage=to, **values))

    def bump_revision(self) -> int:
        """
        Increase the revision, in the transaction that writes decisions and before them; return it.

        A start that was shown an earlier revision is refused then. The rows that are decided get
        the new one. 0 if the run is not in review: then nothing may be decided.
        """
        rows = MassConversion.objects.filter(pk=self.pk, stage=Stage.REVIEW)
        if not rows.update(revision=F("revision") + 1, due_at=DbNow()):
            return 0
        # Until the transaction ends, nobody else can increase it.
        return rows.values_list("revision", flat=True).get()

    # Queries

    def blocks(self, status: str) -> bool:
        """Return whether rows of this status may not begin now; rows in progress always go on."""
        if status not in STARTABLE_STAGES:
            return False
        return bool(self.paused_reason) or self.stage not in STARTABLE_STAGES[status]

    # Properties

    @property
    def rules(self) -> matching.Policy:
        """The run's policy as a value."""
        return matching.Policy.from_json(self.policy)

    @property
    def is_open(self) -> bool:
        """Whether no other run may take its rows."""
        return self.stage in OPEN_STAGES


class MassConversionJob(PrimaryModel):
    """One of Zoho's mass-convert jobs, which converts at most 50 leads with the same effect."""

    class Status(models.TextChoices):
        POSTING = "POSTING", _("being posted")
        ACCEPTED = "ACCEPTED", _("accepted by Zoho")
        FINISHED = "FINISHED", _("finished")
        REFUSED = "REFUSED", _("refused")
        LOST = "LOST", _("its answer was lost")
        GIVEN_UP = "GIVEN_UP", _("given up")

    mass_conversion = models.ForeignKey(MassConversion, models.CASCADE, related_name="jobs")
    connection = models.ForeignKey(Connection, models.PROTECT, related_name="jobs")
    zoho_job_id = models.CharField(_("job"), max_length=19, blank=True)
    status = models.CharField(_("status"), max_length=20, choices=Status, default=Status.POSTING)
    #: What it does to each lead: an ``Effect`` as JSON.
    effect = models.JSONField(_("effect"))
    #: The numbers in Zoho's last answer to a poll.
    counts = models.JSONField(_("counts"), null=True)
    polls = models.PositiveIntegerField(default=0)
    posted_at = models.DateTimeField(_("posted"))
    ended_at = models.DateTimeField(_("ended"), null=True)
    due_at = models.DateTimeField(_("due"), null=True)

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        indexes: ClassVar = [
            models.Index(fields=["connection", "due_at"], name="zoho_crm_jobs_due")
        ]

    def __str__(self) -> str:
        return f"{self.zoho_job_id or '?'} (#{self.pk})"


class MassConversionLine(PrimaryModel):
    """A line of a run's source that did not become a row of the run, with the reason."""

    class Reason(models.TextChoices):
        MALFORMED = "malformed", _("no id of a lead")
        ROUNDED = "rounded", _("rounded by a spreadsheet: export the ids as text")
        SEVERAL_VALUES = "several_values", _("several values: say which column has the ids")
        DOUBLE = "double", _("named before")
        CONVERTED = "converted", _("converted already")
        IN_ANOTHER_RUN = "in_another_run", _("in another run")
        ON_ITS_WAY = "on_its_way", _("being converted singly")

    mass_conversion = models.ForeignKey(MassConversion, models.CASCADE, related_name="lines")
    number = models.PositiveIntegerField(_("line"))
    text = models.CharField(_("text"), max_length=50)
    reason = models.CharField(_("reason"), max_length=20, choices=Reason)

    class Meta:
        verbose_name = _("line that was left out")
        verbose_name_plural = _("lines that were left out")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["mass_conversion", "number"], name="zoho_crm_one_reason_per_line"
            )
        ]

    def __str__(self) -> str:
        return f"{self.mass_conversion_id}:{self.number}"
