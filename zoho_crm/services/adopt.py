"""
Take over tokens that another program got from Zoho, as a connection of this site.

Zoho is asked whom they are for; a known user of a client keeps one row, whatever program asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from django.contrib.auth.models import AbstractBaseUser
from django.utils.translation import gettext as _

from zoho_crm import crypto
from zoho_crm.client import AccountsClient, Credentials
from zoho_crm.conf import conf
from zoho_crm.exceptions import ClientRejectedError, GrantRefusedError
from zoho_crm.models import Token
from zoho_crm.services import grants, work
from zoho_crm.services._zoho import api, outside_transaction
from zoho_crm.types import NO_SECRET, Environment, Secret, TokenGrant


def adopt(
    *,
    client_id: str,
    client_secret: Secret,
    refresh_token: Secret,
    data_center: str,
    environments: Sequence[str] = (),
    access_token: Secret = NO_SECRET,
    expires_in: float = 0,
    name: str = "",
    keep_working: bool = False,
    by: AbstractBaseUser | None = None,
    from_sdk: bool = False,
) -> Token:
    """
    Store tokens that another program got, and return the row of their user and client.

    It becomes the default of its connection only if that has no other one.

    :param environments: those that Zoho is asked for, in this order; empty for all
    :param access_token: used if Zoho accepts it for ``expires_in`` seconds more; else a new one is
    :param from_sdk: whether the token store of Zoho's SDK may delete it
    :param name: name of the connection, if it is new; empty for that of the organisation
    :param keep_working: whether a stored token of this user and client that works is kept instead
    :raises GrantRefusedError: if there is no refresh token, or it is for none of the environments
    :raises ConnectionLostError: if Zoho does not accept the refresh token
    :raises ClientRejectedError: if the client, its secret or the data center is wrong
    :raises ZohoError: if Zoho does not let organisation and user be read, or does not answer
    :raises ImproperlyConfigured: if the encryption key, data center or environment is unknown
    """
    client = Credentials(client_id=client_id, client_secret=client_secret)
    given = TokenGrant(
        access_token=access_token, refresh_token=refresh_token, expires_in=expires_in
    )
    grant = _read(data_center, environments or all_environments(), client, given)
    working = grants.working_token(grant) if keep_working else None
    token = working or grants.save(grant, by=by, name=name, as_default=False, from_sdk=from_sdk)
    if token.is_default:
        work.end_backoff(connection_id=token.connection_id)
    return token


def all_environments(first: str | None = None) -> tuple[str, ...]:
    """Return all environments in the order to ask: this one first, else that of the settings."""
    likely = first or conf().ENVIRONMENT
    return tuple(sorted(Environment, key=lambda each: each != likely))


def _require_all(client: Credentials, given: TokenGrant) -> None:
    """
    Check what Zoho need not be asked for.

    :raises ClientRejectedError: if the client's id or secret is missing
    :raises GrantRefusedError: if there is no refresh token
    """
    if not (client.client_id and client.client_secret):
        message = _("The client that the tokens are of needs its id and its secret.")
        raise ClientRejectedError(message, code="no_client")
    if not given.refresh_token:
        message = _("There is no refresh token, so the access token could not be renewed.")
        raise GrantRefusedError(message, code="no_refresh_token")


def _read(
    data_center: str, environments: Sequence[str], client: Credentials, given: TokenGrant
) -> grants.Grant:
    """Read whom the tokens are for, with a new access token if the given one does not work."""
    outside_transaction()
    center = grants.data_center(data_center)
    asked = [grants.environment(name) for name in environments]
    _require_all(client, given)
    crypto.require_key()
    if given.access_token and given.expires_in > conf().CALL_DEADLINE:
        try:
            return grants.read(center, asked, client, given)
        except GrantRefusedError:
            # Zoho answers the same to an access token that has expired and to one of another
            # environment: a new one shows which it is.
            pass
    new = AccountsClient(api=api(center.accounts), credentials=client).refresh(given.refresh_token)
    renewed = replace(new, refresh_token=given.refresh_token)
    return grants.read(center, asked, client, renewed)
