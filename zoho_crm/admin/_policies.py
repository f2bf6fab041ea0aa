"""Admin pages of saved policies, and the description of a policy in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from django.contrib import admin
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from zoho_crm import matching
from zoho_crm.admin._base import BaseAdmin
from zoho_crm.forms import MODULES, PolicyForm
from zoho_crm.matching import Action, DealTemplate
from zoho_crm.models import Policy

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


class PolicyAdmin(BaseAdmin):
    """Saved policies. Runs keep a copy, so changing or deleting a policy does not affect them."""

    form = PolicyForm
    list_display = ("name", "summary", "changed_at")
    search_fields = ("name",)
    ordering = ("name",)
    fieldsets = (
        (None, {"fields": ("name",)}),
        (gettext_lazy("Verdicts"), {"fields": PolicyForm.RULE_FIELDS}),
        (gettext_lazy("Deal"), {"fields": ("deal", *PolicyForm.DEAL_FIELDS)}),
        (gettext_lazy("Also"), {"fields": PolicyForm.OTHER_FIELDS}),
    )

    @admin.display(description=gettext_lazy("what it says"))
    def summary(self, policy: Policy) -> str:
        return " ".join(describe_policy(policy.as_value())[: len(PolicyForm.RULE_FIELDS)])


def describe_policy(policy: matching.Policy, names: Mapping[str, str] | None = None) -> list[str]:
    """
    Return what a policy does, in sentences.

    :param names: of users and contact roles, by id; without a name the id is shown
    """
    known = names or {}
    return [
        *(str(texts[getattr(policy, rule)]) for rule, texts in RULE_TEXTS.items()),
        *_deal(policy.deal, known),
        *_owner(policy, known),
        *_targets(policy),
        *_notifications(policy),
    ]


def _deal(deal: DealTemplate | None, names: Mapping[str, str]) -> Iterator[str]:
    if deal is None:
        yield _("No deal is created.")
        return
    yield ngettext(
        "Each lead gets a deal “%(name)s” in stage %(stage)s, to close %(days)s day later.",
        "Each lead gets a deal “%(name)s” in stage %(stage)s, to close %(days)s days later.",
        deal.closing_days,
    ) % {"name": deal.name, "stage": deal.stage, "days": deal.closing_days}
    if deal.pipeline:
        yield _("Its pipeline is %s.") % deal.pipeline
    if deal.amount is not None:
        yield _("Its amount is %s.") % number_format(deal.amount)
    if deal.contact_role:
        yield _("The contact's role in it is %s.") % names.get(deal.contact_role, deal.contact_role)


def _owner(policy: matching.Policy, names: Mapping[str, str]) -> Iterator[str]:
    owner, other = policy.owner_id, policy.owner_for_inactive_id
    if owner:
        yield _("The records are assigned to %s.") % names.get(owner, owner)
        return
    yield _("The records keep the owner of their lead.")
    if other:
        yield _("Those of an owner who is inactive go to %s.") % names.get(other, other)
    else:
        yield _("A lead whose owner is inactive is left to a person.")


def _targets(policy: matching.Policy) -> Iterator[str]:
    if policy.tags_to:
        where = ", ".join(str(MODULES.get(module, module)) for module in policy.tags_to)
        yield _("Tags go to: %s.") % where
    else:
        yield _("Tags are not carried over.")
    if policy.attachments_to:
        where = str(MODULES.get(policy.attachments_to, policy.attachments_to))
        yield _("Attachments go to: %s.") % where


def _notifications(policy: matching.Policy) -> Iterator[str]:
    if policy.notify_lead_owner:
        yield _("Zoho tells the lead's owner.")
    if policy.notify_new_owner:
        yield _("Zoho tells the owner of the new records.")
    if not policy.notify_lead_owner and not policy.notify_new_owner:
        yield _("Nobody is notified.")
