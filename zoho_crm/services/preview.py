"""See what a lead would become, before anything is sent."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils.translation import gettext as _

from zoho_crm import matching
from zoho_crm.client import ZohoClient
from zoho_crm.datacenters import LOCAL
from zoho_crm.exceptions import AlreadyConvertedError, RequestRefusedError, TransportError
from zoho_crm.matching import Preview
from zoho_crm.models import Connection, DbNow, LeadConversion
from zoho_crm.services import lifecycle, tokens
from zoho_crm.services._in_run import check_free, freed
from zoho_crm.services._zoho import outside_transaction
from zoho_crm.types import Environment, Lead, Verdict, is_record_id

Status = LeadConversion.Status
#: What a person may have looked at again; the rest is on its way, or proved.
AT_HAND = frozenset({Status.NEW, Status.PREVIEWED})
REOPENABLE = frozenset({Status.FAILED, Status.SKIPPED, Status.NEEDS_REVIEW})


def preview(
    *, connection_id: int, lead_id: str, by: AbstractBaseUser | None = None
) -> LeadConversion:
    """
    Read a lead and what it could become, and remember it with the plan that suggests itself.

    A lead that is on its way, or converted, is returned as it is; one that failed, was left out or
    needs a person starts afresh.

    :raises RequestRefusedError: if this can be no lead's id, or the lead is in a mass conversion
    :raises ZohoError: if Zoho cannot be asked; then the row keeps its place in the queue
    """
    outside_transaction()
    row = row_of(connection_id=connection_id, lead_id=lead_id)
    if not _may_be_previewed(row):
        return row
    check_free(row)
    found = look(tokens.client_for(row.connection), row.lead_id)
    who = str(by) if by else ""
    row = _reopened(row, found, who)
    if row.status in AT_HAND:
        is_asked_for = row.status == Status.NEW and bool(row.policy)
        with transaction.atomic():
            LeadConversion.objects.move([freed(lifecycle.previewed(row, found, by=who))])
            if is_asked_for and row.status == Status.PREVIEWED:
                # A look takes nothing from whoever asked for it to be converted by a policy.
                LeadConversion.objects.move([lifecycle.reset_to_new(row, policy=row.policy)])
        row.refresh_from_db()
    return row


def row_of(*, connection_id: int, lead_id: str) -> LeadConversion:
    """
    Return the row of a lead, a new one if it is the first time that we hear of it.

    :raises RequestRefusedError: if this can be no lead's id
    """
    lead_id = lead_id.strip()
    if not is_record_id(lead_id):
        message = _("“%s” is not the id of a lead: an id is a number of up to 19 digits.")
        raise RequestRefusedError(message % lead_id[:40], code="INVALID_ID")
    row, _created = LeadConversion.objects.select_related("connection").get_or_create(
        connection_id=connection_id, lead_id=lead_id, defaults={"due_at": DbNow()}
    )
    return row


def look(client: ZohoClient, lead_id: str) -> Preview:
    """
    Read the lead, then its options, and say what they mean; no table is touched.

    :raises ZohoError: if Zoho cannot be asked now
    """
    lead = client.leads.get_many([lead_id]).get(lead_id)
    return ask(client, lead)


def is_answered_by(lead: Lead | None) -> bool:
    """Whether the lead alone says what can become of it, so that its options need not be asked."""
    return lead is None or lead.converted is not None or bool(lead.obstacle)


def ask(client: ZohoClient, lead: Lead | None) -> Preview:
    """
    Ask for the options of a lead that was just read, and say what they mean.

    :raises ZohoError: if Zoho cannot be asked now
    """
    if lead is None or is_answered_by(lead):
        return matching.assess(lead)
    try:
        return matching.assess(lead, client.leads.options(lead.id))
    except AlreadyConvertedError as error:
        # It was open a moment ago: the next read will show what it became.
        raise TransportError(code=error.code) from error
    except RequestRefusedError as error:
        return matching.assess(lead, refusal=str(error))


def preview_seen(row: LeadConversion) -> Preview:
    """Return the preview that is stored with a row."""
    verdict = Verdict(row.verdict)
    return Preview(
        verdict=verdict, reason=row.reason, lead=row.lead_seen(), options=row.options_seen()
    )


def _may_be_previewed(row: LeadConversion) -> bool:
    if row.status == Status.CONVERTED:
        return _may_be_rebuilt(row.connection)
    return row.status in AT_HAND | REOPENABLE


def _may_be_rebuilt(connection: Connection) -> bool:
    """Whether this world may show a converted lead open again, because it was made anew."""
    return connection.environment != Environment.PRODUCTION or connection.data_center == LOCAL


def _reopened(row: LeadConversion, found: Preview, who: str) -> LeadConversion:
    """Bring back what was at rest, if what was just read allows it."""
    is_open = found.lead is not None and not found.lead.converted
    if row.status == Status.NEEDS_REVIEW and found.lead is None:
        return row
    if row.status in REOPENABLE and found.lead and found.lead.converted:
        LeadConversion.objects.move([lifecycle.read_converted(row, found.lead.converted, by=who)])
    elif row.status in REOPENABLE or (row.status == Status.CONVERTED and is_open):
        LeadConversion.objects.move([lifecycle.reopened(row, by=who)])
    row.refresh_from_db()
    return row
