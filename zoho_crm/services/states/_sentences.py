"""
Sentences that say in which state something is.

One that names an instant or a command of the shell has them as values, so that each user interface
shows them in its own way.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from zoho_crm.types import ValueObject


class ShellCommand(str):
    """A command that a person types into a shell."""


class Sentence(ValueObject):
    """A sentence with ``{}`` for each of its values: instants, commands of the shell, texts."""

    text: str
    values: tuple[Any, ...]


Text: TypeAlias = str | Sentence


class StateText(ValueObject):
    """The description of a conversion or of a run."""

    sentences: list[Any]
    #: ``good``, ``warn``, ``bad`` or ``neutral``.
    tone: str = "neutral"


def sentence(text: str, *values: Any) -> Sentence:
    """Return a sentence with these values."""
    return Sentence(text=text, values=values)
