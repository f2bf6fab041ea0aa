"""Texts with a plural, which are translated when they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import translation

from zoho_crm.types._values import ValueObject


class CountedText(ValueObject):
    """A text with a plural: ``text % {"count": 3}`` is its translation for that number."""

    singular: str
    plural: str
    #: The name of the number among the values.
    number: str

    def __mod__(self, values: Mapping[str, Any]) -> str:
        text = translation.ngettext(self.singular, self.plural, values[self.number])
        return text % values


def ngettext_lazy(singular: str, plural: str, number: str) -> CountedText:
    """
    Return a text with a plural, which ``%`` fills with a mapping that has the number.

    Django's function of this name, by which ``makemessages`` knows it, makes two classes for each
    text: of a hundred texts 3 MiB, and as much time as importing Django's forms.
    """
    return CountedText(singular=singular, plural=plural, number=number)
