"""Requests and responses, independent of how they are transported."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.parser import BytesParser
from email.policy import HTTP
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl, urlsplit


class Delivery(Enum):
    """How a transport delivers an answer; faults select all but ``WHOLE``."""

    WHOLE = "whole"
    CLOSED = "closed"  # the connection closes without a byte
    TIMED_OUT = "timed_out"  # the caller's time-out is over
    TRUNCATED = "truncated"  # the connection closes half-way through the body
    DRIP_HEAD = "drip_head"  # status line and headers arrive byte by byte
    DRIP_BODY = "drip_body"  # the body arrives byte by byte


@dataclass(frozen=True, kw_only=True)
class Call:
    """One HTTP request; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    origin: str = ""
    timeout: float | None = None
    """Seconds that the caller waits for an answer, if known."""

    @classmethod
    def to(
        cls,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout: float | None = None,
    ) -> Call:
        """Return a call to an absolute or relative URL."""
        parts = urlsplit(url)
        return cls(
            method=method,
            path=parts.path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in (headers or {}).items()},
            body=body,
            origin=f"{parts.scheme}://{parts.netloc}" if parts.netloc else "",
            timeout=timeout,
        )

    def form(self) -> dict[str, str]:
        """Return the form fields of the body, URL-encoded or multipart."""
        kind = self.headers.get("content-type", "")
        if not kind.startswith("multipart/form-data"):
            return dict(parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True))
        head = f"Content-Type: {kind}\r\n\r\n".encode()
        parts = BytesParser(policy=HTTP).parsebytes(head + self.body).iter_parts()
        return {
            str(part.get_param("name", header="content-disposition")): str(part.get_content())
            for part in parts
        }

    def json(self) -> Any:
        """Return the body parsed as JSON, or None if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One HTTP response; each has a Content-Type, which Zoho's own SDK reads even with 204."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delivery: Delivery = Delivery.WHOLE
    pause: float = 0.0
    """Seconds between two bytes of a dripped part."""
    delay: float = 0.0
    """Seconds between the effect and the answer."""

    @classmethod
    def json(cls, data: Any, *, status: int = 200) -> Answer:
        headers = {"Content-Type": "application/json;charset=utf-8"}
        return cls(status=status, headers=headers, body=_json_bytes(data))

    @classmethod
    def text(cls, text: str, *, status: int = 200, kind: str = "text/html") -> Answer:
        headers = {"Content-Type": f"{kind};charset=utf-8"}
        return cls(status=status, headers=headers, body=text.encode())

    @classmethod
    def no_content(cls) -> Answer:
        """Return a 204, Zoho's answer for "no records"."""
        return cls(status=204, headers={"Content-Type": "application/json;charset=utf-8"})

    @classmethod
    def not_modified(cls) -> Answer:
        """Return a 304, for ``If-Modified-Since``."""
        return cls(status=304, headers={"Content-Type": "application/json;charset=utf-8"})

    @classmethod
    def redirect(cls, url: str) -> Answer:
        headers = {"Location": url, "Content-Type": "text/html;charset=utf-8"}
        return cls(status=302, headers=headers)

    @classmethod
    def closed(cls) -> Answer:
        return cls(status=0, delivery=Delivery.CLOSED)

    def with_objects(self, change: Callable[[dict[str, Any]], Any]) -> Answer:
        """Return the answer with ``change`` applied to every JSON object of its body."""
        try:
            changed = json.loads(self.body, object_hook=change)
        except ValueError:
            return self
        return replace(self, body=_json_bytes(changed))

    def with_value(self, path: str, text: str) -> Answer:
        """Return the answer with a JSON text, which may be invalid, at a path like ``org.0.id``."""
        marker = "@value@"
        changed = json.loads(self.body)
        *parents, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        place = changed
        for step in parents:
            place = place[step]
        place[last] = marker
        body = json.dumps(changed, ensure_ascii=False).replace(f'"{marker}"', text)
        return replace(self, body=body.encode())

    def sized_headers(self) -> dict[str, str]:
        """Return the headers, with Content-Length unless the status forbids a body."""
        size = {} if self.status in (204, 304) else {"Content-Length": str(len(self.body))}
        return {**self.headers, **size}

    @property
    def is_delivered(self) -> bool:
        """Return whether the caller receives any part of the answer."""
        return self.delivery not in (Delivery.CLOSED, Delivery.TIMED_OUT)

    @property
    def code(self) -> str | None:
        """Return Zoho's ``code`` of the whole body or of its first item, or None."""
        try:
            body = json.loads(self.body)
        except ValueError:
            return None
        if not isinstance(body, dict):
            return None
        items = body.get("data")
        first = items[0] if isinstance(items, list) and items else body
        code = first.get("code") if isinstance(first, dict) else None
        return None if code is None else str(code)


def _json_bytes(data: Any) -> bytes:
    """Return JSON in UTF-8; a lone surrogate, which UTF-8 lacks, is escaped."""
    return json.dumps(data, ensure_ascii=False).encode(errors="backslashreplace")
