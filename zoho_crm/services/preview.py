"""Previews: what Zoho would make of a lead, and the plan that is proposed; nothing is sent."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser

from zoho_crm import client as zoho
from zoho_crm import matching
from zoho_crm.datacenters import LOCAL
from zoho_crm.exceptions import AlreadyConvertedError, RequestRefusedError, TransportError
from zoho_crm.matching import Preview
from zoho_crm.models import Connection, LeadConversion, atomic
from zoho_crm.models._database import DbNow
from zoho_crm.services import clients, lifecycle
from zoho_crm.types import Environment, Lead, Verdict, is_record_id

Status = LeadConversion.Status
#: Statuses of rows that a person may preview again; the others are in progress or converted.
PREVIEWABLE = frozenset({Status.NEW, Status.PREVIEWED})
REOPENABLE = frozenset({Status.FAILED, Status.SKIPPED, Status.NEEDS_REVIEW})


def preview(
    *, connection_id: int, lead_id: str, by: AbstractBaseUser | None = None
) -> LeadConversion:
    """
    Read a lead and its conversion options, and store them with the proposed plan; return the row.

    A row that is in progress, or converted, is returned unchanged; one that is FAILED, SKIPPED or
    NEEDS_REVIEW is reset and previewed.

    :raises RequestRefusedError: if this can be no lead's id, or the lead is in a mass conversion
    :raises ZohoError: if Zoho cannot be asked; then the row stays as it is
    """
    row = get_or_create_row(connection_id=connection_id, lead_id=lead_id)
    if not may_be_previewed(row):
        return row
    found = fetch_preview(clients.client_for(row.connection), row.lead_id)
    return store_preview(row, found, who=str(by) if by else "")


def preview_as(*, connection_id: int, lead_id: str, user: str) -> LeadConversion:
    """
    Return a row, which is not stored, with the preview of a lead as one user sees it.

    The worker acts as the default user, so what another one sees must not decide a conversion.

    :param user: as for ``token_of``
    :raises RequestRefusedError: if this can be no lead's id
    :raises ZohoError: if Zoho cannot be asked
    """
    connection = Connection.objects.get(pk=connection_id)
    row = row_without_preview(connection, lead_id)
    found = fetch_preview(clients.client_for(connection, user=user), row.lead_id)
    lifecycle.previewed(row, found).apply()
    return row


def row_without_preview(connection: Connection, lead_id: str) -> LeadConversion:
    """
    Return a row of a lead that is not stored.

    :raises RequestRefusedError: if this can be no lead's id
    """
    return LeadConversion(connection=connection, lead_id=_checked_id(lead_id))


def get_or_create_row(*, connection_id: int, lead_id: str) -> LeadConversion:
    """
    Return the row of a lead; create it, due at once, if there is none.

    :raises RequestRefusedError: if this can be no lead's id
    """
    row, _created = LeadConversion.objects.select_related("connection").get_or_create(
        connection_id=connection_id, lead_id=_checked_id(lead_id), defaults={"due_at": DbNow()}
    )
    return row


def _checked_id(lead_id: str) -> str:
    """
    Return the id of a lead without outer white space.

    :raises RequestRefusedError: if this can be no lead's id
    """
    lead_id = str(lead_id).strip()  # a project may store it as a number
    if not is_record_id(lead_id):
        raise RequestRefusedError(code="INVALID_ID", details={"id": lead_id[:40]})
    return lead_id


def fetch_preview(client: zoho.ZohoClient, lead_id: str) -> Preview:
    """
    Read a lead, then its conversion options, and return them with their verdict; nothing is stored.

    :raises ZohoError: if Zoho cannot be asked now
    """
    lead = client.leads.get_many([lead_id]).get(lead_id)
    return assess_with_options(client, lead)


def needs_no_options(lead: Lead | None) -> bool:
    """Return whether the lead alone gives the verdict, without its conversion options."""
    return lead is None or lead.converted is not None or bool(lead.obstacle)


def assess_with_options(client: zoho.ZohoClient, lead: Lead | None) -> Preview:
    """
    Read the conversion options of a lead that was just read, if needed; return its preview.

    :raises ZohoError: if Zoho cannot be asked now
    """
    if lead is None or needs_no_options(lead):
        return matching.assess(lead)
    try:
        return matching.assess(lead, client.leads.options(lead.id))
    except AlreadyConvertedError as error:
        # It was converted since it was read: the next read will show its records.
        raise TransportError(code=error.code) from error
    except RequestRefusedError as error:
        return matching.assess(lead, refusal=error.message or "refused")


def stored_preview(row: LeadConversion) -> Preview:
    """Return the preview that is stored in a row."""
    verdict = Verdict(row.verdict)
    return Preview(
        verdict=verdict, reason=row.reason, lead=row.stored_lead(), options=row.stored_options()
    )


def may_be_previewed(row: LeadConversion) -> bool:
    """
    Return whether a person may preview a row: not while it is in progress, nor once converted.

    :raises RequestRefusedError: with the code ``in_run``
    """
    if row.status == Status.CONVERTED:
        is_possible = _may_be_reset(row.connection)
    else:
        is_possible = row.status in PREVIEWABLE | REOPENABLE
    if is_possible:
        lifecycle.check_not_in_run(row)
    return is_possible


def store_preview(row: LeadConversion, found: Preview, *, who: str = "") -> LeadConversion:
    """
    Store a preview that was read for a row which may be previewed; return the row.

    :raises RequestRefusedError: if the lead was put into a mass conversion meanwhile
    """
    # What a person looks at again, after a refusal say, waits for a person.
    is_requested = row.status == Status.NEW and bool(row.policy)
    row = _reopen(row, found, who)
    if row.status in PREVIEWABLE:
        with atomic():
            LeadConversion.objects.move(
                [lifecycle.detached_from_run(lifecycle.previewed(row, found, by=who))]
            )
            if is_requested and row.status == Status.PREVIEWED:
                # It was requested with a policy, which still has to decide.
                LeadConversion.objects.move([lifecycle.reset_to_new(row, policy=row.policy)])
        row.refresh_from_db()
    return row


def _may_be_reset(connection: Connection) -> bool:
    """Return whether converted leads may be open again, as after the reset of a sandbox."""
    return connection.environment != Environment.PRODUCTION or connection.data_center == LOCAL


def _reopen(row: LeadConversion, found: Preview, who: str) -> LeadConversion:
    """Reset a row that is at rest to NEW, or CONVERTED, as the new preview shows; return it."""
    is_open = found.lead is not None and not found.lead.converted
    if row.status == Status.NEEDS_REVIEW and found.lead is None:
        return row
    if row.status in REOPENABLE and found.lead and found.lead.converted:
        LeadConversion.objects.move([lifecycle.read_converted(row, found.lead.converted, by=who)])
    elif row.status in REOPENABLE or (row.status == Status.CONVERTED and is_open):
        LeadConversion.objects.move([lifecycle.reopened(row, by=who)])
    row.refresh_from_db()
    return row
