"""
The values that an organisation offers for a conversion: stages, deal fields, roles, owners.

They are of the metadata that is kept, if that is not older than five minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm import client as zoho
from zoho_crm.exceptions import PermissionDeniedError, PlanError, RequestRefusedError
from zoho_crm.models import Connection
from zoho_crm.services import clients
from zoho_crm.services.metadata import CachedMetadata
from zoho_crm.services.presentation import coded_text, reason_of
from zoho_crm.types import (
    CodedText,
    DealField,
    JsonObject,
    Pipeline,
    Reference,
    Stage,
    User,
    ValueObject,
)

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

Value = TypeVar("Value")

#: Greatest age of what a form offers.
MAX_AGE_SECONDS = 300.0
#: The sentence for each part of the choices that cannot be read.
ABSENCE_TEXTS: Mapping[str, StrPromise] = {
    "users": gettext_lazy("The users cannot be read, so owners are not checked: %s"),
    "deal_layout": gettext_lazy("The fields of deals cannot be read: %s"),
    "pipelines": gettext_lazy("The stages of deals cannot be read: %s"),
    "contact_roles": gettext_lazy("The roles of contacts in deals cannot be read: %s"),
}


class Choices(ValueObject):
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

    @property
    def active_owners(self) -> tuple[str, ...]:
        """Ids of the users who may own records; empty if not all of them are known."""
        return tuple(user.id for user in self.users) if len(self.users) < zoho.MAX_USERS else ()

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
    Return the choices of a connection, none of them older than five minutes.

    :param with_deal: whether to read what only a deal needs
    :raises ZohoError: if Zoho cannot be asked now
    """
    reads = _Reads(connection)
    none: tuple[User, ...] = ()
    users = reads.value("users", partial(reads.known.users, max_age=MAX_AGE_SECONDS), none)
    found = _deal_choices(reads) if with_deal else Choices()
    lead_fields = ("Full_Name", *zoho.LEAD_FIELDS, *connection.mapped_fields) if with_deal else ()
    return replace(found, users=users, lead_fields=lead_fields, absences=reads.absences)


def check_owner(user_id: str, choices: Choices, *, field: str = "owner_id") -> None:
    """
    Check that a user may own records; an empty id, for each lead's own owner, is right.

    :raises PlanError: at this field, if the user is not active in the organisation
    """
    if user_id and not choices.may_own(user_id):
        message = _("The user %s is not active in this organisation.")
        raise PlanError(message % user_id, code="no_owner", details={"field": field})


def _deal_choices(reads: _Reads) -> Choices:
    """Return what a deal needs: fields, stages and the roles of contacts."""
    new = {"max_age": MAX_AGE_SECONDS}
    none: tuple[Any, ...] = ()
    layouts = reads.value("deal_layout", partial(reads.known.layouts, "Leads", **new), none)
    layout = layouts[0] if layouts else zoho.Layout(id="", name="")
    target = layout.converts_to.get("Deals")
    read_fields = partial(reads.known.fields, "Deals", **new)
    typed = _deal_fields(reads.value("deal_layout", read_fields, none, of="deal_fields"))
    known = {field.api_name: field for field in typed}
    shown = {field.api_name: field for field in layout.deal_fields}
    stages = known["Stage"].choices if "Stage" in known else ()
    read_pipelines = partial(_pipelines, reads.known, target, stages)
    pipelines = reads.value("pipelines", read_pipelines, none)
    if not pipelines and not typed and "deal_layout" in reads.absences:
        # Without pipelines, the stages are those of a field.
        reads.absences.setdefault("pipelines", reads.absences["deal_layout"])
    reads.note_unseen(deal_layout=target, pipelines=pipelines)
    return Choices(
        pipelines=pipelines,
        deal_fields=tuple(_with_type(each, known.get(name)) for name, each in shown.items()),
        other_deal_fields=tuple(each for name, each in known.items() if name not in shown),
        contact_roles=reads.value("contact_roles", partial(reads.known.contact_roles, **new), none),
    )


def _deal_fields(fields: Iterable[zoho.ModuleField]) -> list[DealField]:
    """Return the fields of deals that can be written."""
    return [
        DealField(
            api_name=each.api_name,
            label=each.label,
            data_type=each.data_type,
            choices=each.choices,
        )
        for each in fields
        if each.creatable
    ]


def _with_type(shown: DealField, known: DealField | None) -> DealField:
    """Return a field of the layout with the type and the choices that all fields have."""
    if known is None:
        return shown
    return replace(shown, data_type=known.data_type, choices=known.choices)


def _pipelines(
    known: zoho.Metadata, layout: Reference | None, stages: tuple[Stage, ...]
) -> tuple[Pipeline, ...]:
    """Return the pipelines of a layout; without any, one without a name that has all stages."""
    found = known.pipelines(layout.id, max_age=MAX_AGE_SECONDS) if layout else ()
    if found or not stages:
        return found
    return (Pipeline(value="", label="", stages=stages, is_default=True),)


class _Reads:
    """Reads parts of the metadata, and notes why some are absent."""

    def __init__(self, connection: Connection) -> None:
        self.known = clients.client_for(connection).metadata
        self.absences: dict[str, CodedText] = {}
        self._store = CachedMetadata(connection=connection)

    def value(
        self, part: str, read: Callable[[], Value], otherwise: Value, *, of: str = ""
    ) -> Value:
        """
        Return what ``read`` returns; the other value if Zoho refuses to let it be read.

        A refusal is kept as long as a value is believed.

        :param of: a name for what is read, if the part has several
        """
        name = f"refused.{of or part}"
        if refused := self._store.get(name, _coded_text, MAX_AGE_SECONDS):
            [self.absences[part]] = refused
            return otherwise
        try:
            return read()
        except (PermissionDeniedError, RequestRefusedError) as error:
            self.absences[part] = reason_of(error)
            self._store.put(name, (self.absences[part],))
            return otherwise

    def note_unseen(self, **values: object) -> None:
        """Note the parts that Zoho lets be read, but without any value."""
        for part, value in values.items():
            if not value:
                self.absences.setdefault(part, CodedText(code="unseen"))


def _coded_text(stored: JsonObject) -> CodedText:
    return CodedText(**stored)
