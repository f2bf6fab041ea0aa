"""
Zoho's own Python SDK, unchanged, takes the simulator for Zoho, with its own store and with ours.

`zohocrmsdk8_0 <https://pypi.org/project/zohocrmsdk8-0/>`_; install it with
``pip install --group sdk`` and run ``pytest tests/sdk``.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from zohocrmsdk.src.com.zoho.api.authenticator import OAuthToken
from zohocrmsdk.src.com.zoho.crm.api import ParameterMap
from zohocrmsdk.src.com.zoho.crm.api.convert_lead import (
    ActionWrapper,
    APIException,
    CarryOverTags,
    LeadConverter,
    SuccessResponse,
)
from zohocrmsdk.src.com.zoho.crm.api.exception import SDKException
from zohocrmsdk.src.com.zoho.crm.api.mass_convert import (
    AssignTo,
    GetJobStatusParam,
    MassConvertOperations,
)
from zohocrmsdk.src.com.zoho.crm.api.mass_convert import BodyWrapper as MassBody
from zohocrmsdk.src.com.zoho.crm.api.record import Field, Record
from zohocrmsdk.src.com.zoho.crm.api.util import Choice

from tests.sdk.program import STORES, Sdk
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def sdk(zoho: Simulator, tmp_path: Path, store: str) -> Sdk:
    program = Sdk(zoho, tmp_path, store)
    program.connect(grant_token=zoho.grant_code())
    return program


def test_a_grant_token_becomes_a_session(zoho: Simulator, sdk: Sdk) -> None:
    assert sdk.current_user().get_email() == "mara@nordwind.example"
    assert zoho.stats()["tokens"]["exchanged"] == 1


def test_leads_are_listed(zoho: Simulator, sdk: Sdk) -> None:
    lead_ids = [zoho.story("no_match") for _ in range(3)]

    found = sdk.leads(per_page=2)

    assert [str(lead.get_id()) for lead in found] == lead_ids[:0:-1]
    assert found[0].get_key_value("Email") == zoho.records["Leads"][lead_ids[2]]["Email"]


def test_conversion_options_name_the_match(zoho: Simulator, sdk: Sdk) -> None:
    lead_id = zoho.story("one_match")
    (contact,) = zoho.records["Contacts"].values()

    options = sdk.options(lead_id).get_object().get_conversion_options()

    assert str(options.get_contacts()[0].get_id()) == contact.id
    assert options.get_contacts()[0].get_key_value("Full_Name") == contact["Full_Name"]
    assert options.get_module_preference().get_api_name() == "Contacts"
    (match,) = options.get_preference_field_matched_value().get_contacts()
    assert match.get_matched_lead_value() == contact["Email"]


def test_no_match_is_no_content(zoho: Simulator, sdk: Sdk) -> None:
    zoho.story("no_match")

    assert sdk.options(zoho.add_lead().id).get_status_code() == 204


def test_a_lead_is_converted_with_everything_and_only_once(zoho: Simulator, sdk: Sdk) -> None:
    lead_id = zoho.story("one_match")
    zoho.records["Leads"][lead_id]["Tag"] = [zoho.organisation.tag("Leads", "fair")]
    (contact,) = zoho.records["Contacts"].values()
    converter = with_a_deal(contact.id)

    first = sdk.convert(lead_id, converter)
    second = sdk.convert(lead_id, converter)

    (done,) = first.get_object().get_data()
    assert isinstance(first.get_object(), ActionWrapper)
    assert isinstance(done, SuccessResponse)
    assert str(done.get_details()["Contacts"].get_id()) == contact.id
    assert isinstance(second.get_object(), APIException)
    assert second.get_object().get_code().get_value() == "ID_ALREADY_CONVERTED"
    (conversion,) = zoho.conversions_of(lead_id)
    deal = zoho.records["Deals"][conversion["deal_id"]]
    assert deal["Deal_Name"] == "Roll-out"
    assert deal["Contact_Name"]["id"] == contact.id
    assert [tag["name"] for tag in contact["Tag"]] == ["fair"]


def with_a_deal(contact_id: str) -> LeadConverter:
    converter = LeadConverter()
    converter.set_overwrite(False)
    converter.set_notify_lead_owner(False)
    converter.set_notify_new_entity_owner(False)
    contact = Record()
    contact.set_id(int(contact_id))
    converter.set_contacts(contact)
    deal = Record()
    deal.add_field_value(Field.Deals.deal_name(), "Roll-out")
    deal.add_field_value(Field.Deals.closing_date(), date(2027, 3, 31))
    deal.add_field_value(Field.Deals.stage(), Choice("Qualification"))
    deal.add_field_value(Field.Deals.pipeline(), Choice("Standard (Standard)"))
    deal.add_field_value(Field.Deals.amount(), 48000.0)
    converter.set_deals(deal)
    tags = CarryOverTags()
    tags.set_contacts(["fair"])
    converter.set_carry_over_tags(tags)
    return converter


def test_a_token_about_to_expire_is_refreshed(zoho: Simulator, tmp_path: Path, store: str) -> None:
    zoho.world.settings = replace(zoho.world.settings, token_seconds=4)
    program = Sdk(zoho, tmp_path, store)
    program.connect(grant_token=zoho.grant_code())

    assert program.current_user().get_full_name() == "Mara Lind"
    assert zoho.stats()["tokens"]["exchanged"] == 1
    assert zoho.stats()["tokens"]["refreshed"] >= 1


def test_a_converted_lead_is_read_with_what_it_became(zoho: Simulator, sdk: Sdk) -> None:
    lead_id = zoho.story("converted")

    assert sdk.leads() == []
    (lead,) = sdk.leads(ids=lead_id, converted="both", fields="Converted__s,Converted_Contact")
    (conversion,) = zoho.conversions_of(lead_id)
    assert lead.get_key_value("Converted__s") is True
    assert str(lead.get_key_value("Converted_Contact").get_id()) == conversion["contact_id"]


def test_a_token_is_revoked(zoho: Simulator, sdk: Sdk, tmp_path: Path) -> None:
    refresh_token = next(iter(zoho.world.grants.refresh_tokens))

    revoked = OAuthToken.revoke_refresh_token(refresh_token, f"{zoho.origin}/oauth/v2/token/revoke")

    assert revoked is True
    assert zoho.world.grants.refresh_tokens == {}


def test_a_lead_is_created_read_and_updated(zoho: Simulator, sdk: Sdk) -> None:
    created = sdk.write(Last_Name="O'Brien", Company="Nordwind")
    lead_id = str(created.get_details()["id"])

    sdk.write(lead_id, Company="Nordwind Trading")

    assert sdk.lead(lead_id).get_key_value("Company") == "Nordwind Trading"
    assert zoho.records["Leads"][lead_id]["Last_Name"] == "O'Brien"


def test_leads_are_converted_in_a_job(zoho: Simulator, sdk: Sdk) -> None:
    lead_ids = [zoho.story("no_match") for _ in range(2)]
    request = MassBody()
    request.set_ids([int(lead_id) for lead_id in lead_ids])
    owner = AssignTo()
    owner.set_id(int(zoho.organisation.current_user["id"]))
    request.set_assign_to(owner)
    answer = MassConvertOperations().mass_convert(request).get_object()
    assert answer.get_code().get_value() == "SCHEDULED"
    parameters = ParameterMap()
    parameters.add(GetJobStatusParam.job_id, answer.get_details()["job_id"])

    zoho.advance(60)
    status = MassConvertOperations().get_job_status(parameters).get_object().get_data()[0]

    assert (status.get_status(), status.get_converted_count()) == ("COMPLETED", 2)
    assert all(zoho.conversions_of(lead_id) for lead_id in lead_ids)


def test_a_wrong_grant_token_is_refused(zoho: Simulator, tmp_path: Path, store: str) -> None:
    program = Sdk(zoho, tmp_path, store)

    with pytest.raises(SDKException, match="invalid_code"):
        program.connect(grant_token="1000.wrong")
    assert program.store.get_tokens() == []
