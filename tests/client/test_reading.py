"""What the client reads, over both transports."""

from __future__ import annotations

import json

import pytest

from tests.client.canned import Canned, client_of
from tests.client.conftest import Transport
from tests.matches import many_matches
from zoho_crm.client import MAX_USERS, ZohoClient, is_endless
from zoho_crm.client._pages import MAX_PAGES
from zoho_crm.exceptions import RequestRefusedError, ServerError
from zoho_crm.types import Converted, Environment, Reference


def test_the_organisation_is_read(transport: Transport, crm: ZohoClient) -> None:
    organisation = crm.organisation()

    assert organisation.id == transport.simulator.organisation.id
    assert organisation.name == "Nordwind Trading"
    assert organisation.environment is Environment.PRODUCTION
    assert (organisation.edition, organisation.licences) == ("enterprise", 4950)
    assert organisation.time_zone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("details", "edition"),
    [
        ({"paid_type": "free", "trial_type": "enterprise"}, "enterprise"),
        ({"paid_type": None, "trial_type": "ultimate", "trial_expiry": "2999-01-01"}, "ultimate"),
        ({"paid_type": "free", "trial_type": "ultimate", "trial_expiry": "2020-12-31"}, "free"),
        ({"paid_type": "standard", "trial_type": None}, "standard"),
        ({"paid_type": "standard", "trial_type": "ultimate", "trial_expiry": "soon"}, "ultimate"),
        ({}, ""),
    ],
)
def test_a_trial_counts_like_the_edition_that_it_tries(
    in_process: Transport, details: dict[str, object], edition: str
) -> None:
    in_process.simulator.organisation.license_details = details

    assert in_process.client().organisation().edition == edition


def test_the_one_who_consented_is_read(transport: Transport, crm: ZohoClient) -> None:
    user = crm.current_user()

    assert user.id == transport.simulator.organisation.current_user["id"]
    assert (user.name, user.email, user.active) == ("Mara Lind", "mara@nordwind.example", True)


def test_owners_are_active_and_confirmed(crm: ZohoClient) -> None:
    users = crm.users()

    assert "Mara Lind" in {user.name for user in users}
    assert not {"Paul Marchetti", "Noor de Vries"} & {user.name for user in users}
    assert all(user.active for user in users)


def test_owners_are_read_page_by_page(transport: Transport, crm: ZohoClient) -> None:
    added = {transport.simulator.add_user()["id"] for _ in range(401)}

    assert added <= {user.id for user in crm.users()}


@pytest.mark.parametrize("more", [{"more_records": True}, {}, None])
def test_a_page_of_users_that_comes_again_and_again_ends_the_list(
    in_process: Transport, more: object
) -> None:
    zoho = in_process.simulator
    page = {"users": zoho.organisation.users[:2], "info": more}
    zoho.fail("users", "error_before", status=200, body=page, times=9)

    crm = in_process.client()

    if more:
        with pytest.raises(ServerError) as caught:
            crm.users()
        assert caught.value.code == "endless_list"
    else:
        assert len(crm.users()) == 2
    assert sum(call["count"] for call in zoho.stats()["calls"] if "users" in call["path"]) <= 2


@pytest.mark.slow
def test_of_very_many_users_the_first_are_read(in_process: Transport) -> None:
    zoho = in_process.simulator
    many = [{**zoho.organisation.users[0], "id": str(number)} for number in range(MAX_USERS + 1)]
    body = {"users": many, "info": {"more_records": True}}
    zoho.fail("users", "error_before", status=200, body=body)

    assert len(in_process.client().users()) == MAX_USERS


def test_contact_roles_are_read(transport: Transport, crm: ZohoClient) -> None:
    known = transport.simulator.organisation.contact_roles

    roles = crm.contact_roles()

    assert roles == tuple(Reference(id=role["id"], name=role["name"]) for role in known)


def test_pipelines_come_with_values_to_send_and_labels_to_show(
    transport: Transport, crm: ZohoClient
) -> None:
    layout_id = transport.simulator.organisation.layouts["Deals"]["id"]

    standard, partners = crm.pipelines(layout_id)

    assert (standard.value, standard.is_default) == ("Standard (Standard)", True)
    assert (partners.value, partners.is_default) == ("Partners (Standard)", False)
    shown = {stage.value: stage.label for stage in partners.stages}
    assert shown["Id. Decision Makers"] == "Identify Decision Makers"
    transport.simulator.organisation.pipelines.clear()
    assert crm.pipelines(layout_id) == ()


def test_the_fields_are_read_that_a_conversion_carries_over(crm: ZohoClient) -> None:
    names = crm.mapped_lead_fields()

    assert {"Last_Name", "Company", "Email"} <= set(names)
    assert "Lead_Status" not in names


def test_a_lead_is_read_with_what_decides_and_what_is_shown(
    transport: Transport, crm: ZohoClient
) -> None:
    record = transport.simulator.add_lead(
        First_Name="Ines",
        Last_Name="Albrecht",
        Company="Nordwind GmbH",
        Email="ines@nordwind.example",
        Tag=[{"name": "trade-fair", "id": "1", "color_code": None}],
    )

    lead = crm.leads.get_many([record.id])[record.id]

    assert (lead.id, lead.name, lead.company) == (record.id, "Ines Albrecht", "Nordwind GmbH")
    assert lead.email == "ines@nordwind.example"
    assert lead.owner
    assert lead.owner.name == "Mara Lind"
    assert lead.tags == ("trade-fair",)
    assert (lead.converted, lead.obstacle) == (None, "")
    assert lead.fields["Last_Name"] == "Albrecht"
    assert not {"id", "Owner", "Tag", "$approval_state", "Converted__s"} & lead.fields.keys()


def test_many_leads_are_read_at_once_and_missing_ones_are_missing(
    transport: Transport, crm: ZohoClient
) -> None:
    ids = [transport.simulator.add_lead().id for _ in range(99)]

    found = crm.leads.get_many([*ids, "404"])

    assert found.keys() == set(ids)


def test_no_leads_are_asked_for_without_a_call(transport: Transport, crm: ZohoClient) -> None:
    transport.simulator.add_lead()

    assert crm.leads.get_many([]) == {}
    assert not [call for call in transport.simulator.stats()["calls"] if "Leads" in call["path"]]


def test_more_than_a_hundred_leads_are_a_mistake_of_the_caller(crm: ZohoClient) -> None:
    with pytest.raises(ValueError, match="At most 100 leads"):
        crm.leads.get_many([str(number) for number in range(101)])


@pytest.mark.parametrize("lead_id", ["", "12a", "1/../2", "1,2", "1" * 20, "１２"])
def test_what_cannot_be_an_id_is_refused_before_it_is_part_of_an_address(
    transport: Transport, crm: ZohoClient, lead_id: str
) -> None:
    calls = len(transport.simulator.stats()["calls"])

    with pytest.raises(RequestRefusedError) as by_read:
        crm.leads.get_many([lead_id])
    with pytest.raises(RequestRefusedError) as by_options:
        crm.leads.options(lead_id)

    assert by_read.value.code == by_options.value.code == "INVALID_ID"
    assert len(transport.simulator.stats()["calls"]) == calls


def test_a_converted_lead_is_seen_with_what_it_became(
    transport: Transport, crm: ZohoClient
) -> None:
    lead_id = transport.simulator.story("one_match")
    transport.simulator.convert_elsewhere(lead_id)
    [entry] = transport.simulator.conversions_of(lead_id)

    lead = crm.leads.get_many([lead_id])[lead_id]

    assert lead.converted == Converted(
        contact_id=entry["contact_id"], account_id=entry["account_id"] or ""
    )


@pytest.mark.parametrize(
    ("values", "obstacle"),
    [
        ({"Locked__s": True}, "locked"),
        ({"$in_merge": True}, "in_merge"),
        ({"$approval_state": "approval_process_pending"}, "approval"),
        ({"$approval_state": "rejected"}, "approval"),
        ({"$review": {"approve": True}}, "review"),
        ({"$approval_state": "approved", "Locked__s": False}, ""),
    ],
)
def test_what_keeps_a_lead_from_being_converted_is_read(
    transport: Transport, crm: ZohoClient, values: dict[str, object], obstacle: str
) -> None:
    record = transport.simulator.add_lead()
    for name, value in values.items():
        record[name] = value

    assert crm.leads.get_many([record.id])[record.id].obstacle == obstacle


def test_open_leads_are_paged_newest_first(transport: Transport, crm: ZohoClient) -> None:
    ids = [transport.simulator.add_lead().id for _ in range(5)]
    transport.simulator.convert_elsewhere(ids[2])

    first = crm.leads.page(per_page=3)
    second = crm.leads.page(per_page=3, page_token=first.next_page_token)

    assert len(first.leads) == 3
    assert first.next_page_token
    assert not second.next_page_token
    seen = [lead.id for lead in (*first.leads, *second.leads)]
    assert sorted(seen) == sorted(set(ids) - {ids[2]})


def test_an_organisation_without_leads_has_an_empty_page(crm: ZohoClient) -> None:
    page = crm.leads.page()

    assert (page.leads, page.next_page_token) == ((), "")


def test_leads_are_found_by_their_address(transport: Transport, crm: ZohoClient) -> None:
    record = transport.simulator.add_lead(Email="bo@brandt.example")
    transport.simulator.add_lead(Email="other@brandt.example")

    found = crm.leads.search(email="bo@brandt.example")

    assert [lead.id for lead in found] == [record.id]
    assert crm.leads.search(email="nobody@brandt.example") == ()


@pytest.mark.parametrize("wanted", ["jo@brandt.example", " JO@Brandt.example "])
def test_an_address_that_only_contains_the_wanted_one_is_another(
    transport: Transport, crm: ZohoClient, wanted: str
) -> None:
    zoho = transport.simulator
    marjo = zoho.add_lead(Email="marjo@brandt.example")
    zoho.add_lead(Email="jo@brandt.example.test")
    exact = [zoho.add_lead(Email="Jo@brandt.example").id]

    assert crm.leads.search(email="marjo@brandt.example")[0].id == marjo.id
    assert [lead.id for lead in crm.leads.search(email=wanted.strip())] == exact
    exact.append(zoho.add_lead(Secondary_Email="jo@brandt.example").id)
    assert {lead.id for lead in crm.leads.search(email=wanted)} == set(exact)


def test_an_address_is_found_after_pages_of_others(
    in_process: Transport,
) -> None:
    zoho = in_process.simulator
    exact = zoho.add_lead(Email="jo@brandt.example")
    for number in range(400):
        zoho.add_lead(Email=f"{number}jo@brandt.example")

    found = in_process.client().leads.search(email="jo@brandt.example")

    assert [lead.id for lead in found] == [exact.id]


def test_options_name_the_matches_and_what_they_match_on(
    transport: Transport, crm: ZohoClient
) -> None:
    lead_id = transport.simulator.story("one_match")

    options = crm.leads.options(lead_id)

    [contact], [account] = options.contacts, options.accounts
    assert contact.usable
    assert contact.account
    assert contact.account.id == account.id
    assert contact.matched_on == ("Email",)
    assert account.matched_on == ("Account_Name",)
    assert contact.fields["Email"] == transport.simulator.records["Leads"][lead_id]["Email"]
    assert not {"id", "Layout", "Locked__s", "Data_Processing_Basis"} & contact.fields.keys()


def test_nothing_matches_in_both_of_zohos_ways_to_say_so(
    transport: Transport, crm: ZohoClient
) -> None:
    plain, with_layouts = transport.simulator.add_lead(), transport.simulator.add_lead()
    with_layouts["Layout"] = transport.simulator.organisation.layout_with_choice

    for record in (plain, with_layouts):
        options = crm.leads.options(record.id)
        assert (options.contacts, options.accounts) == ((), ())


def test_a_match_that_waits_for_approval_is_a_match_and_unusable(
    transport: Transport, crm: ZohoClient
) -> None:
    lead_id = transport.simulator.story("unapproved")

    [contact] = crm.leads.options(lead_id).contacts

    assert not contact.approved
    assert not contact.usable


def test_all_of_several_matches_are_read(transport: Transport, crm: ZohoClient) -> None:
    options = crm.leads.options(transport.simulator.story("several"))

    assert len(options.contacts) == 2
    assert len(options.accounts) == 1


def test_of_very_many_matches_the_first_are_kept_and_their_values_are_cut(
    transport: Transport, crm: ZohoClient
) -> None:
    zoho = transport.simulator
    body = many_matches(103, 101, name="x" * 30_000)
    zoho.fail("options", "error_before", status=200, body=body)

    options = crm.leads.options(zoho.add_lead().id)

    assert (len(options.contacts), options.further_contacts) == (100, 3)
    assert (len(options.accounts), options.further_accounts) == (100, 1)
    assert max(len(value) for value in options.contacts[0].fields.values()) == 255
    assert len(options.accounts[0].name) == 255


def test_names_are_cut_and_fields_are_not(transport: Transport, crm: ZohoClient) -> None:
    zoho, word = transport.simulator, "W" * 30_000
    zoho.organisation.users[0]["full_name"] = word
    record = zoho.add_lead(
        First_Name=word, Company=word, Owner={"id": zoho.organisation.users[0]["id"], "name": word}
    )

    lead = crm.leads.get_many([record.id])[record.id]

    assert lead.owner
    assert {len(lead.name), len(lead.company), len(lead.owner.name)} == {255}
    assert lead.fields["Company"] == word
    assert {len(crm.current_user().name), len(crm.users()[0].name)} == {255}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (48000.5, "48000.5"),
        (["a", {"name": "b"}, None], "a, b, "),
        ({"name": "Nordwind", "id": "1"}, "Nordwind"),
        ({"id": "1"}, "1"),
        ({}, ""),
        ("cut \ud83d", "cut \ufffd"),
        ({"name": "cut \ud83d\0"}, "cut \ufffd\ufffd"),
        ("whole \U0001f600", "whole \U0001f600"),
    ],
)
def test_a_value_of_any_kind_is_text_that_can_be_stored(value: object, text: str) -> None:
    body = json.dumps({"data": [{"id": "1", "Field": value}]})

    lead = client_of(Canned(200, body.encode())).leads.get_many(["1"])["1"]

    assert lead.fields["Field"] == text


def test_a_hostile_lead_is_text_like_any_other(transport: Transport, crm: ZohoClient) -> None:
    lead_id = transport.simulator.story("hostile")
    record = transport.simulator.records["Leads"][lead_id]
    record["City"] = "Zero\0width"

    lead = crm.leads.get_many([lead_id])[lead_id]

    assert lead.company == record["Company"]
    assert lead.fields["City"] == "Zero\ufffdwidth"


@pytest.mark.parametrize(
    ("on", "body"),
    [
        ("org", {"org": [{"company_name": "no id"}]}),
        ("org", {"org": ["text"]}),
        ("org", {"org": []}),
        ("users", {"users": {"id": "1"}}),
        ("metadata", {"layouts": [{"id": "1", "convert_mapping": {"Deals": {"fields": [{}]}}}]}),
        ("leads_list", {"data": [None]}),
        ("leads_list", {"data": {"id": "1"}}),
        ("leads_list", {"data": [{"Last_Name": "no id"}]}),
        ("options", {"__conversion_options": {"Contacts": [{"Full_Name": "no id"}]}}),
        ("options", {"__conversion_options": ["text"]}),
    ],
)
def test_an_answer_of_an_unknown_form_is_zohos_trouble_and_no_crash(
    transport: Transport, crm: ZohoClient, on: str, body: object
) -> None:
    calls = {
        "org": crm.organisation,
        "users": crm.current_user,
        "metadata": lambda: crm.metadata.layouts("Leads"),
        "leads_list": lambda: crm.leads.get_many(["1"]),
        "options": lambda: crm.leads.options("1"),
    }
    transport.simulator.fail(on, "error_before", status=200, body=body)

    with pytest.raises(ServerError) as caught:
        calls[on]()

    assert caught.value.code in {"unknown_form", "no_org"}


def test_empty_data_is_no_lead(transport: Transport, crm: ZohoClient) -> None:
    lead_id = transport.simulator.story("no_match")
    transport.simulator.fail("leads_list", "error_before", status=200, body={"data": []})

    assert crm.leads.get_many([lead_id]) == {}


def test_a_field_that_is_called_error_is_no_refusal(transport: Transport, crm: ZohoClient) -> None:
    body = {"data": [{"id": "1", "Last_Name": "Okafor", "error": "printed twice", "code": "7"}]}
    transport.simulator.fail("leads_list", "error_before", status=200, body=body)

    assert crm.leads.get_many(["1"])["1"].fields["error"] == "printed twice"


def test_more_fields_than_one_read_may_have_are_read_by_several(
    in_process: Transport,
) -> None:
    zoho = in_process.simulator
    names = [f"Field_{number}" for number in range(120)]
    client = ZohoClient(api=in_process.client().api, mapped_fields=tuple(names))
    records = [zoho.add_lead(**dict.fromkeys(names, f"lead {number}")) for number in range(2)]

    found = client.leads.get_many([*(record.id for record in records), "404"])

    assert found.keys() == {record.id for record in records}
    for number, record in enumerate(records):
        lead = found[record.id]
        assert {lead.fields[name] for name in names} == {f"lead {number}"}
        assert (lead.name, lead.email) == (record["Full_Name"], record["Email"])
        assert {"Description", "Twitter"} <= lead.fields.keys()


def test_a_page_has_all_the_fields_that_were_asked_for(in_process: Transport) -> None:
    zoho = in_process.simulator
    names = [f"Field_{number}" for number in range(40)]
    ids = [zoho.add_lead(Field_39=str(number)).id for number in range(205)]

    pages = list(in_process.client().leads.pages(fields=names))

    read = {lead.id: lead.fields["Field_39"] for page in pages for lead in page.leads}
    assert read == {lead_id: str(number) for number, lead_id in enumerate(ids)}


def test_a_lead_that_goes_between_two_reads_is_not_found(in_process: Transport) -> None:
    zoho = in_process.simulator
    names = tuple(f"Field_{number}" for number in range(60))
    client = ZohoClient(api=in_process.client().api, mapped_fields=names)
    first = {"data": [{"id": "404", "Last_Name": "Okafor"}]}
    zoho.fail("leads_list", "error_before", status=200, body=first)

    assert client.leads.get_many(["404"]) == {}


@pytest.mark.parametrize("tokens", [("a", "a"), ("a", "b", "a"), ("a", "b", "c", "b")])
def test_a_list_that_leads_back_to_one_of_its_pages_ends(
    in_process: Transport, tokens: tuple[str, ...]
) -> None:
    client = in_process.client()
    for token in tokens:
        page = {"data": [{"id": "1"}], "info": {"next_page_token": token}}
        in_process.simulator.fail("leads_list", "error_before", status=200, body=page)

    pages = client.leads.pages()

    for _token in tokens:
        assert next(pages).leads
    with pytest.raises(ServerError) as caught:
        next(pages)
    assert caught.value.code == "endless_list"


def test_a_list_with_a_new_token_for_ever_ends() -> None:
    seen = {str(number) for number in range(MAX_PAGES - 1)}

    assert not is_endless("new", seen)
    assert is_endless("new", {*seen, "one more"})


def test_the_credits_that_are_left_are_noted(transport: Transport, crm: ZohoClient) -> None:
    transport.simulator.world.credits.allowed = 4

    for _ in range(3):
        crm.leads.page()

    assert crm.api.credits_remaining == 1
