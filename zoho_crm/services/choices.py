"""What a conversion may choose from in one organisation: stages, deal fields, roles, owners."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from django.core.cache import cache

from zoho_crm.client import ZohoClient
from zoho_crm.exceptions import PermissionDeniedError
from zoho_crm.models import Connection
from zoho_crm.services import tokens
from zoho_crm.services._zoho import outside_transaction
from zoho_crm.types import DealField, Pipeline, Reference, User

Value = TypeVar("Value")

#: Seconds; people change pipelines rarely.
LIFETIME = 300


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What a form of a conversion offers; empty where the connection may not know."""

    #: One without a value where the organisation has stages but no pipelines.
    pipelines: tuple[Pipeline, ...] = ()
    deal_fields: tuple[DealField, ...] = ()
    contact_roles: tuple[Reference, ...] = ()
    users: tuple[User, ...] = ()

    @property
    def names(self) -> Mapping[str, str]:
        """Names of users and roles, by id."""
        roles = {role.id: role.name for role in self.contact_roles}
        return roles | {user.id: user.name for user in self.users}


def choices(connection: Connection) -> Choices:
    """
    Ask Zoho what a conversion may choose from; the answer is remembered for some minutes.

    :raises ZohoError: if Zoho cannot be asked now
    """
    outside_transaction()
    key = f"zoho_crm.choices.{connection.pk}"
    known: Choices | None = cache.get(key)
    if known is None:
        known = _asked(tokens.client_for(connection))
        cache.set(key, known, LIFETIME)
    return known


def _asked(client: ZohoClient) -> Choices:
    no_layout: tuple[str, tuple[DealField, ...]] = ("", ())
    layout_id, deal_fields = _if_allowed(client.deal_layout, no_layout)
    return Choices(
        pipelines=_if_allowed(partial(_pipelines, client, layout_id), ()),
        deal_fields=deal_fields,
        contact_roles=_if_allowed(client.contact_roles, ()),
        users=_if_allowed(client.users, ()),
    )


def _pipelines(client: ZohoClient, layout_id: str) -> tuple[Pipeline, ...]:
    found = client.pipelines(layout_id) if layout_id else ()
    return found or (Pipeline(value="", label="", stages=client.deal_stages(), is_default=True),)


def _if_allowed(ask: Callable[[], Value], otherwise: Value) -> Value:
    try:
        return ask()
    except PermissionDeniedError:
        return otherwise
