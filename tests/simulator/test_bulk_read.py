"""Bulk read: jobs, their states and their files."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from tests.simulator.conftest import Caller
from zoho_crm.simulator import Simulator

BASE = "/crm/bulk/v8/read"


def post(caller: Caller, **query: Any) -> Any:
    body = {"query": {"module": {"api_name": "Leads"}, **query}}
    return caller.call("POST", BASE, json=body)


def started(caller: Caller, **query: Any) -> str:
    answer = post(caller, **query)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"][0]["details"]["id"])


def job_of(caller: Caller, job_id: str) -> dict[str, Any]:
    (job,) = caller.call("GET", f"{BASE}/{job_id}").json()["data"]
    assert isinstance(job, dict)
    return job


def rows_of(caller: Caller, job_id: str) -> list[list[str]]:
    answer = caller.call("GET", f"{BASE}/{job_id}/result")
    assert answer.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == [f"{job_id}.csv"]
        text = archive.read(f"{job_id}.csv").decode()
    return list(csv.reader(io.StringIO(text, newline="")))


def test_a_job_writes_a_file(any_caller: Caller) -> None:
    sim = any_caller.simulator
    tag = sim.organisation.tag("Leads", "fair")
    lead = sim.add_lead(
        Last_Name='O"Neil,\nJr.', Company="Größe", Annual_Revenue=900, Tag=[tag], City=None
    )
    fields = ["Last_Name", "Company", "Annual_Revenue", "Owner", "Tag", "City", "Converted__s"]

    job_id = started(any_caller, fields=fields)

    job = job_of(any_caller, job_id)
    assert (job["state"], job["operation"], job["file_type"]) == ("COMPLETED", "read", "csv")
    assert job["result"] == {
        "page": 1,
        "per_page": 200_000,
        "count": 1,
        "download_url": f"{BASE}/{job_id}/result",
        "more_records": False,
    }
    owner = lead["Owner"]["id"]
    assert rows_of(any_caller, job_id) == [
        ["Id", *fields],
        [lead.id, 'O"Neil,\nJr.', "Größe", "900", owner, "fair", "", "false"],
    ]
    assert sim.stats()["credits_used"] == 52


def test_a_job_takes_its_time(caller: Caller, sim: Simulator) -> None:
    sim.tune(bulk_seconds=20)
    job_id = started(caller)

    states = [job_of(caller, job_id)["state"]]
    assert "result" not in job_of(caller, job_id)
    early = caller.call("GET", f"{BASE}/{job_id}/result")
    for _ in range(2):
        sim.advance(10)
        states.append(job_of(caller, job_id)["state"])

    assert states == ["QUEUED", "IN PROGRESS", "COMPLETED"]
    assert (early.status_code, early.json()["code"]) == (404, "RESOURCE_NOT_FOUND")


def test_more_rows_follow_in_other_jobs(caller: Caller, sim: Simulator) -> None:
    sim.tune(bulk_rows=2)
    ids = [sim.add_lead().id for _ in range(3)]

    first = started(caller, fields=["id"])
    result = job_of(caller, first)["result"]
    by_token = started(caller, page_token=result["next_page_token"])
    by_page = started(caller, fields=["id"], page=2)

    assert (result["count"], result["more_records"]) == (2, True)
    assert rows_of(caller, first) == [["Id"], [ids[0]], [ids[1]]]
    assert rows_of(caller, by_token) == rows_of(caller, by_page) == [["Id"], [ids[2]]]
    assert job_of(caller, by_token)["result"]["page"] == 2
    assert "next_page_token" not in job_of(caller, by_token)["result"]


@pytest.mark.parametrize(
    ("comparator", "field", "value", "found"),
    [
        ("equal", "Last_Name", "albrecht", ["Albrecht"]),
        ("not_equal", "Last_Name", "Albrecht", ["Okafor"]),
        ("in", "Last_Name", ["Albrecht", "Okafor"], ["Albrecht", "Okafor"]),
        ("not_in", "Last_Name", ["Albrecht"], ["Okafor"]),
        ("contains", "Last_Name", "kaf", ["Okafor"]),
        ("not_contains", "Last_Name", "kaf", ["Albrecht"]),
        ("starts_with", "Last_Name", "Al", ["Albrecht"]),
        ("ends_with", "Last_Name", "for", ["Okafor"]),
        ("less_than", "Annual_Revenue", 900, []),
        ("less_equal", "Annual_Revenue", 900, ["Albrecht"]),
        ("greater_than", "Annual_Revenue", "899", ["Albrecht"]),
        ("greater_equal", "Created_Time", "2000-01-01T00:00:00Z", ["Albrecht", "Okafor"]),
        ("between", "Annual_Revenue", [800, 900], ["Albrecht"]),
        ("not_between", "Annual_Revenue", [800, 900], []),
        ("equal", "Annual_Revenue", "${EMPTY}", ["Okafor"]),
        ("equal", "$converted", False, ["Albrecht", "Okafor"]),
    ],
)
def test_criteria_select(
    caller: Caller, sim: Simulator, comparator: str, field: str, value: Any, found: list[str]
) -> None:
    sim.add_lead(Last_Name="Albrecht", Annual_Revenue=900)
    sim.add_lead(Last_Name="Okafor")
    condition = {"field": {"api_name": field}, "comparator": comparator, "value": value}

    rows = rows_of(caller, started(caller, fields=["Last_Name"], criteria=condition))

    assert [row[1] for row in rows[1:]] == found


def test_conditions_are_grouped(caller: Caller, sim: Simulator) -> None:
    for name in ("Albrecht", "Okafor", "King"):
        sim.add_lead(Last_Name=name)
    group = [
        {"field": {"api_name": "Last_Name"}, "comparator": "equal", "value": name}
        for name in ("King", "Okafor")
    ]

    either, both = (
        started(caller, fields=["id"], criteria={"group_operator": operator, "group": group})
        for operator in ("or", "and")
    )

    assert len(rows_of(caller, either)) == 3
    assert rows_of(caller, both) == [["Id"]]


def condition(**more: Any) -> dict[str, Any]:
    return {"field": {"api_name": "City"}, "comparator": "equal", "value": "Kiel", **more}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"module": {"api_name": "Notes"}}, "MODULE_NOT_SUPPORTED"),
        ({"module": "Leads"}, "MODULE_NOT_SUPPORTED"),
        ({"fields": ["Made_Up"]}, "FIELD_NOT_AVAILABLE"),
        ({"fields": "Last_Name"}, "INVALID_REQUEST"),
        ({"cvid": "77"}, "CVID_NOT_SUPPORTED"),
        ({"page": 0}, "INVALID_REQUEST"),
        ({"page_token": "guessed"}, "TOKEN_BOUND_DATA_MISMATCH"),
        ({"criteria": []}, None),
        ({"criteria": [1]}, "INVALID_CRITERIA"),
        ({"criteria": {"group": [condition()]}}, "INVALID_CRITERIA"),
        ({"criteria": condition(field={"api_name": "Size"})}, "FIELD_NOT_AVAILABLE"),
        (
            {"criteria": condition(comparator="like")},
            "FIELD_COMPARATOR_IN_CRITERIA_NOT_SUPPORTED",
        ),
        (
            {"criteria": condition(field={"api_name": "Annual_Revenue"})},
            "VALUE_IN_CRITERIA_NOT_SUPPORTED",
        ),
        (
            {"criteria": condition(comparator="in", value=["x"] * 201)},
            "VALUE_LIMIT_EXCEEDED_IN_CRITERIA",
        ),
        (
            {"criteria": {"group_operator": "and", "group": [condition()] * 26}},
            "CRITERIA_LIMIT_EXCEEDED",
        ),
    ],
)
def test_jobs_that_are_refused(caller: Caller, query: dict[str, Any], code: str | None) -> None:
    answer = post(caller, **query)

    assert answer.status_code == (400 if code else 201)
    assert code is None or answer.json()["code"] == code


def test_a_job_needs_json_a_query_and_the_scope_of_its_module(caller: Caller) -> None:
    text = caller.call("POST", BASE, data="{}", headers={"Content-Type": "text/plain"})
    empty = caller.call("POST", BASE, json={})
    caller.connect(scope="ZohoCRM.bulk.READ")

    assert (text.status_code, text.json()["code"]) == (415, "MEDIA_TYPE_NOT_SUPPORTED")
    assert empty.json()["code"] == "INVALID_REQUEST"
    assert post(caller).status_code == 401
    assert caller.call("GET", f"{BASE}/77").json()["code"] == "RESOURCE_NOT_FOUND"


def test_ten_downloads_a_minute(caller: Caller, sim: Simulator) -> None:
    path = f"{BASE}/{started(caller, fields=['id'])}/result"

    statuses = [caller.call("GET", path).status_code for _ in range(11)]
    sim.advance(61)

    assert statuses == [200] * 10 + [429]
    assert caller.call("GET", path).status_code == 200


@pytest.mark.parametrize("on", ["bulk_create", "bulk_status", "bulk_result"])
def test_faults_of_bulk_read(caller: Caller, sim: Simulator, on: str) -> None:
    job_id = started(caller)
    sim.fail(on, "html")

    calls: dict[str, Callable[[], Any]] = {
        "bulk_create": lambda: post(caller),
        "bulk_status": lambda: caller.call("GET", f"{BASE}/{job_id}"),
        "bulk_result": lambda: caller.call("GET", f"{BASE}/{job_id}/result"),
    }

    assert calls[on]().status_code == 502
