"""Both doors give the same answers and the same trouble."""

from __future__ import annotations

import pytest
import requests
from urllib3.exceptions import ProtocolError

from tests.simulator.conftest import Caller


def test_a_lead_is_read(at_door: Caller) -> None:
    lead_id = at_door.simulator.story("no_match")

    answer = at_door.get(f"/Leads/{lead_id}")

    assert answer.status_code == 200
    assert answer.json()["data"][0]["id"] == lead_id
    assert answer.headers["Content-Type"] == "application/json;charset=utf-8"
    assert int(answer.headers["Content-Length"]) == len(answer.content)


def test_nothing_is_204_with_a_content_type_and_no_length(at_door: Caller) -> None:
    answer = at_door.get("/Leads/1")

    assert (answer.status_code, answer.content) == (204, b"")
    assert "Content-Type" in answer.headers
    assert "Content-Length" not in answer.headers


def test_a_lead_is_converted_once(at_door: Caller) -> None:
    lead_id = at_door.simulator.story("no_match")

    first, second = at_door.convert(lead_id), at_door.convert(lead_id)

    assert first.json()["data"][0]["code"] == "SUCCESS"
    assert second.json()["code"] == "ID_ALREADY_CONVERTED"
    assert len(at_door.simulator.conversions_of(lead_id)) == 1


@pytest.mark.parametrize(("fault", "conversions"), [("close_before", 0), ("close_after", 1)])
def test_a_closed_connection_says_nothing_about_the_effect(
    at_door: Caller, fault: str, conversions: int
) -> None:
    lead_id = at_door.simulator.story("no_match")
    at_door.simulator.fail("convert", fault)

    with pytest.raises(requests.ConnectionError) as caught:
        at_door.convert(lead_id)

    assert isinstance(caught.value.args[0], ProtocolError)
    assert len(at_door.simulator.conversions_of(lead_id)) == conversions


def test_an_answer_slower_than_the_caller_is_a_read_timeout(at_door: Caller) -> None:
    lead_id = at_door.simulator.story("no_match")
    at_door.simulator.fail("convert", "delay", seconds=0.3)

    with pytest.raises(requests.ReadTimeout):
        at_door.call(
            "POST",
            f"/crm/v8/Leads/{lead_id}/actions/convert",
            json={"data": [{}]},
            timeout=(1, 0.05),
        )

    assert len(at_door.simulator.conversions_of(lead_id)) == 1


def test_a_truncated_body_breaks_while_it_is_read(at_door: Caller) -> None:
    lead_id = at_door.simulator.story("no_match")
    at_door.simulator.fail("leads_get", "truncate")

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        at_door.get(f"/Leads/{lead_id}")


@pytest.mark.parametrize("part", ["header", "body"])
def test_a_dripping_answer_arrives_whole_in_the_end(at_door: Caller, part: str) -> None:
    lead_id = at_door.simulator.story("no_match")
    at_door.simulator.fail("leads_get", "drip", body=part, seconds=0.0001)

    assert at_door.get(f"/Leads/{lead_id}").json()["data"][0]["id"] == lead_id


def test_a_call_without_a_token_is_refused(at_door: Caller) -> None:
    at_door.headers = {}

    answer = at_door.get("/Leads/1")

    assert answer.status_code == 401
    assert answer.json() == {
        "code": "AUTHENTICATION_FAILURE",
        "details": {},
        "message": "Authentication failed",
        "status": "error",
    }
