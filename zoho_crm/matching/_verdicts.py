"""
What the conversion options of a lead mean.

=================  ===============================================================
found              verdict
=================  ===============================================================
no such lead       ``NOT_FOUND``
converted          ``ALREADY_CONVERTED``
locked, in merge,  ``NOT_CONVERTIBLE``; also when Zoho refuses to say the options
not approved …
nothing            ``NO_MATCH``
a usable contact   ``ONE_MATCH``, with no account or the one that it belongs to
a usable account   ``ACCOUNT_ONLY``, with no contact
anything else      ``SEVERAL_MATCHES``: ``several``, ``unusable`` or ``disagree``
=================  ===============================================================
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from zoho_crm.exceptions import PlanError
from zoho_crm.types import ConversionOptions, ConversionPlan, Lead, Match, Verdict

#: Verdicts of a lead that may be converted, if somebody decides how.
CONVERTIBLE = frozenset(
    {Verdict.NO_MATCH, Verdict.ONE_MATCH, Verdict.ACCOUNT_ONLY, Verdict.SEVERAL_MATCHES}
)


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A lead, what it could become, and what that means."""

    verdict: Verdict
    #: Why it cannot be converted, or why there is more than one answer.
    reason: str = ""
    lead: Lead | None = None
    options: ConversionOptions = ConversionOptions()


def assess(
    lead: Lead | None, options: ConversionOptions | None = None, refusal: str = ""
) -> Preview:
    """Return what was found and its verdict; ``refusal`` is why Zoho would not say the options."""
    options = options or ConversionOptions()
    verdict, reason = _verdict(lead, options, refusal)
    return Preview(verdict=verdict, reason=reason, lead=lead, options=options)


def _verdict(lead: Lead | None, options: ConversionOptions, refusal: str) -> tuple[Verdict, str]:
    if lead is None:
        return Verdict.NOT_FOUND, ""
    if lead.converted:
        return Verdict.ALREADY_CONVERTED, ""
    if lead.obstacle or refusal:
        return Verdict.NOT_CONVERTIBLE, lead.obstacle or refusal
    return _verdict_of(options.contacts, options.accounts)


def _verdict_of(contacts: tuple[Match, ...], accounts: tuple[Match, ...]) -> tuple[Verdict, str]:
    if not contacts and not accounts:
        return Verdict.NO_MATCH, ""
    if len(contacts) > 1 or len(accounts) > 1:
        return Verdict.SEVERAL_MATCHES, "several"
    if not all(match.usable for match in contacts + accounts):
        return Verdict.SEVERAL_MATCHES, "unusable"
    if not contacts:
        return Verdict.ACCOUNT_ONLY, ""
    if accounts and not _belongs(contacts[0], accounts[0].id):
        return Verdict.SEVERAL_MATCHES, "disagree"
    return Verdict.ONE_MATCH, ""


def _belongs(contact: Match, account_id: str) -> bool:
    return contact.account is not None and contact.account.id == account_id


def propose(verdict: Verdict, options: ConversionOptions) -> ConversionPlan | None:
    """Return the plan that suggests itself, if one does; a person still has to agree."""
    if verdict == Verdict.NO_MATCH:
        return ConversionPlan()
    if verdict == Verdict.ONE_MATCH:
        return ConversionPlan(contact_id=options.contacts[0].id)
    if verdict == Verdict.ACCOUNT_ONLY:
        return ConversionPlan(account_id=options.accounts[0].id)
    return None


def check_plan(plan: ConversionPlan, verdict: Verdict, options: ConversionOptions) -> None:
    """
    Make sure that a plan takes only what the preview showed.

    :raises PlanError: if it names a record that is not among the matches or cannot be used, or a
        contact and an account that do not belong together, or if the lead cannot be converted
    """
    if verdict not in CONVERTIBLE:
        raise PlanError(_("This lead cannot be converted now."), code="not_convertible")
    _check_wishes(plan)
    contact = _chosen(plan.contact_id, options.contacts, _("contact"))
    account_id = plan.account_id
    if contact and account_id and not _belongs(contact, account_id):
        raise PlanError(_("The contact does not belong to this account."), code="disagree")
    # The account of a contact may be taken with it even if it does not match by itself.
    if contact is None or account_id in {account.id for account in options.accounts}:
        _chosen(account_id, options.accounts, _("account"))


def _check_wishes(plan: ConversionPlan) -> None:
    if plan.overwrite and not (plan.contact_id or plan.account_id):
        raise PlanError(_("There is no existing record to be renamed."), code="nothing_to_rename")
    if plan.deal is None and "Deals" in {plan.move_attachments_to, *plan.tags}:
        raise PlanError(_("Nothing can go to the deal: there will be none."), code="no_deal")


def _chosen(record_id: str, matches: tuple[Match, ...], kind: str) -> Match | None:
    if not record_id:
        return None
    found = next((match for match in matches if match.id == record_id), None)
    if found is None:
        message = _("The %(kind)s %(id)s is not among the matches of this lead.")
        raise PlanError(message % {"kind": kind, "id": record_id}, code="not_a_match")
    if not found.usable:
        message = _("The %(kind)s %(id)s cannot be used: it is locked, unapproved or read-only.")
        raise PlanError(message % {"kind": kind, "id": record_id}, code="unusable")
    return found


def changed_fields(before: Lead, now: Lead) -> tuple[str, ...]:
    """Return which fields of the lead, shown or mapped, are not what they were."""
    seen, found = _compared(before), _compared(now)
    names = sorted(seen.keys() | found.keys())
    return tuple(name for name in names if seen.get(name, "") != found.get(name, ""))


def _compared(lead: Lead) -> dict[str, str]:
    owner = lead.owner.id if lead.owner else ""
    return {**lead.fields, "Owner": owner, "Tag": ", ".join(sorted(lead.tags))}


def same_matches(before: Preview, now: Preview) -> bool:
    """Whether a new preview has the same verdict, and the same matches, as usable as before."""
    return (before.verdict, _usable(before.options)) == (now.verdict, _usable(now.options))


def _usable(options: ConversionOptions) -> tuple[frozenset[tuple[str, bool]], ...]:
    return tuple(
        frozenset((match.id, match.usable) for match in matches)
        for matches in (options.contacts, options.accounts)
    )
