"""
The forms of the admin pages and of the web flow that connects.

Its modules are loaded when a name of theirs is first used: with a page, not with the admin. So
modules that each process with the admin has import the package, and not a name from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoho_crm.types import late_names

if TYPE_CHECKING:
    from zoho_crm.forms._connect import (
        SELF_CLIENT,
        SIMULATOR,
        ClientForm,
        ConnectAnswersForm,
        ConnectChoiceForm,
        ConnectForm,
        FinishForm,
        GrantCodeForm,
        ResetForm,
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
    from zoho_crm.forms._leads import LeadFilterForm
    from zoho_crm.forms._outbox import ContactForm, FoundForm, LeaveOutForm
    from zoho_crm.forms._policy import PolicyForm
    from zoho_crm.forms._policy_field import PolicyFieldForm
    from zoho_crm.forms._review import LOOK_AGAIN, DecisionForm, ReviewFilterForm
    from zoho_crm.forms._runs import CauseForm, PrepareForm, RunOfSelectionForm, StartForm

__all__ = [
    "LOOK_AGAIN",
    "NEW_RECORD",
    "CauseForm",
    "SELF_CLIENT",
    "SIMULATOR",
    "ClientForm",
    "CloseForm",
    "ConnectAnswersForm",
    "ConnectChoiceForm",
    "ConnectForm",
    "ContactForm",
    "ConversionForm",
    "DecisionForm",
    "FinishForm",
    "FoundForm",
    "GrantCodeForm",
    "LeaveOutForm",
    "LeadFilterForm",
    "LookUpForm",
    "PolicyFieldForm",
    "PolicyForm",
    "PrepareForm",
    "ResetForm",
    "ReviewFilterForm",
    "RunOfSelectionForm",
    "StartForm",
    "VersionForm",
    "data_center_choices",
    "without_values",
]

if not TYPE_CHECKING:  # a type checker knows the names above, and refuses others
    __getattr__ = late_names(
        __name__,
        {
            "_connect": "SELF_CLIENT SIMULATOR ClientForm ConnectAnswersForm ConnectChoiceForm"
            " ConnectForm FinishForm GrantCodeForm ResetForm data_center_choices"
            " without_values",
            "_conversion": "NEW_RECORD CloseForm ConversionForm LookUpForm VersionForm",
            "_leads": "LeadFilterForm",
            "_outbox": "ContactForm FoundForm LeaveOutForm",
            "_policy": "PolicyForm",
            "_policy_field": "PolicyFieldForm",
            "_review": "LOOK_AGAIN DecisionForm ReviewFilterForm",
            "_runs": "CauseForm PrepareForm RunOfSelectionForm StartForm",
        },
    )
