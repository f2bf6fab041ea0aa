"""A token as a source has it, made from the columns of a row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from django.utils.translation import gettext as _

from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.types import NO_SECRET, Secret, ValueObject, storable

#: Tokens that are read from one source.
MAX_SOURCE_TOKENS = 100_000
MAX_TEXT_LENGTH = 200
#: A client id, a client secret or a token: it is sent in a form or a header.
_CREDENTIAL = re.compile(r"[!-~]{0,2048}", re.ASCII)
#: ``Token.client_id`` has so many characters.
MAX_CLIENT_ID_LENGTH = 100
_MILLISECONDS = re.compile(r"([0-9]{1,14})(\.[0-9]*)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Columns as the SDKs of several versions and languages name them, and the one name used here.
COLUMN_NAMES: Mapping[str, str] = {
    "id": "id",
    "user_name": "user",
    "user_mail": "user",
    "useridentifier": "user",
    "client_id": "client_id",
    "client_secret": "client_secret",
    "refresh_token": "refresh_token",
    "refreshtoken": "refresh_token",
    "access_token": "access_token",
    "accesstoken": "access_token",
    "expiry_time": "expiry_time",
    "expirytime": "expiry_time",
    "api_domain": "api_domain",
}
SECRETS = ("client_secret", "refresh_token", "access_token")
#: Columns without which a source is of another format.
REQUIRED_COLUMNS = frozenset({"user", "refresh_token"})


class Problem(StrEnum):
    """Why a row of a source is no token that can be used."""

    NO_REFRESH_TOKEN = "no_refresh_token"
    UNREADABLE = "unreadable"


class FoundToken(ValueObject):
    """A token of a source; what the source does not have is empty."""

    #: The id of its row; in a source without ids its number, counted from 1.
    source_row: str
    #: The user as the program named it: mostly an e-mail address.
    user: str = ""
    client_id: str = ""
    client_secret: Secret = NO_SECRET
    refresh_token: Secret = NO_SECRET
    access_token: Secret = NO_SECRET
    #: When the access token expires, as the program computed it.
    expires_at: datetime | None = None
    #: URL of the API's origin.
    api_domain: str = ""
    #: A ``Problem``; empty if the row can be used.
    problem: str = ""


def found_token(number: int, columns: Mapping[str, str]) -> FoundToken:
    """
    Return the token of a row.

    :param number: of the row, counted from 1
    :param columns: texts by the names that are values of ``COLUMN_NAMES``
    """
    texts = {name: text.strip() for name, text in columns.items()}
    secrets = {name: Secret(texts.pop(name, "")) for name in SECRETS}
    client_id = texts.get("client_id", "")
    row = FoundToken(
        source_row=storable(texts.get("id", ""), MAX_TEXT_LENGTH) or str(number),
        user=storable(texts.get("user", ""), MAX_TEXT_LENGTH),
    )
    is_whole = all(map(_is_credential, [Secret(client_id), *secrets.values()]))
    if not is_whole or len(client_id) > MAX_CLIENT_ID_LENGTH:
        return replace(row, problem=Problem.UNREADABLE)
    return replace(
        row,
        client_id=client_id,
        client_secret=secrets["client_secret"],
        refresh_token=secrets["refresh_token"],
        access_token=secrets["access_token"],
        expires_at=_time(texts.get("expiry_time", "")),
        api_domain=storable(texts.get("api_domain", ""), MAX_TEXT_LENGTH),
        problem="" if secrets["refresh_token"] else Problem.NO_REFRESH_TOKEN,
    )


def other_format() -> RequestRefusedError:
    """Return the error for a source that has none of the known formats."""
    message = _("It is none of the stores of Zoho's SDKs: a column for users or tokens is missing.")
    return RequestRefusedError(message, code="other_format")


def too_many_tokens() -> RequestRefusedError:
    """Return the error for a source with more tokens than are read."""
    message = _("It has more than %s tokens.")
    return RequestRefusedError(message % MAX_SOURCE_TOKENS, code="too_many")


def _is_credential(secret: Secret) -> bool:
    return _CREDENTIAL.fullmatch(secret.reveal()) is not None


def _time(text: str) -> datetime | None:
    """Return the time for milliseconds since 1970; ``None`` for another text."""
    found = _MILLISECONDS.fullmatch(text)
    return _EPOCH + timedelta(milliseconds=int(found[1])) if found else None
