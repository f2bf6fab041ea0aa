"""Ask for consent, and take it up: through the browser, or by a code from Zoho's API console."""

from __future__ import annotations

import base64
import hashlib
import secrets

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from zoho_crm import crypto
from zoho_crm.client import AccountsClient, Credentials
from zoho_crm.conf import conf
from zoho_crm.datacenters import DataCenter, data_center_of_callback
from zoho_crm.exceptions import ClientRejectedError, GrantRefusedError
from zoho_crm.models import AuthorizationRequest, Connection, DbNow, from_now
from zoho_crm.services._zoho import api, outside_transaction
from zoho_crm.services.connect._grant import exchanged, remember
from zoho_crm.types import Environment, Secret

#: Seconds that a person has to give consent.
REQUEST_LIFETIME = 600


def begin(
    *,
    user: AbstractBaseUser,
    session_key: str,
    redirect_uri: str,
    data_center: str = "",
    environment: str = "",
    name: str = "",
    connection: Connection | None = None,
    next_path: str = "",
) -> str:
    """
    Return the address at Zoho where this person gives consent, good for one use and ten minutes.

    :param connection: the one to connect again; the consent must then be for its organisation
    :raises ImproperlyConfigured: if client, key, data center or environment is not set right
    """
    mine = conf()
    if connection:
        data_center, environment = connection.data_center, connection.environment
    center = _center(data_center or mine.DATA_CENTER)
    accounts = AccountsClient(api=api(center.accounts), credentials=_own_client())
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48) if mine.PKCE else ""
    place = _hash(state)
    AuthorizationRequest.objects.create(
        state_hash=place,
        session_hash=_hash(session_key),
        user_id=user.pk,
        data_center=center.code,
        environment=_environment(environment or mine.ENVIRONMENT),
        redirect_uri=redirect_uri,
        name=name,
        connection=connection,
        verifier_cipher=crypto.encrypt(Secret(verifier), place=place),
        next_path=next_path,
        expires_at=from_now(REQUEST_LIFETIME),
    )
    return accounts.authorization_url(
        scopes=mine.SCOPES, redirect_uri=redirect_uri, state=state, code_challenge=_s256(verifier)
    )


def complete(
    *,
    user: AbstractBaseUser,
    session_key: str,
    state: str,
    code: str,
    error: str = "",
    location: str = "",
    accounts_server: str = "",
) -> tuple[Connection, str]:
    """
    Take up a consent when Zoho sends the browser back; return the connection and where to go next.

    :raises GrantRefusedError: if the state is not of this person and session, was used or is too
        old, consent was refused, a server is not Zoho's, or it is for another organisation
    :raises ZohoError: if Zoho does not give the tokens
    """
    outside_transaction()
    request = _taken_up(user, session_key, state)
    if error or not code:
        message = _("Zoho reports that the consent was not given.")
        raise GrantRefusedError(message, code=error or "no_code")
    named = data_center_of_callback(accounts_server, location, conf().LOCAL_URL)
    grant = exchanged(
        center=named or _center(request.data_center),
        environment=Environment(request.environment),
        credentials=_own_client(),
        code=Secret(code),
        redirect_uri=request.redirect_uri,
        verifier=crypto.decrypt(request.verifier_cipher, place=request.state_hash).reveal(),
    )
    expected = request.connection
    return remember(grant, by=user, name=request.name, expected=expected), request.next_path


def with_grant_code(
    *,
    code: str,
    data_center: str,
    environment: str = "production",
    name: str = "",
    client_id: str = "",
    client_secret: Secret | None = None,
    by: AbstractBaseUser | None = None,
) -> Connection:
    """
    Connect by the grant code of a self client, which a person made in Zoho's API console.

    :param code: works once and for some minutes
    :param client_id: of the self client, with its secret; empty for the one in the settings
    :raises GrantRefusedError: if the code is no good any more
    :raises ClientRejectedError: if the client or the data center is wrong
    :raises ZohoError: if Zoho does not give the tokens
    :raises ImproperlyConfigured: if the client or the encryption key is not set, or no such data
        center or environment is known
    """
    outside_transaction()
    if not code.strip():
        raise GrantRefusedError(_("The code is empty."), code="no_code")
    grant = exchanged(
        center=_center(data_center),
        environment=_environment(environment),
        credentials=_client(client_id, client_secret) if client_id else _own_client(),
        code=Secret(code.strip()),
    )
    return remember(grant, by=by, name=name)


def _client(client_id: str, client_secret: Secret | None) -> Credentials:
    if not client_secret:
        raise ClientRejectedError(_("This client needs its secret."), code="no_client_secret")
    return Credentials(client_id=client_id, client_secret=client_secret)


def _own_client() -> Credentials:
    mine = conf()
    if not (mine.CLIENT_ID and mine.CLIENT_SECRET):
        raise ImproperlyConfigured(
            _("Set ZOHO_CRM['CLIENT_ID'] and ['CLIENT_SECRET'] to those of your client at Zoho.")
        )
    return Credentials(client_id=mine.CLIENT_ID, client_secret=Secret(mine.CLIENT_SECRET))


def _center(code: str) -> DataCenter:
    table = conf().data_centers
    if code not in table:
        message = _("There is no data center “%(code)s”; known are %(known)s.")
        raise ImproperlyConfigured(message % {"code": code, "known": ", ".join(table)})
    return table[code]


def _environment(name: str) -> Environment:
    if name not in set(Environment):
        message = _("There is no environment “%(name)s”; known are %(known)s.")
        raise ImproperlyConfigured(message % {"name": name, "known": ", ".join(Environment)})
    return Environment(name)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _s256(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=") if verifier else ""


def _taken_up(user: AbstractBaseUser, session_key: str, state: str) -> AuthorizationRequest:
    mine = AuthorizationRequest.objects.filter(
        state_hash=_hash(state), session_hash=_hash(session_key), user_id=user.pk
    )
    if not mine.filter(used_at=None, expires_at__gt=DbNow()).update(used_at=DbNow()):
        message = _("This answer is not to a question asked here and now; please connect again.")
        raise GrantRefusedError(message, code="bad_state")
    return mine.select_related("connection").get()
