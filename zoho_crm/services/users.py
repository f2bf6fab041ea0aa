"""The users of a connection: which one it works with, and the end of the consent of one of them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import F

from zoho_crm import client as zoho
from zoho_crm.exceptions import ConnectionLostError
from zoho_crm.models import Connection, ConnectionEvent, Token, atomic
from zoho_crm.services import work
from zoho_crm.services._zoho import api, data_center_of, outside_transaction
from zoho_crm.types import Secret


def make_default(*, token_id: int, by: AbstractBaseUser | None = None) -> Token:
    """
    Make this token the one that is used for its connection when no user is named.

    :raises ConnectionLostError: if it does not work
    """
    token = Token.objects.select_related("connection").get(pk=token_id)
    connection = token.connection
    with atomic():
        connection.lock()
        token.refresh_from_db(fields=["status", "is_default"])
        if token.status != Token.Status.ACTIVE:
            details = {"user": token.user_label, "connection": connection.name}
            raise ConnectionLostError(code="user_lost", details=details)
        if not token.is_default:
            connection.tokens.filter(is_default=True).update(is_default=False)
            Token.objects.filter(pk=token.pk).update(is_default=True)
            Connection.objects.filter(pk=connection.pk).update(status=Connection.Status.ACTIVE)
            kind = ConnectionEvent.Kind.DEFAULT_USER
            connection.record_event(kind, by=by, user=token.user_label)
    work.end_backoff(connection_id=connection.pk)
    return Token.objects.select_related("connection").get(pk=token_id)


def disconnect_user(*, token_id: int, by: AbstractBaseUser | None = None) -> Token:
    """
    Revoke one token of a connection at Zoho and delete its secrets; the history is kept.

    If it was the default, no other one takes its place until a person chooses one: the connection
    needs one, or is disabled if it has no other.

    :raises TransientError: if Zoho does not answer; the secrets are kept then
    :raises SecretUnreadableError: if it cannot be read
    """
    outside_transaction()
    token = Token.objects.select_related("connection").get(pk=token_id)
    if not token.refresh_token_cipher:
        return token
    revoke(token)
    connection = token.connection
    with atomic():
        connection.lock()
        token.refresh_from_db(fields=["is_default"])
        delete_secrets(token, is_default=False)
        if token.is_default:
            Connection.objects.filter(pk=connection.pk).update(status=without_default(connection))
        kind = ConnectionEvent.Kind.USER_DISCONNECTED
        connection.record_event(kind, by=by, user=token.user_label)
    return Token.objects.select_related("connection").get(pk=token_id)


def without_default(connection: Connection) -> Connection.Status:
    """Return the status of a connection that has lost its default token."""
    others = connection.tokens.exclude(refresh_token_cipher="")
    statuses = Connection.Status
    return statuses.NEEDS_RECONNECT if others.exists() else statuses.DISABLED


def other_users(connection: Connection) -> list[str]:
    """Return the users of a connection whose tokens work, except the default one, in words."""
    others = connection.tokens.filter(status=Token.Status.ACTIVE, is_default=False)
    return [token.user_label for token in others.order_by("user_email", "pk")]


def revoke(token: Token) -> None:
    """
    Revoke a token at Zoho; only its refresh token is needed, not the secret of its client.

    :raises ZohoError: if it cannot be read, or Zoho does not answer
    """
    client = zoho.Credentials(client_id=token.client_id, client_secret=Secret(""))
    origin = data_center_of(token.connection).accounts
    zoho.AccountsClient(api=api(origin), credentials=client).revoke(token.reveal("refresh_token"))


def delete_secrets(token: Token, **columns: Any) -> None:
    """Delete the secrets of a token that was revoked, and write other columns of its row."""
    no_secrets = token.encrypted_columns(**dict.fromkeys(Token.SECRETS, Secret("")))
    # With a new generation, a process that is refreshing the access token stores nothing.
    Token.objects.filter(pk=token.pk).update(
        status=Token.Status.REVOKED,
        generation=F("generation") + 1,
        expires_at=None,
        refresh_owner="",
        refresh_until=None,
        **no_secrets,
        **columns,
    )
