"""What a person enters becomes a value of the field's type, or is refused with its form."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from zoho_crm.exceptions import PlanError
from zoho_crm.services.choices import Choices
from zoho_crm.services.deal_fields import (
    UNSUPPORTED_TYPES,
    deal_value,
    deal_values,
    entered_text,
)
from zoho_crm.types import DealField, Stage


def of_type(data_type: str, *choices: str) -> DealField:
    stages = tuple(Stage(value=choice, label=f"{choice} shown") for choice in choices)
    return DealField(api_name="Field", label="Field", data_type=data_type, choices=stages)


@pytest.mark.parametrize(
    ("data_type", "text", "value"),
    [
        ("text", " Call ", "Call"),
        ("textarea", "a\nb", "a\nb"),
        ("email", "a@b.example", "a@b.example"),
        ("bigint", "7130042000000418003", "7130042000000418003"),
        ("", "50", "50"),
        ("of a newer version", "50", "50"),
        ("picklist", "A", "A"),
        ("picklist", "A shown", "A"),
        ("picklist", "new", "new"),
        ("integer", "50", 50),
        ("integer", "-7", -7),
        ("double", "0.1", Decimal("0.1")),
        ("currency", "9007199254740993.07", Decimal("9007199254740993.07")),
        ("percent", "12", Decimal(12)),
        ("boolean", "true", True),
        ("boolean", "No", False),
        ("date", "2027-03-31", "2027-03-31"),
        ("datetime", "2027-03-31T09:00:00+01:00", "2027-03-31T09:00:00+01:00"),
        ("datetime", "2027-03-31 09:00:00.5+01:00", "2027-03-31T09:00:00+01:00"),
        ("lookup", "4711", {"id": "4711"}),
        ("ownerlookup", "4711", {"id": "4711"}),
        ("multiselectpicklist", "A; B shown;", ["A", "B"]),
        ("multiselectpicklist", ["A", "B"], ["A", "B"]),
    ],
)
def test_a_text_becomes_a_value_of_the_type(data_type: str, text: Any, value: Any) -> None:
    found = deal_value(of_type(data_type, "A", "B"), text)

    assert (found, type(found)) == (value, type(value))
    assert deal_value(of_type(data_type, "A", "B"), entered_text(found)) == value


def test_a_time_without_an_offset_is_of_this_site() -> None:
    with timezone.override("Asia/Tokyo"):
        value = deal_value(of_type("datetime"), "2027-03-31T09:00")

    assert value == "2027-03-31T09:00:00+09:00"


@pytest.mark.parametrize(
    ("data_type", "text", "says"),
    [
        ("integer", "12.5", "a whole number"),
        ("integer", "１２", "a whole number"),
        ("integer", "9" * 31, "a whole number"),
        ("double", "12,5", "write it as 1250.50"),
        ("currency", "1e3", "write it as 1250.50"),
        ("percent", "NaN", "write it as 1250.50"),
        ("boolean", "maybe", "true or false"),
        ("date", "31.12.2026", "write it as 2026-12-31"),
        ("datetime", "2026-12-31", "a time"),
        ("datetime", "noon", "a time"),
        ("lookup", "Acme", "the id of a record"),
    ],
)
def test_a_text_that_is_no_value_is_refused_with_what_it_should_be(
    data_type: str, text: str, says: str
) -> None:
    with pytest.raises(PlanError, match=says) as refused:
        deal_value(of_type(data_type), text)

    assert refused.value.code == "bad_value"
    assert f"Field: “{text}”" in str(refused.value)


@pytest.mark.parametrize("data_type", sorted(UNSUPPORTED_TYPES))
def test_what_a_conversion_cannot_fill_is_refused(data_type: str) -> None:
    with pytest.raises(PlanError, match=data_type):
        deal_value(of_type(data_type), "1")


KNOWN = Choices(
    deal_fields=(DealField(api_name="Next_Step", label="Next Step", data_type="text"),),
    other_deal_fields=(DealField(api_name="Probability", label="P", data_type="integer"),),
)


def test_fields_are_found_by_their_names_and_empty_ones_left_out() -> None:
    assert deal_values({"Probability": "50", "Next_Step": " "}, KNOWN) == {"Probability": 50}


def test_a_field_that_deals_do_not_have_is_refused() -> None:
    with pytest.raises(PlanError, match="no field “Probabillity”"):
        deal_values({"Probabillity": "50"}, KNOWN)


def test_without_knowledge_of_the_fields_texts_are_sent() -> None:
    assert deal_values({"Probability": "50"}, Choices()) == {"Probability": "50"}
