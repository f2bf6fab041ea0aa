"""A person who may connect one connection again, and no other, goes to Zoho and back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tests.object_permissions import ObjectPermissions, give
from zoho_crm.models import AuthorizationRequest, Connection
from zoho_crm.simulator import Simulator

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.slow,
    pytest.mark.usefixtures("object_permissions"),
]

CONNECT = reverse("zoho_crm:connect")


@pytest.fixture
def pat(employ: Callable[..., User], connection: Connection) -> User:
    user = employ("pat")
    give(user, {"connect_connection", "view_connection"}, connection)
    return user


@pytest.fixture
def browser(pat: User, sit_down: Callable[[User], Client]) -> Client:
    return sit_down(pat)


def test_the_one_is_connected_again(
    browser: Client, zoho: Simulator, connection: Connection
) -> None:
    here = reverse("admin:zoho_crm_connection_change", args=[connection.pk])
    sent = browser.post(CONNECT, {"connection": connection.pk, "next": here})

    back = browser.get(zoho.consent(sent["Location"]))

    assert back["Location"] == here
    assert connection.events.filter(kind="reconnected").count() == 1
    page = reverse("zoho_crm:connected", args=[connection.pk])
    assert browser.get(page).status_code == 200


def test_another_one_or_a_new_one_is_not(browser: Client, connection: Connection) -> None:
    other = Connection.objects.create(name="Other", org_id="2", data_center="us")

    answers = [
        browser.post(CONNECT, {"connection": other.pk}),
        browser.post(CONNECT, {"connection": "0"}),
        browser.post(CONNECT),
        browser.get(CONNECT),
        browser.get(reverse("zoho_crm:connected", args=[other.pk])),
    ]

    assert [each.status_code for each in answers] == [403] * 5
    assert not AuthorizationRequest.objects.exists()


def test_a_permission_that_is_taken_away_on_the_way_is_gone(
    browser: Client, zoho: Simulator, pat: User, connection: Connection
) -> None:
    other = Connection.objects.create(name="Other", org_id="2", data_center="us")
    back = zoho.consent(browser.post(CONNECT, {"connection": connection.pk})["Location"])
    before = zoho.stats()["tokens"]["exchanged"]
    ObjectPermissions.given.clear()
    give(pat, {"connect_connection"}, other)

    assert browser.get(back).status_code == 403
    assert zoho.stats()["tokens"]["exchanged"] == before
