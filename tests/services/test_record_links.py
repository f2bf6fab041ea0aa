"""Addresses of records at Zoho: the right data center, organisation and environment, or none."""

from __future__ import annotations

import pytest

from zoho_crm.models import Connection
from zoho_crm.services.record_links import record_url
from zoho_crm.simulator import Simulator

LEAD = "3103418000000418121"


def connection_to(**values: str) -> Connection:
    given = {"data_center": "eu", "environment": "production", "zgid": "20071", **values}
    return Connection(name="A", org_id="1", **given)


@pytest.mark.parametrize(
    ("values", "address"),
    [
        ({}, "https://crm.zoho.eu/crm/org20071/tab/Leads/"),
        ({"domain_name": "acme"}, "https://crm.zoho.eu/crm/acme/tab/Leads/"),
        ({"data_center": "us"}, "https://crm.zoho.com/crm/org20071/tab/Leads/"),
        ({"data_center": "au"}, "https://crm.zoho.com.au/crm/org20071/tab/Leads/"),
        ({"data_center": "ca"}, "https://crm.zohocloud.ca/crm/org20071/tab/Leads/"),
        (
            {"environment": "sandbox", "domain_name": "trial"},
            "https://crmsandbox.zoho.eu/crm/trial/tab/Leads/",
        ),
    ],
)
def test_a_record_is_linked_where_it_is(values: dict[str, str], address: str) -> None:
    assert record_url(connection_to(**values), "Leads", LEAD) == f"{address}{LEAD}"


@pytest.mark.parametrize(
    "values",
    [
        {"zgid": ""},
        {"environment": "sandbox"},
        {"environment": "developer", "domain_name": "trial"},
        {"data_center": "local", "domain_name": "trial"},
        {"data_center": "gone", "domain_name": "trial"},
    ],
)
def test_no_link_rather_than_a_wrong_one(values: dict[str, str]) -> None:
    assert record_url(connection_to(**values), "Leads", LEAD) == ""


def test_a_deal_is_a_potential_in_addresses_and_an_odd_id_is_not_linked() -> None:
    assert "/tab/Potentials/" in record_url(connection_to(), "Deals", LEAD)
    assert record_url(connection_to(), "Leads", "../settings") == ""


@pytest.mark.django_db(transaction=True)
def test_the_name_in_addresses_is_read_with_the_organisation(
    connection: Connection, zoho: Simulator
) -> None:
    assert connection.domain_name == f"org{zoho.organisation.id[-9:]}"
