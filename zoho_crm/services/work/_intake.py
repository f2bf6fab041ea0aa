"""Take the open leads of an organisation into runs that ask for them, page by page."""

from __future__ import annotations

import logging
from functools import partial

from zoho_crm.client import LeadPage
from zoho_crm.exceptions import RequestRefusedError, ZohoError
from zoho_crm.models import DbNow, MassConversion, from_now
from zoho_crm.services import mass_convert
from zoho_crm.services.leads import with_fields
from zoho_crm.services.work._crew import Errand
from zoho_crm.services.work._desk import Desk

logger = logging.getLogger(__name__)

Stage = MassConversion.Stage
#: Seconds until a page that could not be read is asked for again.
AGAIN = 10.0


class Intake:
    """One part of a slice."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._look = 0
        self._reading: set[int] = set()

    def hand_out(self) -> None:
        """Read the next page for each run that waits for one."""
        if self._desk.free and self._look != self._desk.looks:
            self._look = self._desk.looks
            if any(run.stage == Stage.STAGING for run in self._desk.runs):
                self._read()

    def _read(self) -> None:
        runs = MassConversion.objects.filter(
            connection=self._desk.connection,
            stage=Stage.STAGING,
            paused_reason="",
            due_at__lte=DbNow(),
        )
        for run in runs.exclude(pk__in=self._reading)[: self._desk.free]:
            self._reading.add(run.pk)
            leads = with_fields(self._desk.client, *(run.filters or {})).leads
            errand = Errand(
                rows=(), done=partial(self._came, run), failed=partial(self._failed, run)
            )
            self._desk.crew.send(errand, partial(leads.page, page_token=run.page_token))

    def _came(self, run: MassConversion, _errand: Errand, page: LeadPage) -> None:
        self._reading.discard(run.pk)
        self._look = 0
        self._desk.condition.succeeded()
        mass_convert.stage_page(run, page.leads, next_page_token=page.next_page_token)

    def _failed(self, run: MassConversion, errand: Errand, error: BaseException) -> None:
        self._reading.discard(run.pk)
        rows = MassConversion.objects.filter(pk=run.pk)
        if isinstance(error, RequestRefusedError):
            # A person has to see it; from the beginning it may go, if they let it go on.
            rows.update(paused_reason=str(error)[:200], page_token="", due_at=None)
            return
        if isinstance(error, ZohoError):
            self._desk.condition.failed(error, started=errand.started)
        else:
            logger.error("Open leads for run %s could not be read", run.pk, exc_info=error)
        rows.update(due_at=from_now(AGAIN))
