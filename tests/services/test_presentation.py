"""
The sentences about a plan: one for everything that the request asks for, and no others.

And how the reasons and errors that rows store are made into sentences.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from zoho_crm import exceptions
from zoho_crm.client import convert_body
from zoho_crm.exceptions import (
    CodedError,
    PermissionDeniedError,
    SecretUnreadableError,
    ServerError,
    WrongSettingsError,
    ZohoError,
)
from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.services.presentation import (
    SENTENCES,
    TEXTS_BY_CODE,
    coded_text,
    describe_error,
    error_code_text,
    error_text,
    explain_plan,
    followed_by,
    given_text,
    reason_of,
    reason_text,
    request_body,
)
from zoho_crm.types import (
    CodedText,
    ConversionOptions,
    ConversionPlan,
    Deal,
    Lead,
    Match,
    Reference,
    as_json,
)

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


# What rows store as a code and its values


def test_every_code_can_be_stored() -> None:
    longest = MassConversion._meta.get_field("paused_reason").max_length or 0

    assert all(re.fullmatch(r"[a-z_]+|[A-Z]\w+", code) for code in TEXTS_BY_CODE)
    assert max(map(len, TEXTS_BY_CODE)) <= longest


@pytest.mark.parametrize(
    ("error", "stored", "shown"),
    [
        (
            PermissionDeniedError("permission denied", code="NO_PERMISSION", http_status=403),
            CodedText(code="PermissionDeniedError", details={"message": "permission denied"}),
            "permission denied",
        ),
        (
            PermissionDeniedError(
                code="NO_PERMISSION", details={"id": "7", "email": "a@b.example"}
            ),
            CodedText(code="PermissionDeniedError"),
            "The user of this connection lacks a scope or a permission.",
        ),
        (
            SecretUnreadableError(code="key_missing", details={"key_id": "0badcafe"}),
            CodedText(code="key_missing", details={"key_id": "0badcafe"}),
            "The encryption key 0badcafe is missing from ZOHO_CRM['ENCRYPTION_KEYS'].",
        ),
        (
            ServerError(code="key_missing", http_status=500, details={"key_id": "theirs"}),
            CodedText(code="ServerError"),
            "Zoho CRM is out of order.",
        ),
        (
            WrongSettingsError(code="no_key"),
            CodedText(code="no_key"),
            "ZOHO_CRM['ENCRYPTION_KEYS'] is empty; make a key with: manage.py zoho_new_key",
        ),
        (
            KeyError("ada@lovelace.example"),
            CodedText(code="internal", details={"error": "KeyError"}),
            "An internal error (KeyError); see the log of this site.",
        ),
    ],
)
def test_an_error_is_stored_without_a_sentence_of_ours(
    error: BaseException, stored: CodedText, shown: str
) -> None:
    assert reason_of(error) == stored
    assert coded_text(stored.code, stored.details) == shown


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for _name, kind in inspect.getmembers(exceptions, inspect.isclass)
        if issubclass(kind, CodedError)
    ],
    ids=lambda kind: kind.__name__,
)
def test_every_error_is_shown_as_it_was_raised(kind: type[CodedError]) -> None:
    for error in (kind(), kind("what Zoho says", code="ANY", http_status=400)):
        stored = reason_of(error)

        assert coded_text(stored.code, stored.details) == str(error)


def test_a_text_that_is_not_ours_is_cut() -> None:
    assert reason_of(ZohoError("x" * 999)).details == {"message": "x" * 200}
    assert given_text("y" * 999) == CodedText(code="text", details={"text": "y" * 200})
    assert given_text("") == CodedText(code="")


@pytest.mark.parametrize(
    ("code", "details", "shown"),
    [
        ("", {}, ""),
        ("text", {"text": "100 %s of it"}, "100 %s of it"),
        ("by_user", {"user": "100 %"}, "Paused by 100 %."),
        ("by_user", {}, "Paused by ."),
        ("of_a_newer_version", {"user": "ada"}, "of_a_newer_version"),
    ],
)
def test_a_code_is_shown_with_its_values(code: str, details: dict[str, Any], shown: str) -> None:
    assert coded_text(code, details) == shown


@pytest.mark.parametrize(
    ("code", "message", "shown"),
    [
        ("", "", ""),
        ("INVALID_DATA", "invalid data", "invalid data"),
        ("INVALID_DATA", "", "Zoho CRM refused this: correct the lead or the choice."),
        ("UNREADABLE", "", "The lead can no longer be read."),
        ("ID_ALREADY_CONVERTED", "id already converted", "id already converted"),
    ],
)
def test_an_error_code_stands_for_a_sentence_where_zoho_gave_none(
    code: str, message: str, shown: str
) -> None:
    assert error_code_text(code, message) == shown


PLAN = ConversionPlan(
    deal=Deal(name="Roll-out", stage="Nope", closing_date=date(2027, 3, 31), other={"Type": "New"})
)
FIELD = {"code": "INVALID_DATA", "message": "invalid data", "api_name": "Type"}
IN_DEAL = {**FIELD, "json_path": "$.data[0].Deals.Type"}


@pytest.mark.parametrize(
    ("problems", "shown"),
    [
        (None, "invalid data"),
        ([IN_DEAL], "invalid data: field Type, value “New”"),
        ([{**IN_DEAL, "api_name": "Closing_Date"}], "field Closing Date (Closing_Date)"),
        ([{**IN_DEAL, "expected_data_type": "double"}], "value “New”, expected: double"),
        ([{**FIELD, "maximum_length": 120}], "at most 120 characters"),
        ([{**FIELD, "supported_values": ["A", "B"]}], "allowed: A, B"),
        ([{"code": "X", "param_name": "ids"}], "field ids"),
        ([{"code": "X", "json_path": "$.assign_to.id"}], "field $.assign_to.id"),
        ([{"code": "X", "permissions": ["Crm_A", "Crm_B"]}], "missing permission: Crm_A, Crm_B"),
        (
            [{"api_name": "Stage", "json_path": "$.data[0].Stage", "mapped_field": "Pipeline"}],
            "field Stage, value “Nope”, it depends on the field Pipeline",
        ),
        (
            [{"code": "DUPLICATE_DATA", "api_name": "Email", "module": "Contacts", "id": "7"}],
            "field E-mail (Email), value “ines@x.example”, a record has it: Contacts 7",
        ),
        (
            [{**FIELD, "api_name": "Account_Name"}],
            "field Account (Account_Name), value “Nordwind”",
        ),
        (
            [IN_DEAL, {"code": "MANDATORY_NOT_FOUND", "message": "missing", "api_name": "Amount"}],
            "invalid data: field Type, value “New” (INVALID_DATA); "
            "missing: field Amount (MANDATORY_NOT_FOUND)",
        ),
        ([{"api_name": "Type", "json_path": "$.data[7].Deals[0].x"}], "field Type, value “New”"),
    ],
)
def test_a_refusal_says_field_value_and_what_was_expected_of_each_error(
    problems: list[dict[str, Any]] | None, shown: str
) -> None:
    lead = replace(LEAD, fields={"Email": "ines@x.example"})
    row = LeadConversion(
        plan=as_json(PLAN),
        lead_snapshot=as_json(lead),
        error_code="INVALID_DATA",
        error_message="invalid data",
        error_details=problems,
    )

    text = error_text(row, with_values=True)

    assert shown in text
    assert "value" not in error_text(row)


def test_after_the_purge_a_refusal_still_names_its_field() -> None:
    row = LeadConversion(error_code="X", error_message="no", error_details=[{"api_name": "Email"}])

    assert error_text(row, with_values=True) == "no: field E-mail (Email)"


def test_a_missing_permission_is_named_where_a_connection_backs_off() -> None:
    error = PermissionDeniedError(
        "permission denied",
        code="NO_PERMISSION",
        http_status=403,
        details={"permissions": ["Crm_Implied_View_Leads"]},
    )
    reason = reason_of(error)

    named = "permission denied: missing permission: Crm_Implied_View_Leads"
    assert coded_text(reason.code, reason.details) == describe_error(error) == named


@pytest.mark.parametrize(
    ("verdict", "reason", "shown"),
    [
        ("NOT_CONVERTIBLE", "locked", "The lead is locked at Zoho."),
        ("NOT_CONVERTIBLE", "record under merge", "Zoho would not convert it: record under merge"),
        ("SEVERAL_MATCHES", "several", "Several existing records match this lead."),
        ("ONE_MATCH", "", ""),
        ("ONE_MATCH", "of a newer version", ""),
    ],
)
def test_the_reason_of_a_preview_is_shown_in_words(verdict: str, reason: str, shown: str) -> None:
    assert reason_text(LeadConversion(verdict=verdict, reason=reason)) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("invalid oauth scope", "invalid oauth scope. Grant it."),
        ("GET x: lost (errno 104)", "GET x: lost (errno 104). Grant it."),
        ("It is late. ", "It is late. Grant it."),
        ("Is it late?", "Is it late? Grant it."),
    ],
)
def test_a_message_before_another_sentence_ends_in_a_full_stop(text: str, shown: str) -> None:
    assert followed_by(text, "Grant it.") == shown
    assert followed_by(text, "") == text.rstrip()
