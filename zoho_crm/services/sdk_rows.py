"""
The rows by which Zoho's SDK knows tokens: which one is meant, what it has, and what is new in it.

A row is of a user, a client, a data center and an environment. Secrets are looked up by their
SHA-256; no row is decrypted to search.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.db.models import QuerySet

from zoho_crm import crypto
from zoho_crm.conf import conf
from zoho_crm.datacenters import api_domain_of_token, origin_of, places_of
from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.models import SdkFailure, SdkToken, Token, atomic, batches
from zoho_crm.models._database import DbNow
from zoho_crm.services._zoho import data_center_of
from zoho_crm.types import NO_SECRET, Secret, ValueObject, storable

logger = logging.getLogger(__name__)

#: Characters of an id, which is that of a row.
MAX_ID_DIGITS = 18


class SdkGrant(ValueObject):
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


def row_for(token: Token, user_name: str = "") -> SdkToken:
    """Return the row by which the SDK knows a token, under this name or under any."""
    rows = token.sdk_tokens.order_by("-user_name_hash", "pk")
    if user_name:
        rows = rows.filter(user_name_hash__in={digest(user_name), ""})
    row = rows.first() or SdkToken.objects.create(token=token, **name_columns(user_name))
    row.token = token
    if user_name and not row.user_name:
        write(row, name_columns(user_name))
    return row


def name_of(token: Token) -> str:
    """Return the name that the SDK gives a user."""
    return f"{token.user_label}:{token.connection.zgid}"


def api_domain_of(answered: str, chosen: str) -> str:
    """Return the origin of the API that a token is for; see ``api_domain_of_token``."""
    return api_domain_of_token(answered, chosen, conf().data_centers)


def rows() -> QuerySet[SdkToken]:
    """Return all rows, with their tokens and the time of the database at which they are read."""
    return SdkToken.objects.select_related("token__connection").annotate(read_at=DbNow())


def row_of_id(sdk_id: str) -> SdkToken | None:
    """Return the row of an id of the SDK; ``None`` if there is none, or it is no id."""
    is_id = sdk_id.isascii() and sdk_id.isdecimal() and len(sdk_id) <= MAX_ID_DIGITS
    return next(iter(rows().filter(pk=int(sdk_id))), None) if is_id else None


def all_rows() -> Iterator[SdkToken]:
    """Yield the row of each token that has a grant, and those of grants that are kept."""
    usable = Token.objects.exclude(refresh_token_cipher="").select_related("connection")
    for token in chain.from_iterable(batches(usable)):
        yield row_for(token)
    yield from chain.from_iterable(batches(rows().filter(token=None)))


def row_that_fits(wanted: SdkGrant) -> SdkToken | None:
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
    fitting = [row for row in found if fits(row, wanted)]
    usable = [row for row in fitting if row.token] or fitting
    # A token of a connection may be known by several names.
    different = {row.token_id or row.refresh_token_hash or row.pk: row for row in reversed(usable)}
    if len(different) > 1:
        raise RequestRefusedError(code="sdk_several", details={"user": wanted.user_name})
    return next(iter(different.values()), None)


def row_to_update(given: SdkGrant) -> SdkToken | None:
    """Return the row that a grant is of; one of another client or environment has not its id."""
    known = row_of_id(given.id)
    if known and fits(known, given):
        return known
    if given.refresh_token or given.grant_token:
        return row_that_fits(given)
    # Of a bare access token it is not known which client's it is.
    row = row_that_fits(replace(given, user_name=""))
    if row or not given.user_name:
        return row
    bare = rows().filter(token=None, refresh_token_hash="", user_name_hash=digest(given.user_name))
    return next((row for row in bare.order_by("pk") if fits(row, given)), None)


def _rows_of_user(wanted: SdkGrant) -> list[SdkToken]:
    """Return the rows with this name, and those of tokens whose user Zoho names so."""
    named = list(rows().filter(user_name_hash=digest(wanted.user_name)).order_by("pk"))
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
        kept = list(rows().filter(**{f"{name}_hash": digest}).order_by("pk")) if digest else []
        if digest and name in Token.HASHED:
            known = Token.objects.filter(**{f"{name}_hash": digest}).select_related("connection")
            kept += [row_for(token) for token in known]
        if kept:
            return kept
    return []


def fits(row: SdkToken, wanted: SdkGrant) -> bool:
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


def brings_another(row: SdkToken, wanted: SdkGrant) -> bool:
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


# What a row has


def values(row: SdkToken) -> SdkGrant:
    """Return what is stored of a grant, in its token or in the row."""
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


def check_readable(row: Token | SdkToken) -> None:
    """
    Check that a row's secrets can be read, so that none is replaced because of a wrong key.

    :raises SecretUnreadableError: if one cannot
    """
    for name in row.SECRETS:
        if getattr(row, f"{name}_cipher"):
            row.reveal(name)


# What is written to a row


def digest(text: str) -> str:
    """Return the SHA-256 by which a user's name is looked up."""
    return crypto.digest(Secret(text))


def name_columns(user_name: str) -> dict[str, str]:
    """Return the columns for the name that a program gives a user."""
    return {"user_name": storable(user_name), "user_name_hash": digest(user_name)}


def plain_columns(given: SdkGrant) -> dict[str, Any]:
    """Return the columns of a grant that is kept, without its secrets."""
    return {
        **name_columns(given.user_name),
        "client_id": storable(given.client_id),
        "redirect_url": storable(given.redirect_url),
        "api_domain": storable(given.api_domain),
        "expires_at": given.expires_at,
    }


def new_columns(row: SdkToken, given: SdkGrant, secrets: Iterable[str]) -> dict[str, Any]:
    """Return the columns that a grant has another value for; an empty value changes nothing."""
    names = ["redirect_url"] if row.token else ["redirect_url", "client_id", "api_domain"]
    plain = {name: storable(getattr(given, name)) for name in names if getattr(given, name)}
    if given.user_name:
        plain |= name_columns(given.user_name)
    new = {name: value for name, value in plain.items() if getattr(row, name) != value}
    given_secrets = {name: getattr(given, name) for name in secrets if getattr(given, name)}
    for name, secret in given_secrets.items():
        if not getattr(row, f"{name}_cipher") or row.reveal(name) != secret:
            new |= row.encrypted_columns(**{name: secret})
    return new


def write(row: SdkToken, columns: dict[str, Any]) -> None:
    """Write columns that have changed; nothing is written if none has."""
    if columns:
        SdkToken.objects.filter(pk=row.pk).update(**columns)


# Grants that could not be stored: remembered until the SDK stores them after all. It swallows the
# error and only logs it, so nothing else would show it to a person


def remember_failure(given: SdkGrant, error: Exception) -> None:
    """Remember why a grant was not stored; if the database fails, only the log has it."""
    key, *_others = keys_of(given) or [""]
    values = {"user_name": storable(given.user_name), "problem": problem_of(error), "at": DbNow()}
    try:
        with atomic():
            if not SdkFailure.objects.filter(key=key).update(**values):
                SdkFailure.objects.create(key=key, **values)
    except (DatabaseError, InterfaceError) as failure:
        logger.warning("The doctor cannot show that a token was not stored: %s", failure)


def forget_failures(stored: SdkGrant) -> None:
    """Forget the failures of a grant that was stored."""
    failures = SdkFailure.objects.filter(key__in=keys_of(stored))
    if failures.exists():
        failures.delete()


def keys_of(given: SdkGrant) -> list[str]:
    """Return by what a grant is known again: the SHA-256 of its user's name and of its tokens."""
    secrets = (given.refresh_token, given.grant_token, given.access_token)
    of_secrets = [crypto.digest(secret) for secret in secrets if secret]
    return [digest(given.user_name), *of_secrets] if given.user_name else of_secrets


def problem_of(error: Exception) -> str:
    """Return an error as it is stored: its code, or else the name of its class."""
    return storable(getattr(error, "code", "") or type(error).__name__, 100)
