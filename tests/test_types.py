"""The values: what ``repr`` shows, what they refuse, and that JSON keeps them."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
import pickle
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from zoho_crm import types
from zoho_crm.client import Credentials
from zoho_crm.conf import ZohoSettings
from zoho_crm.types import (
    ConversionOptions,
    ConversionPlan,
    Converted,
    Deal,
    Lead,
    Match,
    Reference,
    Secret,
    TokenGrant,
    as_json,
    is_record_id,
    json_text,
    ngettext_lazy,
)

HIDDEN = "1000.nobody-sees-this"
VALUES = [
    value
    for _name, value in inspect.getmembers(types, dataclasses.is_dataclass)
    if value.__module__.startswith(types.__name__)
]

TEXTS = st.text(max_size=20)
IDS = st.from_regex(r"[0-9]{1,19}", fullmatch=True)
FIELDS = st.dictionaries(TEXTS, TEXTS, max_size=3)
REFERENCES = st.builds(Reference, id=IDS, name=TEXTS)
LEADS = st.builds(
    Lead,
    id=IDS,
    name=TEXTS,
    owner=st.none() | REFERENCES,
    tags=st.lists(TEXTS, max_size=3).map(tuple),
    converted=st.none() | st.builds(Converted, contact_id=IDS, account_id=IDS, deal_id=IDS),
    obstacle=st.sampled_from(["", "locked"]),
    fields=FIELDS,
)
MATCHES = st.builds(
    Match,
    id=IDS,
    name=TEXTS,
    account=st.none() | REFERENCES,
    matched_on=st.lists(TEXTS, max_size=2).map(tuple),
    fields=FIELDS,
)
SEVERAL = st.lists(MATCHES, max_size=3).map(tuple)
OPTIONS = st.builds(
    ConversionOptions,
    contacts=SEVERAL,
    accounts=SEVERAL,
    further_contacts=st.integers(0, 9_900),
    further_accounts=st.integers(0, 9_900),
)
DEALS = st.builds(
    Deal,
    name=TEXTS,
    stage=TEXTS,
    closing_date=st.dates(),
    amount=st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=2),
    other=st.dictionaries(
        TEXTS,
        TEXTS
        | st.booleans()
        | st.integers()
        | st.decimals(allow_nan=False, allow_infinity=False)
        | st.lists(TEXTS, max_size=3)
        | st.fixed_dictionaries({"id": IDS}),
        max_size=3,
    ),
)
PLANS = st.builds(
    ConversionPlan,
    contact_id=IDS | st.just(""),
    deal=st.none() | DEALS,
    overwrite=st.booleans(),
    tags=st.dictionaries(TEXTS, st.lists(TEXTS, max_size=2).map(tuple), max_size=2),
)


@pytest.mark.slow
@given(value=st.one_of(LEADS, MATCHES, OPTIONS, DEALS, PLANS))
def test_a_value_comes_back_from_a_json_column_as_it_was(value: Any) -> None:
    stored = json.loads(json.dumps(as_json(value)))

    assert type(value).from_json(stored) == value


def test_dates_and_times_are_stored_as_iso_8601() -> None:
    moment = datetime(2027, 3, 31, 9, tzinfo=timezone(timedelta(hours=1)))

    assert as_json([moment, date(2027, 3, 31)]) == ["2027-03-31T09:00:00+01:00", "2027-03-31"]
    assert as_json({"amount": Decimal("48000.50")}) == {"amount": "48000.50"}


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(), parts, max_size=3),
)


@given(value=JSON_VALUES)
def test_json_is_what_the_standard_library_writes(value: Any) -> None:
    assert json_text(value, sort_keys=True) == json.dumps(
        value, sort_keys=True, separators=(",", ":")
    )
    assert json_text(value, line="\n") == json.dumps(value, indent=2)


@given(number=st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_keeps_its_digits_in_json(number: Decimal) -> None:
    assert json.loads(json_text([number]), parse_float=Decimal, parse_int=Decimal) == [number]


@pytest.mark.parametrize("number", [Decimal("NaN"), Decimal("-Infinity"), float("inf")])
def test_what_is_no_number_is_no_json(number: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_text({"Amount": number})


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_values_are_frozen_and_made_by_name(kind: type[Any]) -> None:
    assert all(parameter.kw_only for parameter in dataclasses.fields(kind))
    assert kind.__doc__


def test_a_value_takes_its_fields_by_name_and_keeps_them() -> None:
    match = Match(id="1", name="Ines")

    with pytest.raises(TypeError, match=r"Match needs id"):
        Match(name="Ines")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"Match has no surname"):
        Match(id="1", name="Ines", surname="Vogel")  # type: ignore[call-arg]
    with pytest.raises(dataclasses.FrozenInstanceError):
        match.name = "Jan"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del match.name
    assert match.fields == {}


def test_a_value_is_a_dataclass_and_equal_to_the_same() -> None:
    reference = Reference(id="1", name="Ines")

    assert dataclasses.replace(reference, name="Jan") == Reference(name="Jan", id="1")
    assert dataclasses.asdict(reference) == {"id": "1", "name": "Ines", "module": ""}
    assert {reference, pickle.loads(pickle.dumps(reference)), copy.copy(reference)} == {reference}
    assert reference != Converted()
    assert repr(reference) == "Reference(id='1', name='Ines', module='')"


@pytest.mark.parametrize("text", ["1", "0", "7130042000000418003", "9" * 19])
def test_an_id_is_a_text_of_up_to_nineteen_digits(text: str) -> None:
    assert is_record_id(text)


@pytest.mark.parametrize(
    "text", ["", " 1", "1\n", "-1", "1.0", "1e3", "0x1", "a", "9" * 20, "１", "१", "1/2"]
)
def test_anything_else_is_no_id(text: str) -> None:
    assert not is_record_id(text)


@pytest.mark.parametrize(
    ("flags", "usable"),
    [
        ({}, True),
        ({"locked": True}, False),
        ({"editable": False}, False),
        ({"approved": False}, False),
    ],
)
def test_a_match_is_usable_if_nothing_speaks_against_it(
    flags: dict[str, bool], usable: bool
) -> None:
    assert Match(id="1", name="Ines", **flags).usable is usable


# Secrets


def test_a_secret_is_seen_only_when_it_is_asked_for() -> None:
    secret = Secret(HIDDEN)

    assert secret.reveal() == HIDDEN
    assert repr(secret) == str(secret) == f"{secret}" == "Secret(***)"
    assert HIDDEN not in f"{[secret]!r} { ({'k': secret}) } {secret!s:>40}"


def test_a_secret_is_compared_and_may_be_a_key() -> None:
    same, other = Secret(HIDDEN), Secret("other")

    assert Secret(HIDDEN) == same
    assert same != other
    assert same != HIDDEN
    assert {same: 1}[Secret(HIDDEN)] == 1
    assert Secret("ü") == Secret("ü")


def test_an_empty_secret_is_none() -> None:
    assert not Secret("")
    assert Secret(HIDDEN)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_never_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps({"token": Secret(HIDDEN)}, protocol)


def test_a_secret_is_not_copied_into_another_shape() -> None:
    secret = Secret(HIDDEN)

    with pytest.raises(TypeError):
        copy.deepcopy(secret)
    with pytest.raises(TypeError):
        json.dumps({"token": secret})
    with pytest.raises(TypeError):
        vars(secret)
    with pytest.raises(AttributeError):
        secret.more = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "value",
    [
        TokenGrant(
            access_token=Secret(HIDDEN),
            refresh_token=Secret(HIDDEN),
            api_domain="https://www.zohoapis.eu",
            expires_in=3600,
        ),
        Credentials(client_id="1000.CLIENT", client_secret=Secret(HIDDEN)),
        ZohoSettings(CLIENT_SECRET=HIDDEN, ENCRYPTION_KEYS=(HIDDEN,)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_with_secrets_shows_none_of_them(value: Any) -> None:
    assert HIDDEN not in repr(value)
    assert HIDDEN not in str(value)


def test_a_grant_becomes_no_json() -> None:
    grant = TokenGrant(
        access_token=Secret(HIDDEN), refresh_token=Secret(""), api_domain="", expires_in=1
    )

    with pytest.raises(TypeError):
        json.dumps(as_json(grant))


@pytest.mark.parametrize(
    ("language", "count", "shown"),
    [
        ("en", 1, "1 minute ago"),
        ("en", 2, "2 minutes ago"),
        ("de", 1, "vor 1 Minute"),
        ("de", 2, "vor 2 Minuten"),
    ],
)
def test_a_text_with_a_plural_is_translated_when_it_is_shown(
    language: str, count: int, shown: str
) -> None:
    text = ngettext_lazy("%(count)s minute ago", "%(count)s minutes ago", "count")

    with translation.override(language):
        assert text % {"count": count} == shown
