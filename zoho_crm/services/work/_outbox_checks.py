"""
The check of pushed records before they are sent, by the fields of their modules.

The threads of the worker read no table, and Django's cache may be one. So the main thread takes the
fields from the cache, and those that are not there are read by a call before the check.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property, partial

from django.utils import timezone

from zoho_crm.client import RECHECK_SECONDS, FieldRules, ModuleField, Purpose, fields_part
from zoho_crm.exceptions import (
    AccessTokenRejectedError,
    AuthorizationError,
    InvalidRecordError,
    RequestRefusedError,
    TransientError,
    ZohoError,
)
from zoho_crm.models import Connection, OutboxRecord, OutboxRecordEvent
from zoho_crm.services.metadata import CachedMetadata
from zoho_crm.services.outbox import _lifecycle
from zoho_crm.services.outbox._deliveries import Delivery, delivery_of
from zoho_crm.services.work._requests import Call, UnexpectedError, Work

Action = OutboxRecord.Action
Status = OutboxRecord.Status
#: The actions whose values are checked.
PURPOSES: Mapping[str, Purpose] = {
    Action.CREATE: Purpose.CREATE,
    Action.UPDATE: Purpose.UPDATE,
    Action.UPSERT: Purpose.UPSERT,
}
#: Seconds for which fields that were read before a push are new enough to refuse it by them.
NEW_SECONDS = 15.0


class DeliveryChecks:
    """
    Checks deliveries once by the fields of their modules; used by the main thread only.

    Fields that cannot be read refuse nothing: Zoho alone checks then, and for a minute they are not
    asked for again.
    """

    def __init__(self, connection: Connection) -> None:
        self._store = CachedMetadata(connection=connection)
        #: Modules whose fields are to be read, as deliveries wait for them.
        self.unread: set[str] = set()
        #: Fields by name that were looked up, by module and greatest age.
        self._found: dict[tuple[str, float | None], Mapping[str, ModuleField] | None] = {}
        self._rules: dict[tuple[str, Purpose, float | None], FieldRules] = {}

    def fitting(self, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """
        Return the deliveries that may be sent now; refuse the rows of those that do not fit.

        Those that wait for fields are in neither, and their modules are ``unread``. Before one is
        refused, fields are read again that were read before it was pushed, or over a minute ago.
        """
        found = {each: self._fits(each) for each in deliveries}
        misfits = [each for each, fits in found.items() if fits is False]
        found |= dict.fromkeys(sent_again(misfits), True)
        max_age = _age_for(misfits)
        checked = [
            self._checked_again(each, max_age) if fits is False else (each, fits)
            for each, fits in found.items()
        ]
        refuse(
            (each, error)
            for each, fits in checked
            if fits is False and (error := self._error_of(each, max_age))
        )
        postpone(each for each, fits in checked if fits is None and self._lacks_mapping(each))
        return [each for each, fits in checked if fits]

    def mapping(self, max_age: float | None = None) -> Mapping[str, str]:
        """Return the fields of contacts that conversions fill, by those of leads, if known."""
        fields = self._lead_fields(max_age) or {}
        found = {name: each.mapped_to.get("Contacts", "") for name, each in fields.items()}
        return {name: target for name, target in found.items() if target}

    def _checked_again(self, delivery: Delivery, max_age: float) -> tuple[Delivery, bool | None]:
        """
        Return a delivery that does not fit as it is to be sent by younger fields, and if it fits.

        A row that was refused before does not hold back the later ones of its key.
        """
        mapping = partial(self.mapping, max_age)
        latest = delivery_of(delivery.rows, mapping) if delivery.is_redirected else delivery
        fits = self._fits(latest, max_age)
        waiting = [row for row in latest.rows if row.status == Status.PENDING]
        if fits is not False or len(waiting) == len(latest.rows):
            return latest, fits
        alone = delivery_of(waiting, mapping)
        is_better = not alone.lacks_record and self._fits(alone, max_age)
        return (alone, True) if is_better else (latest, False)

    def _fits(self, delivery: Delivery, max_age: float | None = None) -> bool | None:
        """Return whether the values of a delivery fit; ``None`` if it waits for fields."""
        purpose = PURPOSES.get(delivery.action)
        if purpose is None:
            return True
        is_mapped = not delivery.is_redirected or self._lead_fields(max_age) is not None
        # What Zoho may have processed already, or goes by an old mapping, it judges itself.
        is_old = delivery.is_redirected and self._store.has_failed(fields_part("Leads"))
        if delivery.is_in_doubt or is_old:
            return True if is_mapped else None
        rules = self._rules_for(delivery.module, purpose, max_age)
        return rules.fits(delivery.values) if rules and is_mapped else None

    def _error_of(self, delivery: Delivery, max_age: float) -> InvalidRecordError | None:
        rules = self._rules_for(delivery.module, PURPOSES[delivery.action], max_age)
        return rules.error_of(delivery.values) if rules else None

    def _rules_for(self, module: str, purpose: Purpose, max_age: float | None) -> FieldRules | None:
        fields = self._fields(module, max_age)
        if fields is None:
            return None
        rules = FieldRules(module=module, fields=fields, purpose=purpose)
        return self._rules.setdefault((module, purpose, max_age), rules)

    def _lead_fields(self, max_age: float | None) -> Mapping[str, ModuleField] | None:
        """
        Return the fields of leads for what goes to a contact; ``None`` if it waits for them.

        If they cannot be read now, older ones say which field of the contact gets a value, too. If
        there are none, and Zoho refuses them, nothing is known.
        """
        if not self._store.has_failed(fields_part("Leads")):
            return self._fields("Leads", max_age)
        if self._older_lead_fields is None and self._store.is_refused(fields_part("Leads")):
            return {}
        return self._older_lead_fields

    @cached_property
    def _older_lead_fields(self) -> Mapping[str, ModuleField] | None:
        kept = self._store.get(fields_part("Leads"), ModuleField.from_json, None)
        return None if kept is None else {each.api_name: each for each in kept}

    def _lacks_mapping(self, delivery: Delivery) -> bool:
        """Return whether a delivery waits for fields of leads that cannot be read just now."""
        has_failed = self._store.has_failed(fields_part("Leads"))
        return delivery.is_redirected and has_failed and self._lead_fields(None) is None

    def _fields(
        self, module: str, max_age: float | None = None
    ) -> Mapping[str, ModuleField] | None:
        """Return the fields by name, none if they cannot be read; ``None`` if they are unread."""
        if (module, max_age) not in self._found:
            part = fields_part(module)
            kept: tuple[ModuleField, ...] | None = ()
            if not self._store.has_failed(part):
                kept = self._store.get(part, ModuleField.from_json, max_age)
            if kept is None:
                self.unread.add(module)
            found = None if kept is None else {each.api_name: each for each in kept}
            self._found[module, max_age] = found
        return self._found[module, max_age]


def sent_again(deliveries: Iterable[Delivery]) -> list[Delivery]:
    """Return the deliveries with a row that was refused, and that a person sends: Zoho decides."""
    of_rows = {row.pk: each for each in deliveries for row in each.rows}
    if not of_rows:
        return []
    events = OutboxRecordEvent.objects.filter(
        record__in=of_rows, from_status=Status.REFUSED, to_status=Status.PENDING
    )
    return [of_rows[pk] for pk in events.values_list("record_id", flat=True)]


def _age_for(deliveries: Iterable[Delivery]) -> float:
    """Return the greatest age in seconds of fields by which these deliveries may be refused."""
    pushed = [row.created_at for each in deliveries for row in each.rows]
    since = (timezone.now() - max(pushed)).total_seconds() if pushed else RECHECK_SECONDS
    return max(NEW_SECONDS, min(since, RECHECK_SECONDS))


def read_fields(connection: Connection, module: str) -> Work:
    """Read the fields of a module, and keep them for all processes."""
    store, part = CachedMetadata(connection=connection), fields_part(module)
    try:
        # Deliveries are sent without it: a missing permission is no reason to back off.
        fields = yield Call(
            lambda client: client.metadata.fields(module),
            answers=(AuthorizationError, RequestRefusedError),
        )
    except AccessTokenRejectedError:
        return
    except (ZohoError, UnexpectedError) as error:
        is_refusal = isinstance(error, (AuthorizationError, RequestRefusedError))
        store.note_failure(part, is_refusal=is_refusal)
    else:
        store.put(part, fields)


def postpone(deliveries: Iterable[Delivery]) -> None:
    """Let the waiting rows of deliveries be tried again later, as fields cannot be read now."""
    OutboxRecord.objects.move(
        _lifecycle.postponed(row, TransientError(code="fields_unread"))
        for delivery in deliveries
        for row in delivery.rows
        if row.status == Status.PENDING
    )


def refuse(deliveries: Iterable[tuple[Delivery, RequestRefusedError]]) -> None:
    """Refuse the waiting rows of deliveries, each for an error of ours, without a call."""
    OutboxRecord.objects.move(
        _lifecycle.refused(row, error)
        for delivery, error in deliveries
        for row in delivery.rows
        if row.status == Status.PENDING
    )
