"""The choice among the matches of a lead: its own and no others, the unusable ones dimmed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from zoho_crm.types import Match

#: Stands for "none of these".
NEW = "new"


def why_unusable(match: Match) -> str:
    """Return why a lead cannot be attached to a match; empty if it can."""
    if match.locked:
        return _("It is locked at Zoho: unlock it there, then look again.")
    if not match.approved:
        return _("It waits for approval at Zoho: have it approved there, then look again.")
    if not match.editable:
        return _("The user of this connection may not change it at Zoho.")
    return ""


class MatchSelect(forms.RadioSelect):
    """Radio buttons, some of which cannot be chosen."""

    unusable: Collection[str] = ()

    def create_option(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option: dict[str, Any] = super().create_option(*args, **kwargs)
        if option["value"] in self.unusable:
            option["attrs"]["disabled"] = True
        return option


class MatchField(forms.ChoiceField):
    """One of the matches, or ``NEW``."""

    widget = MatchSelect

    def __init__(self, matches: Collection[Match], *, label: str, new: str) -> None:
        choices = [(match.id, match.name) for match in matches]
        texts = {
            "required": _("Please choose."),
            "invalid_choice": _("%(value)s is not among the matches of this lead."),
        }
        super().__init__(label=label, choices=[*choices, (NEW, new)], error_messages=texts)
        self.why = {match.id: why for match in matches if (why := why_unusable(match))}
        assert isinstance(self.widget, MatchSelect)
        self.widget.unusable = frozenset(self.why)

    def validate(self, value: str) -> None:
        super().validate(value)
        if value in self.why:
            raise ValidationError(self.why[value], code="unusable")
