"""
Grants of Zoho's SDK of which Zoho has not said whose they are: kept, and asked for again.

The SDK can use them, the worker cannot. One with a refresh token and its client is refreshed here,
so that the SDK need not do it. Once Zoho says whose one is, it moves to a token of a connection.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.db.models import F, Q

from zoho_crm import crypto
from zoho_crm.client import AccountsClient, Credentials
from zoho_crm.conf import conf
from zoho_crm.datacenters import place_of
from zoho_crm.exceptions import (
    ConnectionLostError,
    GrantRefusedError,
    WrongSettingsError,
    ZohoError,
)
from zoho_crm.models import ConnectionEvent, SdkToken, Token, atomic, from_now
from zoho_crm.models._database import DbNow
from zoho_crm.services import grants, sdk_rows, tokens
from zoho_crm.services._zoho import api, in_transaction
from zoho_crm.services.adopt import adopt, all_environments
from zoho_crm.services.sdk_rows import SdkGrant, problem_of
from zoho_crm.types import NO_SECRET

logger = logging.getLogger(__name__)

#: Seconds until Zoho is asked again whose grant one is.
ASK_AGAIN_SECONDS = 300


def add(given: SdkGrant) -> SdkToken:
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
        row = SdkToken.objects.create(**sdk_rows.plain_columns(given), **columns)
        secrets = {name: getattr(given, name) for name in SdkToken.SECRETS}
        SdkToken.objects.filter(pk=row.pk).update(**row.encrypted_columns(**secrets))
    return row


def _row_of_adopted(token: Token, given: SdkGrant) -> SdkToken:
    """Return the row by which the SDK knows a token, with what only the SDK keeps."""
    row = sdk_rows.row_for(token, given.user_name)
    sdk_rows.write(row, sdk_rows.new_columns(row, given, secrets=("grant_token",)))
    return row


def update(row: SdkToken, given: SdkGrant) -> SdkToken:
    """Store what is new in a grant that is kept, and ask Zoho whose it is if its token is new."""
    sdk_rows.check_readable(row)
    is_new = row.refresh_token_hash != crypto.digest(given.refresh_token)
    new = sdk_rows.new_columns(row, given, secrets=SdkToken.SECRETS)
    if given.access_token and given.expires_at and given.expires_at != row.expires_at:
        new["expires_at"] = given.expires_at
    if {"access_token_cipher", "refresh_token_cipher"} & new.keys():
        # A process that is refreshing the access token stores nothing then.
        new |= {"generation": F("generation") + 1, "refresh_owner": "", "refresh_until": None}
        new["refreshed_at"] = DbNow()
    if "refresh_token_cipher" in new:
        new |= {"status": SdkToken.Status.ACTIVE, "throttled_until": None}
    sdk_rows.write(row, new)
    if not (given.refresh_token and is_new) or in_transaction():
        return row
    sdk_rows.write(row, {"asked_at": DbNow()})
    return _asked(sdk_rows.rows().get(pk=row.pk))


def usable(row: SdkToken) -> SdkToken:
    """
    Return a kept grant with a valid access token, or its token once Zoho has said whose it is.

    What only the SDK can refresh, because the refresh token or the client is not known, or the data
    center is none of ours, is returned as it is.

    :raises ZohoError: as ``tokens.valid_access_token``
    """
    is_whole = row.refresh_token_cipher and row.client_secret_cipher and row.client_id
    if not (is_whole and _data_center(row.api_domain)):
        return row
    try:
        kept = tokens.usable_row(_KeptGrant(row.pk))
    except SdkToken.DoesNotExist:
        # Another process has moved it to a token meanwhile, or deleted it.
        return sdk_rows.row_of_id(str(row.pk)) or row
    return kept if in_transaction() else _asked_again(kept)


@dataclass(frozen=True)
class _KeptGrant(tokens.StoredGrant[SdkToken]):
    """A grant that is kept, by the id of its row."""

    row_id: int

    def read(self) -> SdkToken:
        rows = SdkToken.objects.with_freshness(**tokens.freshness_margins())
        row: SdkToken = rows.get(pk=self.row_id, token=None)
        if row.status != SdkToken.Status.ACTIVE:
            raise ConnectionLostError(code="sdk_lost", details={"user": row.user_name or str(row)})
        return row

    def accounts(self, row: SdkToken) -> AccountsClient:
        credentials = Credentials(
            client_id=row.client_id, client_secret=row.reveal("client_secret")
        )
        center = grants.data_center(_data_center(row.api_domain))
        return AccountsClient(api=api(center.accounts), credentials=credentials)

    def mark_lost(
        self, row: SdkToken, owner: str, error: ConnectionLostError
    ) -> ConnectionLostError | None:
        lost = {"status": SdkToken.Status.NEEDS_RECONNECT, "problem": _problem(error)}
        if not row.end_refresh(owner=owner, **lost):
            return None
        return ConnectionLostError(code="sdk_lost", details={"user": row.user_name or str(row)})

    def record(self, row: SdkToken, kind: ConnectionEvent.Kind, **details: Any) -> None:
        """Note nothing: there is no connection whose journal it would be."""


def _data_center(api_domain: str) -> str:
    """Return the data center of an origin of the API, or of the settings; empty if unknown."""
    data_center, _environment = place_of(api_domain, conf().data_centers)
    return data_center if api_domain else conf().DATA_CENTER


def _asked_again(row: SdkToken) -> SdkToken:
    """Ask Zoho whose grant is kept, if it was not asked lately by any process."""
    due = SdkToken.objects.filter(
        Q(asked_at=None) | Q(asked_at__lte=from_now(-ASK_AGAIN_SECONDS)), pk=row.pk
    )
    is_due = due.exists() and due.update(asked_at=DbNow())
    return _asked(row) if is_due else row


def _asked(row: SdkToken) -> SdkToken:
    """Ask Zoho whose grant is kept; if it says, the grant moves to a token of a connection."""
    kept = sdk_rows.values(row)
    if not (kept.client_id and kept.client_secret):
        return row
    try:
        token = _adopted(kept)
    except (ZohoError, ImproperlyConfigured, DatabaseError) as error:
        sdk_rows.write(row, {"problem": _problem(error)})
        return row
    moved = dict.fromkeys(("client_secret", "access_token", "refresh_token"), NO_SECRET)
    columns = {**row.encrypted_columns(**moved), "token": token, "problem": "", "client_id": ""}
    # A grant that was saved meanwhile is another one, and stays.
    SdkToken.objects.filter(pk=row.pk, generation=row.generation).update(**columns)
    return sdk_rows.row_of_id(str(row.pk)) or row


def _adopted(given: SdkGrant) -> Token:
    """
    Let Zoho say whose grant one is, and of which environment; raise as ``adopt``.

    :raises GrantRefusedError: if the origin of its API is in no data center; nothing is sent then
    """
    _center, environment = place_of(given.api_domain, conf().data_centers)
    data_center = _data_center(given.api_domain)
    if not data_center:
        raise GrantRefusedError(code="unknown_api_server")
    return adopt(
        client_id=given.client_id,
        client_secret=given.client_secret,
        refresh_token=given.refresh_token,
        access_token=given.access_token,
        expires_in=given.expires_at.timestamp() - time.time() if given.expires_at else 0,
        data_center=data_center,
        environments=all_environments(environment),
        from_sdk=True,
    )


def _problem(error: Exception) -> str:
    if isinstance(error, WrongSettingsError):
        raise error
    return problem_of(error)
