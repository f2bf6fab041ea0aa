"""
Pages of an organisation's leads, read from Zoho when they are looked at; nothing of them is stored.

Filters are those of ``leads``: a run that is prepared with the same ones takes in what was shown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone
from django.utils.translation import gettext_lazy, ngettext

from zoho_crm.exceptions import (
    AuthorizationError,
    ConnectionLostError,
    GrantRefusedError,
    PermissionDeniedError,
    RequestRefusedError,
    TransientError,
)
from zoho_crm.models import Connection, LeadConversion
from zoho_crm.services import _cache, clients, mass_convert
from zoho_crm.services.leads import criteria_of, filter_fields, matches_filters
from zoho_crm.services.presentation import describe_error, followed_by
from zoho_crm.types import Lead, ValueObject

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

LEADS_PER_PAGE = 50
#: Pages that Zoho gives by their number: 2,000 leads.
MAX_PAGES = 40
#: Seconds for which a number of leads that Zoho counted is used again.
COUNT_SECONDS = 300
#: Fields that a page shows beside the name, if nobody has chosen others.
DEFAULT_COLUMNS = ("Company", "Email", "Owner", "Lead_Status")
MAX_COLUMNS = 10
#: Types of fields whose values are no text for a column.
_UNSHOWN_TYPES = frozenset({"subform", "profileimage", "fileupload", "imageupload", "layout"})
#: Fields that every page has.
_NAME_FIELDS = frozenset({"Full_Name", "First_Name", "Last_Name"})
#: What to do about an error, by its class: the first one that fits.
_WAYS_OUT: Mapping[type[Exception], StrPromise] = {
    ConnectionLostError: gettext_lazy("Open the connection and press “Connect again”."),
    GrantRefusedError: gettext_lazy("Open the connection and press “Connect again”."),
    PermissionDeniedError: gettext_lazy(
        "An administrator of Zoho CRM has to allow the user of this connection to read leads and "
        "to search; if a scope is missing, open the connection and press “Connect again”."
    ),
    AuthorizationError: gettext_lazy(
        "Open the connection and press “Test”: it says what is wrong."
    ),
    TransientError: gettext_lazy("Nothing is lost: press “Refresh” in a minute."),
    RequestRefusedError: gettext_lazy("Change the filter, or show all leads."),
    ImproperlyConfigured: gettext_lazy("Correct the settings of this site."),
}


class LeadField(ValueObject):
    """A field of leads that can be a column."""

    api_name: str
    label: str
    #: Zoho's type, such as ``text`` or ``datetime``.
    data_type: str = ""
    #: The values of a picklist.
    values: tuple[str, ...] = ()


class BrowsedPage(ValueObject):
    """A page of leads as Zoho showed them, and what is known of them here."""

    leads: tuple[Lead, ...]
    #: The rows of those that are known here, by the id of the lead.
    rows: Mapping[str, LeadConversion]
    has_more: bool
    read_at: datetime


def read_page(
    connection: Connection,
    *,
    number: int = 1,
    filters: Mapping[str, str],
    converted: bool = False,
    columns: Iterable[str] = (),
) -> BrowsedPage:
    """
    Read a page of 50 leads, newest first, by one call, and our rows of them by one query.

    :param number: of the page, from 1 to ``MAX_PAGES``
    :param converted: whether to read converted leads instead of open ones
    :param columns: API names of fields to read besides name, company, e-mail and owner
    :raises ZohoError: if Zoho cannot be asked, or refuses the filters
    """
    page = clients.client_for(connection).leads.numbered_page(
        number,
        per_page=LEADS_PER_PAGE,
        criteria=criteria_of(filters),
        converted=converted,
        fields=[*columns, *filter_fields(filters)],
    )
    leads = tuple(lead for lead in page.leads if matches_filters(lead, filters))
    return BrowsedPage(
        leads=leads,
        rows=_known_rows(connection, leads),
        has_more=page.has_more,
        read_at=timezone.now(),
    )


def _known_rows(connection: Connection, leads: Iterable[Lead]) -> dict[str, LeadConversion]:
    rows = LeadConversion.objects.filter(
        connection=connection, lead_id__in=[lead.id for lead in leads]
    )
    rows = rows.defer("lead_snapshot", "plan")
    return {row.lead_id: row for row in rows.select_related("mass_conversion")}


def lead_fields(connection: Connection) -> tuple[LeadField, ...]:
    """
    Return the fields of leads that a column can show; they are kept for an hour.

    :raises ZohoError: if they are not kept, and Zoho cannot be asked
    """
    found = clients.client_for(connection).metadata.fields("Leads")
    return tuple(
        LeadField(
            api_name=field.api_name,
            label=field.label or field.api_name,
            data_type=field.data_type,
            values=tuple(choice.value for choice in field.choices),
        )
        for field in found
        if field.data_type not in _UNSHOWN_TYPES and field.api_name not in _NAME_FIELDS
    )


def names_of(connection: Connection, lead_ids: Iterable[str]) -> dict[str, str]:
    """
    Return the names of at most 100 leads by id, read from Zoho by one call.

    :raises ZohoError: if Zoho cannot be asked
    """
    records = clients.client_for(connection).records("Leads")
    shown = ("Full_Name", "Company")
    found = records.get_many(lead_ids, fields=shown)
    return {
        lead_id: ", ".join(str(record[name]) for name in shown if record.get(name))
        for lead_id, record in found.items()
    }


def count_open_leads(connection: Connection, filters: Mapping[str, str]) -> int:
    """
    Return about how many open leads fit the filters; Zoho is asked at most every five minutes.

    Zoho's number lags behind changes by minutes.

    :raises ZohoError: if Zoho cannot be asked, or refuses the filters
    """
    stored = json.dumps(dict(filters), sort_keys=True).encode()
    part = f"count.{hashlib.sha256(stored).hexdigest()}"
    kept = _cache.cached(connection, part, int, max_age=COUNT_SECONDS)
    if kept is not None:
        return kept[0]
    found = clients.client_for(connection).records("Leads").count(criteria_of(filters))
    _cache.put(connection, part, found, COUNT_SECONDS)
    return found


def ids_to_check(page: BrowsedPage) -> list[str]:
    """Return the ids of the leads of a page that were not previewed, and do not wait for that."""
    return [lead.id for lead in page.leads if _is_to_be_checked(page.rows.get(lead.id))]


def _is_to_be_checked(row: LeadConversion | None) -> bool:
    return row is None or not (row.verdict or row.status == LeadConversion.Status.NEW)


def cost_text(count: int) -> str:
    """Return what it costs to preview so many leads."""
    credits = mass_convert.estimate_of(to_preview=count).credits
    text = ngettext(
        "That costs about %(count)s credit of the API.",
        "That costs about %(count)s credits of the API.",
        credits,
    )
    return text % {"count": credits}


def matches_text(row: LeadConversion) -> str:
    """Return what matches a lead, as it was previewed; empty if it was not, or waits for that."""
    if not row.verdict or row.status == LeadConversion.Status.NEW:
        return ""
    options = row.stored_options()
    contacts = len(options.contacts) + options.further_contacts
    accounts = len(options.accounts) + options.further_accounts
    texts = [
        ngettext("%(count)s contact", "%(count)s contacts", contacts) % {"count": contacts},
        ngettext("%(count)s account", "%(count)s accounts", accounts) % {"count": accounts},
    ]
    found = [text for text, number in zip(texts, (contacts, accounts), strict=True) if number]
    return ", ".join(found) or str(row.get_verdict_display())


def problem_text(error: Exception) -> str:
    """Return why a page cannot be read, and what to do, if that is known."""
    ways_out = (str(text) for kind, text in _WAYS_OUT.items() if isinstance(error, kind))
    return followed_by(describe_error(error), next(ways_out, ""))
