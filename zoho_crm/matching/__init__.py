"""
What the conversion options of a lead mean, and what a policy makes of it: pure, no I/O.

* a verdict says what was found (``assess``),
* a policy says which plan a verdict gets without asking a person (``decide_by``),
* keys say which leads of a run would create the same contact or account twice (``contact_key``).
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
    "decide_by",
    "similar_key",
    "propose",
    "same_matches",
    "complete_plan",
]
