"""The users of a connection: which one it works with, and the end of the consent of one of them."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser

from zoho_crm.exceptions import ConnectionLostError
from zoho_crm.models import Connection, ConnectionEvent, Token, atomic
from zoho_crm.services import tokens, work
from zoho_crm.services._transactions import outside_transaction


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
            details = {"user": name_of(token), "connection": connection.name}
            raise ConnectionLostError(code="user_lost", details=details)
        if not token.is_default:
            connection.tokens.filter(is_default=True).update(is_default=False)
            Token.objects.filter(pk=token.pk).update(is_default=True)
            Connection.objects.filter(pk=connection.pk).update(status=Connection.Status.ACTIVE)
            kind = ConnectionEvent.Kind.DEFAULT_USER
            connection.record_event(kind, by=by, user=name_of(token))
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
    tokens.revoke(token)
    connection = token.connection
    with atomic():
        connection.lock()
        token.refresh_from_db(fields=["is_default"])
        tokens.delete_secrets(token, is_default=False)
        if token.is_default:
            Connection.objects.filter(pk=connection.pk).update(status=without_default(connection))
        kind = ConnectionEvent.Kind.USER_DISCONNECTED
        connection.record_event(kind, by=by, user=name_of(token))
    return Token.objects.select_related("connection").get(pk=token_id)


def without_default(connection: Connection) -> Connection.Status:
    """Return the status of a connection that has lost its default token."""
    others = connection.tokens.exclude(refresh_token_cipher="")
    statuses = Connection.Status
    return statuses.NEEDS_RECONNECT if others.exists() else statuses.DISABLED


def name_of(token: Token) -> str:
    """Return the e-mail address of a token's user, or Zoho's id of a user without one."""
    return token.user_email or token.user_id
