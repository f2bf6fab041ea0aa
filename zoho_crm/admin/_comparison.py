"""A lead beside its matches, as tables in which one of them is chosen."""

from __future__ import annotations

from collections.abc import Callable

from django.forms import BoundField
from django.forms.boundfield import BoundWidget
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from zoho_crm.forms import NEW_RECORD
from zoho_crm.services.comparison import compared_fields, comparison_result, lead_value
from zoho_crm.services.presentation import field_label, unusable_reason
from zoho_crm.types import Lead, Match, ValueObject


class Cell(ValueObject):
    """One value of a match, compared to the lead's value."""

    #: The label of its column.
    label: str
    value: str
    #: ``matched``, ``same``, ``differs`` or empty.
    result: str = ""

    @property
    def symbol(self) -> str:
        """Return the sign for the result; empty if the values were not compared."""
        return {"matched": "=", "same": "=", "differs": "≠"}.get(self.result, "")

    @property
    def result_text(self) -> str:
        """Return the result in words, for screen readers."""
        texts = {"matched": _("matched"), "same": _("the same"), "differs": _("differs")}
        return texts.get(self.result, "")


class MatchOption(ValueObject):
    """One radio button: a match, or a new record."""

    radio: SafeString
    for_id: str
    label: str
    #: Empty for a new record.
    record_id: str
    #: The id with a link to the record at Zoho.
    record: str
    cells: list[Cell]
    #: Labels of the fields that matched, with commas.
    matched_on: str = ""
    #: Why the match cannot be chosen; empty if it can.
    unusable_reason: str = ""


class Comparison(ValueObject):
    """The lead and its matches as the table of one radio group."""

    field: BoundField
    caption: str
    columns: list[str]
    lead_values: list[str]
    options: list[MatchOption]

    @property
    def labelled_lead_values(self) -> list[tuple[str, str]]:
        """Return the lead's values, each with the label of its column."""
        return list(zip(self.columns, self.lead_values, strict=True))

    @property
    def column_count(self) -> int:
        """Return the number of columns, with those of the choice and of the matched fields."""
        return len(self.columns) + 2


def compare(
    field: BoundField,
    caption: str,
    lead: Lead,
    matches: tuple[Match, ...],
    record_html: Callable[[str], str],
) -> Comparison:
    """
    Return the lead's values and those of its matches, as options of a radio group.

    :param record_html: returns the id of a match as HTML
    """
    names = compared_fields(matches)
    widgets = {str(widget.data["value"]): widget for widget in field.subwidgets}
    options = [(widgets[match.id], match) for match in matches]
    return Comparison(
        field=field,
        caption=caption,
        columns=[field_label(name) for name in names],
        lead_values=[lead_value(lead, name) for name in names],
        options=[
            *(_option(widget, match, names, lead, record_html) for widget, match in options),
            _option(widgets[NEW_RECORD], None, names, lead, record_html),
        ],
    )


def _option(
    widget: BoundWidget,
    match: Match | None,
    names: list[str],
    lead: Lead,
    record_html: Callable[[str], str],
) -> MatchOption:
    return MatchOption(
        radio=widget.tag(),
        for_id=str(widget.id_for_label),
        label=str(widget.choice_label),
        record_id=match.id if match else "",
        record=record_html(match.id) if match else "",
        cells=[_cell(match, name, lead) for name in names] if match else [],
        matched_on=", ".join(map(field_label, match.matched_on)) if match else "",
        unusable_reason=unusable_reason(match) if match else "",
    )


def _cell(match: Match, name: str, lead: Lead) -> Cell:
    value, result = match.fields.get(name, ""), comparison_result(lead, match, name)
    return Cell(label=field_label(name), value=value, result=result)
