"""A catalogue of translations for a test: a language of its own in which chosen messages differ."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

HEADER = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n != 1);\n"


def write_catalogue(folder: Path, language: str, messages: Mapping[str, str]) -> None:
    """
    Write the translations of messages to a folder that ``LOCALE_PATHS`` may name.

    The format of the file: https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html
    """
    pairs = sorted({"": HEADER, **messages}.items())
    texts = [[text.encode() for text in column] for column in zip(*pairs, strict=True)]
    head, entry = 7 * 4, 8
    offset = head + len(texts) * len(pairs) * entry
    index, content = b"", b""
    for column in texts:
        for text in column:
            index += struct.pack("<2I", len(text), offset + len(content))
            content += text + b"\0"
    originals, translations = head, head + len(pairs) * entry
    header = struct.pack("<7I", 0x950412DE, 0, len(pairs), originals, translations, 0, 0)
    path = folder / language / "LC_MESSAGES" / "django.mo"
    path.parent.mkdir(parents=True)
    path.write_bytes(header + index + content)
