"""Files on their way: a multipart body that is read while it is sent, and a file that is saved."""

from __future__ import annotations

import io
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

from requests import Response

from zoho_crm.client._transport import Pace
from zoho_crm.exceptions import RequestRefusedError, TransportError

#: A file: its path, or one that is open in binary mode.
File: TypeAlias = str | os.PathLike[str] | BinaryIO

CHUNK_BYTES = 64 * 1024
#: Digits of the largest size that an answer may say.
MAX_SIZE_DIGITS = 15
_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A", "\0": "%00"})


class MultipartFile:
    """
    The body of a form with one file, whose length is known; it is read while it is sent.

    If the file has another size by then, reading raises an error before the last bytes are sent.
    So the server gets no complete body, and nothing of what is sent counts.

    :param file: open in binary mode; its content from where it stands
    :param name: of the file, as the server is to know it
    :param pace: an error is raised when its time is over
    :raises RequestRefusedError: if the file cannot be read anew
    """

    def __init__(self, file: BinaryIO, name: str, pace: Pace) -> None:
        self._file = file
        self._pace = pace
        self._first, self.size = _extent(file)
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        shown = name.translate(_ESCAPES)
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{shown}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        self._head = head.encode(errors="replace")
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._place = 0

    @property
    def is_read(self) -> bool:
        """Whether all of it was read, so that all of it may have been sent."""
        return self._place == len(self)

    def __len__(self) -> int:
        return len(self._head) + self.size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        while part := self.read(CHUNK_BYTES):
            yield part

    def tell(self) -> int:
        """Return the place in the body."""
        return self._place

    def seek(self, place: int) -> int:
        """Return to the beginning, so that the body is sent once more."""
        if place != 0:
            raise io.UnsupportedOperation("not to the beginning")
        self._at(self._first)
        self._place = 0
        return 0

    def read(self, size: int | None = -1) -> bytes:
        """
        Return the next bytes, at most as many; none at the end. Without a size, all that is left.

        :raises RequestRefusedError: if the file has changed its size, or cannot be read
        :raises TransportError: if it takes too long
        """
        if size is None or size < 0:
            return b"".join(self)
        if self._pace.is_over:
            raise TransportError("the file is sent too slowly")
        end_of_file = len(self._head) + self.size
        if self._place < len(self._head):
            part = self._head[self._place : self._place + size]
        elif self._place < end_of_file:
            part = self._content(min(size, end_of_file - self._place, CHUNK_BYTES))
        else:
            part = self._tail[self._place - end_of_file :][:size]
        if self._place == end_of_file and self._content_after():
            raise RequestRefusedError(code="file_changed")
        self._place += len(part)
        return part

    def _content(self, size: int) -> bytes:
        """
        Return the next bytes of the file.

        :raises RequestRefusedError: if there are none, or they cannot be read
        """
        try:
            part = self._file.read(size)
        except (OSError, ValueError) as error:  # it may have been closed
            raise RequestRefusedError(code="file_unreadable") from error
        if not part:
            raise RequestRefusedError(code="file_changed")
        return part

    def _content_after(self) -> bytes:
        try:
            return self._file.read(1)
        except (OSError, ValueError) as error:
            raise RequestRefusedError(code="file_unreadable") from error

    def _at(self, place: int) -> None:
        try:
            self._file.seek(place)
        except (OSError, ValueError) as error:
            raise RequestRefusedError(code="file_unreadable") from error


def save_body(response: Response, file: BinaryIO, *, limit: int, pace: Pace) -> int:
    """
    Write the body of an answer to a file, and return its size in bytes.

    :param limit: bytes; a larger body is refused, before it is read if its size is known
    :param pace: is given time for the size
    :raises RequestRefusedError: if the body is larger than the limit
    """
    text = response.headers.get("Content-Length", "")
    is_number = text.isascii() and text.isdigit() and len(text) <= MAX_SIZE_DIGITS
    expected = int(text) if is_number else limit
    if expected > limit:
        raise too_large(limit)
    pace.give_time_for(expected)
    size = 0
    for chunk in response.iter_content(CHUNK_BYTES):
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        file.write(chunk)
    return size


def too_large(limit: int) -> RequestRefusedError:
    """Return the error for a file of more bytes than are allowed."""
    return RequestRefusedError(code="file_too_large", details={"limit": limit})


@contextmanager
def opened(file: File) -> Iterator[BinaryIO]:
    """
    Open a file to be read, if it is named by its path.

    :raises OSError: if it cannot be opened
    """
    if not isinstance(file, str | os.PathLike):
        yield file
        return
    with open(file, "rb") as found:
        yield found


@contextmanager
def created(file: File) -> Iterator[BinaryIO]:
    """
    Open a file to be written, if it is named by its path.

    It has a temporary name in the same folder until the block ends without an error: then it takes
    the place of a file of that name; else it is removed. Only its owner may read it.

    :raises OSError: if it cannot be written, or the path is a folder
    """
    if not isinstance(file, str | os.PathLike):
        yield file
        return
    path = Path(file)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name the file, too")
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".zoho-", suffix=".part")
    try:
        with open(descriptor, "wb") as opened_file:
            yield opened_file
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _extent(file: BinaryIO) -> tuple[int, int]:
    """
    Return where a file stands, and how many bytes follow.

    :raises RequestRefusedError: if it is a pipe or the like
    :raises TypeError: if it is open in text mode
    """
    if isinstance(file, io.TextIOBase):
        raise TypeError("Open the file in binary mode.")
    try:
        first = file.tell()
        size = file.seek(0, os.SEEK_END) - first
        file.seek(first)
    except (OSError, ValueError) as error:
        raise RequestRefusedError(code="file_unreadable") from error
    return first, max(size, 0)
