"""The step that stages the open leads of an organisation in runs that ask for them, by pages."""

from __future__ import annotations

import logging
from functools import partial

from zoho_crm.client import LeadPage
from zoho_crm.exceptions import RequestRefusedError, ZohoError
from zoho_crm.models import DbNow, MassConversion, from_now
from zoho_crm.services import mass_convert
from zoho_crm.services.presentation import reason_of
from zoho_crm.services.work._context import WorkContext
from zoho_crm.services.work._pool import PendingCall

logger = logging.getLogger(__name__)

Stage = MassConversion.Stage
#: Seconds until a page whose read failed is read again.
PAGE_RETRY_SECONDS = 10.0


class StageLeadsStep:
    """Reads pages of open leads for runs in the stage STAGING."""

    def __init__(self, context: WorkContext) -> None:
        self._context = context
        #: The refresh after which due runs were read last.
        self._refresh_count = 0
        #: Primary keys of the runs that a page is being read for.
        self._reading: set[int] = set()

    def start_calls(self) -> None:
        """Start a read of the next page for each due run, while calls are free."""
        context = self._context
        if context.free_calls and self._refresh_count != context.refresh_count:
            self._refresh_count = context.refresh_count
            if any(run.stage == Stage.STAGING for run in context.runs):
                self._read_pages()

    def _read_pages(self) -> None:
        context = self._context
        runs = MassConversion.objects.filter(
            connection=context.connection,
            stage=Stage.STAGING,
            paused_reason="",
            due_at__lte=DbNow(),
        )
        for run in runs.exclude(pk__in=self._reading)[: context.free_calls]:
            self._reading.add(run.pk)
            on_result, on_error = partial(self._on_page, run), partial(self._on_error, run)
            call = PendingCall(rows=(), on_result=on_result, on_error=on_error)
            page = partial(context.client.leads.page, fields=list(run.filters or {}))
            context.pool.start(call, partial(page, page_token=run.page_token))

    def _on_page(self, run: MassConversion, _call: PendingCall, page: LeadPage) -> None:
        self._reading.discard(run.pk)
        self._refresh_count = 0
        self._context.health.record_success()
        mass_convert.stage_page(run, page.leads, next_page_token=page.next_page_token)

    def _on_error(self, run: MassConversion, call: PendingCall, error: BaseException) -> None:
        self._reading.discard(run.pk)
        rows = MassConversion.objects.filter(pk=run.pk, stage=Stage.STAGING)  # not cancelled
        if isinstance(error, RequestRefusedError):
            # A person has to look at it; after a resume it starts from the first page.
            reason = reason_of(error)
            pause = {"paused_reason": reason.code, "paused_details": reason.details}
            rows.update(**pause, **mass_convert.FIRST_PAGE, due_at=None)
            return
        if isinstance(error, ZohoError):
            self._context.health.record_failure(error, started=call.started)
        else:
            logger.error("Open leads for run %s could not be read", run.pk, exc_info=error)
        rows.update(due_at=from_now(PAGE_RETRY_SECONDS))
