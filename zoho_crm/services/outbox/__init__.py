"""
The outbox: record what is to be sent to Zoho, and decide about what needs a person.

``push`` writes one row in the caller's transaction; only a worker sends it. Of rows that a person
decides about, those of the same key that wait with it are decided together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet

from zoho_crm import client as zoho
from zoho_crm.exceptions import RequestRefusedError, StaleDecisionError
from zoho_crm.models import OutboxRecord, atomic
from zoho_crm.models._database import DbNow
from zoho_crm.models._outbox import ADDING_ACTIONS, TAG_ACTIONS, VALUE_ACTIONS, OutboxMove
from zoho_crm.services.outbox import _lifecycle
from zoho_crm.types import UNSTORABLE, JsonObject, Person, PersonKind, storable, without_decimals

__all__ = [
    "create_anyway",
    "found_at_zoho",
    "known_contacts",
    "leave_out",
    "push",
    "send_again",
    "update_contact",
]

Action = OutboxRecord.Action
Status = OutboxRecord.Status
WhenKnown = OutboxRecord.WhenKnown

MAX_KEY_LENGTH = 200
MAX_FIELD_LENGTH = 100
#: Fields of what is pushed for actions whose values are not those of the record.
FIELDS: Mapping[str, frozenset[str]] = {
    Action.DELETE: frozenset({"id"}),
    **dict.fromkeys(TAG_ACTIONS, frozenset({"id", "Tag"})),
    Action.NOTE: frozenset({"id", "Note_Title", "Note_Content"}),
    Action.LINK: frozenset({"id", "attachmentUrl", "title"}),
}
#: The text without which nothing can be added.
REQUIRED_TEXTS: Mapping[str, str] = {Action.NOTE: "Note_Content", Action.LINK: "attachmentUrl"}


def push(
    connection_id: int,
    action: str,
    module: str,
    values: Mapping[str, Any],
    *,
    key: str = "",
    **options: Any,
) -> OutboxRecord:
    """
    Write one row for a change that a worker is to send, in the caller's transaction.

    :param options: ``when_known``, ``unique_field``, ``trigger``, as of ``shortcuts.push_record``
    :raises ValueError: for an action, a key or a ``when_known`` that cannot be
    :raises RequestRefusedError: for values that cannot be sent; it names the field
    """
    action = Action(action)
    if len(key) > MAX_KEY_LENGTH or UNSTORABLE.search(key):
        raise ValueError(f"The key is longer than {MAX_KEY_LENGTH} characters, or has odd ones.")
    sendable = zoho.record_values(values)
    _check_values(action, sendable, key)
    row = OutboxRecord.objects.create(
        connection_id=connection_id,
        action=action,
        module=zoho.module_name(module),
        key=key,
        values=without_decimals(sendable),
        due_at=DbNow(),
        **_checked_options(**options),
    )
    # Read when it is first asked for: this is one statement.
    delattr(row, "due_at")
    return row


def _checked_options(
    *,
    when_known: str = WhenKnown.HOLD,
    unique_field: str = "",
    trigger: Iterable[str] | None = None,
) -> dict[str, Any]:
    """
    Return the columns for how a change is sent.

    :raises ValueError: for a ``when_known`` that there is not
    :raises RequestRefusedError: if the unique field is no API name
    """
    if unique_field and len(zoho.field_name(unique_field)) > MAX_FIELD_LENGTH:
        raise ValueError(f"A field's name has at most {MAX_FIELD_LENGTH} characters.")
    if isinstance(trigger, str):
        raise TypeError("The automations are a list, not one text.")
    return {
        "when_known": WhenKnown(when_known),
        "unique_field": unique_field,
        "trigger": None if trigger is None else list(trigger),
    }


def _check_values(action: str, values: JsonObject, key: str) -> None:
    """
    Check that the values fit the action, and that it is known what they are about.

    :raises RequestRefusedError: if not
    """
    known = FIELDS.get(action)
    unknown = [name for name in values if known is not None and name not in known]
    if action in (Action.CREATE, Action.UPSERT) and "id" in values:
        unknown = ["id"]
    if unknown:
        raise RequestRefusedError(code="field_not_pushed", details={"api_name": unknown[0]})
    if "id" in values:
        zoho.record_id(values["id"])
    elif not key and action not in (Action.CREATE, Action.UPSERT):
        raise RequestRefusedError(code="no_record_named")
    if action in VALUE_ACTIONS and not values.keys() - {"id"}:
        raise RequestRefusedError(code="nothing_pushed")
    if action in TAG_ACTIONS and not _are_names(values.get("Tag")):
        raise RequestRefusedError(code="unusable_type", details={"api_name": "Tag"})
    text = REQUIRED_TEXTS.get(action)
    if text and not _is_text(values.get(text)):
        raise RequestRefusedError(code="unusable_type", details={"api_name": text})


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


# People


def send_again(*, record_id: int, version: int, by: AbstractBaseUser | None = None) -> OutboxRecord:
    """
    Let a row be sent again that was refused or needs a person; return it.

    The person at Zoho is looked for again, as before each lead that is created.

    :raises StaleDecisionError: if it changed after it was shown
    """
    return _decide(record_id, version, lambda row: _lifecycle.sent_again(row, by=str(by or "")))


def create_anyway(
    *, record_id: int, version: int, by: AbstractBaseUser | None = None
) -> OutboxRecord:
    """
    Let a lead be created though its person is known; return its row.

    :raises StaleDecisionError: if it changed after it was shown, or is not held for its person
    """
    if not OutboxRecord.objects.get(pk=record_id).known_people:
        raise StaleDecisionError(code="changed")
    return _decide(
        record_id,
        version,
        lambda row: _lifecycle.sent_again(row, by=str(by or ""), when_known=WhenKnown.CREATE),
        only=(Status.NEEDS_REVIEW,),
    )


def update_contact(
    *, record_id: int, version: int, contact_id: str, by: AbstractBaseUser | None = None
) -> OutboxRecord:
    """
    Let a contact be updated instead of creating a lead; return the row.

    The values of the lead are sent as those of the contact, as conversions map them. What is pushed
    for the same key later goes to the contact, too.

    :param contact_id: one of ``known_contacts``
    :raises StaleDecisionError: if it changed after it was shown
    :raises RequestRefusedError: if the contact is not one that was found
    """
    row = OutboxRecord.objects.get(pk=record_id)
    if contact_id not in known_contacts(row):
        raise RequestRefusedError(code="bad_record_id", details={"id": contact_id[:40]})
    return _decide(
        record_id,
        version,
        lambda row: _lifecycle.directed_to(row, "Contacts", contact_id, by=str(by or "")),
    )


def found_at_zoho(
    *, record_id: int, version: int, zoho_id: str, by: AbstractBaseUser | None = None
) -> OutboxRecord:
    """
    Record that a person found at Zoho what a row in doubt was to create; return the row.

    :param zoho_id: Zoho's id of the record, or of the note or link that was to be added to it
    :raises StaleDecisionError: if it changed after it was shown
    :raises RequestRefusedError: if this can be no id
    """
    _id(zoho_id)

    def sent(row: OutboxRecord) -> OutboxMove:
        if row.action in ADDING_ACTIONS:
            record = (row.record_module or row.module, row.record_id)
            return _lifecycle.sent(row, record=record, added_id=zoho_id, by_hand=True)
        return _lifecycle.sent(row, record=(row.module, zoho_id), by_hand=True)

    return _decide(record_id, version, sent, only=(Status.NEEDS_REVIEW,))


def leave_out(
    *, record_id: int, version: int, by: AbstractBaseUser | None = None, note: str = ""
) -> OutboxRecord:
    """
    Let a row never be sent that waits, was refused or needs a person; return it.

    :param note: for the journal
    :raises StaleDecisionError: if it changed after it was shown
    """
    return _decide(
        record_id,
        version,
        lambda row: _lifecycle.left_out(row, by=str(by or ""), note=storable(note)),
        only=(Status.PENDING, Status.REFUSED, Status.NEEDS_REVIEW),
    )


def known_contacts(row: OutboxRecord) -> dict[str, str]:
    """Return the contacts that a held row's person is known as: names by id."""
    found: dict[str, str] = {}
    for person in row.known_people or ():
        converted = person["converted"] or {}
        if person["kind"] == PersonKind.CONTACT:
            found[person["id"]] = person["name"]
        elif converted.get("contact_id"):
            found.setdefault(converted["contact_id"], person["name"])
    return found


def contact_of(people: Iterable[Person]) -> str:
    """Return the id of the one contact that these people are; empty if there are none or more."""
    ids = {
        person.converted.contact_id if person.converted else person.id
        for person in people
        if person.kind == PersonKind.CONTACT or (person.converted and person.converted.contact_id)
    }
    return ids.pop() if len(ids) == 1 else ""


def _id(text: str) -> str:
    return zoho.record_id(text)


def _decide(
    pk: int,
    version: int,
    move: Callable[[OutboxRecord], OutboxMove],
    *,
    only: tuple[str, ...] = (Status.REFUSED, Status.NEEDS_REVIEW),
) -> OutboxRecord:
    """
    Move a row that a person was shown, and those that wait with it; return the row.

    :raises StaleDecisionError: if it changed after it was shown, or has another status
    """
    row = OutboxRecord.objects.get(pk=pk)
    if row.version != version or row.status not in only:
        raise StaleDecisionError(code="changed")
    with atomic():
        moved = OutboxRecord.objects.move(map(move, together([row])))
        if row.pk not in {each.row.pk for each in moved}:
            raise StaleDecisionError(code="changed")
    row.refresh_from_db()
    return row


def together(
    rows: Iterable[OutboxRecord], among: QuerySet[OutboxRecord] | None = None
) -> Iterable[OutboxRecord]:
    """
    Return rows, and those of their keys that wait with them; one query.

    :param among: the rows that may be added; by default all
    """
    found = {row.pk: row for row in rows}
    waiting: dict[tuple[Any, ...], list[OutboxRecord]] = defaultdict(list)
    for row in rows:
        if row.key and row.status in (Status.REFUSED, Status.NEEDS_REVIEW):
            waiting[_place(row)].append(row)
    if not waiting:
        return found.values()
    connections, modules, keys, statuses = map(set, zip(*waiting, strict=True))
    of_keys = {"module__in": modules, "key__in": keys, "status__in": statuses}
    others = OutboxRecord.objects.all() if among is None else among
    # What was refused as something else is not decided with it.
    fitting = {
        other.pk: other
        for other in others.filter(connection__in=connections, **of_keys)
        if any(_goes_with(other, row) for row in waiting.get(_place(other), ()))
    }
    return (fitting | found).values()


def _place(row: OutboxRecord) -> tuple[Any, ...]:
    """Return what rows have in common that wait for the same decision."""
    return row.connection_id, row.module, row.key, row.status


def _goes_with(one: OutboxRecord, other: OutboxRecord) -> bool:
    """Return whether rows of a key are sent together."""
    if one.action in VALUE_ACTIONS:
        return other.action in VALUE_ACTIONS
    return one.action == other.action and one.action in TAG_ACTIONS
