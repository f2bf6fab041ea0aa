"""
Texts of ours, which rows store as a code and its values, so that each reader has their language.

Texts of Zoho's, of a person or of the host project are stored as they are.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm import exceptions
from zoho_crm.exceptions import MESSAGES_BY_CODE, CodedError, ZohoError, insert_values
from zoho_crm.models import ConnectionWork, LeadConversion, MassConversion
from zoho_crm.services.presentation._errors import facts_of, refusal_text
from zoho_crm.services.presentation._labels import MAX_TEXT_LENGTH
from zoho_crm.types import CodedText, JsonObject, Verdict, storable

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

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
    "selection": gettext_lazy("leads chosen in the list"),
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
        "Another lead of this run would create the same contact, and a third one the same account."
    ),
    "similar": gettext_lazy(
        "Another lead of this run has a company that differs only in its legal form."
    ),
    "leader": gettext_lazy(
        "It was to join what another lead of its run became, but that made no such record."
    ),
    "owner": gettext_lazy("The owner of the lead is inactive: choose who gets the records."),
    "changed": gettext_lazy("The lead changed at Zoho after its run was started."),
    "purged": gettext_lazy("Zoho would not convert it; its words were deleted after a while."),
}


def reason_of(error: BaseException) -> CodedText:
    """Return the code and the values under which the message of an error is stored."""
    if not isinstance(error, CodedError):
        return CodedText(code="internal", details={"error": type(error).__name__})
    if error.has_coded_message:
        return CodedText(code=error.code, details=error.details)
    message: JsonObject = {"message": error.message[:MAX_TEXT_LENGTH]} if error.message else {}
    if isinstance(error, ZohoError) and any(
        any(facts_of(problem, "")) for problem in error.problems
    ):
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
