"""How commands show a preview or a conversion: matches as JSON, or sentences for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from zoho_crm.management._output import Output, printable
from zoho_crm.matching import Policy
from zoho_crm.models import LeadConversion
from zoho_crm.services.policies import decision_on
from zoho_crm.services.presentation import explain_plan, further_matches_texts, reason_text
from zoho_crm.types import ConversionPlan, Match, Verdict

Status = LeadConversion.Status
MAX_SENTENCE_LENGTH = 400


def matches_as_json(matches: tuple[Match, ...]) -> list[dict[str, Any]]:
    """Return the matching records of a lead as dictionaries for JSON."""
    return [
        {
            "id": match.id,
            "name": match.name,
            "usable": match.usable,
            "matched_on": list(match.matched_on),
        }
        for match in matches
    ]


def lead_sentences(
    row: LeadConversion, plan: ConversionPlan | None, names: Mapping[str, str] | None = None
) -> list[str]:
    """Return sentences on what the plan would do, what was done, or why there is no plan."""
    lead = row.stored_lead()
    if row.status == Status.CONVERTED:
        return [_conversion_sentence(row)]
    if row.status != Status.PREVIEWED:
        return [_("It is already in progress: %s.") % row.get_status_display()]
    options = row.stored_options()
    further = further_matches_texts(options)
    if plan is None or lead is None:
        return [explain_no_plan(row), *further]
    return [*explain_plan(plan, lead, options, names), *further]


def _conversion_sentence(row: LeadConversion) -> str:
    ids = {
        _("contact"): row.contact_id,
        _("account"): row.account_id,
        _("deal"): row.deal_id,
    }
    became = ", ".join(f"{kind} {record_id}" for kind, record_id in ids.items() if record_id)
    if row.converted_by == LeadConversion.By.US:
        return _("We converted it: %s.") % (became or "–")
    return _("It was converted elsewhere: %s.") % (became or "–")


def explain_no_plan(row: LeadConversion) -> str:
    """Return the sentence that says why a previewed lead has no plan."""
    if row.verdict == Verdict.NOT_FOUND:
        return _("Zoho has no lead with this id; it may have been deleted.")
    reason = reason_text(row)
    if row.verdict == Verdict.NOT_CONVERTIBLE:
        return _("It cannot be converted now. %s") % reason
    if reason:
        return f"{reason} {_('A person has to choose.')}"
    return _("A person has to decide what it becomes.")


def show_lead(row: LeadConversion, sentences: list[str], output: Output) -> None:
    """Write a lead for people: its name, its matches, and the given sentences."""
    lead = row.stored_lead()
    who = ", ".join(filter(None, [lead.name, lead.company])) if lead else ""
    verdict = f"[{row.get_verdict_display() or row.get_status_display()}]"
    output.write_line("  ".join(filter(None, [row.lead_id, printable(who), verdict])))
    options = row.stored_options()
    if row.status == Status.PREVIEWED:
        for line in _matches(_("Contact"), options.contacts):
            output.write_line(f"  {line}")
        for line in _matches(_("Account"), options.accounts):
            output.write_line(f"  {line}")
    for sentence in sentences:
        output.write_line(f"  • {printable(sentence, MAX_SENTENCE_LENGTH)}")


def _matches(kind: str, matches: tuple[Match, ...]) -> Iterator[str]:
    for match in matches:
        account = match.account.name or match.account.id if match.account else ""
        parts = [
            kind,
            match.id,
            printable(match.name),
            _("of %s") % printable(account) if account else "",
            _("(matches by %s)") % ", ".join(match.matched_on) if match.matched_on else "",
            "" if match.usable else _("cannot be used"),
        ]
        yield "  ".join(filter(None, parts))


def plan_summary(plan: ConversionPlan | None) -> str:
    """Return a plan in a few words for a table cell."""
    if plan is None:
        return "–"
    if plan.contact_id:
        word = _("attach to contact")
    elif plan.account_id:
        word = _("attach to account")
    else:
        word = _("create")
    return _("%s, with a deal") % word if plan.deal else word


def proposed_plan(row: LeadConversion, policy: Policy | None) -> ConversionPlan | None:
    """
    Return the row's own plan; with a policy, the plan that the policy would give.

    :raises ZohoError: if the policy depends on more than the preview, and Zoho cannot be asked
    """
    if policy is None or not row.verdict or row.decided_by_id:
        return row.stored_plan()
    return decision_on(row, policy).plan
