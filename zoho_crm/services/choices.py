"""The values that an organisation offers for a conversion: stages, deal fields, roles, owners."""

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

CACHE_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The values that a form of a conversion offers; empty where a permission is missing."""

    #: One with an empty value if the organisation has stages but no pipelines.
    pipelines: tuple[Pipeline, ...] = ()
    deal_fields: tuple[DealField, ...] = ()
    contact_roles: tuple[Reference, ...] = ()
    users: tuple[User, ...] = ()

    @property
    def names(self) -> Mapping[str, str]:
        """Names of users and contact roles, by id."""
        roles = {role.id: role.name for role in self.contact_roles}
        return roles | {user.id: user.name for user in self.users}


def choices(connection: Connection) -> Choices:
    """
    Return the choices of a connection from Zoho; they are cached for five minutes.

    :raises ZohoError: if Zoho cannot be asked now
    """
    outside_transaction()
    key = f"zoho_crm.choices.{connection.pk}"
    cached: Choices | None = cache.get(key)
    if cached is None:
        cached = _fetch(tokens.client_for(connection))
        cache.set(key, cached, CACHE_SECONDS)
    return cached


def _fetch(client: ZohoClient) -> Choices:
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


def _if_allowed(fetch: Callable[[], Value], otherwise: Value) -> Value:
    try:
        return fetch()
    except PermissionDeniedError:
        return otherwise
