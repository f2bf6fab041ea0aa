"""What a start of a run would do, beside what its plans say: the calls, and values that differ."""

from __future__ import annotations

from django.utils.translation import ngettext

from zoho_crm import client as zoho
from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.services.comparison import differing_fields, joined_matches
from zoho_crm.services.display import grouped
from zoho_crm.services.mass_convert import Routes
from zoho_crm.services.presentation import JOINS_RECORD, field_label
from zoho_crm.types import ValueObject

#: Leads that are compared with the records they join: what a page can do while one waits.
MAX_COMPARED = 500
#: Leads that are named of those with values that differ.
MAX_NAMED = 20


class Differences(ValueObject):
    """The values of leads that differ from those of the records they join."""

    values: int
    #: Leads that were compared, and whether there are more.
    compared: int
    is_cut: bool
    #: The first leads with such values, each with the labels of the fields.
    first: list[tuple[LeadConversion, str]]

    @property
    def text(self) -> str:
        """What a person reads; empty if nothing differs."""
        if not self.values:
            return ""
        text = ngettext(
            "%(count)s value differs from the record that its lead joins.",
            "%(count)s values differ from the records that their leads join.",
            self.values,
        )
        if self.is_cut:
            text = ngettext(
                "Of the first %(compared)s leads that join a record, %(count)s value differs.",
                "Of the first %(compared)s leads that join a record, %(count)s values differ.",
                self.values,
            )
        return text % {"count": grouped(self.values), "compared": grouped(self.compared)}


def find_differences(run: MassConversion) -> Differences:
    """Compare the leads that a start sends with the existing records they join; one query."""
    rows = run.rows.decided().filter(JOINS_RECORD).order_by("pk")
    rows = rows.only("lead_id", "lead_snapshot", "options_snapshot", "plan")
    found = list(rows[: MAX_COMPARED + 1])
    values, first = 0, []
    for row in found[:MAX_COMPARED]:
        if names := _differing(row):
            values += len(names)
            first.append((row, ", ".join(map(field_label, names))))
    return Differences(
        values=values,
        compared=min(len(found), MAX_COMPARED),
        is_cut=len(found) > MAX_COMPARED,
        first=first[:MAX_NAMED],
    )


def _differing(row: LeadConversion) -> list[str]:
    lead = row.stored_lead()
    if lead is None:
        return []
    return [
        name for _module, match in joined_matches(row) for name in differing_fields(lead, match)
    ]


def routes_text(routes: Routes) -> str:
    """Return how many leads go to Zoho in jobs, and how many in a call each."""
    singly = ngettext(
        "%(count)s is sent in a call of its own.",
        "%(count)s are sent in calls of their own.",
        routes.singly,
    ) % {"count": grouped(routes.singly)}
    if not routes.jobs:
        return singly
    jobs = ngettext(
        "%(leads)s go to Zoho in about %(count)s job of up to %(most)s leads.",
        "%(leads)s go to Zoho in about %(count)s jobs of up to %(most)s leads.",
        routes.jobs,
    ) % {
        "leads": grouped(routes.in_jobs),
        "count": grouped(routes.jobs),
        "most": zoho.MAX_LEADS_PER_JOB,
    }
    return f"{jobs} {singly}" if routes.singly else jobs


def kept_text(count: int) -> str:
    """Return what can be downloaded of that which was read for the previews."""
    text = ngettext(
        "Download what was read of %(count)s lead, and of the records that it joins",
        "Download what was read of %(count)s leads, and of the records that they join",
        count,
    )
    return text % {"count": grouped(count)}
