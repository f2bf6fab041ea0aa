"""Both transports deliver the same answers and the same faults."""

from __future__ import annotations

import pytest
import requests
from urllib3.exceptions import ProtocolError

from tests.simulator.conftest import Caller


def test_a_lead_is_read(any_caller: Caller) -> None:
    lead_id = any_caller.simulator.story("no_match")

    answer = any_caller.get(f"/Leads/{lead_id}")

    assert answer.status_code == 200
    assert answer.json()["data"][0]["id"] == lead_id
    assert answer.headers["Content-Type"] == "application/json;charset=utf-8"
    assert int(answer.headers["Content-Length"]) == len(answer.content)


def test_nothing_is_204_with_a_content_type_and_no_length(any_caller: Caller) -> None:
    answer = any_caller.get("/Leads/1")

    assert (answer.status_code, answer.content) == (204, b"")
    assert "Content-Type" in answer.headers
    assert "Content-Length" not in answer.headers


def test_a_lead_is_converted_once(any_caller: Caller) -> None:
    lead_id = any_caller.simulator.story("no_match")

    first, second = any_caller.convert(lead_id), any_caller.convert(lead_id)

    assert first.json()["data"][0]["code"] == "SUCCESS"
    assert second.json()["code"] == "ID_ALREADY_CONVERTED"
    assert len(any_caller.simulator.conversions_of(lead_id)) == 1


@pytest.mark.parametrize(("fault", "conversions"), [("close_before", 0), ("close_after", 1)])
def test_a_connection_closes_before_or_after_the_effect(
    any_caller: Caller, fault: str, conversions: int
) -> None:
    lead_id = any_caller.simulator.story("no_match")
    any_caller.simulator.fail("convert", fault)

    with pytest.raises(requests.ConnectionError) as caught:
        any_caller.convert(lead_id)

    assert isinstance(caught.value.args[0], ProtocolError)
    assert len(any_caller.simulator.conversions_of(lead_id)) == conversions


def test_an_answer_slower_than_the_caller_is_a_read_timeout(any_caller: Caller) -> None:
    lead_id = any_caller.simulator.story("no_match")
    any_caller.simulator.fail("convert", "delay", seconds=0.3)

    with pytest.raises(requests.ReadTimeout):
        any_caller.call(
            "POST",
            f"/crm/v8/Leads/{lead_id}/actions/convert",
            json={"data": [{}]},
            timeout=(1, 0.05),
        )

    assert len(any_caller.simulator.conversions_of(lead_id)) == 1


def test_a_truncated_body_breaks_while_it_is_read(any_caller: Caller) -> None:
    lead_id = any_caller.simulator.story("no_match")
    any_caller.simulator.fail("leads_get", "truncate")

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        any_caller.get(f"/Leads/{lead_id}")


@pytest.mark.parametrize("part", ["header", "body"])
def test_a_dripping_answer_arrives_complete(any_caller: Caller, part: str) -> None:
    lead_id = any_caller.simulator.story("no_match")
    any_caller.simulator.fail("leads_get", "drip", body=part, seconds=0.0001)

    assert any_caller.get(f"/Leads/{lead_id}").json()["data"][0]["id"] == lead_id


def test_a_call_without_a_token_is_refused(any_caller: Caller) -> None:
    any_caller.headers = {}

    answer = any_caller.get("/Leads/1")

    assert answer.status_code == 401
    assert answer.json() == {
        "code": "AUTHENTICATION_FAILURE",
        "details": {},
        "message": "Authentication failed",
        "status": "error",
    }
