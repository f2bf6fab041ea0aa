"""Addresses of records on the pages of Zoho CRM that people use."""

from __future__ import annotations

from collections.abc import Mapping

from zoho_crm.conf import conf
from zoho_crm.models import Connection
from zoho_crm.types import Environment, is_record_id

#: What the addresses call a module, by its API name.
TABS: Mapping[str, str] = {
    "Leads": "Leads",
    "Contacts": "Contacts",
    "Accounts": "Accounts",
    "Deals": "Potentials",
}


def record_url(connection: Connection, module: str, record_id: str) -> str:
    """
    Return the URL of a record's page in the organisation of a connection.

    Empty where it is not known: for a module of the organisation's own, a simulator, a developer
    environment, and a sandbox whose name Zoho did not tell.
    """
    center = conf().data_centers.get(connection.data_center)
    origin = center.pages(connection.environment) if center else ""
    organisation, tab = _name_in_addresses(connection), TABS.get(module)
    if not (origin and organisation and tab and is_record_id(record_id)):
        return ""
    return f"{origin}/crm/{organisation}/tab/{tab}/{record_id}"


def _name_in_addresses(connection: Connection) -> str:
    """Return what names the organisation in an address; one in production has a usual name."""
    if connection.domain_name:
        return connection.domain_name
    is_production = connection.environment == Environment.PRODUCTION
    return f"org{connection.zgid}" if is_production and connection.zgid else ""
