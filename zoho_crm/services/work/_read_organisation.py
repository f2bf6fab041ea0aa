"""The step that reads the organisation of the connection again, once a day."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial

from zoho_crm.client import ZohoClient
from zoho_crm.exceptions import (
    AccessTokenRejectedError,
    AuthorizationError,
    RequestRefusedError,
    ZohoError,
)
from zoho_crm.models import Connection
from zoho_crm.models._database import DbNow
from zoho_crm.services import organisations
from zoho_crm.services.work._context import Step
from zoho_crm.services.work._requests import Call, Transaction, UnexpectedError, Work, WorkItem
from zoho_crm.types import Organisation

logger = logging.getLogger(__name__)


class ReadOrganisationStep(Step):
    """Reads edition, licences and mapped fields, if that is due when the slice begins."""

    def due(self) -> Iterator[WorkItem]:
        """Yield the read, if it is due and was not tried in this slice."""
        is_new = not self._last_refresh
        due = Connection.objects.filter(
            pk=self._context.connection.pk, organisation_due_at__lte=DbNow()
        )
        if self._is_refreshed() and is_new and due.exists():
            yield WorkItem(self._read_organisation())

    def _read_organisation(self) -> Work:
        """Read the organisation and the mapped fields, and store them."""
        connection = self._context.connection
        postpone = partial(organisations.postpone, connection.pk)
        try:
            # The leads can be worked without it: a missing permission is no reason to back off.
            found, fields = yield Call(
                read_organisation, answers=(AuthorizationError, RequestRefusedError)
            )
            if found.id == connection.org_id:
                columns = organisations.columns(found, fields)
                yield Transaction(partial(organisations.store, connection.pk, columns))
            else:
                logger.error("The token of %s is of the organisation %s", connection, found.id)
                yield Transaction(postpone)
        except AccessTokenRejectedError:
            self._look_again()
        except (ZohoError, UnexpectedError) as error:
            logger.warning("Organisation of %s could not be read: %s", connection, error)
            yield Transaction(postpone)


def read_organisation(client: ZohoClient) -> tuple[Organisation, tuple[str, ...] | None]:
    """Read the organisation, and its mapped lead fields if the user may."""
    return client.organisation(), organisations.mapped_fields(client)
