"""Decide about many rows of the outbox at once, as they are chosen from a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.contrib.auth.models import AbstractBaseUser

from zoho_crm.models import OutboxRecord, atomic
from zoho_crm.models._outbox import OutboxMove
from zoho_crm.services.obstacles import (
    LEAVE_OUT_OBSTACLES,
    SEND_AGAIN_OBSTACLES,
    Obstacles,
    without_obstacles,
)
from zoho_crm.services.outbox import _lifecycle, together


def send_again(*, ids: Sequence[int], by: AbstractBaseUser) -> int:
    """
    Let rows be sent again that were refused or need a person; return for how many of them it is.

    Those that wait with them go along. A row that may be at Zoho already stays as it is.

    :param ids: of at most some hundred rows
    """
    return _decide(ids, SEND_AGAIN_OBSTACLES, lambda row: _lifecycle.sent_again(row, by=str(by)))


def leave_out(*, ids: Sequence[int], by: AbstractBaseUser) -> int:
    """
    Let rows never be sent that wait, were refused or need a person; return for how many it is.

    :param ids: of at most some hundred rows
    """
    return _decide(ids, LEAVE_OUT_OBSTACLES, lambda row: _lifecycle.left_out(row, by=str(by)))


def _decide(
    ids: Sequence[int], obstacles: Obstacles, move: Callable[[OutboxRecord], OutboxMove]
) -> int:
    """Move the rows that no obstacle fits, and those that wait with them; return for how many."""
    fitting = without_obstacles(OutboxRecord.objects.all(), obstacles)
    rows = list(fitting.filter(pk__in=ids))
    with atomic():
        moved = OutboxRecord.objects.move(map(move, together(rows, fitting)))
    chosen = {row.pk for row in rows}
    return sum(each.row.pk in chosen for each in moved)
