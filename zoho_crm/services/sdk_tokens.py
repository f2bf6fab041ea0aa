"""
Tokens for Zoho's Python SDK: found, saved and deleted as its token store is asked to.

The SDK saves a grant without saying whose it is, so Zoho is asked once, and the grant becomes a
token of a connection. What Zoho does not tell is kept, encrypted, and asked again later.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.db.models import F, QuerySet

from zoho_crm import crypto
from zoho_crm.conf import conf
from zoho_crm.datacenters import api_domain_of_token, origin_of, place_of, places_of
from zoho_crm.exceptions import (
    GrantRefusedError,
    RequestRefusedError,
    WrongSettingsError,
    ZohoError,
)
from zoho_crm.models import (
    Connection,
    ConnectionEvent,
    DbNow,
    SdkToken,
    Token,
    atomic,
    batches,
    from_now,
)
from zoho_crm.services import tokens, users
from zoho_crm.services._transactions import in_transaction
from zoho_crm.services.adopt import NO_SECRET, adopt, all_environments
from zoho_crm.services.connections import data_center_of
from zoho_crm.types import Secret, storable

logger = logging.getLogger(__name__)

#: Seconds until Zoho is asked again whose grant one is.
ASK_AGAIN_SECONDS = 300
#: Characters of an id, which is that of a row.
MAX_ID_DIGITS = 18


@dataclass(frozen=True, kw_only=True)
class SdkGrant:
    """The values of the SDK's ``OAuthToken``; what it does not have is empty."""

    id: str = ""
    #: The name of its user signature: an e-mail address, ``<e-mail>:<zgid>``, or any name.
    user_name: str = ""
    client_id: str = ""
    client_secret: Secret = NO_SECRET
    refresh_token: Secret = NO_SECRET
    access_token: Secret = NO_SECRET
    grant_token: Secret = NO_SECRET
    redirect_url: str = ""
    #: Origin of the API of its environment.
    api_domain: str = ""
    expires_at: datetime | None = None


def find(wanted: SdkGrant) -> SdkGrant | None:
    """
    Return the stored grant that is meant, with a valid access token; ``None`` if there is none.

    A user who brings another refresh or grant token than the stored one wants that to be used, so
    then there is none.

    :raises RequestRefusedError: if several fit, and nothing tells which one is meant
    :raises ZohoError: if its access token is due and cannot be renewed
    """
    row = _row_of_id(wanted.id) if wanted.id else _row_that_fits(wanted)
    if row is None or (not wanted.id and _brings_another(row, wanted)):
        return None
    return _handed_out(row)


def find_by_id(sdk_id: str) -> SdkGrant | None:
    """Return the grant of this id, with a valid access token; ``None`` if there is none."""
    row = _row_of_id(sdk_id)
    return _handed_out(row) if row else None


def save(given: SdkGrant) -> str:
    """
    Store a grant, or what is new in it, and return its id.

    :raises RequestRefusedError: if there is nothing to be stored, or several rows fit
    :raises SecretUnreadableError: if the stored one cannot be read; it is not changed then
    :raises ImproperlyConfigured: if the encryption key is not set
    """
    crypto.require_key()
    row = _row_to_update(given)
    if row is None:
        if not (given.refresh_token or given.access_token or given.grant_token):
            raise RequestRefusedError(code="sdk_no_token")
        return str(_added(given).pk)
    row = _updated(row, row.token, given) if row.token else _kept_anew(row, given)
    return str(row.pk)


def delete(sdk_id: str) -> bool:
    """
    Delete a grant that came through the store; return whether there was one.

    :raises RequestRefusedError: if a person gave this consent in the admin
    """
    row = _row_of_id(sdk_id)
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
    for row in _all_rows():
        if row.token is None or row.token.from_sdk:
            _delete(row)
    if others := Token.objects.filter(from_sdk=False).exclude(refresh_token_cipher="").first():
        raise RequestRefusedError(code="sdk_consent", details={"user": others.user_email})


def stored() -> list[SdkGrant]:
    """Return all grants as they are stored, each user of a client once."""
    return [_values(row) for row in _all_rows()]


def row_for(token: Token, user_name: str = "") -> SdkToken:
    """Return the row by which the SDK knows a token, under this name or under any."""
    rows = token.sdk_tokens.order_by("-user_name_hash", "pk")
    if user_name:
        rows = rows.filter(user_name_hash__in={_digest(user_name), ""})
    row = rows.first() or SdkToken.objects.create(token=token, **_name_columns(user_name))
    row.token = token
    if user_name and not row.user_name:
        _write(row, _name_columns(user_name))
    return row


def name_of(token: Token) -> str:
    """Return the name that the SDK gives a user."""
    return f"{users.name_of(token)}:{token.connection.zgid}"


def api_domain_of(answered: str, chosen: str) -> str:
    """Return the origin of the API that a token is for; see ``api_domain_of_token``."""
    return api_domain_of_token(answered, chosen, conf().data_centers)


# Finding


def _rows() -> QuerySet[SdkToken]:
    return SdkToken.objects.select_related("token__connection").annotate(read_at=DbNow())


def _row_of_id(sdk_id: str) -> SdkToken | None:
    is_id = sdk_id.isascii() and sdk_id.isdecimal() and len(sdk_id) <= MAX_ID_DIGITS
    return next(iter(_rows().filter(pk=int(sdk_id))), None) if is_id else None


def _all_rows() -> Iterator[SdkToken]:
    """Yield the row of each token that has a grant, and those of grants that are kept."""
    usable = Token.objects.exclude(refresh_token_cipher="").select_related("connection")
    for token in chain.from_iterable(batches(usable)):
        yield row_for(token)
    yield from chain.from_iterable(batches(_rows().filter(token=None)))


def _row_that_fits(wanted: SdkGrant) -> SdkToken | None:
    """
    Return the row of the user, or else of the token, that is named, for its client and place.

    :raises RequestRefusedError: if several fit
    """
    if wanted.user_name:
        found = _rows_of_user(wanted)
    elif wanted.refresh_token or wanted.grant_token or wanted.access_token:
        found = _rows_of_secret(wanted)
    else:
        return None
    fitting = [row for row in found if _fits(row, wanted)]
    usable = [row for row in fitting if row.token] or fitting
    # A token of a connection may be known by several names.
    different = {row.token_id or row.refresh_token_hash or row.pk: row for row in reversed(usable)}
    if len(different) > 1:
        raise RequestRefusedError(code="sdk_several", details={"user": wanted.user_name})
    return next(iter(different.values()), None)


def _row_to_update(given: SdkGrant) -> SdkToken | None:
    """Return the row that a grant is of; one of another client or environment has not its id."""
    known = _row_of_id(given.id)
    if known and _fits(known, given):
        return known
    if given.refresh_token or given.grant_token:
        return _row_that_fits(given)
    # Of a bare access token it is not known which client's it is.
    row = _row_that_fits(replace(given, user_name=""))
    if row or not given.user_name:
        return row
    bare = _rows().filter(
        token=None, refresh_token_hash="", user_name_hash=_digest(given.user_name)
    )
    return next((row for row in bare.order_by("pk") if _fits(row, given)), None)


def _rows_of_user(wanted: SdkGrant) -> list[SdkToken]:
    named = list(_rows().filter(user_name_hash=_digest(wanted.user_name)).order_by("pk"))
    email = wanted.user_name.rpartition(":")[0] or wanted.user_name
    emails = {email, wanted.user_name}
    tokens_of_user = Token.objects.filter(user_email__in=emails).select_related("connection")
    for token in tokens_of_user.exclude(pk__in=[row.token_id for row in named if row.token_id]):
        # Some databases compare without regard to case and to blanks at the end.
        if wanted.user_name in {token.user_email, name_of(token)}:
            named.append(row_for(token))
    return named


def _rows_of_secret(wanted: SdkGrant) -> list[SdkToken]:
    """Return the rows that one of the tokens is of; the first that is known decides."""
    for name in ("refresh_token", "grant_token", "access_token"):
        digest = crypto.digest(getattr(wanted, name))
        kept = list(_rows().filter(**{f"{name}_hash": digest}).order_by("pk")) if digest else []
        if digest and name in Token.HASHED:
            known = Token.objects.filter(**{f"{name}_hash": digest}).select_related("connection")
            kept += [row_for(token) for token in known]
        if kept:
            return kept
    return []


def _fits(row: SdkToken, wanted: SdkGrant) -> bool:
    """Return whether client and place of a row are those that are wanted, if any are named."""
    client_id = row.token.client_id if row.token else row.client_id
    if wanted.client_id and client_id and client_id != wanted.client_id:
        return False
    if row.token:
        connection = row.token.connection
        places = {(connection.data_center, connection.environment)}
    else:
        places = _places(row.api_domain)
    wanted_places = _places(wanted.api_domain)
    return not places or not wanted_places or not places.isdisjoint(wanted_places)


def _brings_another(row: SdkToken, wanted: SdkGrant) -> bool:
    """Return whether a refresh or grant token is given that is not the stored one."""
    stored = row.token.refresh_token_hash if row.token else row.refresh_token_hash
    if wanted.refresh_token:
        return crypto.digest(wanted.refresh_token) != stored
    known = row.grant_token_hash
    return bool(wanted.grant_token and known and crypto.digest(wanted.grant_token) != known)


def _places(api_domain: str) -> set[tuple[str, str]]:
    """
    Return the data center and the environments that an origin of the API may be of.

    One that is in no data center is a place of its own; there is none if it is not known.
    """
    found = places_of(api_domain, conf().data_centers)
    known = {(center.code, environment.value) for center, environment in found}
    return known or ({(origin_of(api_domain), "")} if api_domain else set())


# Handing out


def _handed_out(row: SdkToken) -> SdkGrant:
    """Return the values of a row, with an access token that was renewed if it was due."""
    if row.token is None and row.refresh_token_cipher and not in_transaction():
        row = _asked_again(row)
    if row.token and not _is_fresh(row, row.token):
        row.token = tokens.usable_token(
            connection_id=row.token.connection_id, token_id=row.token.pk
        )
    return _values(row)


def _is_fresh(row: SdkToken, token: Token) -> bool:
    """Return whether an access token needs no renewal yet, by the clock of the database."""
    read_at: datetime | None = getattr(row, "read_at", None)
    if token.status != Token.Status.ACTIVE or not (read_at and token.expires_at):
        return False
    left = (token.expires_at - read_at).total_seconds()
    return left > max(tokens.REFRESH_EARLY_SECONDS, conf().CALL_DEADLINE)


def _values(row: SdkToken) -> SdkGrant:
    source: Token | SdkToken = row.token or row
    secrets = {
        name: source.reveal(name) if getattr(source, f"{name}_cipher") else NO_SECRET
        for name in source.SECRETS
    }
    user_name, api_domain = row.user_name, row.api_domain
    if row.token:
        connection = row.token.connection
        user_name = user_name or name_of(row.token)
        api_domain = data_center_of(connection).api(connection.environment)
    return SdkGrant(
        id=str(row.pk),
        user_name=user_name,
        client_id=source.client_id,
        redirect_url=row.redirect_url,
        api_domain=api_domain,
        expires_at=source.expires_at,
        **secrets,
    )


# Saving


def _added(given: SdkGrant) -> SdkToken:
    """Store a grant of which nothing was known, as a token of a connection if Zoho says whose."""
    asked_at: DbNow | None = DbNow()
    problem = "sdk_incomplete"
    if in_transaction():
        # Zoho must not be asked here: the next look-up asks.
        problem, asked_at = "sdk_in_transaction", None
    elif given.refresh_token and given.client_id and given.client_secret:
        try:
            return _row_of_adopted(_adopted(given), given)
        except DatabaseError as error:
            problem, asked_at = _problem(error), None
        except (ZohoError, ImproperlyConfigured) as error:
            problem = _problem(error)
    logger.warning("A grant of the SDK is kept without a connection: %s", problem)
    return _kept(given, asked_at=asked_at, problem=problem)


def _kept(given: SdkGrant, **columns: Any) -> SdkToken:
    """Store a grant without knowing whose it is."""
    with atomic():
        row = SdkToken.objects.create(**_plain_columns(given), **columns)
        secrets = {name: getattr(given, name) for name in SdkToken.SECRETS}
        SdkToken.objects.filter(pk=row.pk).update(**row.encrypted_columns(**secrets))
    return row


def _row_of_adopted(token: Token, given: SdkGrant) -> SdkToken:
    """Return the row by which the SDK knows a token, with what only the SDK keeps."""
    row = row_for(token, given.user_name)
    _write(row, _new_columns(row, given, secrets=("grant_token",)))
    return row


def _updated(row: SdkToken, token: Token, given: SdkGrant) -> SdkToken:
    """Store what is new in the grant of a token; return the row that has it by then."""
    _check_readable(token)
    digest = crypto.digest(given.refresh_token)
    if digest and digest != token.refresh_token_hash:
        # Whose grant it is only Zoho knows: it may be of another user.
        kept = _rows().filter(token=None, refresh_token_hash=digest).order_by("pk").first()
        completed = _completed(given, row)
        return _kept_anew(kept, completed) if kept else _added(completed)
    if given.access_token and crypto.digest(given.access_token) != token.access_token_hash:
        _store_access_token(token, given)
    _write(row, _new_columns(row, given, secrets=("grant_token",)))
    return row


def _check_readable(row: Token | SdkToken) -> None:
    """
    Check that a row's secrets can be read, so that none is replaced because of a wrong key.

    :raises SecretUnreadableError: if one cannot
    """
    for name in row.SECRETS:
        if getattr(row, f"{name}_cipher"):
            row.reveal(name)


def _completed(given: SdkGrant, row: SdkToken) -> SdkGrant:
    """Return a grant with client, place and name of a stored one where it has none."""
    known = _values(row)
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


def _kept_anew(row: SdkToken, given: SdkGrant) -> SdkToken:
    """Store what is new in a grant that is kept, and ask Zoho whose it is if its token is new."""
    _check_readable(row)
    is_new = row.refresh_token_hash != crypto.digest(given.refresh_token)
    new = _new_columns(row, given, secrets=SdkToken.SECRETS)
    if given.access_token and given.expires_at and given.expires_at != row.expires_at:
        new["expires_at"] = given.expires_at
    _write(row, new)
    is_asked = given.refresh_token and is_new and not in_transaction()
    return _asked(_rows().get(pk=row.pk)) if is_asked else row


def _asked_again(row: SdkToken) -> SdkToken:
    """Ask Zoho whose grant is kept, if it was not asked lately by any process."""
    lately = SdkToken.objects.filter(pk=row.pk, asked_at__gt=from_now(-ASK_AGAIN_SECONDS))
    return row if lately.exists() else _asked(row)


def _asked(row: SdkToken) -> SdkToken:
    """Ask Zoho whose grant is kept; if it says, the grant moves to a token of a connection."""
    SdkToken.objects.filter(pk=row.pk).update(asked_at=DbNow())
    kept = _values(row)
    if not (kept.client_id and kept.client_secret):
        return row
    try:
        token = _adopted(kept)
    except (ZohoError, ImproperlyConfigured, DatabaseError) as error:
        SdkToken.objects.filter(pk=row.pk).update(problem=_problem(error))
        return row
    moved = dict.fromkeys(("client_secret", "access_token", "refresh_token"), NO_SECRET)
    columns = {**row.encrypted_columns(**moved), "token": token, "problem": "", "client_id": ""}
    SdkToken.objects.filter(pk=row.pk).update(**columns)
    return _rows().get(pk=row.pk)


def _adopted(given: SdkGrant) -> Token:
    """
    Let Zoho say whose grant one is, and of which environment; raise as ``adopt``.

    :raises GrantRefusedError: if the origin of its API is in no data center; nothing is sent then
    """
    data_center, environment = place_of(given.api_domain, conf().data_centers)
    if given.api_domain and not data_center:
        raise GrantRefusedError(code="unknown_api_server")
    return adopt(
        client_id=given.client_id,
        client_secret=given.client_secret,
        refresh_token=given.refresh_token,
        access_token=given.access_token,
        expires_in=given.expires_at.timestamp() - time.time() if given.expires_at else 0,
        data_center=data_center or conf().DATA_CENTER,
        environments=all_environments(environment),
        from_sdk=True,
    )


def _problem(error: Exception) -> str:
    if isinstance(error, WrongSettingsError):
        raise error
    return storable(getattr(error, "code", "") or type(error).__name__, 100)


# Columns


def _digest(text: str) -> str:
    return crypto.digest(Secret(text))


def _name_columns(user_name: str) -> dict[str, str]:
    return {"user_name": storable(user_name), "user_name_hash": _digest(user_name)}


def _plain_columns(given: SdkGrant) -> dict[str, Any]:
    return {
        **_name_columns(given.user_name),
        "client_id": storable(given.client_id),
        "redirect_url": storable(given.redirect_url),
        "api_domain": storable(given.api_domain),
        "expires_at": given.expires_at,
    }


def _new_columns(row: SdkToken, given: SdkGrant, secrets: Iterable[str]) -> dict[str, Any]:
    """Return the columns that a grant has another value for; an empty value changes nothing."""
    names = ["redirect_url"] if row.token else ["redirect_url", "client_id", "api_domain"]
    plain = {name: storable(getattr(given, name)) for name in names if getattr(given, name)}
    if given.user_name:
        plain |= _name_columns(given.user_name)
    new = {name: value for name, value in plain.items() if getattr(row, name) != value}
    given_secrets = {name: getattr(given, name) for name in secrets if getattr(given, name)}
    for name, secret in given_secrets.items():
        if not getattr(row, f"{name}_cipher") or row.reveal(name) != secret:
            new |= row.encrypted_columns(**{name: secret})
    return new


def _write(row: SdkToken, columns: dict[str, Any]) -> None:
    """Write columns that have changed; nothing is written if none has."""
    if columns:
        SdkToken.objects.filter(pk=row.pk).update(**columns)


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
        connection.record_event(kind, tokens=1, user=users.name_of(token))
