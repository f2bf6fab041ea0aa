"""The forms of the admin pages and of the web flow that connects."""

from __future__ import annotations

from zoho_crm.forms._connect import (
    ConnectForm,
    SelfClientForm,
    data_center_choices,
    without_values,
)
from zoho_crm.forms._conversion import (
    NEW_RECORD,
    CloseForm,
    ConversionForm,
    LookUpForm,
    VersionForm,
)
from zoho_crm.forms._policy import PolicyForm
from zoho_crm.forms._runs import PrepareForm, StartForm, VerdictForm

__all__ = [
    "NEW_RECORD",
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
    "without_values",
]
