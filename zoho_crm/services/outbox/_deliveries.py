"""
What is sent together: the pushed rows of one key as one delivery, and deliveries that fit a call.

Rows of a key are in the order of their primary keys. Those with values of the record are merged
field by field, the newest last, together with refused ones, so that the newest state goes out once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import takewhile
from operator import or_
from typing import Any

from django.db.models import Max, Q, QuerySet

from zoho_crm.client import MAX_RECORDS_PER_CALL, adds_rows
from zoho_crm.models import OutboxRecord
from zoho_crm.models._outbox import (
    ADDING_ACTIONS,
    CREATING_ACTIONS,
    TAG_ACTIONS,
    VALUE_ACTIONS,
)
from zoho_crm.services.lifecycle import body_hash
from zoho_crm.types import JsonObject, with_decimals

Action = OutboxRecord.Action
Status = OutboxRecord.Status

#: Due rows that are looked at together.
MAX_DUE_ROWS = 500
#: Rows of their keys that are looked at together, the oldest: of one key there may be many.
MAX_ROWS_OF_KEYS = 2000
#: What is raised if a row was written by another version, or by hand.
FORM_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
#: The field by which an upsert compares records if none is named.
SYSTEM_FIELDS: Mapping[str, str] = {
    "Leads": "Email",
    "Contacts": "Email",
    "Accounts": "Account_Name",
    "Deals": "Deal_Name",
    "Products": "Product_Name",
    "Vendors": "Vendor_Name",
    "Campaigns": "Campaign_Name",
}
#: Fields of contacts that a conversion fills from those of leads, by Zoho's own mapping: for an
#: organisation whose mapping is not known.
CONTACT_FIELDS: Mapping[str, str] = {
    "Designation": "Title",
    "Street": "Mailing_Street",
    "City": "Mailing_City",
    "State": "Mailing_State",
    "Zip_Code": "Mailing_Zip",
    "Country": "Mailing_Country",
}
#: For the same: fields of leads that belong to the company, or that contacts do not have.
NO_CONTACT_FIELDS = frozenset(
    {
        "Company",
        "Lead_Status",
        "Industry",
        "Annual_Revenue",
        "No_of_Employees",
        "Rating",
        "Website",
    }
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Delivery:
    """The rows of one key that are sent as one item of a call."""

    rows: Sequence[OutboxRecord]
    #: What is done at Zoho: rows whose record is known by now update it.
    action: str
    module: str
    #: Empty for a record that is to be created.
    record_id: str
    values: JsonObject = field(repr=False)
    unique_field: str = ""
    trigger: tuple[str, ...] | None = None
    when_known: str = OutboxRecord.WhenKnown.HOLD

    @property
    def record(self) -> tuple[str, str]:
        """Module and id of the record."""
        return self.module, self.record_id

    @property
    def call(self) -> tuple[Any, ...]:
        """What deliveries of one call have in common; nothing if each needs one of its own."""
        more: Any = ()
        if self.action in TAG_ACTIONS:
            more = tuple(self.values["Tag"])
        elif self.action in ADDING_ACTIONS:
            more = self.rows[0].pk
        field = self.unique_field if self.action == Action.UPSERT else ""
        return self.action, self.module, field, self.trigger, more

    @property
    def identities(self) -> set[tuple[str, ...]]:
        """What names the record: no two deliveries in flight have one in common."""
        row = self.rows[0]
        found: set[tuple[str, ...]] = {
            ("key", row.module, row.key) if row.key else ("row", str(row.pk))
        }
        if self.record_id:
            found.add(("id", self.module, self.record_id))
        if self.unique_value:
            found.add(("value", self.module, self.unique_name, self.unique_value))
        return found

    @property
    def is_redirected(self) -> bool:
        """Whether a contact gets what was pushed for a lead."""
        return self.module != self.rows[-1].module

    @property
    def is_in_doubt(self) -> bool:
        """Whether Zoho may have processed an earlier call of its rows."""
        return any(row.in_doubt for row in self.rows)

    @property
    def creates(self) -> bool:
        """Whether it creates a record, or may do so."""
        return self.action in CREATING_ACTIONS

    @property
    def lacks_record(self) -> bool:
        """Whether it is about a record that is not known."""
        return not (self.creates or self.record_id)

    @property
    def unique_name(self) -> str:
        """API name of the field that identifies the record; empty if there is none."""
        default = SYSTEM_FIELDS.get(self.module, "") if self.action == Action.UPSERT else ""
        return self.unique_field or default

    @property
    def unique_value(self) -> str:
        """The value of that field as it is compared; empty if there is none."""
        value = self.values.get(self.unique_name) if self.creates else None
        is_text = isinstance(value, str | int) and not isinstance(value, bool)
        return loose(str(value)) if is_text else ""

    @property
    def email(self) -> str:
        """The address of a lead that may be created, if its person is to be looked for."""
        value = self.values.get("Email")
        is_asked = self.when_known != OutboxRecord.WhenKnown.CREATE
        is_lead = self.creates and self.module == "Leads" and isinstance(value, str)
        return str(value).strip() if is_asked and is_lead else ""

    @property
    def may_be_repeated(self) -> bool:
        """Whether the same call can be made twice, and nothing would be there twice."""
        if self.creates or self.action in ADDING_ACTIONS:
            return False
        return not adds_rows(self.values)

    @property
    def payload_hash(self) -> str:
        """SHA-256 of the values that are sent."""
        return body_hash(self.values)


def loose(text: str) -> str:
    """Return a text as Zoho compares it: case and repeated blanks do not count."""
    return " ".join(text.split()).casefold()


def next_groups(
    connection_id: int, *, in_flight: Iterable[OutboxRecord], limit: int = MAX_DUE_ROWS
) -> list[list[OutboxRecord]]:
    """
    Return the rows that are to be sent now, by key, in the order in which they became due.

    :param in_flight: rows to leave out, with all others of their keys
    """
    due = OutboxRecord.objects.due().workable().filter(status=Status.PENDING)
    due = due.filter(connection=connection_id).exclude(_with_their_keys(in_flight))
    found = list(due.order_by("due_at", "pk")[:limit])
    keyed = _rows_by_key(connection_id, [row for row in found if row.key])
    firsts = {_key(row): row for row in reversed(found)}
    groups = (keyed.get(name, []) if row.key else [row] for name, row in reversed(firsts.items()))
    return [first_group(rows) for rows in groups if any(map(_is_pending, rows))]


def _with_their_keys(rows: Iterable[OutboxRecord]) -> Q:
    pks, keys = [], defaultdict(set)
    for row in rows:
        pks.append(row.pk)
        if row.key:
            keys[row.module].add(row.key)
    of_keys = (Q(module=module, key__in=names) for module, names in keys.items())
    return reduce(or_, of_keys, Q(pk__in=pks))


def _is_pending(row: OutboxRecord) -> bool:
    return row.status == Status.PENDING


def _key(row: OutboxRecord) -> tuple[str, str]:
    return (row.module, row.key) if row.key else ("", str(row.pk))


def _rows_by_key(
    connection_id: int, rows: Sequence[OutboxRecord]
) -> dict[tuple[str, str], list[OutboxRecord]]:
    """Return for each key the rows that wait or were refused, in order, with the known records."""
    if not rows:
        return {}
    keys = {row.key for row in rows}
    wanted = {_key(row) for row in rows}
    of_keys = OutboxRecord.objects.filter(connection=connection_id, key__in=keys)
    waiting = of_keys.filter(status__in=(Status.PENDING, Status.REFUSED)).order_by("pk")
    found: dict[tuple[str, str], list[OutboxRecord]] = defaultdict(list)
    for row in waiting[:MAX_ROWS_OF_KEYS]:
        if _key(row) in wanted:
            found[_key(row)].append(row)
    sent = of_keys.filter(status=Status.SENT)
    newest = (
        sent.values("module", "key")
        .order_by()
        .annotate(newest=Max("pk"), newest_values=Max("pk", filter=Q(action__in=VALUE_ACTIONS)))
    )
    values_sent = dict(newest.values_list("newest", "newest_values"))
    for last in OutboxRecord.objects.filter(pk__in=values_sent).defer("values"):
        if of_key := found.get(_key(last)):
            of_key = _with_known_record(last, of_key)
            newest_values = values_sent[last.pk]
            if newest_values and last.action != Action.DELETE and of_key[0].pk < last.pk:
                of_key = _without_outdated(of_key, newest_values, sent)
            found[_key(last)] = of_key
    return found


def _without_outdated(
    rows: list[OutboxRecord], newest: int, sent: QuerySet[OutboxRecord]
) -> list[OutboxRecord]:
    """
    Return the rows of a key without what the values that were sent last have made outdated.

    A refused row that they were sent without is for a person. If it is sent again, it is without
    the fields that were sent since.
    """
    kept = []
    for row in rows:
        is_older = row.pk < newest and row.action in VALUE_ACTIONS
        if is_older and _is_pending(row):
            later = sent.filter(module=row.module, key=row.key, pk__gt=row.pk)
            of_values = later.filter(action__in=VALUE_ACTIONS).values_list("values", flat=True)
            names = {name for values in of_values for name in values or ()} - {"id"}
            own = row.values or {}
            row.values = {name: own[name] for name in own if name not in names}
        if _is_pending(row) or not is_older:
            kept.append(row)
    return kept


def _with_known_record(last: OutboxRecord, rows: list[OutboxRecord]) -> list[OutboxRecord]:
    """Return the rows of a key, with the record that the last one sent of it has written."""
    if last.action == Action.DELETE:
        return [row for row in rows if row.pk > last.pk or row.status == Status.PENDING]
    for row in rows:
        if not row.record_id:
            row.record_module, row.record_id = last.record_module, last.record_id
    return rows


def first_group(rows: Sequence[OutboxRecord]) -> list[OutboxRecord]:
    """Return those of the rows of one key that are sent next, together."""
    pending = list(filter(_is_pending, rows))
    if any(map(_is_refused_creation, rows)):
        # What needs the record waits for those that create it, as in ``workable``.
        waits = takewhile(lambda row: row.action not in VALUE_ACTIONS, pending)
        pending = pending[len(list(waits)) :]
    first = pending[0]
    if first.action in TAG_ACTIONS:
        return list(takewhile(lambda row: row.action == first.action, pending))
    if first.action not in VALUE_ACTIONS:
        return [first]
    run = list(takewhile(lambda row: row.action in VALUE_ACTIONS, pending))
    refused = [
        row
        for row in rows
        if row.status == Status.REFUSED and row.action in VALUE_ACTIONS and row.pk < run[-1].pk
    ]
    return sorted([*refused, *run], key=lambda row: row.pk)


def _is_refused_creation(row: OutboxRecord) -> bool:
    """Return whether a row was to create a record that does not exist yet."""
    return row.status == Status.REFUSED and row.action in CREATING_ACTIONS and not row.record_id


def delivery_of(
    rows: Sequence[OutboxRecord], contact_fields: Callable[[], Mapping[str, str]] = dict
) -> Delivery:
    """
    Return the delivery of rows of one key that are sent together.

    :param contact_fields: returns the fields of contacts by those of leads, as the organisation
        maps them for conversions; none if that is not known
    :raises FORM_ERRORS: if the values of a row are not as ``push`` writes them
    """
    newest = rows[-1]
    values = _merged(rows)
    own_id = str(values.pop("id", ""))
    known = next((row for row in reversed(rows) if row.record_id), newest)
    record_id = own_id or known.record_id
    module = newest.module if own_id else known.record_module or newest.module
    if module != newest.module and newest.action in VALUE_ACTIONS:
        values = _contact_values(values, contact_fields())
    unique = (row.unique_field for row in reversed(rows) if row.unique_field)
    return Delivery(
        rows=rows,
        action=_action(rows, record_id),
        module=module,
        record_id=record_id,
        values=values,
        unique_field=next(unique, ""),
        trigger=None if newest.trigger is None else tuple(newest.trigger),
        when_known=newest.when_known,
    )


def _merged(rows: Sequence[OutboxRecord]) -> JsonObject:
    """Return the values of rows, of which the newest counts; the tags of all."""
    merged: JsonObject = {}
    for row in rows:
        values = with_decimals(row.values or {})
        if row.action in TAG_ACTIONS:
            values["Tag"] = list(dict.fromkeys([*merged.get("Tag", ()), *values["Tag"]]))
        merged |= values
    return merged


def _action(rows: Sequence[OutboxRecord], record_id: str) -> str:
    actions = [row.action for row in rows]
    if actions[0] not in VALUE_ACTIONS:
        return actions[0]
    if record_id:
        return Action.UPDATE
    creating = [action for action in (Action.UPSERT, Action.CREATE) if action in actions]
    return creating[0] if creating else Action.UPDATE


def _contact_values(values: Mapping[str, Any], mapped: Mapping[str, str]) -> JsonObject:
    """Return the values of a lead as those of the contact that is updated instead."""
    if mapped:
        return {mapped[name]: value for name, value in values.items() if name in mapped}
    kept = {name: value for name, value in values.items() if name not in NO_CONTACT_FIELDS}
    return {CONTACT_FIELDS.get(name, name): value for name, value in kept.items()}


def calls_of(
    deliveries: Iterable[Delivery], *, in_flight: Iterable[Delivery], alone: Collection[int]
) -> Iterator[list[Delivery]]:
    """
    Yield the deliveries that fit a call, at most 100; one that has to wait for another is left out.

    :param in_flight: deliveries that are being sent
    :param alone: primary keys of rows that are sent by calls of their own
    """
    taken = {each for delivery in in_flight for each in delivery.identities}
    open_calls: dict[tuple[Any, ...], list[Delivery]] = {}
    for delivery in deliveries:
        if taken & delivery.identities:
            continue
        taken |= delivery.identities
        if delivery.rows[0].pk in alone:
            yield [delivery]
            continue
        call = open_calls.setdefault(delivery.call, [])
        call.append(delivery)
        if len(call) == MAX_RECORDS_PER_CALL:
            yield open_calls.pop(delivery.call)
    yield from open_calls.values()
