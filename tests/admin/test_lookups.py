"""The look-ups in the address of a list: those of its filters, and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin import FieldListFilter
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import RequestFactory

from tests.admin.pages import Browser
from tests.parameters import long, mostly_long
from zoho_crm.models import Connection, LeadConversion, Token
from zoho_crm.services import preview
from zoho_crm.simulator import Simulator

OURS = {
    model: model_admin
    for model, model_admin in admin.site._registry.items()
    if model._meta.app_label == "zoho_crm" and not model._meta.proxy
}
#: How many relations a path of a look-up follows: with two, some models reach nearly all columns.
RELATIONS = [1, long(2)]
LIST = "/admin/zoho_crm/leadconversion/"
NO_LOOK_UPS = [
    "lead_snapshot__email__startswith=a",
    "connection__tokens__refresh_token_cipher__startswith=zk1",
    "lead_id__regex=(a*)*b",
    "status__no_such=1",
    "no_such=1",
    "status__in=NEW%00",
    "status__exact=NEW%00",
    "error_code__exact=%00",
]


def paths(model: Any, relations: int) -> Iterator[tuple[str, Any]]:
    """Yield the path of every column that can be reached from a model, and its field."""
    for field in model._meta.get_fields():
        name = (
            field.auto_created and field.is_relation and field.get_accessor_name()
        ) or field.name
        yield name, getattr(field, "target_field", field)
        if field.is_relation and relations:
            related = paths(field.related_model, relations - 1)
            yield from ((f"{field.name}__{path}", column) for path, column in related)


def look_ups(model: Any, relations: int) -> Iterator[str]:
    """Yield every look-up of every column that can be reached from a model."""
    for path, field in paths(model, relations):
        yield path
        yield from (f"{path}__{name}" for name in field.get_lookups())


def filter_parameters(request: HttpRequest, model: Any, model_admin: Any) -> Iterator[str]:
    """Yield the parameters of the filters of a list."""
    for item in model_admin.get_list_filter(request):
        if isinstance(item, tuple):
            field = model._meta.get_field(item[0])
            one: Any = item[1](field, request, {}, model, model_admin, item[0])
        elif isinstance(item, str):
            field = model._meta.get_field(item)
            one = FieldListFilter.create(field, request, {}, model, model_admin, field_path=item)
        else:
            one = item(request, {}, model, model_admin)
        yield from one.expected_parameters()


@pytest.mark.django_db
@pytest.mark.parametrize("relations", RELATIONS)
@pytest.mark.parametrize(
    "model",
    mostly_long(OURS, quick={LeadConversion, Token}),
    ids=lambda model: model._meta.model_name,
)
def test_a_list_takes_the_look_ups_of_its_filters_only(
    model: Any, relations: int, boss: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Which columns there are takes three times as long as what is tried here, and does not matter.
    monkeypatch.setattr(OURS[model], "get_list_display", lambda _request: ("pk",))

    def asking(**query: str) -> HttpRequest:
        request = RequestFactory().get("/", query)
        request.user = boss
        return request

    allowed = set(filter_parameters(asking(), model, OURS[model]))

    taken = set()
    for name in {*look_ups(model, relations), *allowed}:
        try:
            OURS[model].get_changelist_instance(asking(**{name: "1"}))
        except DisallowedModelAdminLookup:
            continue
        taken.add(name)

    assert taken == allowed


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("query", NO_LOOK_UPS)
def test_another_look_up_is_a_bad_request(
    query: str,
    connection: Connection,
    zoho: Simulator,
    browser_as: Callable[..., Browser],
) -> None:
    preview.preview(connection_id=connection.pk, lead_id=zoho.story("several"))
    browser = browser_as("view_leadconversion")

    browser.get(f"{LIST}?{query}")

    assert browser.status == 400


def test_all_lists_are_walked() -> None:
    assert len(OURS) == 8
    assert len({name for model in OURS for name in look_ups(model, relations=1)}) > 500
