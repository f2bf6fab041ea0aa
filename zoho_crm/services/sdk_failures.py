"""
Grants that Zoho's SDK could not store: remembered until it stores them after all.

The SDK swallows the error and only logs it, so nothing else would show it to a person.
"""

from __future__ import annotations

import logging

from django.db import DatabaseError, InterfaceError

from zoho_crm import crypto
from zoho_crm.models import SdkFailure, atomic
from zoho_crm.models._time import DbNow
from zoho_crm.services.sdk_rows import SdkGrant, digest
from zoho_crm.types import storable

logger = logging.getLogger(__name__)


def remember(given: SdkGrant, error: Exception) -> None:
    """Remember why a grant was not stored; if the database fails, only the log has it."""
    key, *_others = keys_of(given) or [""]
    values = {"user_name": storable(given.user_name), "problem": problem_of(error), "at": DbNow()}
    try:
        with atomic():
            if not SdkFailure.objects.filter(key=key).update(**values):
                SdkFailure.objects.create(key=key, **values)
    except (DatabaseError, InterfaceError) as failure:
        logger.warning("The doctor cannot show that a token was not stored: %s", failure)


def forget(stored: SdkGrant) -> None:
    """Forget the failures of a grant that was stored."""
    failures = SdkFailure.objects.filter(key__in=keys_of(stored))
    if failures.exists():
        failures.delete()


def keys_of(given: SdkGrant) -> list[str]:
    """Return by what a grant is known again: the SHA-256 of its user's name and of its tokens."""
    secrets = (given.refresh_token, given.grant_token, given.access_token)
    of_secrets = [crypto.digest(secret) for secret in secrets if secret]
    return [digest(given.user_name), *of_secrets] if given.user_name else of_secrets


def problem_of(error: Exception) -> str:
    """Return an error as it is stored: its code, or else the name of its class."""
    return storable(getattr(error, "code", "") or type(error).__name__, 100)
