"""
Grants: whom the tokens of a consent are for, as Zoho says, and the rows that they are stored in.

Both ways to get tokens end here: the exchange of a code, and tokens that another program got.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured
from django.db.models import F
from django.utils.translation import gettext as _

from zoho_crm import client as zoho
from zoho_crm.conf import conf
from zoho_crm.datacenters import DataCenter
from zoho_crm.exceptions import AccessTokenRejectedError, GrantRefusedError, ServerError
from zoho_crm.models import Connection, ConnectionEvent, Token, atomic, from_now
from zoho_crm.models._database import DbNow
from zoho_crm.services import organisations, tokens
from zoho_crm.services._zoho import api
from zoho_crm.types import (
    Environment,
    Organisation,
    Secret,
    TokenGrant,
    User,
    ValueObject,
    storable,
)


def data_center(code: str) -> DataCenter:
    """
    Return the data center of this code.

    :raises ImproperlyConfigured: if none is known
    """
    known = conf().data_centers
    if code not in known:
        message = _("There is no data center “%(code)s”; known are %(known)s.")
        raise ImproperlyConfigured(message % {"code": code, "known": ", ".join(known)})
    return known[code]


def environment(name: str) -> Environment:
    """
    Return the environment of this name.

    :raises ImproperlyConfigured: if none is known
    """
    if name not in set(Environment):
        message = _("There is no environment “%(name)s”; known are %(known)s.")
        raise ImproperlyConfigured(message % {"name": name, "known": ", ".join(Environment)})
    return Environment(name)


class Grant(ValueObject):
    """The tokens for a consent, with the user and the organisation that they are for."""

    center: DataCenter
    environment: Environment
    credentials: zoho.Credentials
    tokens: TokenGrant
    user: User
    organisation: Organisation
    mapped_fields: tuple[str, ...] | None


def read(
    center: DataCenter,
    environments: Sequence[Environment],
    credentials: zoho.Credentials,
    given: TokenGrant,
) -> Grant:
    """
    Check the tokens of an exchange, and read the user and the organisation that they are for.

    :param environments: those that it may be of; their APIs are asked in this order
    :raises GrantRefusedError: if there is no refresh token, or the tokens are for another server or
        environment
    :raises ZohoError: if there is no access token, or a read fails
    """
    if not given.access_token:
        raise ServerError(code="no_access_token")
    if not given.refresh_token:
        message = _("Zoho gave no refresh token; end the consent there, then connect again.")
        raise GrantRefusedError(message, code="no_refresh_token")
    if given.api_domain and not center.owns_api_domain(given.api_domain):
        raise _api_server_error(center, given.api_domain)
    client, organisation, environment = _organisation(center, environments, given.access_token)
    return Grant(
        center=center,
        environment=environment,
        credentials=credentials,
        tokens=given,
        user=client.current_user(),
        organisation=organisation,
        mapped_fields=organisations.mapped_fields(client),
    )


def _api_server_error(center: DataCenter, api_domain: str) -> GrantRefusedError:
    """Return the error for tokens that are for a server of another data center, or of none."""
    for other in conf().data_centers.values():
        if other.owns_api_domain(api_domain):
            found, wanted = str(other.name), str(center.name)
            names = {"found": found, "wanted": wanted, "data_center": other.code}
            return GrantRefusedError(code="other_data_center", details=names)
    return GrantRefusedError(code="unknown_api_server")


def _organisation(
    center: DataCenter, environments: Sequence[Environment], token: Secret
) -> tuple[zoho.ZohoClient, Organisation, Environment]:
    """
    Return the organisation of a token, its environment, and a client for it.

    :raises GrantRefusedError: if it is of none of these environments
    """
    wanted, rejected = ", ".join(environments), None
    for origin, environment in _by_origin(center, environments).items():
        client = zoho.ZohoClient(api=api(origin, zoho.TokenAuth(token)))
        try:
            organisation = client.organisation()
        except AccessTokenRejectedError as error:
            # The API of one environment rejects tokens of the others.
            rejected = error
            continue
        found = organisation.environment or environment
        if found not in environments:
            message = _("The consent is for a %(found)s organisation, not for %(wanted)s.")
            names = {"found": found, "wanted": wanted}
            raise GrantRefusedError(message % names, code="other_environment")
        return client, organisation, found
    message = _("The consent is not for a %s organisation.")
    raise GrantRefusedError(message % wanted, code="other_environment") from rejected


def _by_origin(center: DataCenter, environments: Sequence[Environment]) -> dict[str, Environment]:
    """Return the first environment at each origin: a local Zoho has one for all."""
    found: dict[str, Environment] = {}
    for environment in environments:
        found.setdefault(center.api(environment), environment)
    return found


def save(
    grant: Grant,
    *,
    by: AbstractBaseUser | None,
    name: str,
    expected: Connection | None = None,
    as_default: bool = True,
    from_sdk: bool = False,
) -> Token:
    """
    Create or update the connection of the grant's organisation, and store the grant's tokens.

    :param expected: the connection whose organisation the grant must be for
    :param as_default: whether it becomes the default token even if there is one that works
    :param from_sdk: whether the token store of Zoho's SDK may delete it
    :raises GrantRefusedError: if the grant is for another organisation
    """
    key = _key(grant)
    if expected and any(getattr(expected, field) != value for field, value in key.items()):
        message = _("The consent is for another organisation: %s.")
        raise GrantRefusedError(message % grant.organisation.name, code="other_organisation")
    values = organisations.columns(grant.organisation, grant.mapped_fields)
    kinds = ConnectionEvent.Kind
    with atomic():
        # Begins with a write, so that SQLite need not raise a read lock to a write lock.
        known = Connection.objects.filter(**key).update(**values)
        connection, _created = Connection.objects.get_or_create(
            **key, defaults={**values, "name": _free_name(name, grant)}
        )
        token = _store(connection, grant, as_default=as_default, from_sdk=from_sdk)
        if not Connection.objects.filter(is_default=True).exists():
            connection.set_default()
        details = {} if as_default else {"user": token.user_label}
        kind = kinds.RECONNECTED if known else kinds.CONNECTED
        connection.record_event(kind, by=by, **details)
    return token


def working_token(grant: Grant) -> Token | None:
    """Return the stored token that works for the grant's user and client, if there is one."""
    return Token.objects.filter(
        user_id=grant.user.id,
        client_id=grant.credentials.client_id,
        status=Token.Status.ACTIVE,
        **{f"connection__{name}": value for name, value in _key(grant).items()},
    ).first()


def _key(grant: Grant) -> dict[str, str]:
    """Return the columns that a connection is unique on."""
    return {
        "org_id": grant.organisation.id,
        "data_center": grant.center.code,
        "environment": grant.environment.value,
    }


def _store(connection: Connection, grant: Grant, *, as_default: bool, from_sdk: bool) -> Token:
    """Store the grant's tokens in the one row of their user and client, and return it."""
    token, _created = Token.objects.get_or_create(
        connection=connection,
        user_id=grant.user.id,
        client_id=grant.credentials.client_id,
        defaults={"is_default": False},
    )
    # No other one takes the place of a default that was lost, until a person chooses.
    is_first = not connection.tokens.exclude(refresh_token_cipher="").exists()
    is_default = as_default or token.is_default or is_first
    if is_default:
        others = connection.tokens.exclude(pk=token.pk).filter(is_default=True)
        others.update(is_default=False)
        Connection.objects.filter(pk=connection.pk).update(status=Connection.Status.ACTIVE)
    columns = {**_columns(token, grant), "is_default": is_default, "from_sdk": from_sdk}
    Token.objects.filter(pk=token.pk).update(**columns)
    token.refresh_from_db()
    return token


def _columns(token: Token, grant: Grant) -> dict[str, Any]:
    """Return the columns of a token for a new grant of its user."""
    return {
        "user_name": grant.user.name[:200],
        "user_email": grant.user.email[:200],
        "scopes": list(grant.tokens.scopes or conf().SCOPES),
        "status": Token.Status.ACTIVE,
        "generation": F("generation") + 1,
        "expires_at": from_now(grant.tokens.expires_in),
        "refreshed_at": DbNow(),
        "renews_early": tokens.renews_early(grant.tokens),
        "refresh_owner": "",
        "refresh_until": None,
        "throttled_until": None,
        **token.encrypted_columns(
            client_secret=grant.credentials.client_secret,
            access_token=grant.tokens.access_token,
            refresh_token=grant.tokens.refresh_token,
        ),
    }


def _free_name(name: str, grant: Grant) -> str:
    wanted = storable(name.strip() or grant.organisation.name or grant.organisation.id, 100)
    if not Connection.objects.filter(name=wanted).exists():
        return wanted
    return f"{wanted[:40]} ({grant.center.code} {grant.environment} {grant.organisation.id})"
