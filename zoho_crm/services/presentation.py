"""
Sentences for people: what a plan does, and the reasons, sources and errors that rows store.

The sentences of a plan are made from the request that would be sent: each key of it has one; one
for a missing key tells what Zoho does without it.

Rows store texts of ours as a code and its values, so that everyone reads them in their language.
Texts of Zoho's, of a person or of the host project are stored as they are.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from django.db.models import Count, Q
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

from zoho_crm import exceptions
from zoho_crm.client import convert_body
from zoho_crm.exceptions import (
    MESSAGES_BY_CODE,
    CodedError,
    RequestRefusedError,
    ZohoError,
    insert_values,
)
from zoho_crm.matching import Action, DealTemplate, Policy
from zoho_crm.models import ConnectionWork, LeadConversion, LeadConversionEvent, MassConversion
from zoho_crm.types import (
    CodedText,
    ConversionOptions,
    ConversionPlan,
    Deal,
    FieldValue,
    JsonObject,
    Lead,
    Match,
    Verdict,
    storable,
)

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

#: Characters that are stored of a text that is not ours.
MAX_TEXT_LENGTH = 200
#: Names of the modules, by their API name.
MODULES: Mapping[str, StrPromise] = {
    "Contacts": gettext_lazy("Contact"),
    "Accounts": gettext_lazy("Account"),
    "Deals": gettext_lazy("Deal"),
}
#: Labels of fields whose API name is not what the user interface calls them.
FIELD_LABELS: Mapping[str, StrPromise] = {
    "Full_Name": gettext_lazy("Name"),
    "Email": gettext_lazy("E-mail"),
    "Account_Name": gettext_lazy("Account"),
    "Designation": gettext_lazy("Title"),
}


def field_label(name: str) -> str:
    """Return the label of a field, by its API name."""
    return str(FIELD_LABELS.get(name) or name.replace("_", " "))


@dataclass(frozen=True, kw_only=True)
class ExplanationContext:
    """What the sentences are made from."""

    plan: ConversionPlan
    #: The lead's item in the body of the request.
    item: JsonObject
    lead: Lead
    options: ConversionOptions
    #: Names of users and contact roles, by id.
    names: Mapping[str, str] = field(default_factory=dict)

    def name_of(self, record_id: str) -> str:
        """Return the name of a user or contact role, or its id if the name is not known."""
        return self.names.get(record_id, record_id)

    def contact(self) -> Match | None:
        """Return the existing contact that the plan attaches to, if any."""
        return _match_by_id(self.options.contacts, self.plan.contact_id)

    def account(self) -> Match | None:
        """Return the existing account that the plan attaches to, if any."""
        return _match_by_id(self.options.accounts, self.plan.account_id)


def explain_plan(
    plan: ConversionPlan,
    lead: Lead,
    options: ConversionOptions,
    names: Mapping[str, str] | None = None,
) -> list[str]:
    """Return the sentences for a plan, the most important first."""
    item = convert_body(plan)["data"][0]
    context = ExplanationContext(
        plan=plan, item=item, lead=lead, options=options, names=names or {}
    )
    sentences = [sentence_for(context) for sentence_for in SENTENCES.values()]
    return [sentence for sentence in sentences if sentence] + [
        _("The lead is closed. Zoho cannot undo this; what was read is kept here.")
    ]


def further_matches_texts(options: ConversionOptions) -> list[str]:
    """Return the sentences on matches that are not kept, for contacts and accounts; may be none."""
    kinds = (
        (
            _("Of %(total)s contacts that match, the first %(kept)s are offered."),
            len(options.contacts),
            options.further_contacts,
        ),
        (
            _("Of %(total)s accounts that match, the first %(kept)s are offered."),
            len(options.accounts),
            options.further_accounts,
        ),
    )
    hint = _("To join another, convert the lead in Zoho CRM.")
    return [
        f"{sentence % {'total': number_format(kept + further), 'kept': kept}} {hint}"
        for sentence, kept, further in kinds
        if further
    ]


def request_body(plan: ConversionPlan) -> JsonObject:
    """Return the body of the request that carries out a plan."""
    return convert_body(plan)


def _match_by_id(matches: tuple[Match, ...], record_id: str) -> Match | None:
    return next((match for match in matches if match.id == record_id), None)


def _contact(context: ExplanationContext) -> str:
    if "Contacts" in context.item:
        contact = context.contact()
        name = contact.name if contact else context.plan.contact_id
        return _("The lead joins the existing contact “%s”.") % name
    return _("A new contact “%s” is created.") % context.lead.name


def _account(context: ExplanationContext) -> str:
    if "Accounts" in context.item:
        account = context.account()
        name = account.name if account else context.plan.account_id
        return _("It is added to the existing account “%s”.") % name
    contact = context.contact()
    if contact and contact.account:
        return _("The contact's account “%s” comes along.") % contact.account.name
    if contact:
        return _("The contact has no account; Zoho decides whether it gets one.")
    if "Contacts" in context.item:
        return _("The contact's account comes along, if it has one.")
    if context.lead.company:
        return _("A new account “%s” is created.") % context.lead.company
    return _("No account is created: the lead has no company.")


def _overwrite(context: ExplanationContext) -> str:
    contact = context.contact()
    exists = "Accounts" in context.item or (contact and contact.account)
    if not (context.item["overwrite"] and exists and context.lead.company):
        return ""
    return _("The existing account's name becomes “%s”.") % context.lead.company


def _deal(context: ExplanationContext) -> str:
    deal = context.plan.deal
    if "Deals" not in context.item or deal is None:
        return _("No deal is created.")
    facts = {"name": deal.name, "stage": deal.stage, "date": date_format(deal.closing_date)}
    sentence = _("A deal “%(name)s” is created in stage %(stage)s, to close on %(date)s.") % facts
    others = [
        _("Its %(field)s is “%(value)s”.") % {"field": name, "value": _shown_value(value)}
        for name, value in deal.other.items()
        if name in context.item["Deals"]
    ]
    return " ".join([sentence, *_about_the_deal(deal, context.names, others)])


def _about_the_deal(
    deal: Deal | DealTemplate, names: Mapping[str, str], others: Iterable[str] = ()
) -> Iterator[str]:
    if deal.pipeline:
        yield _("Its pipeline is %s.") % deal.pipeline
    if deal.amount is not None:
        yield _("Its amount is %s.") % number_format(deal.amount)
    yield from others
    if deal.contact_role:
        yield _("The contact's role in it is %s.") % names.get(deal.contact_role, deal.contact_role)


def _shown_value(value: FieldValue) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(value)
    return value.get("id", "") if isinstance(value, dict) else str(value)


def _owner(context: ExplanationContext) -> str:
    if "assign_to" in context.item:
        return _("The records are assigned to %s.") % context.name_of(context.plan.owner_id)
    if context.lead.owner:
        return _("The records keep the lead's owner, %s.") % context.lead.owner.name
    return ""


def _attachments(context: ExplanationContext) -> str:
    targets = {
        "Contacts": _("Attachments move to the contact."),
        "Accounts": _("Attachments move to the account."),
        "Deals": _("Attachments move to the deal."),
    }
    return targets.get(context.plan.move_attachments_to, "")


def _tags(context: ExplanationContext) -> str:
    carried = context.item.get("carry_over_tags", {})
    names = sorted({name for names in carried.values() for name in names})
    if not names:
        return _("Tags are not carried over.") if context.lead.tags else ""
    targets = {"Contacts": _("contact"), "Accounts": _("account"), "Deals": _("deal")}
    where = ", ".join(targets[module] for module in targets if module in carried)
    return _("Tags %(tags)s go to: %(where)s.") % {"tags": ", ".join(names), "where": where}


def _notify_lead_owner(context: ExplanationContext) -> str:
    return _("Zoho tells the lead's owner.") if context.item["notify_lead_owner"] else ""


def _notify_new_owner(context: ExplanationContext) -> str:
    if context.item["notify_new_entity_owner"]:
        return _("Zoho tells the owner of the new records.")
    return "" if context.item["notify_lead_owner"] else _("Nobody is notified.")


#: The function that returns the sentence of each key of the request; empty for none.
SENTENCES: Mapping[str, Callable[[ExplanationContext], str]] = {
    "Contacts": _contact,
    "Accounts": _account,
    "overwrite": _overwrite,
    "Deals": _deal,
    "assign_to": _owner,
    "move_attachments_to": _attachments,
    "carry_over_tags": _tags,
    "notify_lead_owner": _notify_lead_owner,
    "notify_new_entity_owner": _notify_new_owner,
}


def unusable_reason(match: Match) -> str:
    """Return why no lead can be attached to a match; empty if one can."""
    if match.locked:
        return _("It is locked at Zoho: unlock it there, then look again.")
    if not match.approved:
        return _("It waits for approval at Zoho: have it approved there, then look again.")
    if not match.editable:
        return _("The user of this connection may not change it at Zoho.")
    return ""


# What a policy does, and the start of a run

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
    yield from _about_the_deal(deal, names)


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


# What rows store as a code and its values

#: The sentences of the codes, which name values of the details. An error is stored under our code,
#: or under its class with Zoho's message.
TEXTS_BY_CODE: Mapping[str, StrPromise | str] = {
    "text": "%(text)s",
    # why a run is paused
    "by_user": gettext_lazy("Paused by %(user)s."),
    "paused": gettext_lazy("Paused."),
    "too_many_refusals": gettext_lazy(
        "%(refused)s of the last %(total)s leads were refused; see why before going on."
    ),
    # where the leads of a run come from
    "ids": gettext_lazy("ids that were pasted"),
    "program": gettext_lazy("ids that a program gave"),
    "file": "%(file)s",
    "stdin": gettext_lazy("stdin"),
    "all_open_leads": gettext_lazy("all open leads"),
    "open_leads": gettext_lazy("open leads with %(filters)s"),
    # why a part of what an organisation offers is absent
    "unseen": gettext_lazy("The user of this connection sees none at Zoho."),
    # errors
    "internal": gettext_lazy("An internal error (%(error)s); see the log of this site."),
    **MESSAGES_BY_CODE,
    **{
        name: kind.default_message
        for name, kind in inspect.getmembers(exceptions, inspect.isclass)
        if issubclass(kind, CodedError)
    },
}

#: Why a lead cannot be converted, or why a person has to decide, by the ``reason`` of its row.
REASONS: Mapping[str, StrPromise] = {
    "locked": gettext_lazy("The lead is locked at Zoho."),
    "in_merge": gettext_lazy("The lead is just being merged with another."),
    "approval": gettext_lazy("The lead is in an approval process at Zoho."),
    "review": gettext_lazy("The lead is in a review process at Zoho."),
    "refused": gettext_lazy("Zoho would not convert it and gives no reason."),
    "several": gettext_lazy("Several existing records match this lead."),
    "unusable": gettext_lazy("A match cannot be used as it is."),
    "disagree": gettext_lazy(
        "The contact that matches belongs to another account than the one that matches."
    ),
    "group": gettext_lazy(
        "Another lead of this mass conversion would create the same contact, and a third one the "
        "same account."
    ),
    "similar": gettext_lazy(
        "Another lead of this mass conversion has a company that differs only in its legal form."
    ),
    "leader": gettext_lazy(
        "It was to join what another lead of its mass conversion became, but that made no such "
        "record."
    ),
    "owner": gettext_lazy("The owner of the lead is inactive: choose who gets the records."),
    "changed": gettext_lazy("The lead changed at Zoho after its mass conversion was started."),
    "purged": gettext_lazy("Zoho would not convert it; its words were deleted after a while."),
}

#: The message of an ``error_code`` of ours.
ERRORS: Mapping[str, StrPromise] = {
    "INTERNAL": gettext_lazy("An internal error; the details are in the log of this site."),
    "UNREADABLE": gettext_lazy("The lead can no longer be read."),
    "ID_ALREADY_CONVERTED": gettext_lazy(
        "Zoho says that this lead was converted, but shows it open."
    ),
    "MAX_ATTEMPTS": gettext_lazy("It was sent several times, and each time no answer came."),
}


def reason_of(error: BaseException) -> CodedText:
    """Return the code and the values under which the message of an error is stored."""
    if not isinstance(error, CodedError):
        return CodedText(code="internal", details={"error": type(error).__name__})
    if error.has_coded_message:
        return CodedText(code=error.code, details=error.details)
    message: JsonObject = {"message": error.message[:MAX_TEXT_LENGTH]} if error.message else {}
    if isinstance(error, ZohoError) and any(any(_facts(problem, "")) for problem in error.problems):
        message["problems"] = error.problems
    return CodedText(code=type(error).__name__, details=message)


def given_text(text: str) -> CodedText:
    """Return how a text is stored that a person or the host project gave; it may be empty."""
    details = {"text": storable(text, MAX_TEXT_LENGTH)}
    return CodedText(code="text", details=details) if text else CodedText(code="")


def coded_text(code: str, details: JsonObject) -> str:
    """Return the words of a stored code; a code that is not known here is returned itself."""
    message = details.get("message") or insert_values(TEXTS_BY_CODE.get(code, code), details)
    return refusal_text(str(message), details.get("problems") or ())


def pause_text(run: MassConversion) -> str:
    """Return why a run is paused; empty if it is not."""
    return coded_text(run.paused_reason, run.paused_details)


def source_text(run: MassConversion) -> str:
    """Return where the leads of a run come from; empty if that is not known."""
    return coded_text(run.source, run.source_details)


def backoff_text(work: ConnectionWork) -> str:
    """Return why a connection backs off, or did last; empty if it does not."""
    return coded_text(work.backoff_reason, work.backoff_details)


def reason_text(row: LeadConversion) -> str:
    """Return why a previewed lead cannot be converted, or is left to a person; may be empty."""
    if row.reason in REASONS:
        return str(REASONS[row.reason])
    is_refused = row.verdict == Verdict.NOT_CONVERTIBLE
    return _("Zoho would not convert it: %s") % row.reason if is_refused else ""


# Zoho's refusals

#: Returns the value that an error of Zoho's is about; empty if it is not known or not to be shown.
ValueOf: TypeAlias = Callable[[JsonObject], str]
_PATH_PART = re.compile(r"\.(\$?\w+)|\[(\d+)\]")


def error_text(row: LeadConversion, *, with_values: bool = False) -> str:
    """
    Return the message of a row's error with the field of each of Zoho's errors; may be empty.

    :param with_values: whether to name the values, which are personal data
    """
    value_of = partial(_refused_value, row) if with_values else _no_value
    return error_code_text(row.error_code, row.error_message, row.error_details or (), value_of)


def describe_error(error: BaseException) -> str:
    """Return the message of an error with the field of each of Zoho's errors."""
    return refusal_text(str(error), error.problems if isinstance(error, ZohoError) else ())


def followed_by(text: str, next_sentence: str) -> str:
    """Return two sentences, the first with a full stop, which Zoho's messages often lack."""
    text = text.rstrip()
    stop = "." if next_sentence and (text[-1:].isalnum() or text.endswith(")")) else ""
    return f"{text}{stop} {next_sentence}".strip()


def event_text(event: LeadConversionEvent) -> str:
    """Return the code and the fields of the error that an event stores; empty if it has none."""
    details = event.details
    return refusal_text(details.get("code", ""), details.get("errors") or [details])


def _no_value(_problem: JsonObject) -> str:
    return ""


def error_code_text(
    code: str, message: str, problems: Iterable[JsonObject] = (), value_of: ValueOf = _no_value
) -> str:
    """Return Zoho's message of an error if there is one, else the sentence of its code."""
    if not message and code:
        message = str(ERRORS.get(code, RequestRefusedError.default_message))
    return refusal_text(message, problems, value_of)


def refusal_text(
    message: str, problems: Iterable[JsonObject], value_of: ValueOf = _no_value
) -> str:
    """
    Return a message with what Zoho says about the field; of several errors, each with its code.

    :param problems: ``problems`` of the exception
    """
    found = list(problems)
    if len(found) < 2:
        return _with_facts(message, found[0], value_of) if found else message
    texts = (_with_facts(str(each.get("message", "")), each, value_of) for each in found)
    codes = (str(each.get("code", "")) for each in found)
    return "; ".join(
        f"{text} ({code})" if code else text for text, code in zip(texts, codes, strict=True)
    )


def _with_facts(message: str, problem: JsonObject, value_of: ValueOf) -> str:
    facts = ", ".join(_facts(problem, value_of(problem)))
    return ": ".join(filter(None, [message.removesuffix(".") if facts else message, facts]))


def _facts(problem: JsonObject, value: str) -> Iterator[str]:
    """Yield what an error of Zoho's says: field, value, and what it should have been."""
    if name := problem.get("api_name"):
        label = field_label(str(name))
        yield _("field %s") % (label if label == name else f"{label} ({name})")
    elif where := problem.get("param_name") or problem.get("json_path"):
        yield _("field %s") % where
    if value:
        yield _("value “%s”") % value
    for key, sentence in FACTS.items():
        if fact := problem.get(key):
            shown = ", ".join(map(str, fact)) if isinstance(fact, list) else fact
            yield str(sentence) % shown
    if problem.get("code") == "DUPLICATE_DATA" and problem.get("id"):
        record = " ".join(str(problem[key]) for key in ("module", "id") if key in problem)
        yield _("a record has it: %s") % record


#: What the details of an error say besides field and value.
FACTS: Mapping[str, StrPromise] = {
    "expected_data_type": gettext_lazy("expected: %s"),
    "maximum_length": gettext_lazy("at most %s characters"),
    "minimum_length": gettext_lazy("at least %s characters"),
    "supported_values": gettext_lazy("allowed: %s"),
    "mapped_field": gettext_lazy("it depends on the field %s"),
    "permissions": gettext_lazy("missing permission: %s"),
}


def _refused_value(row: LeadConversion, problem: JsonObject) -> str:
    """Return the value of a row's request or lead that an error of Zoho's is about."""
    lead, plan = row.stored_lead(), row.stored_plan()
    name, path = problem.get("api_name", ""), problem.get("json_path", "")
    body = convert_body(plan) if plan else {}
    # The path of a deal's stage lacks "Deals" at Zoho.
    value = _value_at(body, str(path)) or _value_at(body, f"$.data[0].Deals.{name}")
    if value is None and lead:
        own = {"Account_Name": lead.company, "Full_Name": lead.name}
        value = own.get(name) or lead.fields.get(name)
    return "" if value is None or isinstance(value, dict) else str(value)[:MAX_TEXT_LENGTH]


def _value_at(body: Any, path: str) -> Any:
    """Return the value at a JSON path such as ``$.data[0].Deals.Stage``; ``None`` if not there."""
    if not path:
        return None
    for key, index in _PATH_PART.findall(path):
        try:
            body = body[int(index)] if index else body[key]
        except (LookupError, TypeError):
            return None
    return body
