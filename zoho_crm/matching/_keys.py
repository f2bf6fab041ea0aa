"""
Keys by which leads are compared that would create the same record, without case and extra spaces.

Companies that differ only in a trailing legal form are similar, which a person has to look at; they
are never treated as the same.
"""

from __future__ import annotations

from zoho_crm.types import ConversionPlan, Lead

LEGAL_FORMS = frozenset(
    """
    ab ag as bv co company corp corporation gmbh inc incorporated kg kk lda limited llc llp ltd ltda
    mbh nv oy plc pty sa sarl sas se sl spa sro srl ug
    """.split()  # noqa: SIM905
)


def contact_key(lead: Lead, plan: ConversionPlan) -> str:
    """Return the e-mail of the contact that the plan would create; empty if it creates none."""
    return "" if plan.contact_id else _normalized(lead.email)


def account_key(lead: Lead, plan: ConversionPlan) -> str:
    """Return the company of the account that the plan would create; empty if it creates none."""
    return "" if plan.contact_id or plan.account_id else _normalized(lead.company)


def similar_key(key: str) -> str:
    """Return an account's key without its legal form: ``acme gmbh & co. kg`` becomes ``acme``."""
    words = key.replace("&", " ").split()
    while len(words) > 1 and _alphanumeric(words[-1]) in LEGAL_FORMS:
        words.pop()
    return " ".join(words).rstrip(",")


def _alphanumeric(word: str) -> str:
    return "".join(character for character in word if character.isalnum())


def _normalized(text: str) -> str:
    return " ".join(text.casefold().split())
