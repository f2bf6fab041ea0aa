"""
Verdicts, plans and policies: pure functions of values, without I/O.

* ``assess`` gives a lead and its conversion options a verdict,
* ``decide_by`` gives a preview the plan of a policy, if the policy decides its verdict,
* ``contact_key`` and ``account_key`` say which leads would create the same record.
"""

from __future__ import annotations

from zoho_crm.matching._keys import account_key, contact_key, similar_key
from zoho_crm.matching._policies import (
    ALLOWED,
    POLICIES,
    Action,
    DealTemplate,
    Decision,
    DecisionContext,
    Policy,
    complete_plan,
    decide_by,
)
from zoho_crm.matching._verdicts import (
    CONVERTIBLE,
    Preview,
    assess,
    changed_fields,
    check_plan,
    deal_target_errors,
    propose,
    same_matches,
)

__all__ = [
    "ALLOWED",
    "CONVERTIBLE",
    "POLICIES",
    "Action",
    "DealTemplate",
    "Decision",
    "DecisionContext",
    "Policy",
    "Preview",
    "account_key",
    "assess",
    "changed_fields",
    "check_plan",
    "contact_key",
    "deal_target_errors",
    "decide_by",
    "similar_key",
    "propose",
    "same_matches",
    "complete_plan",
]
