"""
Which leads would create the same record: values compared without case and superfluous space.

Companies that differ only in a trailing legal form are a hint for a person, never the same.
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
    """Return what a new contact would be the same by; empty if none would be created."""
    return "" if plan.contact_id else _folded(lead.email)


def account_key(lead: Lead, plan: ConversionPlan) -> str:
    """Return what a new account would be the same by; empty if none would be created."""
    return "" if plan.contact_id or plan.account_id else _folded(lead.company)


def similar_key(key: str) -> str:
    """Return an account's key without its legal form: ``acme gmbh & co. kg`` becomes ``acme``."""
    words = key.replace("&", " ").split()
    while len(words) > 1 and _plain(words[-1]) in LEGAL_FORMS:
        words.pop()
    return " ".join(words).rstrip(",")


def _plain(word: str) -> str:
    return "".join(letter for letter in word if letter.isalnum())


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
