"""The catalogues of translations: nothing is missing, stale or not compiled."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

import django
import polib
import pytest

from tests.messages_in_code import PACKAGE, Message, messages_in_code

CATALOGUES = sorted((PACKAGE / "locale").glob("*/LC_MESSAGES/django.po"))
LANGUAGES = [path.parent.parent.name for path in CATALOGUES]
#: What a translation has to keep: places for values, mark-up, commands and their options.
KEPT = re.compile(r"%\(\w+\)[sd]|%[sd%]|\{\w*\}|</?\w+>|manage\.py \w+|--[a-z-]+")

pytestmark = pytest.mark.parametrize("path", CATALOGUES, ids=LANGUAGES)


@cache
def read(path: Path) -> polib.POFile:
    return polib.pofile(str(path), wrapwidth=0)


def forms(entry: polib.POEntry) -> dict[int, str]:
    """Return the translations of an entry, one for each plural form."""
    return entry.msgstr_plural or {0: entry.msgstr}


def kept(text: str) -> Counter[str]:
    return Counter(KEPT.findall(text))


@pytest.mark.slow
def test_has_every_message_of_the_package_and_no_other(path: Path) -> None:
    expected = messages_in_code()
    found = {Message(entry.msgid, entry.msgid_plural) for entry in read(path)}

    assert (expected - found, found - expected) == (set(), set()), "run: make messages"


def test_every_message_is_translated_in_all_plural_forms(path: Path) -> None:
    catalogue = read(path)
    number = int(re.search(r"nplurals=(\d)", catalogue.metadata["Plural-Forms"])[1])

    assert [
        entry.msgid
        for entry in catalogue
        if entry.fuzzy
        or not all(forms(entry).values())
        or len(forms(entry)) != (number if entry.msgid_plural else 1)
    ] == []


def test_translations_keep_values_mark_up_commands_and_spaces_at_the_ends(path: Path) -> None:
    assert [
        (source, form)
        for entry in read(path)
        for form in forms(entry).values()
        if kept(source := entry.msgid_plural or entry.msgid) != kept(form)
        or source[len(source.rstrip()) :] != form[len(form.rstrip()) :]
    ] == []


def test_is_compiled(path: Path) -> None:
    compiled = polib.mofile(str(path.with_suffix(".mo")))

    assert {(entry.msgid, *forms(entry).values()) for entry in compiled} == {
        (entry.msgid, *forms(entry).values()) for entry in read(path)
    }, "run: make messages"


def test_words_of_django_stay_as_django_translates_them(path: Path) -> None:
    """A site has one catalogue a language: a message that Django has, too, is changed there."""
    language = path.parent.parent.name
    ours = {entry.msgid: forms(entry) for entry in read(path) if not entry.msgctxt}
    folder = Path(django.__file__).parent

    assert [
        (entry.msgid, ours[entry.msgid])
        for compiled in folder.glob(f"**/locale/{language}/LC_MESSAGES/django.mo")
        for entry in polib.mofile(str(compiled))
        if not entry.msgctxt and ours.get(entry.msgid, forms(entry)) != forms(entry)
    ] == []
