"""Clients and auth objects that call Zoho for a connection and refresh its access token."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from zoho_crm.client import TokenAuth, ZohoAuth, ZohoClient
from zoho_crm.conf import conf
from zoho_crm.models import Connection
from zoho_crm.services import usage
from zoho_crm.services._zoho import api
from zoho_crm.services.connections import data_center_of, default_connection
from zoho_crm.services.tokens import access_token, refresh_rejected, token_of
from zoho_crm.types import Secret


def client_for(connection: Connection | None = None, *, user: str | None = None) -> ZohoClient:
    """
    Return a client for a connection, or the default one, that refreshes its token itself.

    :param user: the user whose token it uses, as for ``token_of``
    :raises ConnectionLostError: if there is no connection, or no such user
    """
    connection = connection or default_connection()
    origin = data_center_of(connection).api(connection.environment)
    count = partial(usage.record_one, connection.pk)
    return ZohoClient(
        api=api(origin, auth_for(connection, user=user), on_call=count),
        mapped_fields=tuple(connection.mapped_fields),
    )


def client_with_token(
    connection: Connection, token: Secret, on_call: Callable[[str, bool], object]
) -> ZohoClient:
    """Return a client that signs its calls with one access token and uses no database."""
    origin = data_center_of(connection).api(connection.environment)
    return ZohoClient(
        api=api(origin, TokenAuth(token), on_call=on_call),
        mapped_fields=tuple(connection.mapped_fields),
    )


def auth_for(connection: Connection | None = None, *, user: str | None = None) -> ZohoAuth:
    """
    Return a ``requests`` auth object that signs calls to the connection's hosts only.

    :param user: the user whose token it uses, as for ``token_of``
    :raises ConnectionLostError: if there is no connection, or no such user
    """
    connection = connection or default_connection()
    token_id = None if user is None else token_of(connection, user).pk
    center = data_center_of(connection)
    origins = (center.api(connection.environment), center.content)
    return ZohoAuth(
        current=partial(access_token, connection_id=connection.pk, token_id=token_id),
        renew=lambda rejected: refresh_rejected(
            connection_id=connection.pk, token_id=token_id, rejected=rejected
        ),
        hosts=[*(origin.partition("://")[2] for origin in origins), *conf().EXTRA_API_HOSTS],
    )
