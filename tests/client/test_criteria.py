"""Criteria are built from values: no value changes what they mean, whatever it contains."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoho_crm.client import Criteria, field
from zoho_crm.client._criteria import criteria_text
from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.simulator.crm.criteria import parse
from zoho_crm.simulator.records import Record as Stored
from zoho_crm.types import Record, Reference

BERLIN = timezone(timedelta(hours=1))

#: Texts with all that has a meaning in criteria, and any others.
PIECES = st.sampled_from([*"(),:\\'\"*&+ ", "and", "or", ")or(", "equals", "Ö", "🏛", "\n", "\0"])
TEXTS = st.lists(PIECES | st.text(max_size=4), max_size=8).map("".join)
EXAMPLES = pytest.mark.parametrize("examples", [200, pytest.param(2_500, marks=pytest.mark.long)])


@pytest.mark.parametrize(
    ("criteria", "text"),
    [
        (field("Last_Name") == "O'Neil", "(Last_Name:equals:O'Neil)"),
        (field("Last_Name") != "King", "(Last_Name:not_equal:King)"),
        (field("Company").starts_with("Nord"), "(Company:starts_with:Nord)"),
        (field("Company") == "Nord (Bonn), Ltd", r"(Company:equals:Nord \(Bonn\)\, Ltd)"),
        (field("Company") == "Nord\\", r"(Company:equals:Nord\\)"),
        (field("City").in_(["Bonn", "Köln"]), "(City:in:Bonn,Köln)"),
        (field("City").in_(["Bonn, Rhine", "Ulm"]), r"(City:in:Bonn\, Rhine,Ulm)"),
        (field("Email_Opt_Out") == True, "(Email_Opt_Out:equals:true)"),  # noqa: E712
        (field("Amount") > Decimal("1000000.50"), "(Amount:greater_than:1000000.50)"),
        (field("Amount") <= 1e21, "(Amount:less_equal:1000000000000000000000)"),
        (field("Closing_Date") < date(2027, 1, 31), "(Closing_Date:less_than:2027-01-31)"),
        (
            field("Created_Time").between(
                datetime(2027, 1, 1, 9, 30, 5, 999, tzinfo=BERLIN), datetime(2027, 2, 1, tzinfo=UTC)
            ),
            "(Created_Time:between:2027-01-01T09:30:05+01:00,2027-02-01T00:00:00+00:00)",
        ),
        (field("Owner") == Reference(id="7", name="Mara"), "(Owner:equals:7)"),
        (field("Account_Name") >= Record("8", {}), "(Account_Name:greater_equal:8)"),
        (
            ((field("A") == 1) & (field("B") == 2)) | (field("C") == 3),
            "(((A:equals:1)and(B:equals:2))or(C:equals:3))",
        ),
    ],
    ids=str,
)
def test_criteria_are_written_as_zoho_reads_them(criteria: Criteria, text: str) -> None:
    assert criteria_text(criteria) == text


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "unusable_empty"),
        ("  ", "unusable_empty"),
        ("a\nb", "unusable_control"),
        ("a\0", "unusable_control"),
        ("\ud800", "unusable_control"),
        ("a\\b", "unusable_backslash"),
        ("a\\)", "unusable_backslash"),
        ("a\\\\", "unusable_backslash"),
        (float("nan"), "unusable_number"),
        (Decimal("Infinity"), "unusable_number"),
        (datetime(2027, 1, 1), "unusable_zone"),
        (None, "unusable_type"),
        (["a"], "unusable_type"),
    ],
    ids=repr,
)
def test_what_zoho_may_misread_is_refused_where_it_is_given(value: Any, code: str) -> None:
    with pytest.raises(RequestRefusedError) as alone:
        _ = field("Company") == value
    with pytest.raises(RequestRefusedError) as in_list:
        field("Company").in_(["Nordwind", value])

    assert alone.value.code == in_list.value.code == code
    assert alone.value.field == "Company"
    assert "Company" in str(alone.value)


@pytest.mark.parametrize(
    "name", ["", "Last Name", "Last_Name:equals", "A)or(B", "1A", "Größe", "A."]
)
def test_what_cannot_be_the_name_of_a_field_is_refused(name: str) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        field(name)

    assert caught.value.code == "bad_field_name"


def test_criteria_are_not_joined_by_words_of_python() -> None:
    with pytest.raises(TypeError, match="Join criteria with & and |"):
        _ = (field("A") == 1) and (field("B") == 2)


@pytest.mark.parametrize("values", [[], ["x"] * 101])
def test_a_list_of_values_has_zohos_length(values: list[str]) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        field("City").in_(values)

    assert caught.value.code == "number_of_values"
    assert "1 to 100" in str(caught.value)


def test_one_text_is_no_list_of_values() -> None:
    with pytest.raises(TypeError, match="not one text"):
        field("City").in_("Bonn")


@pytest.mark.parametrize(("number", "length"), [(11, 1), (3, 1_100)])
def test_criteria_beyond_zohos_limits_are_refused(number: int, length: int) -> None:
    criteria = field("City") == "x" * length
    for _ in range(number - 1):
        criteria &= field("City") == "x" * length

    with pytest.raises(RequestRefusedError) as caught:
        criteria_text(criteria)

    assert caught.value.code == "criteria_too_long"


@EXAMPLES
def test_a_value_is_found_and_nothing_else_whatever_it_contains(examples: int) -> None:
    @settings(max_examples=examples)
    @given(value=TEXTS, other=TEXTS)
    def check(value: str, other: str) -> None:
        records = [_stored(Last_Name=text, City="Bonn") for text in (value, other, "King")]
        try:
            criteria = (field("Last_Name") == value) & (field("City") == "Bonn")
        except RequestRefusedError:
            return  # the client sends no value that might be misread

        found = [record for record in records if _fits(criteria, record)]

        assert [record for record in found if criteria.fits(record)] == [
            record for record in records if _same(record["Last_Name"], value)
        ]

    check()


@pytest.mark.slow
@EXAMPLES
def test_a_list_of_values_is_read_as_that_list(examples: int) -> None:
    @settings(max_examples=examples)
    @given(values=st.lists(TEXTS, min_size=1, max_size=4), other=TEXTS)
    def check(values: list[str], other: str) -> None:
        try:
            criteria = field("City").in_(values)
        except RequestRefusedError:
            return

        for text in (*values, other, "King"):
            expected = any(_same(text, value) for value in values)
            assert _fits(criteria, _stored(City=text)) == expected
            assert criteria.fits({"City": text}) == expected

    check()


CONDITIONS = st.builds(
    lambda name, value: (field(name) == value, name, value),
    st.sampled_from(["First_Name", "Last_Name", "City"]),
    st.sampled_from(["Ada", "(", ")or(", "x)and(y", "King,"]),
)


def _joined(pairs: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(st.sampled_from("&|"), pairs, pairs)


@EXAMPLES
def test_brackets_stand_as_in_python(examples: int) -> None:
    @settings(max_examples=examples)
    @given(
        tree=st.recursive(CONDITIONS, _joined, max_leaves=8),
        values=st.lists(st.sampled_from(["Ada", "(", ")or(", "x)and(y", "King,"]), min_size=3),
    )
    def check(tree: Any, values: list[str]) -> None:
        record = _stored(First_Name=values[0], Last_Name=values[1], City=values[2])

        criteria, expected = _evaluated(tree, record)

        assert criteria.fits(record) == expected
        assert (_fits(criteria, record) and criteria.fits(record)) == expected

    check()


def _evaluated(tree: Any, record: Mapping[str, Any]) -> tuple[Criteria, bool]:
    """Return the criteria of a tree, and whether a record fits, found out without them."""
    if isinstance(tree[0], Criteria):
        criteria, name, value = tree
        return criteria, record[name] == value
    (one, is_one), (other, is_other) = (_evaluated(part, record) for part in tree[1:])
    if tree[0] == "&":
        return one & other, is_one and is_other
    return one | other, is_one or is_other


@pytest.mark.parametrize(
    ("criteria", "values", "fits"),
    [
        (field("Amount") == 5, {"Amount": 5.0}, True),
        (field("Amount") == Decimal("5.10"), {"Amount": "5.1"}, True),
        (field("Amount") == 5, {"Amount": 50}, False),
        (field("Amount") == 5, {"Amount": "five"}, False),
        (field("Amount") == 5, {"Amount": None}, False),
        (field("Locked__s") == True, {"Locked__s": True}, True),  # noqa: E712
        (field("Locked__s") == True, {"Locked__s": False}, False),  # noqa: E712
        (field("Owner") == "7", {"Owner": {"id": "7", "name": "Mara Lind"}}, True),
        (field("Owner") == Reference(id="7"), {"Owner": {"id": "70", "name": "7 Ltd"}}, False),
        (field("Owner") == "mara lind", {"Owner": {"id": "7", "name": "Mara Lind"}}, True),
        (field("Interests") == "A", {"Interests": ["A", "B"]}, True),
        (field("City") == "bonn", {"City": " Bonn"}, True),
        (field("City") == "Bonn", {"City": "Bonn-Beuel"}, False),
        (field("City") == "Bonn", {"id": "1"}, True),
        (field("City").starts_with("bo"), {"City": "Bonn"}, True),
        (field("City").starts_with("bo"), {"City": "Neu Bonn"}, False),
        (field("City").starts_with("bo"), {"City": None}, True),
        (field("City") > "A", {"City": "0"}, True),
        (
            field("Created_Time") == datetime(2027, 1, 1, 9, tzinfo=BERLIN),
            {"Created_Time": "2027-01-01T08:00:00Z"},
            True,
        ),
        (
            field("Created_Time") == datetime(2027, 1, 1, 9, tzinfo=BERLIN),
            {"Created_Time": "soon"},
            False,
        ),
    ],
    ids=str,
)
def test_what_zoho_found_too_much_is_left_out(
    criteria: Criteria, values: Mapping[str, Any], fits: bool
) -> None:
    assert criteria.fits(values) is fits


def _stored(**values: str) -> Stored:
    return Stored({"id": "1", **values})


def _fits(criteria: Criteria, record: Stored) -> bool:
    """Return whether the simulator finds a record by the text of the criteria."""
    return parse("Leads", criteria_text(criteria))(record)


def _same(one: str, other: str) -> bool:
    return one.casefold().split() == other.casefold().split()
