"""
Grants of Zoho's SDK of which Zoho has not said whose they are: kept, and asked for again.

The SDK can use them, the worker cannot. Once Zoho says whose one is, it moves to a token of a
connection.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

from zoho_crm import crypto
from zoho_crm.conf import conf
from zoho_crm.datacenters import place_of
from zoho_crm.exceptions import GrantRefusedError, WrongSettingsError, ZohoError
from zoho_crm.models import DbNow, SdkToken, Token, atomic, from_now
from zoho_crm.services import sdk_rows
from zoho_crm.services._transactions import in_transaction
from zoho_crm.services.adopt import adopt, all_environments
from zoho_crm.services.sdk_rows import SdkGrant
from zoho_crm.types import NO_SECRET, storable

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
    sdk_rows.write(row, new)
    is_asked = given.refresh_token and is_new and not in_transaction()
    return _asked(sdk_rows.rows().get(pk=row.pk)) if is_asked else row


def ask_again(row: SdkToken) -> SdkToken:
    """Ask Zoho whose grant is kept, if it was not asked lately by any process."""
    lately = SdkToken.objects.filter(pk=row.pk, asked_at__gt=from_now(-ASK_AGAIN_SECONDS))
    return row if lately.exists() else _asked(row)


def _asked(row: SdkToken) -> SdkToken:
    """Ask Zoho whose grant is kept; if it says, the grant moves to a token of a connection."""
    SdkToken.objects.filter(pk=row.pk).update(asked_at=DbNow())
    kept = sdk_rows.values(row)
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
    return sdk_rows.rows().get(pk=row.pk)


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
