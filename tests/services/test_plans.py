"""Each rule about what is chosen is stated once, and its error names the field."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from zoho_crm.matching import CONVERTIBLE, Action, DealTemplate, Policy
from zoho_crm.services.choices import Choices
from zoho_crm.services.plans import actions_for, default_pipeline, fit_policy, read_deal
from zoho_crm.types import Deal, DealField, Pipeline, Reference, Stage, User, Verdict


def pipeline(name: str, *stages: str, is_default: bool = False) -> Pipeline:
    """Return a pipeline; its value and those of its stages are not their labels."""
    each = tuple(Stage(value=f"{stage} (value)", label=stage) for stage in stages)
    value = f"{name} (value)" if name else ""
    return Pipeline(value=value, label=name, stages=each, is_default=is_default)


SALES = pipeline("Sales", "First", "Last", is_default=True)
KNOWN = Choices(
    pipelines=(pipeline("Partners", "Meeting"), SALES),
    deal_fields=(
        DealField(api_name="Amount", label="Sum", data_type="currency", required=True),
        DealField(api_name="Probability", label="Chance", data_type="integer", required=True),
    ),
    contact_roles=(Reference(id="7", name="Buyer"),),
    users=(User(id="11", name="Ada", email="ada@nordwind.example"),),
)
ENTERED = {
    "Deal_Name": "Roll-out",
    "Stage": "First",
    "Closing_Date": date(2027, 3, 31),
    "Pipeline": "Sales",
    "Amount": Decimal(5),
    "Contact_Role": "7",
    "Probability": "50",
}


def test_a_deal_has_the_values_of_zoho_for_what_is_named_by_its_label() -> None:
    deal, errors = read_deal(ENTERED, KNOWN)

    assert not errors
    assert deal == Deal(
        name="Roll-out",
        stage="First (value)",
        closing_date=date(2027, 3, 31),
        pipeline="Sales (value)",
        amount=Decimal(5),
        contact_role="7",
        other={"Probability": 50},
    )


@pytest.mark.parametrize(
    ("entered", "field", "code"),
    [
        ({"Deal_Name": ""}, "Deal_Name", "required"),
        ({"Stage": None}, "Stage", "required"),
        ({"Closing_Date": None}, "Closing_Date", "required"),
        ({"Pipeline": ""}, "Pipeline", "required"),
        ({"Amount": None}, "Amount", "required"),
        ({"Probability": ""}, "Probability", "required"),
        ({"Pipeline": "None such"}, "Pipeline", "no_pipeline"),
        ({"Stage": "Meeting"}, "Stage", "no_stage"),
        ({"Contact_Role": "8"}, "Contact_Role", "no_role"),
        ({"Probability": "half"}, "Probability", "bad_value"),
    ],
)
def test_what_is_wrong_with_a_deal_names_the_field(
    entered: dict[str, Any], field: str, code: str
) -> None:
    deal, errors = read_deal(ENTERED | entered, KNOWN)

    assert deal is None
    assert [(error.field, error.code) for error in errors] == [(field, code)]


def test_all_that_is_wrong_with_a_deal_is_said_at_once() -> None:
    _deal, errors = read_deal({"Pipeline": "Sales", "Stage": "Meeting"}, KNOWN)

    fields = {error.field for error in errors}
    assert fields == {"Deal_Name", "Closing_Date", "Amount", "Probability", "Stage"}


def test_where_nothing_is_known_of_the_organisation_zoho_judges() -> None:
    deal, errors = read_deal(ENTERED, Choices())

    assert not errors
    assert deal
    assert (deal.stage, deal.pipeline, deal.contact_role) == ("First", "Sales", "7")
    assert deal.other == {"Probability": "50"}


def test_stages_without_pipelines_are_checked_too() -> None:
    known = Choices(pipelines=(pipeline("", "Only", is_default=True),))
    without = {name: value for name, value in ENTERED.items() if name != "Pipeline"}

    assert [error.code for error in read_deal(without, known)[1]] == ["no_stage"]
    assert not read_deal({**without, "Stage": "Only"}, known)[1]


def test_the_default_pipeline_is_the_first_where_none_is_marked() -> None:
    assert default_pipeline(KNOWN) == "Sales (value)"
    assert default_pipeline(Choices(pipelines=KNOWN.pipelines[:1])) == "Partners (value)"
    assert default_pipeline(Choices()) == ""


TEMPLATE = DealTemplate(name="{Company}", stage="Last", amount=Decimal(5))
EASY = Choices(
    pipelines=KNOWN.pipelines,
    contact_roles=KNOWN.contact_roles,
    users=KNOWN.users,
    lead_fields=("Company",),
)


def test_the_deal_of_a_policy_without_a_pipeline_gets_the_default_one() -> None:
    policy, errors = fit_policy(Policy(name="x", deal=TEMPLATE), EASY)

    assert not errors
    assert policy.deal
    assert (policy.deal.pipeline, policy.deal.stage) == ("Sales (value)", "Last (value)")


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ({"owner_id": "12"}, "owner_id"),
        ({"owner_for_inactive_id": "12"}, "owner_for_inactive_id"),
        ({"tags_to": ("Deals",)}, "tags_to"),
        ({"attachments_to": "Deals"}, "attachments_to"),
        ({"deal": DealTemplate(name="x", stage="Meeting")}, "Stage"),
        ({"deal": DealTemplate(name="{Compani} – {Company}", stage="Last")}, "Deal_Name"),
        ({"deal": DealTemplate(name="x", stage="Last", contact_role="8")}, "Contact_Role"),
    ],
)
def test_what_does_not_fit_of_a_policy_names_the_field(rules: dict[str, Any], field: str) -> None:
    _policy, errors = fit_policy(Policy(name="x", **rules), EASY)

    assert [error.field for error in errors] == [field]


def test_what_a_policy_cannot_give_a_deal_is_one_error_at_the_deal() -> None:
    (error,) = fit_policy(Policy(name="x", deal=TEMPLATE), KNOWN)[1]

    assert error.field == "deal"
    assert "also need: Chance. A policy cannot give that." in str(error)


@pytest.mark.parametrize("verdict", Verdict)
def test_all_leads_of_a_verdict_can_be_attached_only_to_one_record(verdict: Verdict) -> None:
    actions = actions_for(verdict)

    assert (Action.ATTACH in actions) is (verdict in {Verdict.ONE_MATCH, Verdict.ACCOUNT_ONLY})
    assert bool(actions) is (verdict in CONVERTIBLE)
