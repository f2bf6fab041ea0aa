"""What is true of a lead at a Zoho that keeps it simple: it converts as often as it is told to."""

from __future__ import annotations

from dataclasses import dataclass

#: The id of the contact that a lead may match.
MATCH = "31"


@dataclass
class Truth:
    """A lead at Zoho, and the call of ours that may still convert it."""

    #: ``open``, ``us`` or ``elsewhere`` by whom it was converted, or ``deleted``.
    fate: str = "open"
    #: Counts what people changed in it.
    edition: int = 0
    has_match: bool = False
    #: How often we converted it.
    conversions: int = 0
    #: Seconds in which a call of ours may still take effect; ``None``: none will.
    pending: int | None = None
    #: Seconds in which, as far as anybody but Zoho can know, one may.
    restless: int = 0

    @property
    def view(self) -> str:
        """What a read shows: ``open``, ``converted`` or ``nothing``."""
        return {"open": "open", "deleted": "nothing"}.get(self.fate, "converted")

    @property
    def match(self) -> str:
        """The id of the contact that it matches, if it does."""
        return MATCH if self.has_match else ""

    def take_effect(self) -> None:
        """Our call converts it, unless it is no lead any more."""
        self.pending = None
        if self.fate in ("open", "us"):
            self.fate, self.conversions = "us", self.conversions + 1

    def left_with(self, effect: str, seconds: int) -> None:
        """Our call has no answer, and its effect is ``none``, is there, or comes ``late``."""
        self.restless = seconds
        if effect == "there":
            self.take_effect()
        if effect == "late":
            self.pending = seconds

    def later(self, seconds: int, *, strikes: bool) -> None:
        """Let time go on; a call whose time is over takes effect at the last moment, or never."""
        self.restless = max(0, self.restless - seconds)
        if self.pending is not None:
            self.pending -= seconds
        if self.pending is not None and self.pending <= 0:
            self.pending = None
            if strikes:
                self.take_effect()
