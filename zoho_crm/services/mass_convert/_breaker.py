"""The first leads go one by one, and a run that fails too often stops by itself."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from zoho_crm.models import LeadConversion, MassConversion, Move

logger = logging.getLogger(__name__)

Status = LeadConversion.Status
#: The first leads of a run, or after a pause, go singly, one at a time.
CANARIES = 5
#: Refusals in a row, or a share of the last outcomes, that stop a run.
IN_A_ROW = 5
LAST = 50
SHARE = 0.2


def is_proven(run: MassConversion) -> bool:
    """Whether the first leads are through, so that others may go beside each other."""
    return len(_outcomes(run).order_by().values_list("pk")[:CANARIES]) == CANARIES


def heed(moves: Iterable[Move]) -> None:
    """Pause the runs among whose rows there were refusals just now, if there are too many."""
    refused = {
        move.row.mass_conversion_id
        for move in moves
        if move.to == Status.FAILED and move.row.mass_conversion_id
    }
    for run in MassConversion.objects.filter(pk__in=refused):
        if trip(run):
            logger.warning("Mass conversion %s stopped: too many refusals", run.pk)


def trip(run: MassConversion) -> bool:
    """Pause a run whose leads are refused too often; whether it was paused just now."""
    last = list(_outcomes(run).values_list("status", flat=True)[:LAST])
    refused = last.count(Status.FAILED)
    in_a_row = last[:IN_A_ROW] == [Status.FAILED] * IN_A_ROW
    if not in_a_row and (len(last) < LAST or refused < SHARE * LAST):
        return False
    reason = _("%(refused)s of the last %(all)s leads were refused; see why before going on.")
    running = MassConversion.objects.filter(
        pk=run.pk, stage=MassConversion.Stage.CONVERTING, paused_reason=""
    )
    return bool(running.update(paused_reason=reason % {"refused": refused, "all": len(last)}))


def _outcomes(run: MassConversion) -> QuerySet[LeadConversion]:
    """Return the rows that came to an end since the start or the last resume, latest first."""
    return LeadConversion.objects.filter(
        mass_conversion=run,
        status__in=[Status.CONVERTED, Status.FAILED],
        attempts__gt=0,
        finished_at__gte=run.counted_from,
    ).order_by("-finished_at", "-pk")
