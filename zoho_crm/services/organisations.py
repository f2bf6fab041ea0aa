"""
What a connection keeps of its organisation: name, edition, licences, and the mapped lead fields.

They change at Zoho, so they are read again: by a person's test, and once a day by a worker.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from zoho_crm import client as zoho
from zoho_crm.exceptions import ZohoError
from zoho_crm.models import Connection, from_now
from zoho_crm.types import Organisation

#: Seconds until a worker reads them again, and until it does so after an error.
READ_AGAIN_SECONDS = 86_400
RETRY_SECONDS = 3_600


def mapped_fields(client: zoho.ZohoClient) -> tuple[str, ...] | None:
    """Return the lead fields that a conversion carries over; ``None`` if they cannot be read."""
    try:
        return client.mapped_lead_fields()
    except ZohoError:
        return None


def columns(organisation: Organisation, mapped_fields: tuple[str, ...] | None) -> dict[str, Any]:
    """Return the columns of a connection for what was read; unread fields stay as they are."""
    fields = {} if mapped_fields is None else {"mapped_fields": list(mapped_fields)}
    return {
        "org_name": organisation.name[:200],
        "zgid": organisation.zgid,
        "domain_name": organisation.domain_name,
        "edition": organisation.edition[:50],
        "licences": organisation.licences,
        "organisation_due_at": from_now(READ_AGAIN_SECONDS),
        **fields,
    }


def difference(connection: Connection, found: Organisation) -> str:
    """Return why an organisation is not that of a connection, as a sentence; empty if it is."""
    if found.id != connection.org_id:
        return _("This is another organisation: %s.") % found.name
    if found.environment not in {connection.environment, None}:
        return _("This is a %s organisation now.") % found.environment
    return ""


def store(connection_id: int, read: dict[str, Any]) -> None:
    """Write the columns of what was read."""
    Connection.objects.filter(pk=connection_id).update(**read)


def postpone(connection_id: int) -> None:
    """Let the organisation be read again after an error."""
    due = {"organisation_due_at": from_now(RETRY_SECONDS)}
    Connection.objects.filter(pk=connection_id).update(**due)
