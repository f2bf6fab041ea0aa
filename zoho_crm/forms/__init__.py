"""Forms: what people may say, and in which words they are told that they may not."""

from __future__ import annotations

from zoho_crm.forms._connect import ConnectForm, SelfClientForm, data_center_choices
from zoho_crm.forms._conversion import (
    MODULES,
    NEW,
    CloseForm,
    ConversionForm,
    LookUpForm,
    VersionForm,
    why_unusable,
)
from zoho_crm.forms._policy import PolicyForm
from zoho_crm.forms._runs import PrepareForm, StartForm, VerdictForm

__all__ = [
    "MODULES",
    "NEW",
    "CloseForm",
    "ConnectForm",
    "ConversionForm",
    "LookUpForm",
    "PolicyForm",
    "PrepareForm",
    "SelfClientForm",
    "StartForm",
    "VerdictForm",
    "VersionForm",
    "data_center_choices",
    "why_unusable",
]
