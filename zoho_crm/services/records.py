"""Look records up at Zoho, for people who do not know their ids."""

from __future__ import annotations

from zoho_crm.models import Connection
from zoho_crm.services import tokens
from zoho_crm.services._zoho import outside_transaction
from zoho_crm.types import Lead


def find_leads(*, connection_id: int, email: str) -> tuple[Lead, ...]:
    """
    Return the open leads with this e-mail address; one that was just made may be missing.

    :raises ZohoError: if Zoho cannot be asked
    """
    outside_transaction()
    connection = Connection.objects.get(pk=connection_id)
    return tokens.client_for(connection).leads.search(email=email.strip())
