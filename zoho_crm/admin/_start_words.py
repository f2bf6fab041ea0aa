"""What starting a mass conversion does, in sentences with the number of leads each is true of."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Count, Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext_lazy

from zoho_crm.models import LeadConversion, MassConversion

Status = LeadConversion.Status
NEW_CONTACT, NEW_ACCOUNT = Q(plan__contact_id=""), Q(plan__account_id="")
ALONE = Q(follows=None)
#: What may be true of a row that is sent, and how it is told of many.
FACTS = {
    "contact": (
        ALONE & ~NEW_CONTACT,
        ngettext_lazy(
            "%(count)s joins an existing contact.", "%(count)s join existing contacts.", "count"
        ),
    ),
    "account": (
        ALONE & NEW_CONTACT & ~NEW_ACCOUNT,
        ngettext_lazy(
            "%(count)s becomes a new contact in an existing account.",
            "%(count)s become new contacts in existing accounts.",
            "count",
        ),
    ),
    "anew": (
        ALONE & NEW_CONTACT & NEW_ACCOUNT,
        ngettext_lazy(
            "%(count)s becomes a new contact, and a new account if it has a company.",
            "%(count)s become new contacts, and new accounts if they have a company.",
            "count",
        ),
    ),
    "follows": (
        ~ALONE,
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
    "told": (
        Q(plan__notify_lead_owner=True) | Q(plan__notify_new_owner=True),
        ngettext_lazy(
            "Of %(count)s Zoho tells the owner.", "Of %(count)s Zoho tells the owners.", "count"
        ),
    ),
}


def what_will_happen(run: MassConversion) -> list[str]:
    """Return the sentences for the rows that are sent if the run is started as it is, one query."""
    sent = LeadConversion.objects.filter(
        mass_conversion=run, status=Status.PREVIEWED, plan__isnull=False
    )
    found: Mapping[str, int] = sent.aggregate(
        **{name: Count("pk", filter=condition) for name, (condition, _words) in FACTS.items()}
    )
    told = [words % {"count": found[n]} for n, (_when, words) in FACTS.items() if found[n]]
    return told if found["told"] else [*told, _("Nobody is notified by Zoho.")]
