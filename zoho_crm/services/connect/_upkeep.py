"""Look after a connection: ask whether it works, see what it may do, take it back."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from zoho_crm.conf import conf
from zoho_crm.exceptions import ZohoError
from zoho_crm.models import Connection, ConnectionEvent, Token
from zoho_crm.services import tokens, work
from zoho_crm.services._zoho import outside_transaction
from zoho_crm.types import Secret


def disconnect(*, connection_id: int, by: AbstractBaseUser | None = None) -> Connection:
    """
    Take the consent back at Zoho and forget the secrets; the history stays.

    :raises TransientError: if Zoho cannot be told now; then nothing is forgotten
    """
    outside_transaction()
    connection = Connection.objects.get(pk=connection_id)
    for token in connection.tokens.exclude(refresh_token_cipher="").select_related("connection"):
        tokens.accounts_client_for(token).revoke(token.reveal("refresh_token"))
        no_secrets = token.encrypted_columns(**dict.fromkeys(Token.SECRETS, Secret("")))
        # The new generation turns down a process that is renewing the access token just now.
        Token.objects.filter(pk=token.pk).update(
            status=Token.Status.REVOKED,
            generation=F("generation") + 1,
            expires_at=None,
            refresh_owner="",
            refresh_until=None,
            **no_secrets,
        )
    with transaction.atomic():
        Connection.objects.filter(pk=connection_id).update(status=Connection.Status.DISABLED)
        connection.record_event(ConnectionEvent.Kind.DISCONNECTED, by=by)
    connection.refresh_from_db()
    return connection


def check_connection(*, connection_id: int, by: AbstractBaseUser | None = None) -> str:
    """
    Ask Zoho who we are, note the answer, and return what is wrong: empty if all is well.

    It ends a waiting time for a missing permission, so that work is tried again.
    """
    outside_transaction()
    connection = Connection.objects.get(pk=connection_id)
    try:
        organisation = tokens.client_for(connection).organisation()
    except ZohoError as error:
        connection.record_event(ConnectionEvent.Kind.TESTED, by=by, ok=False, code=error.code)
        return str(error)
    connection.record_event(ConnectionEvent.Kind.TESTED, by=by, ok=True)
    if organisation.id != connection.org_id:
        return _("This is another organisation: %s.") % organisation.name
    work.end_backoff(connection_id=connection_id)
    return ""


def rename(*, connection_id: int, name: str) -> None:
    """Give a connection another name."""
    Connection.objects.filter(pk=connection_id).update(name=name)


def make_default(*, connection_id: int) -> Connection:
    """Let this be the connection that is used when none is named."""
    connection = Connection.objects.get(pk=connection_id)
    with transaction.atomic():
        connection.set_default()
    return connection


def missing_scopes(granted: list[str]) -> list[str]:
    """Return which of the scopes that the features need were not granted."""
    have = {scope.lower() for scope in granted}
    return [scope for scope in conf().SCOPES if not have & _covering(scope.lower())]


def _covering(scope: str) -> set[str]:
    """Return the scopes that include this one: ``a.b.READ`` is in ``a.b.ALL`` and ``a.ALL``."""
    parts = scope.split(".")[:-1]
    return {scope, *(".".join([*parts[:end], "all"]) for end in range(1, len(parts) + 1))}
