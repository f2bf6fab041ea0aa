"""Write tokens to a file that the store of Zoho's SDK for Python, ``FileStore``, reads."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from django.contrib.auth.models import AbstractBaseUser
from django.utils.translation import gettext as _

from zoho_crm.conf import conf
from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.models import Connection, ConnectionEvent, SdkToken, Token, atomic
from zoho_crm.services._zoho import data_center_of
from zoho_crm.types import HiddenVariables, Secret

#: The columns of ``FileStore`` of version 7.0.0, in its order.
SDK_COLUMNS = (
    "id",
    "user_name",
    "client_id",
    "client_secret",
    "refresh_token",
    "access_token",
    "grant_token",
    "expiry_time",
    "redirect_uri",
    "api_domain",
)
#: Only the owner of the file may read and write it.
FILE_MODE = 0o600


def exportable_tokens(connection: Connection | None = None) -> list[Token]:
    """Return the tokens that work, of one connection or of all; those of defaults come first."""
    tokens = Token.objects.filter(status=Token.Status.ACTIVE).exclude(refresh_token_cipher="")
    if connection:
        tokens = tokens.filter(connection=connection)
    order = ("-connection__is_default", "connection_id", "-is_default", "pk")
    return list(tokens.select_related("connection").order_by(*order))


def export_tokens(
    *, path: Path, connection: Connection | None = None, by: AbstractBaseUser | None = None
) -> int:
    """
    Write tokens with their secrets to a new file, and return how many they are.

    If it fails there is no file. Each connection's journal has an event.

    :raises RequestRefusedError: if there is no token, or the file exists or cannot be made
    :raises SecretUnreadableError: if a token cannot be read
    """
    tokens = exportable_tokens(connection)
    if not tokens:
        raise RequestRefusedError(_("There is no token to export."), code="no_token")
    with HiddenVariables():
        content = _sdk_file(tokens)
    with ExitStack() as undo:
        descriptor = _new_file(path)
        undo.callback(path.unlink, missing_ok=True)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file, atomic():
            _record(tokens, by)
            file.write(content.reveal())
            file.flush()
        undo.pop_all()
    return len(tokens)


def _new_file(path: Path) -> int:
    """Make a file that is not there yet, also not as a link, and return its descriptor."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        return os.open(path, flags, FILE_MODE)
    except FileExistsError as error:
        message = _("%s exists; name a new file.")
        raise RequestRefusedError(message % path, code="exists") from error
    except (OSError, ValueError) as error:
        message = _("%(path)s cannot be written: %(error)s")
        values = {"path": path, "error": error}
        raise RequestRefusedError(message % values, code="cannot_be_written") from error


def _record(tokens: Iterable[Token], by: AbstractBaseUser | None) -> None:
    for connection, number in Counter(token.connection for token in tokens).items():
        connection.record_event(ConnectionEvent.Kind.EXPORTED, by=by, tokens=number)


def _sdk_file(tokens: Sequence[Token]) -> Secret:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_MINIMAL)
    writer.writerow(SDK_COLUMNS)
    for number, (token, name) in enumerate(zip(tokens, _user_names(tokens), strict=True), start=1):
        writer.writerow(cell.reveal() for cell in _row(number, token, name))
    return Secret(text.getvalue())


def _user_names(tokens: Sequence[Token]) -> list[str]:
    """
    Return the name of each token's user: the one that a program gave, else the e-mail address.

    ``FileStore`` finds tokens by name alone, and takes the first one. So a name that several have
    gets the organisation, then the data center and environment, then the client, until none is
    left.
    """
    given = SdkToken.objects.filter(token__in=tokens).exclude(user_name="").order_by("-pk")
    names_given = dict(given.values_list("token_id", "user_name"))
    names = [names_given.get(each.pk) or each.user_label for each in tokens]
    for part in (_organisation_of, _place_of, _client_of):
        uses = Counter(names)
        names = [
            name if uses[name] == 1 else f"{name}:{part(token)}"
            for name, token in zip(names, tokens, strict=True)
        ]
    return names


def _organisation_of(token: Token) -> str:
    return token.connection.zgid or token.connection.org_id


def _place_of(token: Token) -> str:
    return f"{token.connection.data_center}-{token.connection.environment}"


def _client_of(token: Token) -> str:
    return token.client_id


def _row(number: int, token: Token, user_name: str) -> list[Secret]:
    """Return the values for ``SDK_COLUMNS``."""
    connection = token.connection
    expires_at = token.expires_at if token.access_token_cipher else None
    secret, none = token.reveal, Secret("")
    return [
        Secret(str(number)),
        Secret(user_name),
        Secret(token.client_id),
        secret("client_secret"),
        secret("refresh_token"),
        secret("access_token") if expires_at else none,
        none,
        Secret(str(int(expires_at.timestamp() * 1000)) if expires_at else ""),
        Secret(conf().REDIRECT_URI),
        Secret(data_center_of(connection).api(connection.environment)),
    ]
