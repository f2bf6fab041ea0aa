"""
Bulk read: a job that writes the records of a module to a CSV file in an archive.

`Create <https://www.zoho.com/crm/developer/docs/api/v8/bulk-read/create-job.html>`_,
`status <https://www.zoho.com/crm/developer/docs/api/v8/bulk-read/job-details.html>`_,
`result <https://www.zoho.com/crm/developer/docs/api/v8/bulk-read/download-result.html>`_,
`their OpenAPI <https://github.com/zoho/crm-oas/tree/main/v8.0/bulk_read>`_
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from zoho_crm.simulator import bulk_refusals, refusals, schema
from zoho_crm.simulator.admission import granted
from zoho_crm.simulator.bulk_jobs import BulkJob
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.clock import zoho_time
from zoho_crm.simulator.crm.comparing import comparable
from zoho_crm.simulator.crm.items import object_of
from zoho_crm.simulator.records import Record
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

Json = dict[str, Any]
MAX_FIELDS = 200
MAX_CONDITIONS = 25
MAX_VALUES = 200
MAX_DOWNLOADS_PER_MINUTE = 10
TOKEN_LIFETIME = timedelta(hours=24)
_EMPTY = "${EMPTY}"

Predicate = Callable[[Record], bool]


def create(world: World, context: RequestContext) -> Answer:
    """``POST /crm/bulk/v8/read``: 201 and the id of a job."""
    if not context.call.headers.get("content-type", "").startswith("application/json"):
        raise bulk_refusals.no_media_type()
    query, start = _query(world, context)
    module = _module(world, context, query)
    fields = _fields(module, query)
    fits = _predicate(module, query["criteria"]) if query.get("criteria") else _every
    job = BulkJob(
        id=world.organisation.ids.next(),
        query=query,
        created_at=context.now,
        seconds=world.settings.bulk_seconds,
        start=start,
    )
    found = [each for each in world.organisation.records[module].data.values() if fits(each)]
    size = world.settings.bulk_rows
    job.content = _archive(job.id, fields, found[start : start + size])
    job.count = len(found[start : start + size])
    job.more = len(found) > start + size
    world.bulk_jobs[job.id] = job
    details = {
        "id": job.id,
        "operation": "read",
        "state": "ADDED",
        "created_by": world.organisation.author(),
        "created_time": zoho_time(context.now),
    }
    added = {
        "status": "success",
        "code": "ADDED_SUCCESSFULLY",
        "message": "Added successfully.",
        "details": details,
    }
    return Answer.json({"data": [added], "info": {}}, status=201)


def status(world: World, context: RequestContext) -> Answer:
    """``GET /crm/bulk/v8/read/{id}``: ``result`` is there once the state is ``COMPLETED``."""
    job = _job(world, context)
    state = job.state(context.seen_at or context.now)
    shown = {
        "id": job.id,
        "operation": "read",
        "state": state,
        "query": job.query,
        "created_by": world.organisation.author(),
        "created_time": zoho_time(job.created_at),
        "file_type": "csv",
    }
    if state == "COMPLETED":
        shown["result"] = job.result(world.settings.bulk_rows)
    return Answer.json({"data": [shown]})


def result(world: World, context: RequestContext) -> Answer:
    """``GET /crm/bulk/v8/read/{id}/result``: the archive, at most ten times a minute."""
    job = _job(world, context)
    if job.state(context.now) != "COMPLETED":
        raise bulk_refusals.unknown_job()
    world.bulk_downloads[:] = [
        at for at in world.bulk_downloads if context.now - at < timedelta(minutes=1)
    ]
    if len(world.bulk_downloads) >= MAX_DOWNLOADS_PER_MINUTE:
        raise refusals.too_many_requests()
    world.bulk_downloads.append(context.now)
    headers = {
        "Content-Type": "application/zip",
        "Content-Disposition": f"attachment;filename={job.id}.zip",
    }
    return Answer(status=200, headers=headers, body=job.content)


def _job(world: World, context: RequestContext) -> BulkJob:
    job = world.bulk_jobs.get(context.path["id"])
    if job is None:
        raise bulk_refusals.unknown_job()
    return job


def _query(world: World, context: RequestContext) -> tuple[Json, int]:
    """
    Return the query of a new job, and the index of its first record.

    A ``page_token`` continues a former job with its query; a ``page`` is one of a new run.

    :raises RefusedError: if the query is not one, or the token is unknown or too old
    """
    query = object_of(context).get("query")
    if not isinstance(query, dict):
        raise bulk_refusals.invalid_request("query")
    token = query.get("page_token")
    if token is not None:
        former = next((job for job in world.bulk_jobs.values() if job.next_token == token), None)
        if former is None or context.now - former.created_at > TOKEN_LIFETIME:
            raise refusals.token_mismatch()
        return former.query, former.start + world.settings.bulk_rows
    page = query.get("page", 1)
    if not isinstance(page, int) or page < 1:
        raise bulk_refusals.invalid_request("page")
    return query, (page - 1) * world.settings.bulk_rows


def _module(world: World, context: RequestContext, query: Json) -> str:
    given = query.get("module")
    name = given.get("api_name") if isinstance(given, dict) else None
    if name not in world.organisation.records:
        raise bulk_refusals.unsupported_module(name)
    scopes = context.access_token.scopes if context.access_token else ()
    if not granted(f"ZohoCRM.modules.{name}.READ", scopes):
        raise refusals.missing_scope()
    if query.get("cvid") not in (None, world.organisation.custom_views[str(name)]):
        raise bulk_refusals.unsupported("CVID_NOT_SUPPORTED", str(query["cvid"]))
    return str(name)


def _fields(module: str, query: Json) -> list[str]:
    """Return the fields of the file, the id first; all if none are named, or too many."""
    named = query.get("fields")
    if named is not None and not isinstance(named, list):
        raise bulk_refusals.invalid_request("fields")
    every = [field.name for field in schema.FIELDS[module]]
    if not named or len(named) > MAX_FIELDS:
        named = every
    for name in named:
        if name not in (*every, *schema.defaults(module)):
            raise bulk_refusals.unsupported("FIELD_NOT_AVAILABLE", str(name))
    return ["id", *(name for name in named if name != "id")]


def _archive(job_id: str, fields: list[str], records: Iterable[Record]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["Id", *fields[1:]])
    for record in records:
        writer.writerow([_cell(record.get(name)) for name in fields])
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"{job_id}.csv", text.getvalue().encode(errors="backslashreplace"))
    return archive.getvalue()


def _cell(value: Any) -> str:
    """Return what stands in a cell: look-ups are bare ids, tags names, and null is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return str(value.get("id") or "")
    if isinstance(value, list):
        is_tags = all(isinstance(item, dict) for item in value)
        return ",".join(str(item["name"]) for item in value) if is_tags else ";".join(value)
    return str(value)


def _every(record: Record) -> bool:
    return True


def _predicate(module: str, criteria: Any) -> Predicate:
    """
    Return the test of one condition or a group of them.

    :raises RefusedError: for criteria that are not understood, and for too many
    """
    if not isinstance(criteria, dict):
        raise bulk_refusals.invalid_criteria()
    if _count(criteria) > MAX_CONDITIONS:
        raise bulk_refusals.too_many("CRITERIA_LIMIT_EXCEEDED", MAX_CONDITIONS)
    if "group" not in criteria:
        return _condition(module, criteria)
    if criteria.get("group_operator") not in ("and", "or", "AND", "OR"):
        raise bulk_refusals.invalid_criteria()
    tests = [_predicate(module, each) for each in criteria["group"]]
    join = all if criteria["group_operator"].lower() == "and" else any
    return lambda record: join(test(record) for test in tests)


def _count(criteria: Json) -> int:
    group = criteria.get("group")
    return sum(map(_count, group)) if isinstance(group, list) else 1


def _condition(module: str, criteria: Json) -> Predicate:
    named = criteria.get("field")
    name = named.get("api_name") if isinstance(named, dict) else None
    field = schema.field(module, str(name).replace("$converted", "Converted__s"))
    comparator, given = str(criteria.get("comparator")), criteria.get("value")
    if field is None:
        raise bulk_refusals.unsupported("FIELD_NOT_AVAILABLE", str(name))
    if comparator not in _COMPARATORS or (field.type == "boolean" and comparator != "equal"):
        code = "FIELD_COMPARATOR_IN_CRITERIA_NOT_SUPPORTED"
        raise bulk_refusals.unsupported(code, field.name)
    values = given if isinstance(given, list) else [given]
    if len(values) > MAX_VALUES:
        raise bulk_refusals.too_many("VALUE_LIMIT_EXCEEDED_IN_CRITERIA", MAX_VALUES)
    try:
        wanted = [comparable(field.type, None if each == _EMPTY else each) for each in values]
    except ValueError:
        code = "VALUE_IN_CRITERIA_NOT_SUPPORTED"
        raise bulk_refusals.unsupported(code, field.name) from None
    test = _COMPARATORS[comparator]
    return lambda record: test(comparable(field.type, record.get(field.name)), wanted)


_Test = Callable[[Any, list[Any]], bool]
_COMPARATORS: Mapping[str, _Test] = {
    "equal": lambda value, wanted: value == wanted[0],
    "not_equal": lambda value, wanted: value != wanted[0],
    "in": lambda value, wanted: value in wanted,
    "not_in": lambda value, wanted: value not in wanted,
    "less_than": lambda value, wanted: value is not None and value < wanted[0],
    "less_equal": lambda value, wanted: value is not None and value <= wanted[0],
    "greater_than": lambda value, wanted: value is not None and value > wanted[0],
    "greater_equal": lambda value, wanted: value is not None and value >= wanted[0],
    "contains": lambda value, wanted: value is not None and wanted[0] in value,
    "not_contains": lambda value, wanted: value is None or wanted[0] not in value,
    "starts_with": lambda value, wanted: value is not None and value.startswith(wanted[0]),
    "ends_with": lambda value, wanted: value is not None and value.endswith(wanted[0]),
    "between": lambda value, wanted: value is not None and wanted[0] <= value <= wanted[-1],
    "not_between": lambda value, wanted: value is not None and not wanted[0] <= value <= wanted[-1],
}
