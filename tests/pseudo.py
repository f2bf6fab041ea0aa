"""
A language in which every translated text stands in ⟦brackets⟧, so that all others can be seen.

What stands outside of them is data, or a text that was never translated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any

import pytest
from django.apps import apps
from django.test import override_settings
from django.utils.translation import trans_real

LANGUAGE = "xx"
BEGIN, END = "⟦⟧"
WORD = re.compile(r"[^\W\d_]{2,}")


class PseudoTranslation:
    """Stands in for a catalogue that has a translation of every message, also of Django's."""

    def gettext(self, message: str) -> str:
        return BEGIN + message.rpartition(trans_real.CONTEXT_SEPARATOR)[2] + END

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        return self.gettext(singular if number == 1 else plural)

    def to_language(self) -> str:
        return LANGUAGE


@contextmanager
def pseudo_language() -> Iterator[None]:
    """Let everybody read the pseudo-language."""
    with override_settings(LANGUAGE_CODE=LANGUAGE), pytest.MonkeyPatch.context() as patch:
        patch.setitem(trans_real._translations, LANGUAGE, PseudoTranslation())
        yield


def untranslated(text: str, data: set[str]) -> list[str]:
    """Return the pieces of a text outside of brackets that have a word which is not data."""
    depth, outside = 0, ""
    for sign in text:
        depth += {BEGIN: 1, END: -1}.get(sign, 0)
        outside += sign if depth <= 0 and sign != END else "\n"
    lines = (" ".join(line.split()) for line in outside.splitlines())
    return [line for line in lines if set(WORD.findall(line)) - data]


def texts_of(html: str) -> list[str]:
    """Return what a reader of a page sees or hears: the texts of its blocks, and its labels."""
    page = _Texts()
    page.feed(html)
    page.close()
    return page.texts


class _Texts(HTMLParser):
    """Collects the texts of blocks, each as one, and of the attributes that people read."""

    INLINE = frozenset(["a", "abbr", "b", "bdi", "em", "i", "small", "span", "strong", "time"])
    READ = ("aria-label", "placeholder", "title")
    #: What scripts put on the page.
    READ += ("data-copy-label", "data-done", "data-over", "data-text", "data-tick-all")
    #: What nobody reads, or only as code.
    HIDDEN = ("code", "pre", "script", "style", "textarea")

    def __init__(self) -> None:
        super().__init__()
        self.texts = [""]
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._begin(tag)
        self.hidden += tag in self.HIDDEN
        attributes = dict(attrs)
        read = [attributes.get(name) or "" for name in self.READ]
        if tag == "input" and attributes.get("type") == "submit":
            read.append(attributes.get("value") or "")
        self.texts[-1:-1] = read

    def handle_endtag(self, tag: str) -> None:
        self._begin(tag)
        self.hidden -= tag in self.HIDDEN

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.texts[-1] += data

    def _begin(self, tag: str) -> None:
        if tag not in self.INLINE:
            self.texts.append("")


def words_of_data(*more: Any) -> set[str]:
    """Return the words of all texts that the tables keep, of the names of rows, and of more."""
    rows = [row for model in apps.get_models() for row in model._default_manager.all()]
    values = [[str(row), *vars(row).values()] for row in rows]
    return {word for text in _texts_in([values, more]) for word in WORD.findall(text)}


def _texts_in(value: Any) -> Iterator[str]:
    """Yield the texts in nested lists and values of dicts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts_in(part)
