"""Tags are added to records and removed from them; over both transports."""

from __future__ import annotations

import pytest

from tests.client.conftest import Transport
from tests.client.test_writes import codes
from zoho_crm.client import ZohoClient
from zoho_crm.exceptions import TransientError
from zoho_crm.simulator import Simulator


def tags_of(zoho: Simulator, lead_id: str) -> list[str]:
    return [tag["name"] for tag in zoho.records["Leads"][lead_id]["Tag"]]


def test_tags_are_added_to_those_that_are_there(transport: Transport, crm: ZohoClient) -> None:
    zoho = transport.simulator
    ids = [zoho.add_lead().id for _ in range(130)]

    first = crm.records("Leads").add_tags(ids, ["fair"])
    [second] = crm.records("Leads").add_tags([ids[0]], ["vip", "fair"])

    assert [result.id for result in first] == ids
    assert {result.action for result in first} == {"update"}
    assert second.error is None
    assert sorted(tags_of(zoho, ids[0])) == ["fair", "vip"]
    assert tags_of(zoho, ids[129]) == ["fair"]


def test_tags_replace_others_if_asked(transport: Transport, crm: ZohoClient) -> None:
    lead_id = transport.simulator.add_lead().id
    leads = crm.records("Leads")
    leads.add_tags([lead_id], ["fair"])

    leads.add_tags([lead_id], ["vip"], replace=True)

    assert tags_of(transport.simulator, lead_id) == ["vip"]


def test_tags_are_removed(transport: Transport, crm: ZohoClient) -> None:
    lead_id = transport.simulator.add_lead().id
    leads = crm.records("Leads")
    leads.add_tags([lead_id], ["fair", "vip"])

    [result] = leads.remove_tags([lead_id], ["fair"])

    assert (result.id, result.error) == (lead_id, None)
    assert tags_of(transport.simulator, lead_id) == ["vip"]


def test_a_record_that_is_gone_costs_itself_only(transport: Transport, crm: ZohoClient) -> None:
    lead_id = transport.simulator.add_lead().id

    results = crm.records("Leads").add_tags([lead_id, "404", "x"], ["fair"])

    assert codes(results)[0] == ""
    assert all(codes(results)[1:])
    assert tags_of(transport.simulator, lead_id) == ["fair"]


@pytest.mark.parametrize("do", ["close_after", "html"])
def test_tags_whose_answer_was_lost_may_be_added_again(transport: Transport, do: str) -> None:
    lead_id = transport.simulator.add_lead().id
    leads = transport.client().records("Leads")
    transport.simulator.fail("any", do)

    with pytest.raises(TransientError) as caught:
        leads.add_tags([lead_id], ["fair"])
    leads.add_tags([lead_id], ["fair"])

    assert caught.value.may_repeat is True
    assert tags_of(transport.simulator, lead_id) == ["fair"]


def test_one_text_is_no_list_of_tags(crm: ZohoClient) -> None:
    with pytest.raises(TypeError, match="not one text"):
        crm.records("Leads").add_tags(["1"], "fair")
