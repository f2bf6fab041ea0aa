"""The state of a lead at a simple Zoho that converts it as often as it is told to."""

from __future__ import annotations

from dataclasses import dataclass

#: The id of the contact that a lead may match.
MATCH = "31"


@dataclass
class Truth:
    """A lead at Zoho, and the call of ours that may still convert it."""

    #: ``open``, ``us`` or ``elsewhere`` by whom it was converted, or ``deleted``.
    state: str = "open"
    #: How often people changed it.
    edits: int = 0
    has_match: bool = False
    #: How often we converted it.
    conversions: int = 0
    #: Seconds in which a call of ours can still take effect; ``None``: none will.
    pending: int | None = None
    #: Seconds in which one may take effect as far as is known outside Zoho.
    may_act_seconds: int = 0

    @property
    def view(self) -> str:
        """What a read shows: ``open``, ``converted`` or ``nothing``."""
        return {"open": "open", "deleted": "nothing"}.get(self.state, "converted")

    @property
    def match(self) -> str:
        """The id of the contact that it matches; empty if it matches none."""
        return MATCH if self.has_match else ""

    def take_effect(self) -> None:
        """Our call converts it, unless it was deleted or converted elsewhere."""
        self.pending = None
        if self.state in ("open", "us"):
            self.state, self.conversions = "us", self.conversions + 1

    def left_with(self, effect: str, seconds: int) -> None:
        """Our call gets no answer, and has the effect ``none``, ``there`` or ``late``."""
        self.may_act_seconds = seconds
        if effect == "there":
            self.take_effect()
        if effect == "late":
            self.pending = seconds

    def later(self, seconds: int, *, takes_effect: bool) -> None:
        """Let time pass; a call whose time is over takes effect now, or never."""
        self.may_act_seconds = max(0, self.may_act_seconds - seconds)
        if self.pending is not None:
            self.pending -= seconds
        if self.pending is not None and self.pending <= 0:
            self.pending = None
            if takes_effect:
                self.take_effect()
