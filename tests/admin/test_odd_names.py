"""Odd names at Zoho are shown on the pages that offer them, and stored with what is decided."""

from __future__ import annotations

import json

import pytest

from tests.admin.pages import Browser
from tests.kept import forget_metadata
from tests.odd_values import ODD_VALUES
from zoho_crm.models import Connection, LeadConversion, MassConversion
from zoho_crm.services import preview
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)

ADMIN = "/admin/zoho_crm"
ODD_NAME = "A\ud800\0Z"
SHOWN = "A\ufffd\ufffdZ"


@pytest.fixture
def odd_names(connection: Connection, zoho: Simulator) -> Simulator:
    """Give users, pipelines, stages, roles of contacts and fields of deals odd names."""
    organisation = zoho.organisation
    for user in organisation.users:
        user["full_name"] = user["email"] = ODD_NAME
    for role in organisation.contact_roles:
        role["name"] = ODD_NAME
    for pipeline in organisation.pipelines:
        pipeline["display_value"] = pipeline["actual_value"] = ODD_NAME
        for stage in pipeline["maps"]:
            stage["display_value"] = stage["actual_value"] = ODD_NAME
    label = "layouts.0.convert_mapping.Deals.fields.0.field_label"
    zoho.fail("metadata", "amend", body={label: json.dumps(ODD_NAME)})
    return zoho


def test_a_lead_can_be_decided_and_a_run_prepared(
    browser: Browser, connection: Connection, odd_names: Simulator
) -> None:
    leads = [odd_names.story("one_match") for _lead in range(2)]
    row = preview.preview(connection_id=connection.pk, lead_id=leads[0])
    user = odd_names.organisation.current_user["id"]

    page = browser.get(f"{ADMIN}/leadconversion/{row.pk}/decide/")
    assert (browser.status, SHOWN in page.html) == (200, True)
    deal = {"deal": "on", "deal_name": "Roll-out", "deal_closing_date": "2027-03-31"}
    page = browser.press("Show what will happen", **deal, deal_stage=SHOWN, owner=user)
    browser.press("Convert this lead")
    assert LeadConversion.objects.get().plan["deal"]["stage"] == SHOWN

    page = browser.get(f"{ADMIN}/massconversion/prepare/")
    assert (browser.status, SHOWN in page.html) == (200, True)
    browser.press("Prepare previews", policy="careful", ids=leads[1], owner=user)
    assert MassConversion.objects.get().policy["owner_id"] == user


def test_an_odd_user_or_role_does_not_break_the_pages_that_offer_them(
    subtests: pytest.Subtests, browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    row = preview.preview(connection_id=connection.pk, lead_id=zoho.story("one_match"))
    for name, value in ODD_VALUES.items():
        zoho.organisation.users[1] |= {"id": value, "full_name": value, "email": value}
        zoho.organisation.contact_roles[0] |= {"id": value, "name": value}
        forget_metadata()
        for address in (f"leadconversion/{row.pk}/decide/", "massconversion/prepare/"):
            with subtests.test(name, address=address):
                browser.get(f"{ADMIN}/{address}")
                assert browser.status == 200
