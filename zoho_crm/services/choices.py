"""
The values that an organisation offers for a conversion: stages, deal fields, roles, owners.

They are cached as a text of JSON. The cache is only a help: if it does not work, Zoho is asked.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from django.core.cache import cache
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.client import LEAD_FIELDS, MAX_USERS, ZohoClient
from zoho_crm.exceptions import PermissionDeniedError, PlanError, RequestRefusedError
from zoho_crm.models import Connection
from zoho_crm.services import clients
from zoho_crm.services.presentation import coded_text, reason_of
from zoho_crm.types import (
    CodedText,
    DealField,
    JsonObject,
    Pipeline,
    Reference,
    Stage,
    User,
    as_json,
)

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

logger = logging.getLogger(__name__)

Value = TypeVar("Value")

CACHE_SECONDS = 300
#: The sentence for each part of the choices that cannot be read.
ABSENCE_TEXTS: Mapping[str, StrPromise] = {
    "users": gettext_lazy("The users cannot be read, so owners are not checked: %s"),
    "deal_layout": gettext_lazy("The fields of deals cannot be read: %s"),
    "pipelines": gettext_lazy("The stages of deals cannot be read: %s"),
    "contact_roles": gettext_lazy("The roles of contacts in deals cannot be read: %s"),
}


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The values that a form of a conversion offers; those that cannot be read are empty."""

    #: One with an empty value if the organisation has stages but no pipelines.
    pipelines: tuple[Pipeline, ...] = ()
    #: The fields of deals that a conversion shows, and all others.
    deal_fields: tuple[DealField, ...] = ()
    other_deal_fields: tuple[DealField, ...] = ()
    contact_roles: tuple[Reference, ...] = ()
    users: tuple[User, ...] = ()
    #: API names of the fields that are read of leads; empty if they are not known.
    lead_fields: tuple[str, ...] = ()
    #: Why parts of them could not be read, by a key of ``ABSENCE_TEXTS``.
    absences: Mapping[str, CodedText] = field(default_factory=dict)

    @property
    def names(self) -> Mapping[str, str]:
        """Names of users and contact roles, by id."""
        roles = {role.id: role.name for role in self.contact_roles}
        return roles | {user.id: user.name for user in self.users}

    @classmethod
    def from_json(cls, stored: JsonObject) -> Self:
        """Return the choices that ``as_json`` stored."""
        absences = {part: CodedText(**why) for part, why in stored["absences"].items()}
        return cls(
            pipelines=tuple(map(Pipeline.from_json, stored["pipelines"])),
            deal_fields=tuple(map(DealField.from_json, stored["deal_fields"])),
            other_deal_fields=tuple(map(DealField.from_json, stored["other_deal_fields"])),
            contact_roles=tuple(Reference(**values) for values in stored["contact_roles"]),
            users=tuple(User(**values) for values in stored["users"]),
            absences=absences,
        )

    @property
    def active_owners(self) -> tuple[str, ...]:
        """Ids of the users who may own records; empty if not all of them are known."""
        return tuple(user.id for user in self.users) if len(self.users) < MAX_USERS else ()

    def may_own(self, user_id: str) -> bool:
        """Return whether a user is active in the organisation, or that is not known."""
        return not self.active_owners or user_id in self.active_owners

    def find_users(self, text: str) -> tuple[User, ...]:
        """
        Return the users that a text means; letter case is ignored.

        Those with this id, else with this e-mail address, else with this name; only if there are
        none, those whose name or address contains the text.
        """
        wanted = text.strip().casefold()
        if not wanted:
            return ()
        facts = [
            (user, user.id, user.email.casefold(), user.name.casefold()) for user in self.users
        ]
        for position in (1, 2, 3):
            if found := tuple(fact[0] for fact in facts if fact[position] == wanted):
                return found
        return tuple(user for user, _id, email, name in facts if wanted in name or wanted in email)

    def absence_texts(self) -> list[str]:
        """Return the sentences on what could not be read, and why."""
        return list(map(self.absence_text, self.absences))

    def absence_text(self, part: str) -> str:
        """Return the sentence on a part that could not be read, and why."""
        why = self.absences[part]
        return str(ABSENCE_TEXTS[part]) % coded_text(why.code, why.details)


def choices(connection: Connection, *, with_deal: bool = True) -> Choices:
    """
    Return the choices of a connection from Zoho; they are cached for five minutes.

    :param with_deal: whether to read what only a deal needs
    :raises ZohoError: if Zoho cannot be asked now
    """
    users = _cached(connection, "users", _fetch_users)
    if not with_deal:
        return users
    deal = _cached(connection, "deal", _fetch_deal_choices)
    return replace(
        deal,
        users=users.users,
        lead_fields=("Full_Name", *LEAD_FIELDS, *connection.mapped_fields),
        absences={**users.absences, **deal.absences},
    )


def check_owner(user_id: str, choices: Choices, *, field: str = "owner_id") -> None:
    """
    Check that a user may own records; an empty id, for each lead's own owner, is right.

    :raises PlanError: at this field, if the user is not active in the organisation
    """
    if user_id and not choices.may_own(user_id):
        message = _("The user %s is not active in this organisation.")
        raise PlanError(message % user_id, code="no_owner", details={"field": field})


def _cached(connection: Connection, name: str, fetch: Callable[[ZohoClient], Choices]) -> Choices:
    key = f"zoho_crm.choices.{connection.pk}.{name}"
    with _IfTheCacheWorks():
        if stored := cache.get(key):
            return Choices.from_json(json.loads(stored))
    found = fetch(clients.client_for(connection))
    with _IfTheCacheWorks():
        cache.set(key, json.dumps(as_json(found)), CACHE_SECONDS)
    return found


class _IfTheCacheWorks:
    """Logs an error inside the block and goes on: those of cache backends have no common class."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        failed = isinstance(error, Exception)
        if failed:
            logger.warning("The cache cannot be used: %s", type(error).__name__)
        return failed


def _fetch_users(client: ZohoClient) -> Choices:
    reads = _Reads()
    return Choices(users=reads.value("users", client.users, ()), absences=reads.absences)


def _fetch_deal_choices(client: ZohoClient) -> Choices:
    reads = _Reads()
    no_fields: tuple[DealField, ...] = ()
    layout_id, shown = reads.value("deal_layout", client.deal_layout, ("", no_fields))
    typed = reads.value("deal_layout", client.deal_fields, no_fields)
    known = {field.api_name: field for field in typed}
    stages = known["Stage"].choices if "Stage" in known else ()
    read_pipelines = partial(_pipelines, client, layout_id, stages)
    no_pipelines: tuple[Pipeline, ...] = ()
    pipelines = reads.value("pipelines", read_pipelines, no_pipelines)
    if not pipelines and not typed and "deal_layout" in reads.absences:
        # Without pipelines, the stages are those of a field.
        reads.absences.setdefault("pipelines", reads.absences["deal_layout"])
    reads.note_unseen(deal_layout=layout_id, pipelines=pipelines)
    shown_names = {field.api_name for field in shown}
    return Choices(
        pipelines=pipelines,
        deal_fields=tuple(_with_type(field, known.get(field.api_name)) for field in shown),
        other_deal_fields=tuple(field for name, field in known.items() if name not in shown_names),
        contact_roles=reads.value("contact_roles", client.contact_roles, ()),
        absences=reads.absences,
    )


def _with_type(shown: DealField, known: DealField | None) -> DealField:
    """Return a field of the layout with the type and the choices that all fields have."""
    if known is None:
        return shown
    return replace(shown, data_type=known.data_type, choices=known.choices)


def _pipelines(
    client: ZohoClient, layout_id: str, stages: tuple[Stage, ...]
) -> tuple[Pipeline, ...]:
    """Return the pipelines of a layout; without any, one without a name that has all stages."""
    found = client.pipelines(layout_id) if layout_id else ()
    if found or not stages:
        return found
    return (Pipeline(value="", label="", stages=stages, is_default=True),)


class _Reads:
    """Reads parts of the choices, and notes why some are absent."""

    def __init__(self) -> None:
        self.absences: dict[str, CodedText] = {}

    def value(self, part: str, read: Callable[[], Value], otherwise: Value) -> Value:
        """Return what ``read`` returns; the other value if Zoho refuses to let it be read."""
        try:
            return read()
        except (PermissionDeniedError, RequestRefusedError) as error:
            self.absences[part] = reason_of(error)
            return otherwise

    def note_unseen(self, **values: object) -> None:
        """Note the parts that Zoho lets be read, but without any value."""
        for part, value in values.items():
            if not value:
                self.absences.setdefault(part, CodedText(code="unseen"))
