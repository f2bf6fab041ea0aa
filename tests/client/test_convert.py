"""The body that a plan becomes, and the value that Zoho's answer becomes, over both transports."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.client.canned import Canned, client_of
from tests.client.conftest import Transport
from zoho_crm.client import ZohoClient, convert_body
from zoho_crm.exceptions import (
    AlreadyConvertedError,
    RequestRefusedError,
    TransportError,
    UnknownOutcomeError,
)
from zoho_crm.types import ConversionPlan, Converted, Deal, Scheduled

DEAL = Deal(
    name="Roll-out",
    stage="Qualification",
    closing_date=date(2027, 3, 31),
    pipeline="Standard (Standard)",
)
NOTHING = {"overwrite": False, "notify_lead_owner": False, "notify_new_entity_owner": False}


@pytest.mark.parametrize(
    ("plan", "item"),
    [
        (ConversionPlan(), {}),
        (ConversionPlan(contact_id="1"), {"Contacts": {"id": "1"}}),
        (
            ConversionPlan(account_id="2", overwrite=True),
            {"Accounts": {"id": "2"}, "overwrite": True},
        ),
        (ConversionPlan(owner_id="3"), {"assign_to": {"id": "3"}}),
        (
            ConversionPlan(notify_lead_owner=True, notify_new_owner=True),
            {"notify_lead_owner": True, "notify_new_entity_owner": True},
        ),
        (
            ConversionPlan(move_attachments_to="Deals"),
            {"move_attachments_to": {"api_name": "Deals"}},
        ),
        (
            ConversionPlan(tags={"Contacts": ("a", "b"), "Deals": ()}),
            {"carry_over_tags": {"Contacts": ["a", "b"]}},
        ),
        (ConversionPlan(tags={"Deals": ()}), {}),
        (
            ConversionPlan(deal=DEAL),
            {
                "Deals": {
                    "Deal_Name": "Roll-out",
                    "Stage": "Qualification",
                    "Closing_Date": "2027-03-31",
                    "Pipeline": "Standard (Standard)",
                }
            },
        ),
        (
            ConversionPlan(
                deal=Deal(
                    name="Roll-out",
                    stage="Won",
                    closing_date=date(2027, 3, 31),
                    amount=Decimal("48000.50"),
                    contact_role="4",
                    other={"Type": "New Business", "Deal_Name": "overruled"},
                )
            ),
            {
                "Deals": {
                    "Type": "New Business",
                    "Deal_Name": "Roll-out",
                    "Stage": "Won",
                    "Closing_Date": "2027-03-31",
                    "Amount": 48000.5,
                    "Contact_Role": "4",
                }
            },
        ),
    ],
)
def test_a_plan_becomes_a_request_that_asks_for_no_more(
    plan: ConversionPlan, item: dict[str, Any]
) -> None:
    assert convert_body(plan) == {"data": [NOTHING | item]}


def test_numbers_are_sent_with_all_of_their_digits() -> None:
    canned = Canned(200, b'{"data": [{"code": "SUCCESS", "details": {"Contacts": {"id": "1"}}}]}')
    other: dict[str, Any] = {"Budget": Decimal("0.10"), "Probability": 50, "Is_Renewal": False}
    deal = replace(DEAL, amount=Decimal("9007199254740993.07"), other=other)

    client_of(canned).leads.convert("1", ConversionPlan(deal=deal))

    (request,) = canned.requests
    assert request.headers["Content-Type"] == "application/json"
    assert isinstance(request.body, bytes)
    for part in (
        b'"Amount":9007199254740993.07',
        b'"Budget":0.10',
        b'"Probability":50',
        b'"Is_Renewal":false',
    ):
        assert part in request.body


def test_the_target_of_attachments_has_its_id_where_that_is_known() -> None:
    plan = ConversionPlan(move_attachments_to="Deals")

    (item,) = convert_body(plan, {"Deals": "7", "Contacts": "8"})["data"]
    assert item["move_attachments_to"] == {"api_name": "Deals", "id": "7"}
    assert convert_body(plan, {"Contacts": "8"}) == convert_body(plan)


def test_a_lead_becomes_a_contact_an_account_and_a_deal(
    transport: Transport, crm: ZohoClient
) -> None:
    lead_id = transport.simulator.story("no_match")

    became = crm.leads.convert(lead_id, ConversionPlan(deal=DEAL))

    [entry] = transport.simulator.conversions_of(lead_id)
    assert became == Converted(
        contact_id=entry["contact_id"],
        account_id=entry["account_id"],
        deal_id=entry["deal_id"],
    )


def test_what_was_not_made_is_empty(transport: Transport, crm: ZohoClient) -> None:
    record = transport.simulator.add_lead(Company=None)

    became = crm.leads.convert(record.id, ConversionPlan())

    assert isinstance(became, Converted)
    assert became.contact_id
    assert (became.account_id, became.deal_id) == ("", "")


def test_a_lead_joins_the_chosen_contact_with_its_account(
    transport: Transport, crm: ZohoClient
) -> None:
    lead_id = transport.simulator.story("one_match")
    [contact] = crm.leads.options(lead_id).contacts

    became = crm.leads.convert(lead_id, ConversionPlan(contact_id=contact.id))

    assert contact.account
    assert became == Converted(contact_id=contact.id, account_id=contact.account.id)


def test_the_second_conversion_is_told_apart(transport: Transport, crm: ZohoClient) -> None:
    lead_id = transport.simulator.story("no_match")
    crm.leads.convert(lead_id, ConversionPlan())

    with pytest.raises(AlreadyConvertedError) as caught:
        crm.leads.convert(lead_id, ConversionPlan())

    assert (caught.value.code, caught.value.http_status) == ("ID_ALREADY_CONVERTED", 400)
    assert len(transport.simulator.conversions_of(lead_id)) == 1


def test_a_conversion_that_is_put_off_is_scheduled(transport: Transport, crm: ZohoClient) -> None:
    lead_id = transport.simulator.story("no_match")
    transport.simulator.fail("convert", "scheduled")

    became = crm.leads.convert(lead_id, ConversionPlan())

    assert isinstance(became, Scheduled)
    assert became.job_id.isdigit()
    assert not transport.simulator.conversions_of(lead_id)


def test_a_stage_of_another_pipeline_is_refused_at_its_field(
    transport: Transport, crm: ZohoClient
) -> None:
    lead_id = transport.simulator.story("no_match")
    wrong = Deal(
        name="Roll-out",
        stage="Value Proposition",
        closing_date=date(2027, 3, 31),
        pipeline="Partners (Standard)",
    )

    with pytest.raises(RequestRefusedError) as caught:
        crm.leads.convert(lead_id, ConversionPlan(deal=wrong))

    assert (caught.value.code, caught.value.field) == ("MAPPING_MISMATCH", "Stage")
    assert caught.value.path.startswith("$.data[0]")


def test_an_existing_record_in_the_way_is_named(transport: Transport, crm: ZohoClient) -> None:
    lead = transport.simulator.add_lead(Email="taken@kranz.example", Phone="+49 40 1")
    taken = transport.simulator.add(
        "Contacts", Last_Name="Other", Email="other@kranz.example", Phone="+49 40 1"
    )
    transport.simulator.organisation.unique["Contacts"].append("Phone")

    with pytest.raises(RequestRefusedError) as caught:
        crm.leads.convert(lead.id, ConversionPlan())

    assert caught.value.code == "DUPLICATE_DATA"
    assert caught.value.duplicate
    assert (caught.value.duplicate.id, caught.value.duplicate.name) == (taken.id, "Contacts")


def test_nothing_is_sent_that_may_not_be_sent(transport: Transport, crm: ZohoClient) -> None:
    lead_id = transport.simulator.story("no_match")

    with pytest.raises(TransportError):
        crm.leads.convert(lead_id, ConversionPlan(), may_send=lambda: False)

    assert transport.simulator.ledger()["calls"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": []},
        {"data": None},
        {"data": [None]},
        {"data": ["text"]},
        {"data": [{"details": {}}]},
        {"data": [{"code": "SUCCESS", "status": "success"}]},
        {"data": [{"code": "SUCCESS", "details": {}, "status": "success"}]},
        {"data": [{"code": "SUCCESS", "details": {"Contacts": None}, "status": "success"}]},
        {"data": [{"code": "SUCCESS", "details": {"Contacts": {}}, "status": "success"}]},
        {"data": [{"code": "SUCCESS", "details": {"Contacts": {"id": ""}}, "status": "success"}]},
        {"data": [{"code": "PENDING", "details": {}, "status": "success"}]},
        {"data": [{"code": "SCHEDULED", "details": [], "status": "success"}]},
        {"data": [{"Contacts": "1", "Deals": None, "Accounts": "2"}]},
        {"code": "SUCCESS", "details": {}, "status": "success"},
        {"status": "success"},
        "",
        "<html>",
        "[1]",
        '{"data": [',
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [200, 202])
def test_an_answer_of_no_known_form_leaves_the_outcome_unknown(
    in_process: Transport, status: int, body: object
) -> None:
    lead_id = in_process.simulator.story("no_match")
    client = in_process.client()
    in_process.simulator.fail("convert", "error_after", status=status, body=body)

    with pytest.raises(UnknownOutcomeError):
        client.leads.convert(lead_id, ConversionPlan())
