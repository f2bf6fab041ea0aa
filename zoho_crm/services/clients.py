"""Clients and auth objects that call Zoho for a connection and refresh its access token."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from zoho_crm import client as zoho
from zoho_crm.conf import conf
from zoho_crm.models import Connection
from zoho_crm.services import usage
from zoho_crm.services._zoho import client_of, data_center_of
from zoho_crm.services.connections import connection_at_hand
from zoho_crm.services.metadata import CachedMetadata
from zoho_crm.services.tokens import access_token, refresh_rejected, token_of


def client_for(
    connection: Connection | str | int | None = None, *, user: str | None = None
) -> zoho.ZohoClient:
    """
    Return a client for Zoho's API, which refreshes its access token when that is due.

    Nothing is asked now: each method of the client is a call, or some calls. It counts them, and
    refuses to change anything at Zoho inside a transaction.

    :param connection: a connection, its name or its primary key; the default one if ``None``
    :param user: the Zoho user who calls: e-mail address, in any case, or Zoho's id of the user;
        the connection's default user if ``None``
    :raises ConnectionLostError: if there is no connection, or the user has not given consent
    :raises RequestRefusedError: if there is no such connection
    :raises AuthorizationError: if its data center is not configured
    """
    connection = connection_at_hand(connection)
    count = partial(usage.record_one, connection.pk)
    token_id = None if user is None else token_of(connection, user).pk
    client = client_of(connection, auth_for(connection, user=user), count)
    client.api.concurrency = usage.max_concurrency(conf().MAX_CONCURRENCY, connection.edition)
    return replace(client, metadata_store=CachedMetadata(connection=connection, token_id=token_id))


def auth_for(
    connection: Connection | str | int | None = None, *, user: str | None = None
) -> zoho.ZohoAuth:
    """
    Return a ``requests`` auth object that signs a project's own calls to Zoho.

    Nothing is asked now. The access token is refreshed when a call is signed and it is due, and
    once more if Zoho rejects it. Only calls to the connection's API and content hosts, and to
    those in ``EXTRA_API_HOSTS``, are signed. Its arguments and errors are those of ``client_for``.
    """
    connection = connection_at_hand(connection)
    token_id = None if user is None else token_of(connection, user).pk
    center = data_center_of(connection)
    origins = (center.api(connection.environment), center.content)
    return zoho.ZohoAuth(
        current=partial(access_token, connection_id=connection.pk, token_id=token_id),
        renew=lambda rejected: refresh_rejected(
            connection_id=connection.pk, token_id=token_id, rejected=rejected
        ),
        hosts=[*(origin.partition("://")[2] for origin in origins), *conf().EXTRA_API_HOSTS],
    )
