"""A consent that was given: turn its code into tokens, learn whose it is, and remember it."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from zoho_crm import crypto
from zoho_crm.client import AccountsClient, Credentials, TokenAuth, ZohoClient
from zoho_crm.conf import conf
from zoho_crm.datacenters import DataCenter
from zoho_crm.exceptions import AccessTokenRejectedError, GrantRefusedError, ZohoError
from zoho_crm.models import Connection, ConnectionEvent, DbNow, Token, from_now
from zoho_crm.services import tokens, work
from zoho_crm.services._zoho import api
from zoho_crm.types import Environment, Organisation, Secret, TokenGrant, User


@dataclass(frozen=True, kw_only=True)
class Grant:
    """A consent that was just given: by whom, for what, to which client."""

    center: DataCenter
    environment: Environment
    credentials: Credentials
    tokens: TokenGrant
    user: User
    organisation: Organisation
    mapped_fields: tuple[str, ...]


def exchanged(
    *,
    center: DataCenter,
    environment: Environment,
    credentials: Credentials,
    code: Secret,
    redirect_uri: str = "",
    verifier: str = "",
) -> Grant:
    # Zoho's consent is used up by the exchange: what would fail afterwards is tried before.
    crypto.require_key()
    accounts = AccountsClient(api=api(center.accounts), credentials=credentials)
    given = accounts.exchange(code, redirect_uri=redirect_uri, verifier=verifier)
    if not given.refresh_token:
        message = _(
            "Zoho gave no refresh token; take the app's consent back at Zoho, then connect."
        )
        raise GrantRefusedError(message, code="no_refresh_token")
    if given.api_domain and not center.owns_api_domain(given.api_domain):
        message = _("Zoho named an API server that is not known here.")
        raise GrantRefusedError(message, code="unknown_server")
    client = ZohoClient(api=api(center.api(environment), TokenAuth(given.access_token)))
    organisation = _organisation(client, environment)
    return Grant(
        center=center,
        environment=environment,
        credentials=credentials,
        tokens=given,
        user=client.current_user(),
        organisation=organisation,
        mapped_fields=_mapped_fields(client),
    )


def _organisation(client: ZohoClient, environment: Environment) -> Organisation:
    try:
        organisation = client.organisation()
    except AccessTokenRejectedError as error:
        # A token of one environment is unknown in the others.
        message = _("The consent is not for a %s organisation.")
        raise GrantRefusedError(message % environment, code="other_environment") from error
    if organisation.environment != environment:
        message = _("The consent is for a %(found)s organisation, not for %(wanted)s.")
        names = {"found": organisation.environment, "wanted": environment}
        raise GrantRefusedError(message % names, code="other_environment")
    return organisation


def _mapped_fields(client: ZohoClient) -> tuple[str, ...]:
    """Return them if Zoho says them now: no reason to lose a consent that is used up already."""
    try:
        return client.mapped_lead_fields()
    except ZohoError:
        return ()


def remember(
    grant: Grant,
    *,
    by: AbstractBaseUser | None,
    name: str,
    expected: Connection | None = None,
) -> Connection:
    key = {
        "org_id": grant.organisation.id,
        "data_center": grant.center.code,
        "environment": grant.environment.value,
    }
    if expected and any(getattr(expected, field) != value for field, value in key.items()):
        message = _("The consent is for another organisation: %s.")
        raise GrantRefusedError(message % grant.organisation.name, code="other_organisation")
    values = {
        "org_name": grant.organisation.name[:200],
        "edition": grant.organisation.edition[:50],
        "licences": grant.organisation.licences,
        "mapped_fields": list(grant.mapped_fields),
        "status": Connection.Status.ACTIVE,
    }
    with transaction.atomic():
        connection, created = Connection.objects.update_or_create(
            **key, defaults=values, create_defaults={**values, "name": _free_name(name, grant)}
        )
        _store_token(connection, grant)
        if not Connection.objects.filter(is_default=True).exists():
            connection.set_default()
        kinds = ConnectionEvent.Kind
        connection.record_event(kinds.CONNECTED if created else kinds.RECONNECTED, by=by)
    work.end_backoff(connection_id=connection.pk)
    return connection


def _store_token(connection: Connection, grant: Grant) -> None:
    token, _created = Token.objects.get_or_create(
        connection=connection, user_id=grant.user.id, client_id=grant.credentials.client_id
    )
    Token.objects.filter(connection=connection).exclude(pk=token.pk).update(is_default=False)
    Token.objects.filter(pk=token.pk).update(
        user_name=grant.user.name[:200],
        user_email=grant.user.email[:200],
        scopes=list(grant.tokens.scopes or conf().SCOPES),
        status=Token.Status.ACTIVE,
        is_default=True,
        generation=F("generation") + 1,
        expires_at=from_now(grant.tokens.expires_in),
        refreshed_at=DbNow(),
        renews_early=tokens.renews_early(grant.tokens),
        refresh_owner="",
        refresh_until=None,
        throttled_until=None,
        **token.encrypted_columns(
            client_secret=grant.credentials.client_secret,
            access_token=grant.tokens.access_token,
            refresh_token=grant.tokens.refresh_token,
        ),
    )


def _free_name(name: str, grant: Grant) -> str:
    wanted = (name or grant.organisation.name or grant.organisation.id)[:100]
    if not Connection.objects.filter(name=wanted).exists():
        return wanted
    return f"{wanted[:40]} ({grant.center.code} {grant.environment} {grant.organisation.id})"
