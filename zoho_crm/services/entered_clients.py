"""Clients that people enter while connecting: kept, encrypted, until the connection is made."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.utils.translation import gettext as _

from zoho_crm import crypto
from zoho_crm.exceptions import ClientRejectedError
from zoho_crm.models import AuthorizationRequest, EnteredClient, atomic, from_now
from zoho_crm.models._database import DbNow
from zoho_crm.types import Secret

#: Seconds for which one is kept after it was last used.
LIFETIME_SECONDS = 3600


def keep(
    *, user: AbstractBaseUser, session_key: Secret, client_id: str, client_secret: Secret
) -> EnteredClient:
    """
    Store a client for this user in this session; those that expired are deleted.

    :raises ImproperlyConfigured: if there is no encryption key
    """
    crypto.require_key()
    delete_expired()
    with atomic():
        row = EnteredClient.objects.create(
            user_id=user.pk,
            session_hash=crypto.digest(session_key),
            client_id=client_id,
            expires_at=from_now(LIFETIME_SECONDS),
        )
        columns = row.encrypted_columns(client_secret=client_secret)
        EnteredClient.objects.filter(pk=row.pk).update(**columns)
    return row


def delete_expired() -> None:
    """Delete the clients whose time is over, with their secrets."""
    EnteredClient.objects.filter(expires_at__lte=DbNow()).delete()


def find(
    *, user: AbstractBaseUser, session_key: Secret, client: int | None
) -> EnteredClient | None:
    """
    Return the client of this number that this user entered in this session; ``None`` for ``None``.

    :raises ClientRejectedError: if there is none, or it was entered too long ago
    """
    if client is None:
        return None
    mine = EnteredClient.objects.filter(
        pk=client,
        user_id=user.pk,
        session_hash=crypto.digest(session_key),
        expires_at__gt=DbNow(),
    )
    if not mine.update(expires_at=from_now(LIFETIME_SECONDS)):
        message = _("The client that you entered is kept for an hour only; enter it again.")
        raise ClientRejectedError(message, code="client_forgotten")
    return EnteredClient.objects.get(pk=client)


def forget(client: EnteredClient | None) -> None:
    """
    Delete a client that is not needed any more: the token of the connection has it.

    Other requests for consent of it can no longer be used: another client would be taken for them.
    """
    if client:
        unused = AuthorizationRequest.objects.filter(client=client, used_at=None)
        unused.update(used_at=DbNow())
        EnteredClient.objects.filter(pk=client.pk).delete()
