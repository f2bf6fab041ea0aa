"""
Read ``zcrm_oauthtokens.txt``, a list of tokens that Zoho's SDK for PHP wrote with ``serialize()``.

The reader knows this one form, and fails at the first byte that differs from it::

    a:1:{i:0;O:37:"zcrmsdk\\oauth\\utility\\ZohoOAuthTokens":4:{s:51:"\\0…\\0refreshToken";s:9:"…";…}}

It builds no object of PHP or Python from names in the file.
https://www.php.net/manual/en/function.serialize.php
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.utils.translation import gettext as _

from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.services.token_sources._found import (
    MAX_SOURCE_TOKENS,
    FoundToken,
    found_token,
    too_many_tokens,
)

CLASS = b"zcrmsdk\\oauth\\utility\\ZohoOAuthTokens"
#: The private properties of the class, and the columns that they are.
PROPERTIES: Mapping[bytes, str] = {
    b"refreshToken": "refresh_token",
    b"accessToken": "access_token",
    b"expiryTime": "expiry_time",
    b"userEmailId": "user",
}
#: Digits of a length or a number of elements.
_LIST = re.compile(rb"a:([0-9]{1,9}):\{")
_KEY = re.compile(rb"i:[0-9]{1,19};")
_OBJECT = re.compile(rb'O:%d:"%s":%d:\{' % (len(CLASS), re.escape(CLASS), len(PROPERTIES)))
_LENGTH = re.compile(rb's:([0-9]{1,9}):"')
_NULL = re.compile(rb"N;")
_INTEGER = re.compile(rb"i:([0-9]{1,19});")
_FLOAT = re.compile(rb"d:([0-9]{1,19}(?:\.[0-9]{1,20})?(?:E\+[0-9]{1,2})?);")
_END = re.compile(rb"\}")


def is_serialized(content: bytes) -> bool:
    """Return whether a file begins as a serialized list of PHP does."""
    return _LIST.match(content) is not None


def read_serialized(content: bytes) -> list[FoundToken]:
    """
    Return the tokens of a serialized list.

    :raises RequestRefusedError: if it is not exactly the list that the SDK writes
    """
    reader = _Reader(content)
    size = int(reader.take(_LIST)[1])
    if size > MAX_SOURCE_TOKENS:
        raise too_many_tokens()
    found = []
    for number in range(1, size + 1):
        reader.take(_KEY)
        found.append(found_token(number, _columns(reader)))
    reader.take(_END)
    reader.finish()
    return found


class _Reader:
    """The bytes of a file, and how many of them were read."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = 0

    def take(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        """Return the match of a pattern here, and go behind it."""
        match = self.take_if(pattern)
        if match is None:
            raise self.error()
        return match

    def take_if(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Return the match of a pattern here and go behind it; ``None`` if there is none."""
        match = pattern.match(self._content, self._position)
        self._position = match.end() if match else self._position
        return match

    def string(self) -> bytes:
        """Return the string here: its length in bytes, and the bytes in quotes."""
        length = int(self.take(_LENGTH)[1])
        start, end = self._position, self._position + length
        if not self._content.startswith(b'";', end):
            raise self.error()
        self._position = end + len(b'";')
        return self._content[start:end]

    def finish(self) -> None:
        """Raise an error if there is more than white space here."""
        if self._content[self._position :].strip():
            raise self.error()

    def error(self) -> RequestRefusedError:
        """Return the error that says where the file differs from the format."""
        message = _("It is no list of tokens of Zoho's SDK for PHP: it differs at byte %s.")
        return RequestRefusedError(message % self._position, code="other_format")


def _columns(reader: _Reader) -> dict[str, str]:
    """Return the values of one object by column."""
    reader.take(_OBJECT)
    columns: dict[str, str] = {}
    for _number in PROPERTIES:
        column = _column(reader.string())
        if column is None or column in columns:
            raise reader.error()
        columns[column] = _time(reader) if column == "expiry_time" else _text(reader)
    reader.take(_END)
    return columns


def _column(name: bytes) -> str | None:
    """Return the column of a private property, which PHP names with its class."""
    prefix = b"\0" + CLASS + b"\0"
    return PROPERTIES.get(name.removeprefix(prefix)) if name.startswith(prefix) else None


def _text(reader: _Reader) -> str:
    if reader.take_if(_NULL):
        return ""
    return reader.string().decode(errors="replace")


def _time(reader: _Reader) -> str:
    """Return milliseconds as digits: PHP has them as an integer, or as a float on 32 bits."""
    if reader.take_if(_NULL):
        return ""
    if found := reader.take_if(_INTEGER):
        return found[1].decode()
    return f"{float(reader.take(_FLOAT)[1]):.0f}"
