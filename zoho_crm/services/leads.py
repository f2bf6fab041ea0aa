"""Read leads of an organisation from Zoho; nothing is stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from zoho_crm.models import Connection
from zoho_crm.services import clients
from zoho_crm.types import Lead


def open_leads(
    connection: Connection,
    *,
    fields: Iterable[str] = (),
    filters: Mapping[str, str] | None = None,
    limit: int | None = None,
    user: str | None = None,
) -> Iterator[Lead]:
    """
    Yield the open leads that have all these values, newest first; each call reads 200 leads.

    Values are compared here: in Zoho's search "equals" means "contains", and its index is late.

    :param fields: API names of fields to read besides name, company, e-mail, owner and tags
    :param filters: wanted values by API name; letter case and outer spaces are ignored
    :param user: the user who reads, as for ``token_of``
    :raises ZohoError: if Zoho cannot be asked
    """
    wanted = dict(filters or {})
    pages = clients.client_for(connection, user=user).leads.pages(fields=[*fields, *wanted])
    found = (lead for page in pages for lead in page.leads if matches_filters(lead, wanted))
    return islice(found, limit)


def find_leads(*, connection_id: int, email: str) -> tuple[Lead, ...]:
    """
    Return the open leads with this e-mail address; a lead that was just created may be missing.

    :raises ZohoError: if Zoho cannot be asked
    """
    connection = Connection.objects.get(pk=connection_id)
    return clients.client_for(connection).leads.search(email=email.strip())


def matches_filters(lead: Lead, filters: Mapping[str, str]) -> bool:
    """Return whether a lead has all these values, by API name; letter case is ignored."""
    return all(_is_equal(field_value(lead, name), value) for name, value in filters.items())


def field_value(lead: Lead, name: str) -> str:
    """Return the value of a lead's field as text, by API name; empty if it has none."""
    special = {
        "id": lead.id,
        "Full_Name": lead.name,
        "Owner": lead.owner.name if lead.owner else "",
        "Tag": ", ".join(lead.tags),
    }
    return special.get(name, lead.fields.get(name, ""))


def _is_equal(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()
