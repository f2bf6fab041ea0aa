"""What the parts of a slice share: the client, the crew, and the moves that are to be written."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from django.db.models import BooleanField, Case, Exists, OuterRef, Q, When

from zoho_crm.client import ZohoClient
from zoho_crm.conf import conf
from zoho_crm.exceptions import AccessTokenRejectedError, ZohoError
from zoho_crm.models import (
    Connection,
    ConnectionWork,
    LeadConversion,
    MassConversion,
    Move,
    from_now,
)
from zoho_crm.services import _life
from zoho_crm.services.settle import with_counting
from zoho_crm.services.work._condition import Condition
from zoho_crm.services.work._crew import Crew, Errand
from zoho_crm.services.work._urgency import MOST_URGENT_FIRST
from zoho_crm.types import ConversionPlan, Lead

logger = logging.getLogger(__name__)

Status = LeadConversion.Status
#: Leads that one call reads.
BATCH = 100


class Desk:
    """Where the threads' results are laid down; used by the main thread only."""

    def __init__(self, connection: Connection, lease: ConnectionWork) -> None:
        self.conf = conf()
        self.connection = connection
        self.lease = lease
        self.condition = Condition(connection, lease)
        self.crew = Crew(self.condition.limit.ceiling + 4)
        self.client: ZohoClient  # there is one as soon as there is a token
        self.moves: list[Move] = []
        #: What policies make of the previews among them, by row.
        self.plans: dict[int, ConversionPlan] = {}
        #: Rows that a part keeps in hand while nobody is on an errand for them.
        self.kept: set[int] = set()

    @property
    def free(self) -> int:
        """Calls to Zoho that may begin now."""
        return max(0, self.condition.limit.now - self.crew.calls)

    def may_be_claimed(self) -> Q:
        """Return the condition of a claim: the lease is ours, and nothing holds the row back."""
        mine = self.lease.mine(for_seconds=self.conf.CALL_DEADLINE)
        mine = mine.filter(connection__status=Connection.Status.ACTIVE)
        going_on = MassConversion.objects.filter(
            pk=OuterRef("mass_conversion_id"),
            stage=MassConversion.Stage.CONVERTING,
            paused_reason="",
        )
        return Q(Exists(mine)) & (Q(mass_conversion=None) | Q(Exists(going_on)))

    def due(self, *statuses: str, most: int = BATCH) -> list[LeadConversion]:
        """Return due rows that nobody has in hand, the most urgent first."""
        if most <= 0:
            return []
        old = Q(previewed_at__lt=from_now(-self.conf.PREVIEW_MAX_AGE))
        flags: dict[str, Any] = {
            "is_old": Case(When(old, then=True), default=False, output_field=BooleanField())
        }
        rows = with_counting(LeadConversion.objects.due().workable()).annotate(**flags)
        rows = rows.filter(connection=self.connection, status__in=statuses)
        rows = rows.exclude(pk__in=self.crew.held() | self.kept)
        rows = rows.select_related("mass_conversion", "follows").order_by(*MOST_URGENT_FIRST)
        return list(rows.defer("follows__lead", "follows__options", "follows__plan")[:most])

    def read(
        self,
        rows: list[LeadConversion],
        judge: Callable[[LeadConversion, Lead | None], Move | None],
        then: Callable[[Errand, Move | None], None],
    ) -> None:
        """Read the leads of these rows in one call, then judge each by itself."""

        def came(_errand: Errand, leads: dict[str, Lead]) -> None:
            self.condition.succeeded()
            for row in rows:
                self.judge(row, partial(judge, row, leads.get(row.lead_id)), then)

        def failed(errand: Errand, error: BaseException) -> None:
            is_odd = not isinstance(error, ZohoError) or error.code == "unknown_form"
            if is_odd and len(rows) > 1:
                logger.error("A read of %s leads failed; one by one now", len(rows), exc_info=error)
                for row in rows:
                    self.read([row], judge, then)
            else:
                self.put_off(errand, error)

        ids = [row.lead_id for row in rows]
        errand = Errand(rows=tuple(rows), done=came, failed=failed)
        self.crew.send(errand, partial(self.client.leads.get_many, ids))

    def judge(
        self,
        row: LeadConversion,
        judgement: Callable[[], Move | None],
        then: Callable[[Errand, Move | None], None],
    ) -> None:
        """Think about one row in a thread, where an error of ours stays with that row."""
        errand = Errand(rows=(row,), done=then, failed=self.put_off, is_call=False)
        self.crew.send(errand, judgement)

    def lay_down(self, _errand: Errand, move: Move | None) -> None:
        """Take a move in, to be written with the others."""
        if move:
            self.moves.append(move)

    def put_off(self, errand: Errand, error: BaseException) -> None:
        """Take note of a read that did not come about."""
        if not isinstance(error, ZohoError):
            for row in errand.rows:
                self.broken(row, error)
            return
        self.condition.failed(error, started=errand.started)
        at_once = isinstance(error, AccessTokenRejectedError)
        self.moves += [_life.put_off(row, error, at_once=at_once) for row in errand.rows]

    def broken(self, row: LeadConversion, error: BaseException) -> None:
        """Take note of an error of our own at one row."""
        logger.error("Conversion %s met an error of ours", row.pk, exc_info=error)
        self.moves.append(_life.broken(row, error))
