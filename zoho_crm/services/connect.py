"""
Connect to an organisation, by the web flow or a self client's grant code; test and disconnect.

A server that Zoho or the browser names is looked up in the table of data centers; the client's
secret is sent to no other server.
https://www.zoho.com/crm/developer/docs/api/v8/auth-request.html
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from zoho_crm import client as zoho
from zoho_crm import crypto
from zoho_crm.conf import conf
from zoho_crm.datacenters import DataCenter, data_center_of_callback
from zoho_crm.exceptions import (
    ClientRejectedError,
    GrantRefusedError,
    RequestRefusedError,
    SecretUnreadableError,
    ZohoError,
)
from zoho_crm.models import (
    AuthorizationRequest,
    Connection,
    ConnectionEvent,
    EnteredClient,
    Token,
    atomic,
    from_now,
)
from zoho_crm.models._database import DbNow
from zoho_crm.services import clients, entered_clients, grants, organisations, users, work
from zoho_crm.services._zoho import api, outside_transaction
from zoho_crm.services.presentation import describe_error, followed_by
from zoho_crm.types import Environment, HiddenVariables, Secret, TokenGrant, storable

#: Seconds within which a person has to give consent.
REQUEST_LIFETIME_SECONDS = 600


def begin(
    *,
    user: AbstractBaseUser,
    session_key: Secret,
    redirect_uri: str,
    data_center: str = "",
    environment: str = "",
    name: str = "",
    client: EnteredClient | None = None,
    connection: Connection | None = None,
    next_path: str = "",
) -> str:
    """
    Return the URL of Zoho's consent page for this user; it is valid once, for ten minutes.

    :param connection: the connection to connect again; the consent must be for its organisation
    :raises ImproperlyConfigured: as ``with_grant_code``
    """
    config = conf()
    if connection:
        data_center, environment = connection.data_center, connection.environment
    center = grants.data_center(data_center or config.DATA_CENTER)
    credentials = _credentials(client, connection)
    state, verifier = _new_secret(32), _new_secret(48) if config.PKCE else Secret("")
    _add_request(
        state,
        verifier,
        session_hash=_hash(session_key),
        user_id=user.pk,
        data_center=center.code,
        environment=grants.environment(environment or config.ENVIRONMENT),
        redirect_uri=redirect_uri,
        name=name,
        client=client,
        connection=connection,
        next_path=next_path,
    )
    return zoho.AccountsClient(api=api(center.accounts), credentials=credentials).authorization_url(
        scopes=config.SCOPES, redirect_uri=redirect_uri, state=state, code_challenge=_s256(verifier)
    )


def _add_request(state: Secret, verifier: Secret, **columns: Any) -> None:
    """Store a request for consent with this state and code verifier."""
    state_hash = _hash(state)
    AuthorizationRequest.objects.create(
        state_hash=state_hash,
        verifier_cipher=crypto.encrypt(verifier, place=state_hash),
        expires_at=from_now(REQUEST_LIFETIME_SECONDS),
        **columns,
    )


def complete(
    *,
    user: AbstractBaseUser,
    session_key: Secret,
    state: Secret,
    code: Secret,
    error: str = "",
    location: str = "",
    accounts_server: str = "",
) -> tuple[Connection, str]:
    """
    Finish the web flow with the parameters of Zoho's redirect.

    :return: the connection, and the path to send the browser to
    :raises GrantRefusedError: if the state was not made for this user and session, was used before
        or has expired; if consent was not given, a server is not Zoho's, or the consent is for
        another organisation
    :raises ZohoError: if Zoho does not give the tokens
    """
    outside_transaction()
    request = _use_request(user, session_key, state)
    if error or not code:
        message = _("Zoho reports that the consent was not given.")
        raise GrantRefusedError(message, code=error or "no_code")
    named = data_center_of_callback(accounts_server, location, conf().data_centers)
    connection = _connect(
        center=named or grants.data_center(request.data_center),
        environment=Environment(request.environment),
        credentials=_credentials(request.client, request.connection),
        code=code,
        redirect_uri=request.redirect_uri,
        verifier=crypto.decrypt(request.verifier_cipher, place=request.state_hash),
        by=user,
        name=request.name,
        expected=request.connection,
    )
    entered_clients.forget(request.client)
    return connection, request.next_path


def find_request(
    *, user: AbstractBaseUser, session_key: Secret, state: Secret
) -> AuthorizationRequest | None:
    """Return the authorization request of this state, user and session, used or not."""
    mine = {"session_hash": _hash(session_key), "user_id": user.pk}
    return AuthorizationRequest.objects.filter(state_hash=_hash(state), **mine).first()


def withdraw(*, user: AbstractBaseUser, session_key: Secret, states: Iterable[Secret]) -> None:
    """Mark the authorization requests of these states as used, if they are of user and session."""
    _usable_requests(user, session_key, states).update(used_at=DbNow())


def with_grant_code(
    *,
    code: Secret | str,
    data_center: str,
    environment: str = "production",
    name: str = "",
    client_id: str = "",
    client_secret: Secret | None = None,
    by: AbstractBaseUser | None = None,
) -> Connection:
    """
    Connect with the grant code of a self client, which a person generated in Zoho's API console.

    :param code: valid once, for some minutes
    :param client_id: id of the self client, whose secret is needed too; empty for the client in the
        settings
    :raises GrantRefusedError: if the code has expired, was used before or is of another client
    :raises ClientRejectedError: if the client or the data center is wrong
    :raises ZohoError: if Zoho does not give the tokens
    :raises ImproperlyConfigured: if the client or the encryption key is not set, or no such data
        center or environment is known
    """
    outside_transaction()
    code = _stripped(code)
    if not code:
        raise GrantRefusedError(_("The code is empty."), code="no_code")
    return _connect(
        center=grants.data_center(data_center),
        environment=grants.environment(environment),
        credentials=_client(client_id, client_secret) if client_id else _client_of_settings(),
        code=code,
        by=by,
        name=name,
    )


def disconnect(*, connection_id: int, by: AbstractBaseUser | None = None) -> Connection:
    """
    Revoke the tokens of a connection at Zoho, delete their secrets and disable the connection.

    Conversions and events are kept.

    :raises TransientError: if Zoho does not answer; the secrets of that token are kept then
    :raises SecretUnreadableError: if a token cannot be read; ``forget`` deletes it
    """
    outside_transaction()
    connection = Connection.objects.get(pk=connection_id)
    for token in _stored_tokens(connection):
        users.revoke(token)
        users.delete_secrets(token)
    return _disable(connection, ConnectionEvent.Kind.DISCONNECTED, by)


def forget(*, connection_id: int, by: AbstractBaseUser | None = None) -> Connection:
    """
    Delete the tokens of a connection that cannot be read, and disable the connection.

    Zoho keeps the consent for them: ``how_to_end_consent`` says how a person ends it. Tokens that
    can be read are revoked, as by ``disconnect``.

    :raises RequestRefusedError: if all can be read, so that the connection can be disconnected
    :raises TransientError: if Zoho does not answer for a token that can be read
    """
    outside_transaction()
    connection = Connection.objects.get(pk=connection_id)
    unreadable = unreadable_tokens(connection)
    if not unreadable:
        message = _("The tokens of this connection can be read; disconnect it instead.")
        raise RequestRefusedError(message, code="readable")
    for token in _stored_tokens(connection):
        if token not in unreadable:
            users.revoke(token)
        users.delete_secrets(token)
    return _disable(connection, ConnectionEvent.Kind.FORGOTTEN, by, tokens=len(unreadable))


def unreadable_tokens(connection: Connection) -> list[Token]:
    """Return the tokens of a connection that cannot be revoked, because they cannot be read."""
    return [token for token in _stored_tokens(connection) if not _can_be_read(token)]


def how_to_end_consent(connection: Connection) -> str:
    """Return how a person ends at Zoho a consent that cannot be revoked from here, in words."""
    center = conf().data_centers.get(connection.data_center)
    return _how_to_end_consent_at(center.accounts if center else "Zoho Accounts")


def _how_to_end_consent_at(server: str) -> str:
    message = _(
        "Zoho still has the consent. To end it, sign in at %(server)s as the user who gave it, "
        "open Sessions, then Connected Apps, and remove the app there."
    )
    return message % {"server": server}


def _stored_tokens(connection: Connection) -> list[Token]:
    """Return the tokens of a connection whose secrets were not deleted."""
    stored = connection.tokens.exclude(refresh_token_cipher="").select_related("connection")
    return list(stored.order_by("pk"))


def _can_be_read(token: Token) -> bool:
    try:
        token.reveal("refresh_token")
    except SecretUnreadableError:
        return False
    return True


def _disable(
    connection: Connection, kind: str, by: AbstractBaseUser | None, **details: int
) -> Connection:
    """Disable a connection without tokens, record why, and return it."""
    with atomic():
        Connection.objects.filter(pk=connection.pk).update(status=Connection.Status.DISABLED)
        connection.record_event(kind, by=by, **details)
    connection.refresh_from_db()
    return connection


def check_connection(
    *, connection_id: int, by: AbstractBaseUser | None = None, user: str | None = None
) -> str:
    """
    Read the organisation at Zoho, and return the problem as a sentence: empty if there is none.

    The result is recorded as an event. If there is no problem, a back-off of the connection ends,
    and edition, licences and mapped fields are stored as they are now.

    :param user: whose token is tested, as for ``token_of``; then nothing but the event is stored
    """
    connection = Connection.objects.get(pk=connection_id)
    tested = {} if user is None else {"user": storable(user, 200)}
    try:
        client = clients.client_for(connection, user=user)
        found = client.organisation()
    except ZohoError as error:
        connection.record_event(
            ConnectionEvent.Kind.TESTED, by=by, ok=False, code=error.code, **tested
        )
        return describe_error(error)
    connection.record_event(ConnectionEvent.Kind.TESTED, by=by, ok=True, **tested)
    difference = organisations.difference(connection, found)
    if difference or user is not None:
        return difference
    read = organisations.columns(found, organisations.mapped_fields(client))
    organisations.store(connection_id, read)
    work.end_backoff(connection_id=connection_id)
    return ""


def was_made_by(connection: Connection, user: AbstractBaseUser) -> bool:
    """Return whether this user connected the organisation for the first time."""
    made = connection.events.filter(kind=ConnectionEvent.Kind.CONNECTED, by_id=user.pk)
    return made.exists()


def rename(*, connection_id: int, name: str) -> None:
    """Change the name of a connection."""
    Connection.objects.filter(pk=connection_id).update(name=name)


def make_default(*, connection_id: int) -> Connection:
    """Make this the connection that is used when none is named."""
    connection = Connection.objects.get(pk=connection_id)
    with atomic():
        connection.set_default()
    return connection


def missing_scopes(granted: list[str]) -> list[str]:
    """Return the scopes of the settings that no granted scope includes."""
    lowered = {scope.lower() for scope in granted}
    return [scope for scope in conf().SCOPES if not lowered & _including(scope.lower())]


def _including(scope: str) -> set[str]:
    """Return the scopes that include this one: ``a.b.read`` is in ``a.b.all`` and ``a.all``."""
    parts = scope.split(".")[:-1]
    return {scope, *(".".join([*parts[:end], "all"]) for end in range(1, len(parts) + 1))}


def _client(client_id: str, client_secret: Secret | None) -> zoho.Credentials:
    if not client_secret:
        raise ClientRejectedError(_("This client needs its secret."), code="no_client_secret")
    return zoho.Credentials(client_id=client_id, client_secret=client_secret)


def _credentials(client: EnteredClient | None, connection: Connection | None) -> zoho.Credentials:
    """
    Return the credentials of a client that was entered; if there is none, of the settings' client.

    A site whose settings have none connects again with the client that connected before.
    """
    config = conf()
    known: EnteredClient | Token | None = client
    if not known and connection and not (config.CLIENT_ID and config.CLIENT_SECRET):
        known = connection.tokens.filter(is_default=True).exclude(client_secret_cipher="").first()
    if not known:
        return _client_of_settings()
    return zoho.Credentials(client_id=known.client_id, client_secret=known.reveal("client_secret"))


def _client_of_settings() -> zoho.Credentials:
    config = conf()
    if not (config.CLIENT_ID and config.CLIENT_SECRET):
        raise ImproperlyConfigured(
            _("Set ZOHO_CRM['CLIENT_ID'] and ['CLIENT_SECRET'] to those of your client at Zoho.")
        )
    with HiddenVariables():
        client_secret = Secret(config.CLIENT_SECRET)
    return zoho.Credentials(client_id=config.CLIENT_ID, client_secret=client_secret)


def _new_secret(size: int) -> Secret:
    """Return a random text that is safe in a URL, made of so many bytes."""
    with HiddenVariables():
        return Secret(secrets.token_urlsafe(size))


def _stripped(code: Secret | str) -> Secret:
    with HiddenVariables():
        return Secret((code.reveal() if isinstance(code, Secret) else code).strip())


def _hash(secret: Secret) -> str:
    return hashlib.sha256(secret.reveal().encode()).hexdigest()


def _s256(verifier: Secret) -> str:
    """Return the code challenge of PKCE's method S256."""
    digest = hashlib.sha256(verifier.reveal().encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=") if verifier else ""


def _use_request(
    user: AbstractBaseUser, session_key: Secret, state: Secret
) -> AuthorizationRequest:
    """
    Mark the authorization request of this state as used, and return it.

    :raises GrantRefusedError: if there is none for this user and session that can still be used
    """
    if not _usable_requests(user, session_key, [state]).update(used_at=DbNow()):
        message = _(
            "This request to connect has expired, was used before or was started in another "
            "session; please connect again."
        )
        raise GrantRefusedError(message, code="bad_state")
    requests = AuthorizationRequest.objects.select_related("connection", "client")
    return requests.get(state_hash=_hash(state))


def _usable_requests(
    user: AbstractBaseUser, session_key: Secret, states: Iterable[Secret]
) -> QuerySet[AuthorizationRequest]:
    """Return the authorization requests of states that this user and session can still use."""
    return AuthorizationRequest.objects.filter(
        state_hash__in=[_hash(state) for state in states],
        session_hash=_hash(session_key),
        user_id=user.pk,
        used_at=None,
        expires_at__gt=DbNow(),
    )


def _connect(
    *,
    center: DataCenter,
    environment: Environment,
    credentials: zoho.Credentials,
    code: Secret,
    by: AbstractBaseUser | None,
    name: str,
    redirect_uri: str = "",
    verifier: Secret | None = None,
    expected: Connection | None = None,
) -> Connection:
    """
    Exchange a code for tokens, and store them with the connection of their organisation.

    The code is used up then, so what is not stored is revoked at Zoho, and the error says so.

    :raises ZohoError: as ``with_grant_code``
    """
    # A code can be used only once, so the encryption key is checked before.
    crypto.require_key()
    accounts = zoho.AccountsClient(api=api(center.accounts), credentials=credentials)
    given = accounts.exchange(code, redirect_uri=redirect_uri, verifier=verifier)
    with _revoked_on_error(accounts, given):
        grant = grants.read(center, [environment], credentials, given)
        connection = grants.save(grant, by=by, name=name, expected=expected).connection
    work.end_backoff(connection_id=connection.pk)
    return connection


@contextmanager
def _revoked_on_error(accounts: zoho.AccountsClient, given: TokenGrant) -> Iterator[None]:
    """Revoke these tokens if the block fails; a ``ZohoError`` says then what became of them."""
    is_settled = False
    try:
        yield
        is_settled = True
    except ZohoError as error:
        is_settled = True
        raise type(error)(
            followed_by(str(error), _revoke(accounts, given)),
            code=error.code,
            http_status=error.http_status,
            details=error.details,
        ) from error
    finally:
        if not is_settled:
            _revoke(accounts, given)


def _revoke(accounts: zoho.AccountsClient, given: TokenGrant) -> str:
    """Revoke tokens that are not stored; return what became of the consent, in a sentence."""
    try:
        if token := given.refresh_token or given.access_token:
            accounts.revoke(token)
    except ZohoError:
        return _how_to_end_consent_at(accounts.api.origin)
    if given.refresh_token:
        return _("The consent was taken back at Zoho.")
    # An access token is not the consent.
    return _how_to_end_consent_at(accounts.api.origin)
