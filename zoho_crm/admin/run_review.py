"""The review of a run: its leads by what was found, and the decisions about them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from zoho_crm.admin import run_decisions
from zoho_crm.admin._base import PagesAdmin, has_any_permission
from zoho_crm.admin._html import record_html
from zoho_crm.admin._runs import may_see_source, state_context
from zoho_crm.admin.run_results import CSV, stream_export
from zoho_crm.forms import DecisionForm, ReviewFilterForm
from zoho_crm.matching import CONVERTIBLE
from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.services import lifecycle, mass_convert
from zoho_crm.services.comparison import compared_fields, comparison_result, lead_value
from zoho_crm.services.presentation import field_label, unusable_reason
from zoho_crm.services.run_review import (
    DECISION_LABELS,
    INCLUDED,
    SAMPLE_ROWS,
    STATES,
    VERDICTS,
    ReviewFilter,
    decision_of,
    decision_text,
    lead_owners,
    matched_fields,
    review_counts,
    risk_texts,
    with_leaders,
)
from zoho_crm.types import Lead, Match

ROWS_PER_PAGE = 50
#: Matches of a lead that the list compares, contacts among them, and their fields, with so many
#: characters of a value: 50 leads fit into 300 KB. The lead's own page has all.
MAX_MATCHES = 4
MAX_CONTACTS = 3
MAX_FIELDS = 5
MAX_VALUE_LENGTH = 40
#: Characters of the name of a match on a button, and of the matches in the line of a lead.
MAX_NAME_LENGTH = 40
#: Statuses of leads that are being read, or that cannot be decided any more.
NOT_AGAIN = (LeadConversion.Status.NEW, LeadConversion.Status.CONVERTED)
SIGNS = {"matched": "=", "same": "=", "differs": "≠"}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One way to decide about a lead, as a button."""

    #: The lead with its version, and what to do: ``12:3:contact:5000000000001``.
    value: str
    text: str
    is_chosen: bool


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A match, with the values of its fields, each beside its sign and result."""

    #: Of the button that lets the lead join it; 0 if it cannot be joined.
    number: int
    name: str
    record: str
    kind: str
    cells: list[tuple[str, str, str, str]]
    unusable_reason: str


@dataclass(frozen=True, kw_only=True)
class ReviewRow:
    """A lead of the list, with what may be done about it."""

    row: Any
    lead: Lead
    tick: str
    verdict: str
    found: str
    decision: str
    is_undecided: bool
    risks: list[str]
    labels: list[str]
    lead_values: list[tuple[str, str]]
    matches: list[Compared]
    choices: list[Choice]


def review_page(pages: PagesAdmin, request: HttpRequest, run: MassConversion) -> HttpResponse:
    """Show the leads of a run, as they are filtered; on POST do something to one or several."""
    if request.method == "POST":
        return run_decisions.act(pages, request, run)
    chosen = ReviewFilter.from_values(request.GET)
    counts = review_counts(run)
    in_review = run.stage == MassConversion.Stage.REVIEW
    shown = Paginator(with_leaders(chosen.rows(run)).order_by("pk"), ROWS_PER_PAGE).get_page(
        request.GET.get("p")
    )
    return pages.render_page(
        request,
        "review.html",
        page_name=_("Review"),
        title=_("Review: %s") % run,
        in_review=in_review,
        tabs=_tabs(chosen, counts),
        filter=chosen,
        filter_form=_filter_form(run, chosen, counts),
        is_filtered=chosen != ReviewFilter(verdict=chosen.verdict),
        rows=[_review_row(row, run) for row in shown] if in_review else [],
        shown=shown,
        links=_links(pages, run, chosen, shown),
        form=DecisionForm.for_leads(shown.paginator.count, _convertible(chosen.verdict)),
        included=_total(counts, *INCLUDED),
        undecided=_total(counts, "undecided"),
        left_out=_total(counts, "left_out"),
        may_start=has_any_permission(request, "run_massconversion", of=run),
        may_export=has_any_permission(request, "export_leadconversion", of=run),
        **state_context(run, mass_convert.counts(run)),
    )


def export_review(
    pages: PagesAdmin, request: HttpRequest, run: MassConversion
) -> StreamingHttpResponse:
    """Stream the leads that a filter of the review shows as CSV."""
    chosen = ReviewFilter.from_values(request.GET)
    may_see = may_see_source(request, run)
    rows = chosen.rows(run, with_values=may_see)
    lines = mass_convert.export_rows(rows, with_values=may_see)
    return stream_export(pages, request, run, lines, "{}-review.csv", CSV)


def _query(chosen: ReviewFilter, page: int = 1, **changed: str) -> str:
    """Return the query of the address of a filtered list, with some of the filter changed."""
    values = replace(chosen, **changed).values()
    return "?" + urlencode(values | ({"p": str(page)} if page > 1 else {}))


def _links(
    pages: PagesAdmin, run: MassConversion, chosen: ReviewFilter, shown: Page[Any]
) -> dict[str, str]:
    """Return the addresses that lead on from the list, by what they are for."""
    has_sample = shown.paginator.count > SAMPLE_ROWS or chosen.sample
    previous, following = shown.number - 1, shown.number + 1
    return {
        "previous": _query(chosen, previous) if shown.has_previous() else "",
        "next": _query(chosen, following) if shown.has_next() else "",
        "sample": _query(chosen, sample=str(secrets.randbelow(10**6))) if has_sample else "",
        "whole": _query(chosen, sample=""),
        "of_verdict": _query(ReviewFilter(), verdict=chosen.verdict),
        "undecided": _query(ReviewFilter(), decision="undecided"),
        "left_out": _query(ReviewFilter(), decision="left_out"),
        "export": pages.page_url("export_review", run.pk) + _query(chosen),
    }


def _convertible(verdict: str) -> str:
    return verdict if verdict in CONVERTIBLE else ""


def _tabs(chosen: ReviewFilter, counts: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """Return the verdicts that occur as links, and the errors, with the numbers of all leads."""
    total = {name: _total(counts, name) for name in ("leads", "undecided", "error")}
    found = [
        (verdict, label, counts[verdict])
        for verdict, label in VERDICTS.items()
        if verdict in counts
    ]
    tabs = [
        {
            "label": label,
            "count": count["leads"],
            "undecided": count["undecided"],
            "url": _query(ReviewFilter(), verdict=verdict),
            "is_current": chosen.verdict == verdict and chosen.decision != "error",
        }
        for verdict, label, count in [("", _("All"), total), *found]
    ]
    errors = {
        "label": _("Errors"),
        "count": total["error"],
        "url": _query(ReviewFilter(), decision="error"),
        "is_current": chosen.decision == "error",
    }
    return [*tabs, errors] if total["error"] else tabs


def _filter_form(
    run: MassConversion, chosen: ReviewFilter, counts: Mapping[str, Mapping[str, int]]
) -> ReviewFilterForm:
    """Return the form of the filter, with the decisions that occur among leads of the verdict."""
    of_verdict = {chosen.verdict: counts.get(chosen.verdict)} if chosen.verdict else counts
    found = {verdict: each for verdict, each in of_verdict.items() if each}
    numbers = {name: _total(found, name) for name in STATES}
    return ReviewFilterForm.for_filter(
        chosen,
        owner=lead_owners(run),
        matched=matched_fields(run),
        decision=[
            (name, f"{label} ({numbers[name]})")
            for name, label in DECISION_LABELS.items()
            if numbers[name] or name == chosen.decision
        ],
    )


def _total(counts: Mapping[str, Mapping[str, int]], *names: str) -> int:
    return sum(each[name] for each in counts.values() for name in names)


# One row


def _review_row(row: Any, run: MassConversion) -> ReviewRow:
    lead, options = row.stored_lead() or Lead(id=row.lead_id), row.stored_options()
    contacts = [("contact", match) for match in options.contacts[:MAX_CONTACTS]]
    accounts = [("account", match) for match in options.accounts]
    matches = [*contacts, *accounts][:MAX_MATCHES]
    names = compared_fields(match for _kind, match in matches)[:MAX_FIELDS]
    can_be_decided = decision_of(row) != "" and not lifecycle.has_to_be_read_again(row)
    can_be_read_again = row.status not in NOT_AGAIN
    return ReviewRow(
        row=row,
        lead=lead,
        tick=f"{row.pk}:{row.version}" if can_be_read_again else "",
        verdict=row.get_verdict_display(),
        found=_found_text(options.contacts + options.accounts),
        decision=decision_text(row),
        is_undecided=decision_of(row) == "undecided",
        risks=risk_texts(row),
        labels=[field_label(name) for name in names],
        lead_values=[(field_label(name), lead_value(lead, name)) for name in names],
        matches=list(_compared(run, lead, matches, names)),
        choices=list(_choices(row, matches)) if can_be_decided else [],
    )


def _found_text(matches: tuple[Match, ...]) -> str:
    """Return the first matches by name, with the fields that matched."""
    if not matches:
        return ""
    shown = [
        f"{match.name[:MAX_NAME_LENGTH]} ({', '.join(map(field_label, match.matched_on))})"
        if match.matched_on
        else match.name[:MAX_NAME_LENGTH]
        for match in matches[:MAX_CONTACTS]
    ]
    further = len(matches) - len(shown)
    more = ngettext("and %(count)s more", "and %(count)s more", further) % {"count": further}
    return " · ".join([*shown, *([more] if further else [])])


def _compared(
    run: MassConversion, lead: Lead, matches: list[tuple[str, Match]], names: list[str]
) -> Iterator[Compared]:
    words = {"matched": _("matched"), "same": _("the same"), "differs": _("differs")}
    kinds = {"contact": ("Contacts", _("contact")), "account": ("Accounts", _("account"))}
    number = 0
    for kind, match in matches:
        module, label = kinds[kind]
        reason = unusable_reason(match)
        number += not reason
        cells = []
        for name in names:
            result = comparison_result(lead, match, name)
            value = match.fields.get(name, "")[:MAX_VALUE_LENGTH]
            cells.append((field_label(name), value, SIGNS.get(result, ""), words.get(result, "")))
        yield Compared(
            number=0 if reason else number,
            name=match.name,
            record=record_html(run.connection, module, match.id, is_short=True),
            kind=label,
            cells=cells,
            unusable_reason=reason,
        )


def _choices(row: Any, matches: list[tuple[str, Match]]) -> Iterator[Choice]:
    plan, given = row.stored_plan(), f"{row.pk}:{row.version}"
    texts = {"contact": _("Join the contact “%s”"), "account": _("New contact in “%s”")}
    chosen = (plan.contact_id, "" if plan.contact_id else plan.account_id) if plan else None
    for kind, match in matches:
        if not unusable_reason(match):
            own = (match.id, "") if kind == "contact" else ("", match.id)
            yield Choice(
                value=f"{given}:{kind}:{match.id}",
                text=texts[kind] % match.name[:MAX_NAME_LENGTH],
                is_chosen=chosen == own,
            )
    is_new = chosen == ("", "") and not row.follows_id
    yield Choice(value=f"{given}:create", text=_("Create everything anew"), is_chosen=is_new)
    is_left_out = row.status == LeadConversion.Status.SKIPPED
    yield Choice(value=f"{given}:skip", text=_("Leave out"), is_chosen=is_left_out)
