"""
Notes of records.

`Get <https://www.zoho.com/crm/developer/docs/api/v8/get-notes.html>`_,
`create <https://www.zoho.com/crm/developer/docs/api/v8/create-notes.html>`_,
`update <https://www.zoho.com/crm/developer/docs/api/v8/update-notes.html>`_,
`delete <https://www.zoho.com/crm/developer/docs/api/v8/delete-notes.html>`_
"""

from __future__ import annotations

from typing import Any

from zoho_crm.simulator import item_refusals, refusals
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.clock import zoho_time
from zoho_crm.simulator.crm.items import MAX_ITEMS, act_on_each, items_of
from zoho_crm.simulator.crm.parents import (
    child_details,
    child_values,
    list_children,
    parent_of,
    wanted_ids,
)
from zoho_crm.simulator.crm.reading import project, requested_fields
from zoho_crm.simulator.organisation import Organisation
from zoho_crm.simulator.records import Record
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

Json = dict[str, Any]
#: The larger of the lengths in Zoho's descriptions.
MAX_LENGTHS = {"Note_Title": 255, "Note_Content": 65_535}
_DEFAULTS: Json = {
    "Note_Title": None,
    "Note_Content": None,
    "$attachments": None,
    "$editable": True,
    "$is_shared_to_client": False,
    "$voice_note": False,
    "$size": None,
}


def list_notes(world: World, context: RequestContext) -> Answer:
    """``GET /Notes`` and ``GET /{module}/{id}/Notes``; ``fields`` is mandatory."""
    return list_children(world, context, _notes(world, context), requested_fields(context))


def get_note(world: World, context: RequestContext) -> Answer:
    """``GET /Notes/{note_id}``: 204 for an unknown one."""
    note = _known(world, context).get(context.path["note_id"])
    if note is None:
        return Answer.no_content()
    fields = context.query.get("fields")
    shown = project(note, fields.split(",")) if fields else dict(note.data)
    return Answer.json({"data": [shown]})


def create_notes(world: World, context: RequestContext) -> Answer:
    """``POST /Notes``, where each item names its record, and ``POST /{module}/{id}/Notes``."""
    own = world.organisation
    parent = parent_of(world, context) if "id" in context.path else None

    def create(item: Json, path: str) -> Json:
        record = parent or _named_parent(own, item, path)
        texts = _texts(item, path)
        if not any(texts.values()):
            raise item_refusals.no_text_of_note(path)
        note = Record({**_DEFAULTS, **child_values(own, context), **texts})
        module = record.table.module if record.table else ""
        note["Parent_Id"] = {"module": own.module(module), **record.lookup()}
        own.notes[note.id] = note
        return refusals.success("record added", child_details(note))

    return act_on_each(items_of(context), create, done=201)


def update_notes(world: World, context: RequestContext) -> Answer:
    """``PUT`` of a note or of several; only title and content can be changed."""
    known = _known(world, context)

    def update(item: Json, path: str) -> Json:
        note_id = context.path.get("note_id") or item.get("id")
        if note_id is None:
            raise item_refusals.missing_value("id", f"{path}.id")
        note = known.get(str(note_id))
        if note is None:
            raise item_refusals.bad_value("id", f"{path}.id", "the id given seems to be invalid")
        texts = _texts(item, path)
        if not any({**note.data, **texts}[name] for name in MAX_LENGTHS):
            raise item_refusals.no_text_of_note(path)
        note.update({**texts, "Modified_Time": zoho_time(context.now)})
        return refusals.success("record updated", child_details(note))

    return act_on_each(items_of(context), update)


def delete_notes(world: World, context: RequestContext) -> Answer:
    """``DELETE`` of a note in the path, or of those in ``ids``."""
    known = _known(world, context)
    in_path = context.path.get("note_id")
    ids = [in_path] if in_path else wanted_ids(context, MAX_ITEMS)

    def delete(item: Json, path: str) -> Json:
        if item["id"] not in known:
            raise refusals.ItemRefusedError("INVALID_DATA", "record not deleted", item)
        known.pop(item["id"])
        del world.organisation.notes[item["id"]]
        return refusals.success("record deleted", item)

    return act_on_each([{"id": each} for each in ids], delete)


def _notes(world: World, context: RequestContext) -> list[Record]:
    """Return the notes of the record in the path, or all; the oldest first."""
    notes = list(world.organisation.notes.values())
    if "id" not in context.path:
        return notes
    parent = parent_of(world, context)
    return [note for note in notes if note["Parent_Id"]["id"] == parent.id]


def _known(world: World, context: RequestContext) -> dict[str, Record]:
    return {note.id: note for note in _notes(world, context)}


def _texts(item: Json, path: str) -> Json:
    """
    Return the title and content of an item.

    :raises ItemRefusedError: for one that is no text, or too long
    """
    texts = {name: item[name] for name in MAX_LENGTHS if name in item}
    for name, text in texts.items():
        if not isinstance(text, (str, type(None))):
            raise item_refusals.wrong_type(name, f"{path}.{name}", "text")
        if text and len(text) > MAX_LENGTHS[name]:
            raise item_refusals.too_long(name, f"{path}.{name}", MAX_LENGTHS[name])
    return texts


def _named_parent(organisation: Organisation, item: Json, path: str) -> Record:
    """
    Return the record that ``Parent_Id`` names, with its module by name or id.

    :raises ItemRefusedError: if it is missing or there is no such record
    """
    path = f"{path}.Parent_Id"
    given = item.get("Parent_Id")
    if given is None:
        raise item_refusals.missing_value("Parent_Id", path)
    if not isinstance(given, dict):
        raise item_refusals.wrong_type("Parent_Id", path, "jsonobject")
    module = given.get("module")
    if not isinstance(module, dict):
        raise item_refusals.missing_value("module", f"{path}.module")
    wanted = (module.get("api_name"), str(module.get("id")))
    for name, table in organisation.records.items():
        is_named = name == wanted[0] or organisation.modules[name]["id"] == wanted[1]
        if is_named and str(given.get("id")) in table:
            return table[str(given["id"])]
    message = "the related id given seems to be invalid"
    raise item_refusals.bad_value("Parent_Id", f"{path}.id", message)
