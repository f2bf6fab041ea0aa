"""The sentences about a plan: one for everything that the request asks for, and no others."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from zoho_crm.client import convert_body
from zoho_crm.services.presentation import SENTENCES, explain_plan, request_body
from zoho_crm.types import ConversionOptions, ConversionPlan, Deal, Lead, Match, Reference

NORDWIND = Reference(id="21", name="Nordwind GmbH")
LEAD = Lead(
    id="1",
    name="Ines Albrecht",
    company="Nordwind",
    owner=Reference(id="31", name="Mara Lind"),
    tags=("trade-fair",),
)
PLAIN = Lead(id="2", name="Bo Brandt")
OPTIONS = ConversionOptions(
    contacts=(
        Match(id="11", name="I. Albrecht", account=NORDWIND),
        Match(id="12", name="Ines A."),
    ),
    accounts=(Match(id="21", name="Nordwind GmbH"),),
)
DEAL = Deal(name="Roll-out", stage="Qualification", closing_date=date(2027, 3, 31))
NAMES = {"32": "Tomas Wieser", "41": "Decision Maker"}
THE_END = "The lead is closed. Zoho cannot undo this; what was read is kept here."


def explained(plan: ConversionPlan, lead: Lead = LEAD) -> list[str]:
    with translation.override("en"):
        return explain_plan(plan, lead, OPTIONS, NAMES)


def test_an_empty_plan_creates_a_contact_and_an_account() -> None:
    assert explained(ConversionPlan()) == [
        "A new contact “Ines Albrecht” is created.",
        "A new account “Nordwind” is created.",
        "No deal is created.",
        "The records keep the lead's owner, Mara Lind.",
        "Tags are not carried over.",
        "Nobody is notified.",
        THE_END,
    ]


def test_a_lead_without_company_owner_and_tags_has_fewer_sentences() -> None:
    assert explained(ConversionPlan(), PLAIN) == [
        "A new contact “Bo Brandt” is created.",
        "No account is created: the lead has no company.",
        "No deal is created.",
        "Nobody is notified.",
        THE_END,
    ]


def test_a_full_plan_has_all_sentences() -> None:
    deal = Deal(
        name="Roll-out",
        stage="Qualification",
        closing_date=date(2027, 3, 31),
        pipeline="Standard (Standard)",
        amount=Decimal("48000.50"),
        contact_role="41",
        other={"Type": "New Business", "Next_Step": ""},
    )
    plan = ConversionPlan(
        contact_id="11",
        account_id="21",
        deal=deal,
        owner_id="32",
        overwrite=True,
        move_attachments_to="Deals",
        tags={"Contacts": ("b", "a"), "Deals": ("b",), "Accounts": ()},
        notify_lead_owner=True,
        notify_new_owner=True,
    )

    assert explained(plan) == [
        "The lead joins the existing contact “I. Albrecht”.",
        "It is added to the existing account “Nordwind GmbH”.",
        "The existing account's name becomes “Nordwind”.",
        "A deal “Roll-out” is created in stage Qualification, to close on March 31, 2027. "
        "Its pipeline is Standard (Standard). Its amount is 48000.50. "
        "Its Type is “New Business”. The contact's role in it is Decision Maker.",
        "The records are assigned to Tomas Wieser.",
        "Attachments move to the deal.",
        "Tags a, b go to: contact, deal.",
        "Zoho tells the lead's owner.",
        "Zoho tells the owner of the new records.",
        THE_END,
    ]


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (ConversionPlan(contact_id="11"), "The contact's account “Nordwind GmbH” comes along."),
        (
            ConversionPlan(contact_id="12"),
            "The contact has no account; Zoho decides whether it gets one.",
        ),
        (ConversionPlan(contact_id="99"), "The lead joins the existing contact “99”."),
        (ConversionPlan(contact_id="99"), "The contact's account comes along, if it has one."),
        (ConversionPlan(account_id="99"), "It is added to the existing account “99”."),
        (ConversionPlan(owner_id="99"), "The records are assigned to 99."),
        (ConversionPlan(move_attachments_to="Contacts"), "Attachments move to the contact."),
        (ConversionPlan(move_attachments_to="Accounts"), "Attachments move to the account."),
        (
            ConversionPlan(contact_id="11", overwrite=True),
            "The existing account's name becomes “Nordwind”.",
        ),
        (ConversionPlan(notify_new_owner=True), "Zoho tells the owner of the new records."),
    ],
)
def test_each_option_of_a_plan_has_its_sentence(plan: ConversionPlan, sentence: str) -> None:
    assert sentence in explained(plan)


@pytest.mark.parametrize(
    ("plan", "lead"),
    [
        (ConversionPlan(overwrite=True), LEAD),
        (ConversionPlan(overwrite=True, contact_id="12"), LEAD),
        (ConversionPlan(overwrite=True, account_id="21"), PLAIN),
    ],
)
def test_overwriting_has_no_sentence_without_an_account_or_a_company(
    plan: ConversionPlan, lead: Lead
) -> None:
    assert not [sentence for sentence in explained(plan, lead) if "name becomes" in sentence]


PLANS = st.builds(
    ConversionPlan,
    contact_id=st.sampled_from(["", "11", "12", "99"]),
    account_id=st.sampled_from(["", "21", "98"]),
    deal=st.none() | st.just(DEAL),
    owner_id=st.sampled_from(["", "32", "97"]),
    overwrite=st.booleans(),
    move_attachments_to=st.sampled_from(["", "Contacts", "Accounts", "Deals"]),
    tags=st.dictionaries(
        st.sampled_from(["Contacts", "Accounts", "Deals"]),
        st.lists(st.sampled_from(["a", "b"]), max_size=2).map(tuple),
    ),
    notify_lead_owner=st.booleans(),
    notify_new_owner=st.booleans(),
)


@given(plan=PLANS, lead=st.sampled_from([LEAD, PLAIN]))
def test_every_key_of_every_request_has_a_sentence(plan: ConversionPlan, lead: Lead) -> None:
    item = request_body(plan)["data"][0]

    sentences = explained(plan, lead)

    assert item.keys() <= SENTENCES.keys()
    assert all(sentences)
    assert len(sentences) == len(set(sentences))
    text = " ".join(sentences)
    assert ("new contact" in text) is ("Contacts" not in item)
    assert ("assigned to" in text) is ("assign_to" in item)
    assert ("is created in stage" in text) is ("Deals" in item)
    assert ("Attachments move" in text) is ("move_attachments_to" in item)
    assert ("go to:" in text) is ("carry_over_tags" in item)


@given(plan=PLANS)
def test_the_request_shown_is_the_request_sent(plan: ConversionPlan) -> None:
    assert request_body(plan) == convert_body(plan)
