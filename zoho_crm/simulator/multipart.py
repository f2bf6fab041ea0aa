"""The parts of a multipart body, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from email import message_from_bytes
from email.policy import HTTP


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a form: a field, or a file if it has a file name."""

    name: str
    content: bytes
    file_name: str | None = None


def parts_of(content_type: str, body: bytes) -> list[Part]:
    """Return the parts of a ``multipart/form-data`` body; none if it is not complete."""
    head = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode(), policy=HTTP)
    boundary = head.get_boundary()
    if head.get_content_type() != "multipart/form-data" or not boundary:
        return []
    mark = b"\r\n--" + boundary.encode()
    _, *sections = (b"\r\n" + body).split(mark)
    if not sections or not sections[-1].startswith(b"--"):
        return []
    return [_part(section) for section in sections[:-1]]


def _part(section: bytes) -> Part:
    head, _, content = section.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    headers = message_from_bytes(head + b"\r\n\r\n", policy=HTTP)
    name = headers.get_param("name", "", header="content-disposition")
    file_name = headers.get_filename()
    return Part(
        name=str(name),
        content=content,
        file_name=None if file_name is None else _utf8(file_name),
    )


def _utf8(text: str) -> str:
    """Return a name that stands in the header as UTF-8, as browsers send it."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
