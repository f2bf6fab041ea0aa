"""The leads of a run under review: which of them a page shows, and what is decided about them."""

from __future__ import annotations

import hashlib
import heapq
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from django.db.models import Count, F, Min, Q, QuerySet
from django.db.models.fields.json import KT, KeyTextTransform
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from zoho_crm.matching import CONVERTIBLE
from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.services.comparison import differing_fields, joined_matches, match_by_id
from zoho_crm.services.presentation import field_label, reason_text, unusable_reason
from zoho_crm.services.run_statistics import REFUSED, rows_of
from zoho_crm.services.states import describe_conversion
from zoho_crm.types import ConversionPlan, is_record_id, storable

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

Status = LeadConversion.Status
#: Values of a lead in which a search looks, besides the beginning of its id; and those of them
#: that results of a run have, too.
SEARCHED_VALUES = ("name", "company", "email")
SEARCHED_NAMES = ("name",)
MAX_SEARCH_LENGTH = 100
#: Leads of a sample.
SAMPLE_ROWS = 10
#: The number by which one sample differs from another.
SAMPLE_NUMBER = re.compile(r"[0-9]{1,6}", re.ASCII)
VERDICTS: Mapping[str, Any] = dict(LeadConversion._meta.get_field("verdict").flatchoices)
FIELD_NAME = re.compile(r"\w{1,100}", re.ASCII)

_PLANNED = Q(status=Status.PREVIEWED, plan__isnull=False)
_CREATES = Q(plan__contact_id="", plan__account_id="")
#: What can be decided about a lead, as a condition on its row, by the name in the address.
DECISIONS: Mapping[str, Q] = {
    "undecided": Q(status=Status.PREVIEWED, plan__isnull=True, verdict__in=CONVERTIBLE),
    "create": _PLANNED & _CREATES & Q(follows=None),
    "join": _PLANNED & ~_CREATES & Q(follows=None),
    "follow": _PLANNED & Q(follows__isnull=False),
    "left_out": Q(status=Status.SKIPPED),
}
#: What else a lead can be found by there: nothing can be decided about these.
STATES: Mapping[str, Q] = {
    **DECISIONS,
    "again": Q(status=Status.NEW),
    "error": Q(status__in=REFUSED),
}
#: The decisions with which a lead is sent.
INCLUDED = ("create", "join", "follow")
DECISION_LABELS: Mapping[str, StrPromise] = {
    "undecided": gettext_lazy("to be decided"),
    "create": gettext_lazy("create everything anew"),
    "join": gettext_lazy("join what matches"),
    "follow": gettext_lazy("join another lead of this run"),
    "left_out": gettext_lazy("left out"),
    "again": gettext_lazy("is read from Zoho again"),
    "error": gettext_lazy("error"),
}


@dataclass(frozen=True, kw_only=True)
class ReviewFilter:
    """Which leads of a run are shown; all by default. Named like the parameters of the address."""

    verdict: str = ""
    #: One of ``STATES``.
    decision: str = ""
    #: Id of the owner that the lead had when it was read.
    owner: str = ""
    #: API name of a field in which a match has the same value.
    matched: str = ""
    #: A text to be found in the lead.
    q: str = ""
    #: A number, for some leads at random of those that match: the same ones for the same number.
    sample: str = ""

    @classmethod
    def from_values(cls, given: Mapping[str, Any]) -> Self:
        """Return the filter with these values, which come from outside; odd ones are left out."""
        texts = {name: str(given.get(name) or "") for name in asdict(cls())}
        is_fine = {
            "verdict": texts["verdict"] in VERDICTS,
            "decision": texts["decision"] in STATES,
            "owner": is_record_id(texts["owner"]),
            "matched": FIELD_NAME.fullmatch(texts["matched"]),
            "q": True,
            "sample": SAMPLE_NUMBER.fullmatch(texts["sample"]),
        }
        texts["q"] = storable(texts["q"].strip(), MAX_SEARCH_LENGTH)
        return cls(**{name: text for name, text in texts.items() if is_fine[name]})

    def values(self) -> dict[str, str]:
        """Return the values that say something, by name."""
        return {name: text for name, text in asdict(self).items() if text}

    def rows(self, run: MassConversion, *, with_values: bool = True) -> QuerySet[LeadConversion]:
        """
        Return the rows of a run that match.

        :param with_values: whether a text is looked for in values of leads that results do not
            have; who may not see these could find them out by searching
        """
        rows = rows_of(run)
        if self.verdict:
            rows = rows.filter(verdict=self.verdict)
        if self.decision:
            rows = rows.filter(STATES[self.decision])
        if self.owner:
            rows = rows.filter(lead_owner_id=self.owner)
        if self.matched:
            rows = rows.filter(matched_on__contains=f",{self.matched},")
        if self.q:
            names = SEARCHED_VALUES if with_values else SEARCHED_NAMES
            rows = rows.filter(_contains(self.q, names))
        return rows.filter(pk__in=_sample(rows, self.sample)) if self.sample else rows


def _sample(rows: QuerySet[LeadConversion], number: str) -> list[int]:
    """Return the primary keys of some rows; one that no longer matches makes way for one other."""
    # Not by the database: hashes that all of them have need an extension of PostgreSQL's.
    keys = rows.order_by().values_list("pk", flat=True)
    return heapq.nsmallest(SAMPLE_ROWS, keys, key=partial(_place, number=number))


def _place(pk: int, *, number: str) -> bytes:
    """Return by what rows are sorted for a sample: at random, but always the same for a number."""
    return hashlib.blake2b(f"{number} {pk}".encode(), digest_size=8).digest()


def _contains(text: str, names: Iterable[str]) -> Q:
    found = Q(lead_id__startswith=text)
    for name in names:
        found |= Q(**{f"lead_snapshot__{name}__icontains": text})
    return found


def with_leaders(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return rows with the name of the lead that each follows, as ``leader_name``."""
    named: QuerySet[Any] = rows.annotate(
        leader_name=KeyTextTransform("name", "follows__lead_snapshot"),
        leader_id=F("follows__lead_id"),
    )
    return named


def review_counts(run: MassConversion) -> dict[str, dict[str, int]]:
    """Return the number of ``leads``, and of each of ``STATES``, by verdict; one query."""
    figures: dict[str, Any] = {name: Count("pk", filter=rows) for name, rows in STATES.items()}
    groups = rows_of(run).order_by().values_list("verdict")
    names = ("leads", *STATES)
    found = groups.annotate(leads=Count("pk"), **figures)
    return {verdict: dict(zip(names, numbers, strict=True)) for verdict, *numbers in found}


def lead_owners(run: MassConversion) -> list[tuple[str, str]]:
    """Return id and name of the users who own leads of a run, in the order of their names."""
    owned = rows_of(run).exclude(lead_owner_id="").order_by()
    first = owned.values("lead_owner_id").annotate(first=Min("pk")).values("first")
    named = rows_of(run).filter(pk__in=first).order_by()
    found = named.values_list("lead_owner_id", KT("lead_snapshot__owner__name"))
    owners = [(owner_id, name or owner_id) for owner_id, name in found]
    return sorted(owners, key=lambda owner: (owner[1].casefold(), owner[0]))


def matched_fields(run: MassConversion) -> list[tuple[str, str]]:
    """Return API name and label of the fields by which a lead of a run was matched."""
    lists = rows_of(run).exclude(matched_on="").order_by()
    found = set()
    for names in lists.values_list("matched_on", flat=True).distinct():
        found |= set(names.strip(",").split(","))
    return [(name, field_label(name)) for name in sorted(found)]


def decision_of(row: LeadConversion) -> str:
    """Return which of ``DECISIONS`` a row of ``with_leaders`` has; empty if it cannot have one."""
    if row.status == Status.SKIPPED:
        return "left_out"
    if row.status != Status.PREVIEWED or row.verdict not in CONVERTIBLE:
        return ""
    plan = row.stored_plan()
    if plan is None:
        return "undecided"
    if row.follows_id:
        return "follow"
    return "join" if plan.contact_id or plan.account_id else "create"


def decision_text(row: Any) -> str:
    """Return what is decided about a row of ``with_leaders``, or why it cannot be decided."""
    decision, plan = decision_of(row), row.stored_plan() or ConversionPlan()
    if decision == "follow":
        leader: str = row.leader_name or row.leader_id
        return _("joins what “%s” becomes") % leader
    if decision == "join":
        contact = match_by_id(row.stored_options().contacts, plan.contact_id)
        account = match_by_id(row.stored_options().accounts, plan.account_id)
        if plan.contact_id:
            return _("joins “%s”") % (contact.name if contact else plan.contact_id)
        return _("new contact in “%s”") % (account.name if account else plan.account_id)
    state = decision or _STATE_BY_STATUS.get(row.status, "")
    return str(DECISION_LABELS[state]) if state else _("cannot be converted now")


_STATE_BY_STATUS = {Status.NEW: "again", **dict.fromkeys(REFUSED, "error")}


def risk_texts(row: LeadConversion) -> list[str]:
    """
    Return what a person should look at before a row is sent, as short sentences; may be none.

    Of a row that cannot be decided: why, and what to do. Values are compared with those of the
    record that the plan joins, or else of the only match.
    """
    if row.status in _AT_REST and not decision_of(row):
        return [" ".join(map(str, describe_conversion(row).sentences))]
    lead, options = row.stored_lead(), row.stored_options()
    texts = [reason_text(row)]
    every = options.contacts or options.accounts
    joined = [match for _module, match in joined_matches(row)]
    matches = joined or (list(every) if len(every) == 1 and not row.plan else [])
    if lead is not None:
        texts += [_differences(differing_fields(lead, match)) for match in matches]
    texts += [unusable_reason(match) for match in matches if not row.plan]
    return [text for text in dict.fromkeys(texts) if text]


#: Statuses that are described without a query.
_AT_REST = (Status.PREVIEWED, *REFUSED)


def _differences(names: list[str]) -> str:
    if not names:
        return ""
    text = ngettext(
        "%(count)s value differs: %(names)s", "%(count)s values differ: %(names)s", len(names)
    )
    return text % {"count": len(names), "names": ", ".join(map(field_label, names))}
