"""
Tokens for Zoho's Python SDK: found, saved and deleted as its token store is asked to.

The SDK saves a grant without saying whose it is, so Zoho is asked once, and the grant becomes a
token of a connection. What Zoho does not tell is kept, encrypted, and asked again later.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError
from django.db.models import F

from zoho_crm import crypto
from zoho_crm.conf import conf
from zoho_crm.exceptions import RequestRefusedError, ZohoError
from zoho_crm.models import Connection, ConnectionEvent, SdkToken, Token, atomic
from zoho_crm.models._database import DbNow
from zoho_crm.services import kept_grants, sdk_rows, tokens, users
from zoho_crm.services.sdk_rows import SdkGrant


def find(wanted: SdkGrant) -> SdkGrant | None:
    """
    Return the stored grant that is meant, with a valid access token; ``None`` if there is none.

    A user who brings another refresh or grant token than the stored one wants that to be used, so
    then there is none.

    :raises RequestRefusedError: if several fit, and nothing tells which one is meant
    :raises ZohoError: if its access token is due and cannot be renewed
    """
    row = sdk_rows.row_of_id(wanted.id) if wanted.id else sdk_rows.row_that_fits(wanted)
    if row is None or (not wanted.id and sdk_rows.brings_another(row, wanted)):
        return None
    return _handed_out(row)


def find_by_id(sdk_id: str) -> SdkGrant | None:
    """Return the grant of this id, with a valid access token; ``None`` if there is none."""
    row = sdk_rows.row_of_id(sdk_id)
    return _handed_out(row) if row else None


def save(given: SdkGrant) -> str:
    """
    Store a grant, or what is new in it, and return its id.

    An error is also remembered, for a person, until the grant is stored after all.

    :raises RequestRefusedError: if there is nothing to be stored, or several rows fit
    :raises SecretUnreadableError: if the stored one cannot be read; it is not changed then
    :raises ImproperlyConfigured: if the encryption key is not set
    """
    try:
        sdk_id = _saved(given)
    except (ZohoError, ImproperlyConfigured, DatabaseError, InterfaceError) as error:
        sdk_rows.remember_failure(given, error)
        raise
    sdk_rows.forget_failures(given)
    return sdk_id


def delete(sdk_id: str) -> bool:
    """
    Delete a grant that came through the store; return whether there was one.

    :raises RequestRefusedError: if a person gave this consent in the admin
    """
    row = sdk_rows.row_of_id(sdk_id)
    if row is None:
        return False
    if row.token and not row.token.from_sdk:
        raise RequestRefusedError(code="sdk_consent", details={"user": row.token.user_email})
    _delete(row)
    return True


def delete_all() -> None:
    """
    Delete all grants that came through the store.

    :raises RequestRefusedError: if there are others, which a person gave in the admin
    """
    for row in sdk_rows.all_rows():
        if row.token is None or row.token.from_sdk:
            _delete(row)
    if others := Token.objects.filter(from_sdk=False).exclude(refresh_token_cipher="").first():
        raise RequestRefusedError(code="sdk_consent", details={"user": others.user_email})


def stored() -> list[SdkGrant]:
    """Return all grants as they are stored, each user of a client once."""
    return [sdk_rows.values(row) for row in sdk_rows.all_rows()]


# Handing out


def _handed_out(row: SdkToken) -> SdkGrant:
    """Return the values of a row, with an access token that was renewed if it was due."""
    if row.token is None:
        row = kept_grants.usable(row)
    if row.token and not _is_fresh(row, row.token):
        row.token = tokens.usable_token(
            connection_id=row.token.connection_id, token_id=row.token.pk
        )
    return sdk_rows.values(row)


def _is_fresh(row: SdkToken, token: Token) -> bool:
    """Return whether an access token needs no renewal yet, by the clock of the database."""
    read_at: datetime | None = getattr(row, "read_at", None)
    if token.status != Token.Status.ACTIVE or not (read_at and token.expires_at):
        return False
    left = (token.expires_at - read_at).total_seconds()
    return left > max(tokens.REFRESH_EARLY_SECONDS, conf().CALL_DEADLINE)


# Saving


def _saved(given: SdkGrant) -> str:
    crypto.require_key()
    row = sdk_rows.row_to_update(given)
    if row is None:
        if not (given.refresh_token or given.access_token or given.grant_token):
            raise RequestRefusedError(code="sdk_no_token")
        return str(kept_grants.add(given).pk)
    row = _updated(row, row.token, given) if row.token else kept_grants.update(row, given)
    return str(row.pk)


def _updated(row: SdkToken, token: Token, given: SdkGrant) -> SdkToken:
    """Store what is new in the grant of a token; return the row that has it by then."""
    sdk_rows.check_readable(token)
    digest = crypto.digest(given.refresh_token)
    if digest and digest != token.refresh_token_hash:
        # Whose grant it is only Zoho knows: it may be of another user.
        kept = sdk_rows.rows().filter(token=None, refresh_token_hash=digest).order_by("pk").first()
        completed = _completed(given, row)
        return kept_grants.update(kept, completed) if kept else kept_grants.add(completed)
    if given.access_token and crypto.digest(given.access_token) != token.access_token_hash:
        _store_access_token(token, given)
    sdk_rows.write(row, sdk_rows.new_columns(row, given, secrets=("grant_token",)))
    return row


def _completed(given: SdkGrant, row: SdkToken) -> SdkGrant:
    """Return a grant with client, place and name of a stored one where it has none."""
    known = sdk_rows.values(row)
    return replace(
        given,
        client_id=given.client_id or known.client_id,
        client_secret=given.client_secret or known.client_secret,
        api_domain=given.api_domain or known.api_domain,
        user_name=given.user_name or row.user_name,
    )


def _store_access_token(token: Token, given: SdkGrant) -> None:
    """Store an access token that the SDK got by itself, unless the stored one is valid longer."""
    if not given.expires_at or (token.expires_at and given.expires_at <= token.expires_at):
        return
    Token.objects.filter(pk=token.pk, generation=token.generation).update(
        generation=F("generation") + 1,
        expires_at=given.expires_at,
        refreshed_at=DbNow(),
        refresh_owner="",
        refresh_until=None,
        **token.encrypted_columns(access_token=given.access_token),
    )


# Deleting


def _delete(row: SdkToken) -> None:
    """Delete a grant; no other one takes the place of the default token of a connection."""
    if row.token is None:
        SdkToken.objects.filter(pk=row.pk).delete()
        return
    token, connection = row.token, row.token.connection
    with atomic():
        connection.lock()
        was_default = connection.tokens.filter(pk=token.pk, is_default=True).exists()
        Token.objects.filter(pk=token.pk).delete()
        if was_default:
            status = users.without_default(connection)
            Connection.objects.filter(pk=connection.pk).update(status=status)
        kind = ConnectionEvent.Kind.FORGOTTEN
        connection.record_event(kind, tokens=1, user=token.user_label)
