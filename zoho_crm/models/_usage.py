"""The API calls of each connection, by hour and kind."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from zoho_crm.models._connection import Connection
from zoho_crm.models._database import PrimaryModel


class ApiUsage(PrimaryModel):
    """The calls of one kind that a connection made in one hour, with their estimated credits."""

    connection = models.ForeignKey(
        Connection, models.CASCADE, related_name="usage", verbose_name=_("connection")
    )
    #: The start of the hour.
    hour = models.DateTimeField(_("hour"))
    #: A key of ``CREDIT_COSTS``.
    kind = models.CharField(_("kind of call"), max_length=20)
    calls = models.PositiveIntegerField(_("calls"), default=0)
    credits = models.PositiveIntegerField(_("credits"), default=0)
    #: Calls that Zoho refused as too many (HTTP 429).
    refusals = models.PositiveIntegerField(_("refused"), default=0)

    class Meta:
        verbose_name = _("use of the API")
        verbose_name_plural = _("use of the API")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["connection", "hour", "kind"], name="zoho_crm_one_count_an_hour"
            )
        ]

    def __str__(self) -> str:
        return f"{self.connection_id} {self.hour:%Y-%m-%d %H} {self.kind}"
