"""
Verdicts: what a lead and its conversion options mean, and which plans fit them.

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

from collections.abc import Collection, Mapping

from django.utils.translation import gettext as _

from zoho_crm.exceptions import PlanError
from zoho_crm.types import ConversionOptions, ConversionPlan, Lead, Match, ValueObject, Verdict

#: Verdicts of leads that can be converted.
CONVERTIBLE = frozenset(
    {Verdict.NO_MATCH, Verdict.ONE_MATCH, Verdict.ACCOUNT_ONLY, Verdict.SEVERAL_MATCHES}
)


class Preview(ValueObject):
    """A lead with its conversion options and their verdict."""

    verdict: Verdict
    #: Why the lead cannot be converted, or why the verdict is ``SEVERAL_MATCHES``.
    reason: str = ""
    lead: Lead | None = None
    options: ConversionOptions = ConversionOptions()


def assess(
    lead: Lead | None, options: ConversionOptions | None = None, refusal: str = ""
) -> Preview:
    """
    Return the preview of a lead.

    :param lead: the lead that was read; ``None`` if it was not found
    :param refusal: why Zoho refused to return the conversion options
    """
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
    """Return the plan to propose to a person for this verdict; ``None`` if it is not clear."""
    if verdict == Verdict.NO_MATCH:
        return ConversionPlan()
    if verdict == Verdict.ONE_MATCH:
        return ConversionPlan(contact_id=options.contacts[0].id)
    if verdict == Verdict.ACCOUNT_ONLY:
        return ConversionPlan(account_id=options.accounts[0].id)
    return None


def check_plan(plan: ConversionPlan, verdict: Verdict, options: ConversionOptions) -> None:
    """
    Check that a plan fits the verdict and the conversion options of the preview.

    :raises PlanError: if it names a record that is not among the matches or cannot be used, or a
        contact and an account that do not belong together; if its parts contradict each other; if
        the lead cannot be converted
    """
    if verdict not in CONVERTIBLE:
        raise PlanError(_("This lead cannot be converted now."), code="not_convertible")
    _check_consistency(plan)
    contact = _chosen("contact_id", plan.contact_id, options.contacts, _("contact"))
    account_id = plan.account_id
    if contact and account_id and not _belongs(contact, account_id):
        message, details = (
            _(
                "The contact does not belong to this account: "
                "choose the contact's own account, or a new contact."
            ),
            {"field": "account_id"},
        )
        raise PlanError(message, code="disagree", details=details)
    # The contact's own account may be named even if it is not among the matches.
    if contact is None or account_id in {account.id for account in options.accounts}:
        _chosen("account_id", account_id, options.accounts, _("account"))


def deal_target_errors(targets: Mapping[str, Collection[str]]) -> list[PlanError]:
    """Return an error for each field, of these with modules, that names a deal that will not be."""
    message = _("There will be no deal.")
    return [
        PlanError(message, code="no_deal", details={"field": field})
        for field, modules in targets.items()
        if "Deals" in modules
    ]


def _check_consistency(plan: ConversionPlan) -> None:
    if plan.overwrite and not (plan.contact_id or plan.account_id):
        message, details = _("There is no existing account to rename."), {"field": "overwrite"}
        raise PlanError(message, code="nothing_to_rename", details=details)
    targets = {"tags": plan.tags, "move_attachments_to": (plan.move_attachments_to,)}
    if plan.deal is None and (errors := deal_target_errors(targets)):
        raise errors[0]


def _chosen(field: str, record_id: str, matches: tuple[Match, ...], kind: str) -> Match | None:
    """Return the match with the id in a field of a plan; ``None`` without an id."""
    if not record_id:
        return None
    details = {"field": field, "kind": kind, "id": record_id}
    found = next((match for match in matches if match.id == record_id), None)
    if found is None:
        message = _("The %(kind)s %(id)s is not among the matches of this lead.")
        raise PlanError(message % details, code="not_a_match", details=details)
    if not found.usable:
        message = _("The %(kind)s %(id)s cannot be used: it is locked, unapproved or read-only.")
        raise PlanError(message % details, code="unusable", details=details)
    return found


def changed_fields(before: Lead, now: Lead) -> tuple[str, ...]:
    """Return the API names of the fields, of those that were read, whose values differ."""
    old, new = _field_values(before), _field_values(now)
    names = sorted(old.keys() | new.keys())
    return tuple(name for name in names if old.get(name, "") != new.get(name, ""))


def _field_values(lead: Lead) -> dict[str, str]:
    owner = lead.owner.id if lead.owner else ""
    return {**lead.fields, "Owner": owner, "Tag": ", ".join(sorted(lead.tags))}


def same_matches(before: Preview, now: Preview) -> bool:
    """Return whether two previews have the same verdict and the same usable and other matches."""
    return (before.verdict, _usable(before.options)) == (now.verdict, _usable(now.options))


def _usable(options: ConversionOptions) -> tuple[object, ...]:
    kept = (options.contacts, options.accounts)
    usable = (frozenset((match.id, match.usable) for match in matches) for matches in kept)
    return (*usable, options.further_contacts, options.further_accounts)
