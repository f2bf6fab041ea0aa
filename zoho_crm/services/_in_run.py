"""Whether a mass conversion decides about a lead, and how a lead leaves one that has ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _

from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.models import LeadConversion, Move

#: The columns that a lead by itself has no use for.
OF_NO_RUN: dict[str, Any] = {
    **dict.fromkeys(("mass_conversion", "job", "follows")),
    **dict.fromkeys(("joins", "effect", "contact_key", "account_key", "similar_key"), ""),
}


def is_in_run(row: LeadConversion) -> bool:
    """Whether a mass conversion that has not ended decides about a row."""
    return row.mass_conversion is not None and row.mass_conversion.is_open


def check_free(row: LeadConversion) -> None:
    """
    Make sure that no mass conversion decides about a row.

    :raises RequestRefusedError: if one does, with the code ``in_run``
    """
    if is_in_run(row):
        message = _(
            "This lead is in the mass conversion %s; decide it there, or cancel that first."
        )
        raise RequestRefusedError(message % row.mass_conversion, code="in_run")


def freed(move: Move) -> Move:
    """The row's mass conversion has ended: from now on it is a lead by itself."""
    return replace(move, values={**move.values, **OF_NO_RUN})
