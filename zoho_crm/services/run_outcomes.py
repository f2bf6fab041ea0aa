"""Find out what became of the leads of a run whose outcome is not known, and say it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.services import bulk, mass_convert
from zoho_crm.services.run_results import IN_DOUBT, CauseKey, cause_rows
from zoho_crm.services.selections import id_batches

Status = LeadConversion.Status


def check_outcomes(
    *, run_id: int, cause: CauseKey, seconds: float
) -> tuple[Mapping[str, int], int]:
    """
    Read the leads with a cause from Zoho now.

    Return the numbers of leads by the status that they have after that, and of those that were not
    read. A read can prove a conversion; soon after a call, an open lead proves nothing. Nothing is
    sent.

    :param seconds: after which no further call is made
    :raises ZohoError: if Zoho cannot be asked; what was read before that is recorded
    """
    run = MassConversion.objects.get(pk=run_id)
    rows = cause_rows(run, cause).filter(status__in=IN_DOUBT)
    check = bulk.settle if cause.status == Status.UNKNOWN else bulk.find_converted
    found: Counter[str] = Counter()
    left, began = rows.count(), time.monotonic()
    try:
        for ids in id_batches(rows, bulk.LEADS_PER_READ):
            check(ids=ids)
            after = LeadConversion.objects.filter(pk__in=ids)
            found.update(after.values_list("status", flat=True))
            left -= len(ids)
            if time.monotonic() - began > seconds:
                break
        else:
            left = 0
    finally:
        mass_convert.recount(run_id=run_id)
    return found, left


def outcomes_text(found: Mapping[str, int]) -> str:
    """Return what a check found, as sentences."""
    return " ".join(_outcome_texts(found)) or _("None of them is in doubt any more.")


def _outcome_texts(found: Mapping[str, int]) -> Iterator[str]:
    texts = {
        Status.CONVERTED: ngettext(
            "%(count)s lead is converted.",
            "%(count)s leads are converted.",
            found.get(Status.CONVERTED, 0),
        ),
        Status.FAILED: ngettext(
            "%(count)s lead is not converted: Zoho refused it.",
            "%(count)s leads are not converted: Zoho refused them.",
            found.get(Status.FAILED, 0),
        ),
        Status.READY: ngettext(
            "%(count)s lead is not converted, and is sent again.",
            "%(count)s leads are not converted, and are sent again.",
            found.get(Status.READY, 0),
        ),
        Status.UNKNOWN: ngettext(
            "Of %(count)s lead it is not known yet; the worker goes on checking.",
            "Of %(count)s leads it is not known yet; the worker goes on checking.",
            found.get(Status.UNKNOWN, 0),
        ),
        Status.NEEDS_REVIEW: ngettext(
            "%(count)s lead is still open at Zoho: open it here, and look again or close it.",
            "%(count)s leads are still open at Zoho: open each here, and look again or close it.",
            found.get(Status.NEEDS_REVIEW, 0),
        ),
    }
    for status, text in texts.items():
        if found.get(status):
            yield text % {"count": found[status]}
