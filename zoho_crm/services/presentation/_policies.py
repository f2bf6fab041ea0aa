"""What a policy does, and the start of a run, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from django.db.models import Count, Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from zoho_crm.matching import Action, DealTemplate, Policy
from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.services.presentation._labels import MODULES
from zoho_crm.services.presentation._plans import about_the_deal
from zoho_crm.types import ngettext_lazy

#: The sentence of each rule, by its action.
RULE_TEXTS = {
    "on_no_match": {
        Action.CREATE: gettext_lazy("Nothing matches: contact and account are created."),
        Action.REVIEW: gettext_lazy("Nothing matches: a person decides."),
        Action.SKIP: gettext_lazy("Nothing matches: the lead is left out."),
    },
    "on_one_match": {
        Action.ATTACH: gettext_lazy("One contact matches: the lead joins it."),
        Action.REVIEW: gettext_lazy("One contact matches: a person decides."),
        Action.SKIP: gettext_lazy("One contact matches: the lead is left out."),
    },
    "on_account_only": {
        Action.ATTACH: gettext_lazy("Only an account matches: a new contact is added to it."),
        Action.REVIEW: gettext_lazy("Only an account matches: a person decides."),
        Action.SKIP: gettext_lazy("Only an account matches: the lead is left out."),
    },
    "on_several_matches": {
        Action.REVIEW: gettext_lazy("Several match: a person decides."),
        Action.SKIP: gettext_lazy("Several match: the lead is left out."),
        Action.NEWEST: gettext_lazy("Several match: the lead joins the newest."),
        Action.MOST_RECENTLY_ACTIVE: gettext_lazy(
            "Several match: the lead joins the one that was active last."
        ),
    },
}


def describe_policy(policy: Policy, names: Mapping[str, str] | None = None) -> list[str]:
    """
    Return what a policy does, in sentences.

    :param names: of users and contact roles, by id; without a name the id is shown
    """
    known = names or {}
    return [
        *(str(texts[getattr(policy, rule)]) for rule, texts in RULE_TEXTS.items()),
        *_policy_deal(policy.deal, known),
        *_policy_owner(policy, known),
        *_policy_targets(policy),
        *_policy_notifications(policy),
    ]


def _policy_deal(deal: DealTemplate | None, names: Mapping[str, str]) -> Iterator[str]:
    if deal is None:
        yield _("No deal is created.")
        return
    yield ngettext(
        "Each lead gets a deal “%(name)s” in stage %(stage)s, to close %(days)s day later.",
        "Each lead gets a deal “%(name)s” in stage %(stage)s, to close %(days)s days later.",
        deal.closing_days,
    ) % {"name": deal.name, "stage": deal.stage, "days": deal.closing_days}
    yield from about_the_deal(deal, names)


def _policy_owner(policy: Policy, names: Mapping[str, str]) -> Iterator[str]:
    owner, other = policy.owner_id, policy.owner_for_inactive_id
    if owner:
        yield _("The records are assigned to %s.") % names.get(owner, owner)
        return
    yield _("The records keep the owner of their lead.")
    if other:
        yield _("Those of an owner who is inactive go to %s.") % names.get(other, other)
    else:
        yield _("A lead whose owner is inactive is left to a person.")


def _policy_targets(policy: Policy) -> Iterator[str]:
    if policy.tags_to:
        where = ", ".join(str(MODULES.get(module, module)) for module in policy.tags_to)
        yield _("Tags go to: %s.") % where
    else:
        yield _("Tags are not carried over.")
    if policy.attachments_to:
        where = str(MODULES.get(policy.attachments_to, policy.attachments_to))
        yield _("Attachments go to: %s.") % where


def _policy_notifications(policy: Policy) -> Iterator[str]:
    if policy.notify_lead_owner:
        yield _("Zoho tells the lead's owner.")
    if policy.notify_new_owner:
        yield _("Zoho tells the owner of the new records.")
    if not policy.notify_lead_owner and not policy.notify_new_owner:
        yield _("Nobody is notified.")


NEW_CONTACT, NEW_ACCOUNT = Q(plan__contact_id=""), Q(plan__account_id="")
NOT_FOLLOWING = Q(follows=None)
#: The rows whose plan attaches them to existing records.
JOINS_RECORD = NOT_FOLLOWING & ~(NEW_CONTACT & NEW_ACCOUNT)
#: Conditions on the rows that a start sends, each with its sentence for a number of rows.
START_FACTS = {
    "contact": (
        NOT_FOLLOWING & ~NEW_CONTACT,
        ngettext_lazy(
            "%(count)s joins an existing contact.", "%(count)s join existing contacts.", "count"
        ),
    ),
    "account": (
        NOT_FOLLOWING & NEW_CONTACT & ~NEW_ACCOUNT,
        ngettext_lazy(
            "%(count)s becomes a new contact in an existing account.",
            "%(count)s become new contacts in existing accounts.",
            "count",
        ),
    ),
    "new": (
        NOT_FOLLOWING & NEW_CONTACT & NEW_ACCOUNT,
        ngettext_lazy(
            "%(count)s becomes a new contact, and a new account if it has a company.",
            "%(count)s become new contacts, and new accounts if they have a company.",
            "count",
        ),
    ),
    "follows": (
        ~NOT_FOLLOWING,
        ngettext_lazy(
            "%(count)s joins what another lead of this run becomes.",
            "%(count)s join what other leads of this run become.",
            "count",
        ),
    ),
    "deal": (
        ~Q(plan__deal=None),
        ngettext_lazy("%(count)s gets a deal.", "%(count)s get a deal each.", "count"),
    ),
    "owner": (
        ~Q(plan__owner_id=""),
        ngettext_lazy(
            "%(count)s is given to another owner.", "%(count)s are given to another owner.", "count"
        ),
    ),
    "notified": (
        Q(plan__notify_lead_owner=True) | Q(plan__notify_new_owner=True),
        ngettext_lazy(
            "Of %(count)s Zoho tells the owner.", "Of %(count)s Zoho tells the owners.", "count"
        ),
    ),
}


def describe_start(run: MassConversion) -> list[str]:
    """Return what a start would do, as sentences with the number of leads; one query."""
    sent = run.rows.filter(status=LeadConversion.Status.PREVIEWED, plan__isnull=False)
    found: Mapping[str, int] = sent.aggregate(
        **{name: Count("pk", filter=condition) for name, (condition, _texts) in START_FACTS.items()}
    )
    sentences = [
        texts % {"count": found[n]} for n, (_condition, texts) in START_FACTS.items() if found[n]
    ]
    return sentences if found["notified"] else [*sentences, _("Nobody is notified by Zoho.")]
