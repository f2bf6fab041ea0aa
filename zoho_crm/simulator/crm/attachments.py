"""
Files and links attached to records.

`Get <https://www.zoho.com/crm/developer/docs/api/v8/get-attachments.html>`_,
`upload <https://www.zoho.com/crm/developer/docs/api/v8/upload-attachment.html>`_,
`download <https://www.zoho.com/crm/developer/docs/api/v8/download-attachments.html>`_,
`delete <https://www.zoho.com/crm/developer/docs/api/v8/delete-attachments.html>`_
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from zoho_crm.simulator import refusals
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.crm.items import MAX_ITEMS, act_on_each
from zoho_crm.simulator.crm.parents import (
    child_details,
    child_values,
    list_children,
    parent_of,
    wanted_ids,
)
from zoho_crm.simulator.crm.reading import requested_fields
from zoho_crm.simulator.multipart import Part, parts_of
from zoho_crm.simulator.organisation import Attachment
from zoho_crm.simulator.records import Record
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

Json = dict[str, Any]
MAX_URL_LENGTH = 2_000


def list_attachments(world: World, context: RequestContext) -> Answer:
    """``GET /{module}/{id}/Attachments``; ``fields`` is mandatory."""
    parent, fields = parent_of(world, context), requested_fields(context)
    found = [each.values for each in _attachments(world, context, parent)]
    return list_children(world, context, found, fields)


def upload(world: World, context: RequestContext) -> Answer:
    """``POST /{module}/{id}/Attachments``: a part ``file`` or ``attachmentUrl``; not 201."""
    parent = parent_of(world, context)
    parts = parts_of(context.call.headers.get("content-type", ""), context.call.body)
    files = [part for part in parts if part.name == "file" and part.file_name is not None]
    if files:
        new = _uploaded(world, context, parent, files[0])
    else:
        texts = {part.name: part.content.decode(errors="replace") for part in parts}
        new = _linked(world, context, parent, {**context.query, **texts})
    world.organisation.attachments[parent.id].append(new)
    done = refusals.success("attachment uploaded successfully", child_details(new.values))
    return Answer.json({"data": [done]})


def _uploaded(world: World, context: RequestContext, parent: Record, file: Part) -> Attachment:
    name = file.file_name or ""
    if len(file.content) > world.organisation.max_attachment_bytes:
        raise refusals.file_too_large()
    if name.lower().endswith(".exe"):
        raise refusals.refused_file()
    return _new(world, context, parent, name, content=file.content)


def _linked(
    world: World, context: RequestContext, parent: Record, fields: Mapping[str, str]
) -> Attachment:
    url = fields.get("attachmentUrl")
    if not url:
        raise refusals.no_file()
    if not url.startswith(("http://", "https://")) or len(url) > MAX_URL_LENGTH:
        raise refusals.bad_attachment_url()
    return _new(world, context, parent, fields.get("title", url), url=url)


def download(world: World, context: RequestContext) -> Answer:
    """``GET /{module}/{id}/Attachments/{attachment_id}``: the bytes; 204 for an unknown one."""
    parent = parent_of(world, context)
    wanted = context.path["attachment_id"]
    found = [each for each in _attachments(world, context, parent) if each.values.id == wanted]
    if not found:
        return Answer.no_content()
    if found[0].values["$link_url"]:
        raise refusals.linked_attachment()
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f"attachment;filename*=UTF-8''{quote(found[0])}",
    }
    return Answer(status=200, headers=headers, body=found[0].content)


def delete(world: World, context: RequestContext) -> Answer:
    """``DELETE …/Attachments/{attachment_id}``, refused at the root, and ``DELETE …?ids=…``."""
    parent = parent_of(world, context)
    known = {each.values.id: each for each in _attachments(world, context, parent)}
    in_path = context.path.get("attachment_id")
    if in_path and in_path not in known:
        raise refusals.not_deleted(3)

    def remove(item: Json, path: str) -> Json:
        if item["id"] not in known:
            raise refusals.ItemRefusedError("INVALID_DATA", "record not deleted", item)
        gone = known.pop(item["id"])
        kept = [each for each in _attachments(world, context, parent) if each is not gone]
        world.organisation.attachments[parent.id] = [*kept]
        return refusals.success("record deleted", item)

    ids = [in_path] if in_path else wanted_ids(context, MAX_ITEMS)
    return act_on_each([{"id": each} for each in ids], remove)


def _attachments(world: World, context: RequestContext, parent: Record) -> list[Attachment]:
    """Return the attachments of a record; a name that a test has put there becomes an empty one."""
    names = world.organisation.attachments[parent.id]
    found = [
        each if isinstance(each, Attachment) else _new(world, context, parent, each)
        for each in names
    ]
    names[:] = found
    return found


def _new(
    world: World,
    context: RequestContext,
    parent: Record,
    name: str,
    *,
    content: bytes = b"",
    url: str | None = None,
) -> Attachment:
    values = {
        **child_values(world.organisation, context),
        "File_Name": name,
        "Size": str(len(content)),
        "Parent_Id": parent.lookup(),
        "$se_module": parent.table.module if parent.table else None,
        "$file_id": None if url else world.organisation.ids.next(),
        "$type": "Link URL" if url else "File",
        "$link_url": url,
        "$editable": True,
        "$state": "save",
    }
    return Attachment(name, Record(values), content)
