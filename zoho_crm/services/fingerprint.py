"""What may be shown of a secret: enough to tell two apart, and nothing to use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured

from zoho_crm import crypto
from zoho_crm.exceptions import SecretUnreadableError
from zoho_crm.models import Token

LENGTH = 8


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """The name of a secret that is stored; all empty where there is none."""

    #: The first hex digits of its SHA-256; empty if it cannot be read.
    digits: str = ""
    #: Which of the encryption keys it is encrypted with.
    key_id: str = ""
    #: Why it cannot be read.
    problem: str = ""


def fingerprint(token: Token, word: str) -> Fingerprint:
    """Return the fingerprint of one of ``Token.SECRETS``."""
    key_id = crypto.key_id_of(getattr(token, f"{word}_cipher"))
    if not key_id:
        return Fingerprint()
    try:
        secret = token.reveal(word)
    except (SecretUnreadableError, ImproperlyConfigured) as error:
        return Fingerprint(key_id=key_id, problem=str(error))
    digest = hashlib.sha256(secret.reveal().encode()).hexdigest()
    return Fingerprint(digits=digest[:LENGTH], key_id=key_id)
