"""The filters with which open leads are found."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.utils.timezone import localdate

from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.matching import POLICIES
from zoho_crm.models import Connection, MassConversion
from zoho_crm.services import mass_convert
from zoho_crm.services.lead_browser import read_page
from zoho_crm.services.leads import CREATED_FROM, CREATED_UNTIL, open_leads
from zoho_crm.simulator import Simulator
from zoho_crm.types import Lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead(connection: Connection, zoho: Simulator) -> Lead:
    """Return the one lead of the organisation, which was created today."""
    zoho.add("Leads", Last_Name="King")
    zoho.advance(3600)  # until the search finds it
    (found,) = open_leads(connection, fields=["Created_Time"])
    return found


@pytest.mark.parametrize("name", [CREATED_FROM, CREATED_UNTIL])
def test_a_day_is_a_filter_too(connection: Connection, lead: Lead, name: str) -> None:
    created = datetime.fromisoformat(lead.fields["Created_Time"])
    filters = {name: localdate(created).isoformat()}

    assert [each.id for each in open_leads(connection, filters=filters)] == [lead.id]
    assert [each.id for each in read_page(connection, filters=filters).leads] == [lead.id]


def test_what_is_no_day_is_refused_and_does_not_mean_no_lead(connection: Connection) -> None:
    filters = {CREATED_FROM: "yesterday"}

    with pytest.raises(RequestRefusedError):
        open_leads(connection, filters=filters)
    with pytest.raises(RequestRefusedError):
        mass_convert.prepare_open_leads(
            connection_id=connection.pk, filters=filters, policy=POLICIES["careful"]
        )
    assert not MassConversion.objects.exists()
