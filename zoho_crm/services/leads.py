"""Browse the leads of an organisation as they are at Zoho now; nothing is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice

from zoho_crm.client import ZohoClient
from zoho_crm.models import Connection
from zoho_crm.services import tokens
from zoho_crm.services._zoho import outside_transaction
from zoho_crm.types import Lead


def open_leads(
    connection: Connection,
    *,
    fields: Iterable[str] = (),
    filters: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> Iterator[Lead]:
    """
    Yield the open leads, newest first, that have all these values; 200 leads are read a call.

    Values are compared here, not by Zoho's search, whose "equals" means "contains" and whose index
    is late.

    :param fields: API names of more fields to read, besides those that are always read
    :param filters: wanted values by API name; letter case and outer spaces do not count
    :raises ZohoError: if Zoho cannot be asked
    """
    outside_transaction()
    wanted = dict(filters or {})
    client = asking(tokens.client_for(connection), *fields, *wanted).leads

    def all_of_them() -> Iterator[Lead]:
        page = client.page()
        yield from page.leads
        while page.next_page_token:
            page = client.page(page_token=page.next_page_token)
            yield from page.leads

    return islice((lead for lead in all_of_them() if fits(lead, wanted)), limit)


def asking(client: ZohoClient, *fields: str) -> ZohoClient:
    """Return a client that reads these fields of leads too, by API name."""
    return replace(client, mapped_fields=(*fields, *client.mapped_fields))


def fits(lead: Lead, filters: Mapping[str, str]) -> bool:
    """Whether a lead has all these values, by API name; letter case does not count."""
    return all(_same(value_of(lead, name), value) for name, value in filters.items())


def value_of(lead: Lead, name: str) -> str:
    """Return one of its values as text, by API name; empty where it has none."""
    special = {
        "id": lead.id,
        "Full_Name": lead.name,
        "Owner": lead.owner.name if lead.owner else "",
        "Tag": ", ".join(lead.tags),
    }
    return special.get(name, lead.fields.get(name, ""))


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()
