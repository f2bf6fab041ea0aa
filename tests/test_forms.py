"""The form of the web flow that connects."""

from __future__ import annotations

from typing import Any

import pytest

from zoho_crm.datacenters import DATA_CENTERS
from zoho_crm.forms import ConnectForm
from zoho_crm.models import Connection
from zoho_crm.simulator import Simulator

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
