"""The form of the web flow that connects, and the field for a user."""

from __future__ import annotations

from typing import Any

import pytest
from django import forms
from django.core.exceptions import ValidationError

from zoho_crm.client import MAX_USERS
from zoho_crm.datacenters import DATA_CENTERS
from zoho_crm.forms import ConnectForm
from zoho_crm.forms._fields import MAX_LISTED_USERS, user_field
from zoho_crm.models import Connection
from zoho_crm.services.choices import Choices
from zoho_crm.simulator import Simulator
from zoho_crm.types import User

pytestmark = pytest.mark.django_db


def choices(form: ConnectForm, field: str) -> list[str]:
    offered: Any = form.fields[field]
    return [value for value, _label in offered.choices]


def test_no_field_is_required() -> None:
    assert ConnectForm({}).is_valid()


def test_every_data_center_and_environment_of_zoho_is_offered() -> None:
    form = ConnectForm()

    assert choices(form, "data_center") == list(DATA_CENTERS)
    assert choices(form, "environment") == ["production", "sandbox", "developer"]


def test_a_local_zoho_is_offered_where_there_is_one(zoho: Simulator) -> None:
    assert choices(ConnectForm(), "data_center") == [*DATA_CENTERS, "local"]


def test_a_connection_to_connect_again_has_to_exist() -> None:
    connection = Connection.objects.create(name="Head office", data_center="us", org_id="1")

    known, unknown = ConnectForm({"connection": connection.pk}), ConnectForm({"connection": 0})

    assert known.is_valid()
    assert known.cleaned_data["connection"] == connection
    assert not unknown.is_valid()


def test_the_first_error_is_a_sentence_with_the_name_of_its_field() -> None:
    form = ConnectForm({"environment": "playground"})

    assert form.first_error().startswith("Environment: Select a valid choice.")


def test_an_error_of_the_whole_form_needs_no_name() -> None:
    form = ConnectForm({})
    form.add_error(None, "Not today.")

    assert form.first_error() == "Not today."


# The field for a user

OTHERS = [("", "as the policy says"), ("nothing", "the lead's own")]


def users(number: int) -> Choices:
    """Return the choices with so many users."""
    return Choices(
        users=tuple(
            User(id=str(n), name=f"User {n}", email=f"user{n}@nordwind.example")
            for n in range(1, number + 1)
        )
    )


def test_few_users_are_listed() -> None:
    field = user_field(users(MAX_LISTED_USERS), OTHERS, label="Owner")

    assert isinstance(field, forms.ChoiceField)
    assert len(list(field.choices)) == MAX_LISTED_USERS + 2


@pytest.mark.parametrize(
    ("text", "user_id"),
    [
        ("", ""),
        ("nothing", "nothing"),
        (" 7 ", "7"),
        ("USER7@nordwind.example", "7"),
        ("user 7", "7"),
        ("7777", "7777"),
        ("user 777", "777"),
        ("er 10000", None),
        ("10000", None),
    ],
)
def test_of_many_users_one_is_searched(text: str, user_id: str | None) -> None:
    field = user_field(users(9_999), OTHERS, label="Owner")
    assert isinstance(field, forms.CharField)
    assert "Empty: as the policy says. “nothing”: the lead's own." in field.help_text

    if user_id is None:
        with pytest.raises(ValidationError, match="No active user"):
            field.clean(text)
    else:
        assert field.clean(text) == user_id


def test_several_users_that_are_meant_are_named_and_none_is_chosen() -> None:
    field = user_field(users(296), OTHERS, label="Owner")

    with pytest.raises(ValidationError) as many:
        field.clean("nordwind")
    with pytest.raises(ValidationError) as few:
        field.clean("er 29")

    assert "User 10 (user10@nordwind.example) and 286 more." in many.value.message
    assert few.value.message.startswith("Several users are called that: User 29 (user29@")
    assert "User 296 (user296@nordwind.example)." in few.value.message
    assert field.clean("user 29") == "29"


def test_where_not_all_users_are_known_an_id_is_left_to_zoho() -> None:
    field = user_field(users(MAX_USERS), OTHERS, label="Owner")

    assert field.clean("4711000000001") == "4711000000001"
    with pytest.raises(ValidationError):
        field.clean("nobody at all")
