"""The rows of a list that a user chose, between choosing them and acting on them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from zoho_crm.models._connection import Connection
from zoho_crm.models._database import PrimaryModel


class Selection(PrimaryModel):
    """
    What a user chose in a list: some rows by their ids, or all that match the list's filter.

    The rows are looked up again each time, so a selection gives access to nothing.
    """

    # Once the user is deleted, nobody can use it.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    #: The connection that it is restricted to; null for a list of several connections.
    connection = models.ForeignKey(Connection, models.CASCADE, null=True, related_name="+")
    #: What is listed: the label of a model in lower case, or another name of a list.
    of = models.CharField(max_length=100)
    #: The ids that were ticked; null for all that match the filter.
    ids: models.JSONField[Any, Any] = models.JSONField(null=True)
    #: The parameters of the list, each with a list of values, as they were then.
    filters: models.JSONField[Any, Any] = models.JSONField(default=dict)
    #: Rows that were added later do not belong to it; null if that is not known.
    newest_id = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    #: Annotated by ``find_selection``: by the database's clock.
    has_expired: bool

    class Meta:
        verbose_name = _("selection")
        verbose_name_plural = _("selections")

    def __str__(self) -> str:
        return f"{self.of} #{self.pk}"
