"""A lead beside its matches: which values agree, and which do not."""

from __future__ import annotations

from dataclasses import dataclass

from django.forms import BoundField
from django.forms.boundfield import BoundWidget
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.forms import NEW, why_unusable
from zoho_crm.types import Lead, Match

#: Names of fields that people know by other words.
LABELS = {
    "Full_Name": gettext_lazy("Name"),
    "Email": gettext_lazy("E-mail"),
    "Account_Name": gettext_lazy("Account"),
    "Designation": gettext_lazy("Title"),
}
#: Which field of a lead stands beside a match's, where the names differ.
LEAD_FIELDS = {"Title": "Designation", "Employees": "No_of_Employees", "Billing_City": "City"}
#: Shown first, in this order.
FIRST = ("Full_Name", "Account_Name", "Email", "Phone", "Website")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One value of a match, and how it stands to the lead's."""

    value: str
    #: ``matched``, ``same``, ``differs`` or empty.
    stands: str = ""

    @property
    def symbol(self) -> str:
        """A sign that goes with the word."""
        return {"matched": "=", "same": "=", "differs": "≠"}.get(self.stands, "")

    @property
    def word(self) -> str:
        """How it stands to the lead's value, for those who do not see the sign."""
        words = {"matched": _("matched"), "same": _("the same"), "differs": _("differs")}
        return words.get(self.stands, "")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One choice of a radio group."""

    radio: SafeString
    for_id: str
    label: str
    #: Empty for "none of these".
    record_id: str
    cells: list[Cell]
    #: Labels of the fields that it was found by.
    matched_on: str = ""
    #: Why it cannot be chosen.
    why_not: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The table of one radio group."""

    field: BoundField
    caption: str
    columns: list[str]
    lead: list[str]
    lines: list[Line]

    @property
    def width(self) -> int:
        """Cells of a line."""
        return len(self.columns) + 2


def compare(field: BoundField, caption: str, lead: Lead, matches: tuple[Match, ...]) -> Comparison:
    """Return the table for the choice among these matches."""
    names = _columns(matches)
    widgets = {str(widget.data["value"]): widget for widget in field.subwidgets}
    chosen = [(widgets[match.id], match) for match in matches]
    return Comparison(
        field=field,
        caption=caption,
        columns=[label_of(name) for name in names],
        lead=[of_lead(lead, name) for name in names],
        lines=[
            *(_line(widget, match, names, lead) for widget, match in chosen),
            _line(widgets[NEW], None, names, lead),
        ],
    )


def _line(widget: BoundWidget, match: Match | None, names: list[str], lead: Lead) -> Line:
    return Line(
        radio=widget.tag(),
        for_id=str(widget.id_for_label),
        label=str(widget.choice_label),
        record_id=match.id if match else "",
        cells=[_cell(match, name, lead) for name in names] if match else [],
        matched_on=", ".join(map(label_of, match.matched_on)) if match else "",
        why_not=why_unusable(match) if match else "",
    )


def label_of(name: str) -> str:
    """Return what people call a field."""
    return str(LABELS.get(name) or name.replace("_", " "))


def of_lead(lead: Lead, name: str) -> str:
    """Return the lead's value beside a match's field."""
    own = {"Full_Name": lead.name, "Account_Name": lead.company, "Email": lead.email}
    return own.get(name) or lead.fields.get(LEAD_FIELDS.get(name, name), "")


def _columns(matches: tuple[Match, ...]) -> list[str]:
    found = {name for match in matches for name, value in match.fields.items() if value}
    return [name for name in FIRST if name in found] + sorted(found - set(FIRST))


def _cell(match: Match, name: str, lead: Lead) -> Cell:
    value, theirs = match.fields.get(name, ""), of_lead(lead, name)
    if name in match.matched_on:
        return Cell(value=value, stands="matched")
    if not value or not theirs:
        return Cell(value=value)
    return Cell(value=value, stands="same" if _same(value, theirs) else "differs")


def _same(one: str, other: str) -> bool:
    return one.casefold().split() == other.casefold().split()
