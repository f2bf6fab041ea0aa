"""Times in words, and which Zoho a page is about."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from zoho_crm.models import Connection
from zoho_crm.services.display import places_of, relative_time


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        ({"seconds": 1}, "just now"),
        ({"seconds": 20}, "20 seconds ago"),
        ({"minutes": 18, "seconds": 9}, "18 minutes ago"),
        ({"hours": 5, "minutes": 50}, "5 hours ago"),
        ({"days": 3}, "3 days ago"),
        ({"seconds": -40.5}, "in 40 seconds"),
        ({"minutes": -41, "seconds": -9}, "in 41 minutes"),
    ],
)
def test_a_time_says_how_long_ago_it_was(ago: dict[str, float], text: str) -> None:
    shown = relative_time(timezone.now() - timedelta(**ago))

    assert shown.replace("\xa0", " ") == text


def test_a_time_long_ago_is_a_date() -> None:
    instant = timezone.now() - timedelta(days=90)

    assert str(timezone.localtime(instant).year) in relative_time(instant)


@pytest.mark.parametrize(
    ("data_center", "environment", "kind", "text"),
    [
        ("eu", "production", "production", "Production: Acme Inc"),
        ("eu", "sandbox", "sandbox", "Sandbox: Acme Inc"),
        ("eu", "developer", "sandbox", "Developer environment: Acme Inc"),
        ("local", "production", "simulator", "Simulator: nothing here touches Zoho"),
    ],
)
def test_the_place_of_a_connection_is_said(
    data_center: str, environment: str, kind: str, text: str
) -> None:
    [place] = places_of(
        [Connection(org_name="Acme Inc", data_center=data_center, environment=environment)]
    )

    assert (place.kind, place.text) == (kind, text)


def test_a_simulator_beside_a_real_zoho_says_its_name() -> None:
    simulator = Connection(org_name="Trial", data_center="local", environment="production")
    real = Connection(org_name="Acme Inc", data_center="eu", environment="production")

    assert [each.text for each in places_of([simulator, simulator, real])] == [
        "Simulator: Trial",
        "Production: Acme Inc",
    ]
    assert places_of([]) == []
