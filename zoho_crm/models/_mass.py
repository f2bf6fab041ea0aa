"""Runs: the conversion of many leads, Zoho's jobs for them, and what was left out."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from zoho_crm import matching
from zoho_crm.models._connection import Connection
from zoho_crm.models._moves import STARTABLE_STAGES
from zoho_crm.models._time import DbNow


class Policy(models.Model):
    """A policy that people saved under a name; a run keeps its own copy."""

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
        """Return what it says."""
        return matching.Policy.from_json({**self.rules, "name": self.name})


class Stage(models.TextChoices):
    """How far a run is."""

    STAGING = "STAGING", _("taking leads in")
    PREVIEWING = "PREVIEWING", _("previewing")
    REVIEW = "REVIEW", _("waits for decisions")
    CONVERTING = "CONVERTING", _("converting")
    FINISHED = "FINISHED", _("finished")
    CANCELLED = "CANCELLED", _("cancelled")


#: Stages whose rows belong to the run alone.
OPEN_STAGES = (Stage.STAGING, Stage.PREVIEWING, Stage.REVIEW, Stage.CONVERTING)


class MassConversion(models.Model):
    """A run: the conversion of many leads under one policy, from taking them in to its end."""

    Stage = Stage
    OPEN_STAGES = OPEN_STAGES

    connection = models.ForeignKey(
        Connection, models.PROTECT, related_name="runs", verbose_name=_("connection")
    )
    name = models.CharField(_("name"), max_length=100, blank=True)
    stage = models.CharField(_("stage"), max_length=20, choices=Stage, default=Stage.STAGING)
    #: Why it stands still, by a person or by itself; empty while it goes on.
    paused_reason = models.CharField(_("paused"), max_length=200, blank=True)
    #: Grows with every decision: what was shown on the confirm page is what is started.
    revision = models.PositiveIntegerField(_("revision"), default=0)
    #: The run's own copy of its policy.
    policy = models.JSONField(_("policy"))
    #: Ids of the users who may get records, as of the day it was prepared; empty if not known.
    active_owners = models.JSONField(default=list)
    #: Where its leads come from, for people.
    source = models.CharField(_("source"), max_length=200, blank=True)
    #: Which open leads the worker takes in, by API name; null where leads were handed over.
    filters = models.JSONField(null=True, editable=False)
    #: How far it is with that: Zoho's token for the next page, and leads seen so far.
    page_token = models.TextField(blank=True, editable=False)
    seen = models.PositiveIntegerField(default=0, editable=False)
    #: Whether all decided rows were made ready since the start.
    is_armed = models.BooleanField(default=False)
    #: Whether Zoho's mass conversion may be used.
    may_use_jobs = models.BooleanField(default=True)
    #: Outcomes since then count for the first leads and for the breaker.
    counted_from = models.DateTimeField(null=True)
    #: Frozen when it has ended.
    counts = models.JSONField(_("counts"), null=True)
    due_at = models.DateTimeField(_("due"), null=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("prepared by"),
    )
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("started by"),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    started_at = models.DateTimeField(_("started"), null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)
    announced_at = models.DateTimeField(null=True, editable=False)

    #: Set by ``advance_runs``.
    is_due: bool

    class Meta:
        verbose_name = _("mass conversion")
        verbose_name_plural = _("mass conversions")
        indexes: ClassVar = [
            models.Index(fields=["connection", "due_at"], name="zoho_crm_runs_due")
        ]
        permissions: ClassVar = [
            ("prepare_massconversion", _("Can prepare and decide mass conversions")),
            ("run_massconversion", _("Can start mass conversions")),
            ("pause_massconversion", _("Can pause, resume and cancel mass conversions")),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.name}".strip()

    # Mutators

    def advance(self, from_stages: Collection[str], to: str, **values: Any) -> bool:
        """Whether it went from one of these stages to that one just now, for this caller."""
        rows = MassConversion.objects.filter(pk=self.pk, stage__in=from_stages)
        return bool(rows.update(stage=to, **values))

    def bump_revision(self) -> bool:
        """
        Take note of a decision, before it is written and in the same transaction.

        A confirm page that was shown before is out of date. Whether the run waits for decisions.
        """
        rows = MassConversion.objects.filter(pk=self.pk, stage=Stage.REVIEW)
        return bool(rows.update(revision=F("revision") + 1, due_at=DbNow()))

    # Queries

    def holds_back(self, status: str) -> bool:
        """Whether rows of this status may not begin now; what is under way always goes on."""
        if status not in STARTABLE_STAGES:
            return False
        return bool(self.paused_reason) or self.stage not in STARTABLE_STAGES[status]

    # Properties

    @property
    def rules(self) -> matching.Policy:
        """The policy, as a value."""
        return matching.Policy.from_json(self.policy)

    @property
    def is_open(self) -> bool:
        """Whether its rows are its own."""
        return self.stage in OPEN_STAGES


class MassConversionJob(models.Model):
    """One of Zoho's mass-convert jobs: at most 50 leads with the same effect."""

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
    #: What was posted, but for the ids.
    effect = models.JSONField(_("effect"))
    #: What Zoho counted last.
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


class MassConversionLine(models.Model):
    """A line of a source that did not become a row of the run, and why."""

    class Reason(models.TextChoices):
        MALFORMED = "malformed", _("no id of a lead")
        DOUBLE = "double", _("named before")
        CONVERTED = "converted", _("converted already")
        IN_ANOTHER_RUN = "in_another_run", _("in another mass conversion")
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
