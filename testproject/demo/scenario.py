"""The demo's steps with single leads: connect, preview, decide, convert, wait."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from testproject.demo.browser import Page, browser
from zoho_crm.models import Connection, LeadConversion
from zoho_crm.services.choices import choices
from zoho_crm.shortcuts import approve_lead, convert_lead, preview_lead
from zoho_crm.types import ConversionPlan, Deal, Match, Verdict

POLICY = "attach"
#: Time limit until no row is in progress, on a slow machine too.
MAX_WAIT_SECONDS = 60


def create_administrator() -> tuple[User, str]:
    """Create the superuser ``admin`` if necessary, set a new password, and return both."""
    password = secrets.token_urlsafe(9)
    admin, _created = get_user_model().objects.get_or_create(
        username="admin", defaults={"is_staff": True, "is_superuser": True}
    )
    admin.set_password(password)
    admin.save()
    return admin, password


def connect_in_browser(site: str, *, username: str, password: str) -> Page:
    """
    Log in to the site, connect, press *Accept* on Zoho's page; return the last page.

    :raises LookupError: if a page on the way is not what it should be
    """
    with browser() as person:
        page = person.open(site + reverse("admin:login"))
        person.press(page, "Log in", username=username, password=password)
        page = person.open(site + reverse("admin:zoho_crm_connection_connect"))
        for button in ("Next", "Next", "Continue at Zoho", "Accept"):
            page = person.press(page, button)
        return page


def preview_leads(
    connection: Connection, lead_ids: Sequence[str], by: User
) -> list[LeadConversion]:
    """Preview leads one by one and return their rows."""
    return [preview_lead(lead_id, connection=connection, user=by) for lead_id in lead_ids]


def decide_one(rows: Sequence[LeadConversion], by: User) -> LeadConversion | None:
    """Approve a plan with a deal for one lead with several matches; return its row, if any."""
    for row in rows:
        contact = _usable(row.stored_options().contacts)
        if row.verdict == Verdict.SEVERAL_MATCHES and contact:
            plan = ConversionPlan(contact_id=contact.id, deal=_deal(row))
            return approve_lead(row, plan, user=by)
    return None


def _usable(matches: Sequence[Match]) -> Match | None:
    return next((match for match in matches if match.usable), None)


def _deal(row: LeadConversion) -> Deal:
    lead, pipelines = row.stored_lead(), choices(row.connection).pipelines
    pipeline = next(pipeline for pipeline in pipelines if pipeline.is_default)
    return Deal(
        name=f"{lead.company if lead else row.lead_id}: first order",
        stage=pipeline.stages[0].value,
        closing_date=timezone.localdate() + timedelta(days=30),
        pipeline=pipeline.value,
    )


def last_lead_without_match(rows: Sequence[LeadConversion]) -> LeadConversion | None:
    """Return the last row without a match, or ``None``."""
    return next((row for row in reversed(rows) if row.verdict == Verdict.NO_MATCH), None)


def convert_leads(rows: Sequence[LeadConversion]) -> None:
    """Request the conversion of each lead that the policy ``attach`` decides."""
    for row in rows:
        convert_lead(row.lead_id, policy=POLICY, connection=row.connection)


def wait_until_at_rest(connection: Connection) -> list[LeadConversion]:
    """Wait until no lead of the connection is in progress, or the time limit; return all rows."""
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    rows = LeadConversion.objects.filter(connection=connection)
    while rows.unfinished().exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    return list(rows.order_by("pk"))
