"""
Read leads of an organisation from Zoho; nothing is stored.

Filters are texts by the API name of a field, as runs keep them. A lead fits if it has all these
values; an owner is meant by name or by id. Three filters are no values of fields:
``CREATED_FROM`` and ``CREATED_UNTIL``, which are instants or days, and ``BEGINS_WITH``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import reduce
from itertools import islice
from operator import and_, or_

from django.utils.timezone import get_default_timezone

from zoho_crm import client as zoho
from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.models import Connection
from zoho_crm.services import clients
from zoho_crm.types import Lead

#: The filters for leads that were created then or later, and then or before: ``Created_Time>=…``.
CREATED_FROM, CREATED_UNTIL = "Created_Time>", "Created_Time<"
#: The filter for a text with which a name, the company or the e-mail address begins.
BEGINS_WITH = "*"
#: Fields that a text is compared with.
SEARCHED_FIELDS = ("First_Name", "Last_Name", "Company", "Email")


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
    :param filters: wanted values; letter case and outer spaces are ignored
    :param user: the user who reads, as for ``token_of``
    :raises RequestRefusedError: if a filter for an instant is none
    :raises ZohoError: if Zoho cannot be asked
    """
    wanted = dict(filters or {})
    check_filters(wanted)
    names = [*fields, *filter_fields(wanted)]
    pages = clients.client_for(connection, user=user).leads.pages(fields=names)
    found = (lead for page in pages for lead in page.leads if matches_filters(lead, wanted))
    return islice(found, limit)


def find_leads(*, connection_id: int, email: str) -> tuple[Lead, ...]:
    """
    Return the open leads with this e-mail address; a lead that was just created may be missing.

    :raises ZohoError: if Zoho cannot be asked
    """
    connection = Connection.objects.get(pk=connection_id)
    return clients.client_for(connection).leads.search(email=email.strip())


def check_filters(filters: Mapping[str, str]) -> None:
    """
    Check the filters of leads before they are used.

    :raises RequestRefusedError: if a filter for an instant is none
    """
    for name in (CREATED_FROM, CREATED_UNTIL):
        if name in filters:
            _instant(name, filters[name])


def matches_filters(lead: Lead, filters: Mapping[str, str]) -> bool:
    """Return whether a lead fits all filters; letter case is ignored."""
    return all(_fits(lead, name, value) for name, value in filters.items())


def filter_fields(filters: Mapping[str, str]) -> list[str]:
    """Return the API names of the fields that have to be read to compare leads with filters."""
    instants = {CREATED_FROM: "Created_Time", CREATED_UNTIL: "Created_Time"}
    names = [instants.get(name, name) for name in filters if name != BEGINS_WITH]
    return list(dict.fromkeys([*names, *(SEARCHED_FIELDS if BEGINS_WITH in filters else ())]))


def criteria_of(filters: Mapping[str, str]) -> zoho.Criteria | None:
    """
    Return filters as criteria of Zoho's search; ``None`` if there are none.

    Zoho finds at least the leads that fit, of what its index has; owners have to be named by id.

    :raises RequestRefusedError: for a value that cannot be searched
    """
    parts = [_criteria(name, value) for name, value in filters.items()]
    return reduce(and_, parts) if parts else None


def field_value(lead: Lead, name: str) -> str:
    """Return the value of a lead's field as text, by API name; empty if it has none."""
    special = {
        "id": lead.id,
        "Full_Name": lead.name,
        "Owner": lead.owner.name if lead.owner else "",
        "Tag": ", ".join(lead.tags),
    }
    return special.get(name, lead.fields.get(name, ""))


def _fits(lead: Lead, name: str, value: str) -> bool:
    if name == BEGINS_WITH:
        return any(_begins(lead, part) for part in _ways_to_begin(value))
    if name in (CREATED_FROM, CREATED_UNTIL):
        return _is_created(lead, name, value)
    if name == "Owner" and lead.owner and lead.owner.id == value:
        return True
    return _is_equal(field_value(lead, name), value)


def _criteria(name: str, value: str) -> zoho.Criteria:
    if name == BEGINS_WITH:
        ways = [
            reduce(and_, [zoho.field(each).starts_with(text) for each, text in way.items()])
            for way in _ways_to_begin(value)
        ]
        return reduce(or_, ways)
    if name == CREATED_FROM:
        return zoho.field("Created_Time") >= _instant(name, value)
    if name == CREATED_UNTIL:
        return zoho.field("Created_Time") <= _instant(name, value)
    return zoho.field(name) == value


def _ways_to_begin(text: str) -> list[dict[str, str]]:
    """Return what may begin with which text: one of the fields, or first and last name together."""
    ways = [{name: text} for name in SEARCHED_FIELDS]
    first, _blank, last = text.partition(" ")
    return [*ways, {"First_Name": first, "Last_Name": last.strip()}] if last.strip() else ways


def _begins(lead: Lead, way: Mapping[str, str]) -> bool:
    return all(
        field_value(lead, name).strip().casefold().startswith(text.casefold())
        for name, text in way.items()
    )


def _is_created(lead: Lead, name: str, value: str) -> bool:
    """Return whether a lead was created before or after an instant; not if Zoho says no time."""
    limit = _instant(name, value)
    try:
        created = datetime.fromisoformat(field_value(lead, "Created_Time"))
        return created >= limit if name == CREATED_FROM else created <= limit
    except (ValueError, TypeError):
        return False


def _instant(name: str, value: str) -> datetime:
    """
    Return the instant of a filter: of a day its first or last second, in the site's time zone.

    :raises RequestRefusedError: if it is none
    """
    try:
        instant = datetime.fromisoformat(value)
    except ValueError as error:
        details = {"api_name": "Created_Time"}
        raise RequestRefusedError(code="unusable_type", details=details) from error
    if name == CREATED_UNTIL and len(value) == len("2026-01-31"):
        instant = instant.replace(hour=23, minute=59, second=59)
    return instant if instant.tzinfo else instant.replace(tzinfo=get_default_timezone())


def _is_equal(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()
