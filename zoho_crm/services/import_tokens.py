"""
Take over the tokens that a source of Zoho's SDKs has, each in a transaction of its own.

A client's secret and a refresh token are sent to the data centers that the person named, else to
the one that the source names, and to no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from enum import StrEnum

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from zoho_crm.conf import conf
from zoho_crm.crypto import digest
from zoho_crm.datacenters import place_of
from zoho_crm.exceptions import (
    ClientRejectedError,
    ConnectionLostError,
    PermissionDeniedError,
    TokenThrottledError,
    TransientError,
    ZohoError,
)
from zoho_crm.models import Token
from zoho_crm.services import sdk_rows
from zoho_crm.services.adopt import adopt, all_environments
from zoho_crm.services.token_sources import FoundToken, Problem
from zoho_crm.types import NO_SECRET, HiddenVariables, Secret, ValueObject

#: Rows that one query looks for.
BATCH_ROWS = 500


class Result(StrEnum):
    """What became, or would become, of a token of a source."""

    FOUND = "found"
    IMPORTED = "imported"
    PRESENT = "present"
    UNUSABLE = "unusable"


class Reason(StrEnum):
    """Why a token is not imported, besides the problems of its row."""

    NO_CLIENT = "no_client"
    NO_CLIENT_SECRET = "no_client_secret"
    OTHER_CLIENT = "other_client"
    NO_DATA_CENTER = "no_data_center"
    REVOKED = "revoked"
    CLIENT_REJECTED = "client_rejected"
    NOT_PERMITTED = "not_permitted"
    THROTTLED = "throttled"
    NO_ANSWER = "no_answer"
    REFUSED = "refused"
    OTHER_CONSENT = "other_consent"


#: The words of reasons that are not Zoho's: its errors have words of their own.
_WORDS: dict[str, Promise] = {
    Problem.NO_REFRESH_TOKEN: _("It has no refresh token; let the user connect in the admin."),
    Problem.UNREADABLE: _("The row is damaged; let the user connect in the admin."),
    Reason.NO_CLIENT: _("The source does not say of which client it is; add --client-id."),
    Reason.NO_CLIENT_SECRET: _("The secret of its client is missing; add --client-id."),
    Reason.OTHER_CLIENT: _("It is of another client; import it with its own --client-id."),
    Reason.NO_DATA_CENTER: _(
        "The source names no known data center; add --data-center, or --try with several."
    ),
    Reason.REVOKED: _(
        "Zoho does not accept it: it was revoked, or is of another client or data center. "
        "Let the user connect in the admin, or name another data center."
    ),
    Reason.OTHER_CONSENT: _(
        "This user is connected with another consent to the same client, which is kept."
    ),
}
_REASONS_BY_ERROR: dict[type[ZohoError], Reason] = {
    ConnectionLostError: Reason.REVOKED,
    ClientRejectedError: Reason.CLIENT_REJECTED,
    PermissionDeniedError: Reason.NOT_PERMITTED,
    TokenThrottledError: Reason.THROTTLED,
    TransientError: Reason.NO_ANSWER,
    ZohoError: Reason.REFUSED,
}
#: Errors after which the next data center is asked, the one that says most first.
_NEXT_DATA_CENTER = (TransientError, ConnectionLostError, ClientRejectedError)


class ImportOptions(ValueObject):
    """What the person who imports adds to a source."""

    #: The data centers to ask, in this order; empty for the one that the source names.
    data_centers: tuple[str, ...] = ()
    #: The one that all tokens are of; empty: as Zoho says.
    environment: str = ""
    #: The client that all tokens are of; empty for that of the source, else that of the settings.
    client_id: str = ""


class TokenImport(ValueObject):
    """A token of a source, how it is imported, and what became of it."""

    found: FoundToken
    client_id: str = ""
    #: Empty if only the person who imports has it.
    client_secret: Secret = NO_SECRET
    #: Codes of the data centers to ask; the one that it was found in if it is imported.
    data_centers: tuple[str, ...] = ()
    #: The environments to ask, in this order; the one that it was found in if it is imported.
    environments: tuple[str, ...] = ()
    result: Result = Result.FOUND
    #: A ``Problem`` or ``Reason``; empty if there is none.
    reason: str = ""
    error: ZohoError | None = None
    #: Name of the connection that has the token.
    connection: str = ""

    @property
    def message(self) -> str:
        """The reason in words; empty if there is none."""
        return str(_WORDS.get(self.reason, "") or self.error or "")


def plan_imports(found: Sequence[FoundToken], options: ImportOptions) -> list[TokenImport]:
    """Return how each token would be imported, in order; Zoho is not asked."""
    working = _working_tokens([digest(each.refresh_token) for each in found if each.refresh_token])
    return [_planned(each, options, working.get(digest(each.refresh_token))) for each in found]


def lack_client_secret(planned: Iterable[TokenImport]) -> bool:
    """Return whether the secret of the client that was named is needed to import them."""
    return any(each.result == Result.FOUND and not each.client_secret for each in planned)


def run_imports(
    planned: Iterable[TokenImport], *, verify: bool, client_secret: Secret = NO_SECRET
) -> Iterator[TokenImport]:
    """
    Import tokens one by one, and yield what became of each.

    :param verify: whether each is checked by a refresh, also if its access token is valid
    :param client_secret: of the client that was named, for tokens that lack it
    :raises ImproperlyConfigured: if the encryption key is not set
    """
    imported: dict[Secret, str] = {}
    for each in planned:
        if each.result != Result.FOUND:
            yield each
            continue
        if name := imported.get(each.found.refresh_token):
            yield replace(each, result=Result.PRESENT, connection=name)
            continue
        secret = each.client_secret or client_secret
        done = _import(replace(each, client_secret=secret), verify=verify)
        if done.result == Result.IMPORTED:
            imported[each.found.refresh_token] = done.connection
        yield done


def _working_tokens(digests: Sequence[str]) -> dict[str, Token]:
    """Return the tokens that work by the SHA-256 of their refresh token; none is decrypted."""
    working = Token.objects.filter(status=Token.Status.ACTIVE).select_related("connection")
    return {
        token.refresh_token_hash: token
        for start in range(0, len(digests), BATCH_ROWS)
        for token in working.filter(refresh_token_hash__in=digests[start : start + BATCH_ROWS])
    }


def _planned(found: FoundToken, options: ImportOptions, working: Token | None) -> TokenImport:
    center, environment = place_of(found.api_domain, conf().data_centers)
    environments = all_environments(environment)
    client_id = found.client_id or options.client_id or conf().CLIENT_ID
    planned = TokenImport(
        found=found,
        client_id=client_id,
        client_secret=found.client_secret or _secret_of_settings(client_id),
        data_centers=options.data_centers or ((center,) if center else ()),
        environments=(options.environment,) if options.environment else environments,
    )
    if working:
        return replace(
            planned,
            data_centers=(working.connection.data_center,),
            environments=(working.connection.environment,),
            result=Result.PRESENT,
            connection=working.connection.name,
        )
    reason = found.problem or _missing(planned, options)
    return replace(planned, result=Result.UNUSABLE, reason=reason) if reason else planned


def _missing(planned: TokenImport, options: ImportOptions) -> str:
    """Return what a token lacks that it needs to be imported; empty if it has all."""
    if not planned.client_id:
        return Reason.NO_CLIENT
    if options.client_id and planned.client_id != options.client_id:
        return Reason.OTHER_CLIENT
    if not (planned.client_secret or planned.client_id == options.client_id):
        return Reason.NO_CLIENT_SECRET
    return "" if planned.data_centers else Reason.NO_DATA_CENTER


def _secret_of_settings(client_id: str) -> Secret:
    if client_id != conf().CLIENT_ID:
        return NO_SECRET
    with HiddenVariables():
        return Secret(conf().CLIENT_SECRET)


def _import(planned: TokenImport, *, verify: bool) -> TokenImport:
    """Store a token with the first data center that knows it; they are asked one by one."""
    refused: list[TokenImport] = []
    for center in planned.data_centers:
        try:
            return _stored(planned, _adopt(planned, center, verify=verify))
        except _NEXT_DATA_CENTER as error:
            refused.append(_refused(planned, error))
        except ZohoError as error:
            return _refused(replace(planned, data_centers=(center,)), error)
    return min(refused, key=_rank)


def _rank(refused: TokenImport) -> int:
    """Return the position of the error's class in ``_NEXT_DATA_CENTER``."""
    kinds = enumerate(_NEXT_DATA_CENTER)
    return next(rank for rank, kind in kinds if isinstance(refused.error, kind))


def _adopt(planned: TokenImport, center: str, *, verify: bool) -> Token:
    found = planned.found
    expires_at = None if verify else found.expires_at
    return adopt(
        client_id=planned.client_id,
        client_secret=planned.client_secret,
        refresh_token=found.refresh_token,
        data_center=center,
        environments=planned.environments,
        access_token=found.access_token if expires_at else NO_SECRET,
        expires_in=(expires_at - timezone.now()).total_seconds() if expires_at else 0,
        keep_working=True,
    )


def _stored(planned: TokenImport, token: Token) -> TokenImport:
    """Return the import with its outcome; a consent that worked before was kept instead."""
    is_new = token.refresh_token_hash == digest(planned.found.refresh_token)
    _keep_user_name(token, planned.found.user)
    return replace(
        planned,
        data_centers=(token.connection.data_center,),
        environments=(token.connection.environment,),
        result=Result.IMPORTED if is_new else Result.PRESENT,
        reason="" if is_new else Reason.OTHER_CONSENT,
        connection=token.connection.name,
    )


def _keep_user_name(token: Token, user_name: str) -> None:
    """Let a program that uses the SDK find the token by the name that it gave the user."""
    if user_name and user_name not in {token.user_email, sdk_rows.name_of(token)}:
        sdk_rows.row_for(token, user_name)


def _refused(planned: TokenImport, error: ZohoError) -> TokenImport:
    found = (reason for kind, reason in _REASONS_BY_ERROR.items() if isinstance(error, kind))
    return replace(planned, result=Result.UNUSABLE, reason=next(found), error=error)
