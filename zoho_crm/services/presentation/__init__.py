"""Sentences for people: what a plan does, and the reasons, sources and errors that rows store."""

from __future__ import annotations

from zoho_crm.services.presentation._codes import (
    REASONS,
    TEXTS_BY_CODE,
    backoff_text,
    coded_text,
    given_text,
    pause_text,
    reason_of,
    reason_text,
    source_text,
)
from zoho_crm.services.presentation._details import event_values
from zoho_crm.services.presentation._errors import (
    ERRORS,
    describe_error,
    error_code_text,
    error_text,
    event_text,
    followed_by,
    outbox_error_text,
    outbox_event_text,
)
from zoho_crm.services.presentation._labels import (
    MAX_TEXT_LENGTH,
    MODULES,
    PERSON_KINDS,
    field_label,
)
from zoho_crm.services.presentation._plans import (
    SENTENCES,
    explain_plan,
    further_matches_texts,
    request_body,
    unusable_reason,
)
from zoho_crm.services.presentation._policies import (
    JOINS_RECORD,
    START_FACTS,
    describe_policy,
    describe_start,
)

__all__ = [
    "ERRORS",
    "JOINS_RECORD",
    "MAX_TEXT_LENGTH",
    "MODULES",
    "PERSON_KINDS",
    "REASONS",
    "SENTENCES",
    "START_FACTS",
    "TEXTS_BY_CODE",
    "backoff_text",
    "coded_text",
    "describe_error",
    "describe_policy",
    "describe_start",
    "error_code_text",
    "error_text",
    "event_text",
    "event_values",
    "explain_plan",
    "field_label",
    "followed_by",
    "further_matches_texts",
    "given_text",
    "outbox_error_text",
    "outbox_event_text",
    "pause_text",
    "reason_of",
    "reason_text",
    "request_body",
    "source_text",
    "unusable_reason",
]
