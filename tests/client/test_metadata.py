"""The metadata of an organisation are values, over both transports."""

from __future__ import annotations

import pytest

from tests.client.canned import Canned, client_of
from tests.client.conftest import Transport
from tests.client.stores import checking
from zoho_crm.client import ModuleField, ZohoClient
from zoho_crm.exceptions import RequestRefusedError, ServerError
from zoho_crm.types import Reference


def by_name(fields: tuple[ModuleField, ...]) -> dict[str, ModuleField]:
    return {field.api_name: field for field in fields}


def test_the_modules_are_known(transport: Transport, crm: ZohoClient) -> None:
    modules = {module.api_name: module for module in crm.metadata.modules()}

    assert modules["Leads"].id == transport.simulator.organisation.modules["Leads"]["id"]
    assert (modules["Events"].label, modules["Events"].kind) == ("Meetings", "default")
    assert modules["Leads"].creatable


def test_the_fields_of_a_module_are_known(transport: Transport, crm: ZohoClient) -> None:
    transport.simulator.organisation.unique["Contacts"] = ["Email"]

    fields = by_name(crm.metadata.fields("Contacts"))

    name, email, full_name = fields["Last_Name"], fields["Email"], fields["Full_Name"]
    assert (name.label, name.data_type, name.length, name.required) == (
        "Last Name",
        "text",
        80,
        True,
    )
    assert (email.unique, email.creatable, email.updatable) == (True, True, True)
    assert (full_name.creatable, full_name.updatable) == (False, False)
    assert fields["Account_Name"].lookup_module == "Accounts"
    assert [choice.value for choice in fields["Salutation"].choices] == [
        "Mr.",
        "Mrs.",
        "Ms.",
        "Dr.",
        "Prof.",
    ]
    assert not fields["Salutation"].is_closed


def test_the_stages_of_all_pipelines_are_the_only_ones_of_a_deal(crm: ZohoClient) -> None:
    stage = by_name(crm.metadata.fields("Deals"))["Stage"]

    assert stage.is_closed
    assert {"Needs Analysis", "Id. Decision Makers"} <= {choice.value for choice in stage.choices}


def test_a_picklist_has_the_values_that_can_be_sent(crm: ZohoClient) -> None:
    fields = by_name(crm.metadata.fields("Deals"))

    assert fields["Probability"].data_type == "integer"
    assert fields["Interests"].data_type == "multiselectpicklist"
    sources = {choice.value for choice in fields["Lead_Source"].choices}
    assert "Partner" in sources
    assert "-None-" not in sources
    assert not fields["Created_Time"].creatable


def test_without_pipelines_there_are_stages(transport: Transport, crm: ZohoClient) -> None:
    transport.simulator.organisation.pipelines.clear()

    assert crm.metadata.pipelines() == ()
    stages = by_name(crm.metadata.fields("Deals"))["Stage"].choices
    assert "Qualification" in {choice.value for choice in stages}


def test_a_user_who_may_not_see_a_layout_is_told_of_none(
    transport: Transport, crm: ZohoClient
) -> None:
    transport.simulator.fail("metadata", "empty")

    assert crm.metadata.layouts("Leads") == ()


def test_a_field_of_leads_says_where_a_conversion_carries_it(crm: ZohoClient) -> None:
    fields = by_name(crm.metadata.fields("Leads"))

    assert fields["Phone"].mapped_to == {"Contacts": "Phone", "Accounts": "Phone"}
    assert fields["Lead_Status"].mapped_to == {}


def test_a_layout_of_leads_says_what_a_conversion_makes(
    transport: Transport, crm: ZohoClient
) -> None:
    standard, with_choice = crm.metadata.layouts("Leads")

    deals = transport.simulator.organisation.layouts["Deals"]
    assert (standard.name, standard.status, with_choice.name) == (
        "Standard",
        "active",
        "Trade fair",
    )
    assert standard.converts_to["Deals"] == Reference(id=deals["id"], name="Standard")
    required = {field.api_name for field in standard.deal_fields if field.required}
    assert {"Deal_Name", "Stage", "Closing_Date"} <= required
    assert all(field.label for field in standard.deal_fields)
    assert "Last_Name" in standard.required
    assert "Email" in standard.fields


def test_pipelines_roles_users_organisation_and_tags_are_known(
    transport: Transport, crm: ZohoClient
) -> None:
    organisation = transport.simulator.organisation
    organisation.tag("Leads", "fair")

    assert [each.label for each in crm.metadata.pipelines()] == [
        "Standard (Standard)",
        "Partners (Standard)",
    ]
    ceo, *others = crm.metadata.roles()
    assert (ceo.name, ceo.reports_to) == ("CEO", None)
    assert {role.reports_to for role in others} == {Reference(id=ceo.id, name="CEO")}
    assert "Mara Lind" in {user.name for user in crm.metadata.users()}
    assert crm.metadata.organisation().name == "Nordwind Trading"
    assert [tag.name for tag in crm.metadata.tags("Leads")] == ["fair"]
    assert crm.metadata.tags("Contacts") == ()
    assert "Decision Maker" in {role.name for role in crm.metadata.contact_roles()}


def test_an_unknown_module_is_named_by_zoho(crm: ZohoClient) -> None:
    with pytest.raises(RequestRefusedError):
        crm.metadata.fields("Nonsense")
    with pytest.raises(RequestRefusedError, match="Lea ds"):
        crm.metadata.fields("Lea ds")


def test_an_answer_of_another_form_is_refused() -> None:
    crm = client_of(Canned(200, b'{"fields": [{"label": "no name"}]}'))

    with pytest.raises(ServerError):
        crm.metadata.fields("Leads")


def test_what_was_read_is_kept_and_read_again_if_it_is_too_old(transport: Transport) -> None:
    crm, store = checking(transport.client())
    first = crm.metadata.fields("Leads")
    transport.simulator.fail("metadata", "error_before", times=9)

    assert crm.metadata.fields("Leads") is first
    store.age = 100
    assert crm.metadata.fields("Leads", max_age=100) is first
    assert crm.metadata.fields_at_hand("Leads") is not None
    with pytest.raises(ServerError):
        crm.metadata.fields("Leads", max_age=99)


def test_fields_that_cannot_be_read_are_not_asked_for_again(transport: Transport) -> None:
    crm, _store = checking(transport.client())
    transport.simulator.fail("metadata", "error_before")

    assert crm.metadata.fields_at_hand("Leads") is None
    assert crm.metadata.fields_at_hand("Leads") is None
    assert crm.metadata.fields("Leads")
