"""
States of conversions, runs and pushed records, in sentences, and what a person may do in each.
"""

from __future__ import annotations

from zoho_crm.services.states._conversions import (
    can_be_decided,
    can_be_skipped,
    describe_conversion,
    is_in_review,
    unknown_text,
)
from zoho_crm.services.states._outbox import (
    can_be_left_out,
    can_be_sent_again,
    describe_outbox_record,
)
from zoho_crm.services.states._runs import available_actions, describe_run
from zoho_crm.services.states._sentences import ShellCommand, StateText, Text

__all__ = [
    "ShellCommand",
    "StateText",
    "Text",
    "available_actions",
    "can_be_decided",
    "can_be_left_out",
    "can_be_sent_again",
    "can_be_skipped",
    "describe_conversion",
    "describe_outbox_record",
    "describe_run",
    "is_in_review",
    "unknown_text",
]
