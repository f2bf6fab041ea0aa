"""The step that reads the organisation of the connection again, once a day."""

from __future__ import annotations

import logging
from functools import partial

from zoho_crm.client import ZohoClient
from zoho_crm.exceptions import AccessTokenRejectedError, TransientError
from zoho_crm.services import organisations
from zoho_crm.services.work._context import WorkContext
from zoho_crm.services.work._pool import PendingCall
from zoho_crm.types import Organisation

logger = logging.getLogger(__name__)


class ReadOrganisationStep:
    """Reads edition, licences and mapped fields, if that is due when the slice begins."""

    def __init__(self, context: WorkContext) -> None:
        self._context = context
        self._is_done = False

    def start_calls(self) -> None:
        """Start the read if it is due and a call is free."""
        context = self._context
        if self._is_done or not context.free_calls:
            return
        self._is_done = True
        if organisations.is_due(context.connection.pk):
            call = PendingCall(rows=(), on_result=self._on_result, on_error=self._on_error)
            context.pool.start(call, partial(_read, context.client))

    def _on_result(
        self, _call: PendingCall, read: tuple[Organisation, tuple[str, ...] | None]
    ) -> None:
        connection = self._context.connection
        self._context.health.record_success()
        if read[0].id == connection.org_id:
            organisations.store(connection.pk, organisations.columns(*read))
        else:
            logger.error("The token of %s is of the organisation %s", connection, read[0].id)
            organisations.postpone(connection.pk)

    def _on_error(self, call: PendingCall, error: BaseException) -> None:
        # The leads can be worked without it, so a missing permission is no reason to back off.
        if isinstance(error, TransientError):
            self._context.health.record_failure(error, started=call.started)
        if isinstance(error, AccessTokenRejectedError):
            self._is_done = False
            return
        logger.warning("Organisation of %s could not be read: %s", self._context.connection, error)
        organisations.postpone(self._context.connection.pk)


def _read(client: ZohoClient) -> tuple[Organisation, tuple[str, ...] | None]:
    return client.organisation(), organisations.mapped_fields(client)
