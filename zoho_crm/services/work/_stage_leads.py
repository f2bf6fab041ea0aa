"""The step that stages the open leads of an organisation in runs that ask for them, by pages."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial

from zoho_crm.client import LeadPage
from zoho_crm.exceptions import RequestRefusedError, ZohoError
from zoho_crm.models import MassConversion, from_now
from zoho_crm.models._time import DbNow
from zoho_crm.services.mass_convert._staging import FIRST_PAGE, stage_page
from zoho_crm.services.presentation import reason_of
from zoho_crm.services.work._context import Step
from zoho_crm.services.work._requests import Call, Transaction, UnexpectedError, Work, WorkItem

logger = logging.getLogger(__name__)

Stage = MassConversion.Stage
#: Seconds until a page whose read failed is read again.
PAGE_RETRY_SECONDS = 10.0


class StageLeadsStep(Step):
    """Reads pages of open leads for runs in the stage STAGING."""

    def due(self) -> Iterator[WorkItem]:
        """Yield the read of the next page for each due run."""
        runs = self._context.runs
        if self._is_refreshed() and any(run.stage == Stage.STAGING for run in runs):
            due = MassConversion.objects.filter(
                connection=self._context.connection,
                stage=Stage.STAGING,
                paused_reason="",
                due_at__lte=DbNow(),
            )
            for run in due:
                yield WorkItem(self._stage_page(run), key=run)

    def _stage_page(self, run: MassConversion) -> Work:
        """Read a page of open leads, and stage them in the run."""
        rows = MassConversion.objects.filter(pk=run.pk, stage=Stage.STAGING)  # not cancelled
        try:
            fields, token = list(run.filters or {}), run.page_token
            page: LeadPage = yield Call(
                lambda client: client.leads.page(fields=fields, page_token=token),
                answers=(RequestRefusedError,),
            )
            stage = partial(stage_page, run, page.leads)
            yield Transaction(partial(stage, next_page_token=page.next_page_token))
        except RequestRefusedError as error:
            # A person has to look at it; after a resume it starts from the first page.
            reason = reason_of(error)
            pause = {"paused_reason": reason.code, "paused_details": reason.details}
            yield Transaction(partial(rows.update, **pause, **FIRST_PAGE, due_at=None))
        except (ZohoError, UnexpectedError) as error:
            if isinstance(error, UnexpectedError):
                logger.error("Open leads for run %s could not be read", run.pk, exc_info=error)
            yield Transaction(partial(rows.update, due_at=from_now(PAGE_RETRY_SECONDS)))
        self._look_again()
