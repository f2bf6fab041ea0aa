"""What is kept of an organisation's metadata: in Django's cache, and in this process."""

from __future__ import annotations

import json

from django.core.cache import cache

from zoho_crm.models import Connection
from zoho_crm.services import metadata


def forget_metadata() -> None:
    """Let nothing be kept, so that Zoho is asked."""
    cache.clear()
    metadata.forget_memory()


def grow_older(connection: Connection, part: str, seconds: float) -> None:
    """Let a part that is kept, such as ``fields.Leads``, become so much older."""
    key = f"zoho_crm.{connection.pk}.{connection.org_id}.metadata..{part}"
    stored = json.loads(cache.get(key))
    cache.set(key, json.dumps({**stored, "at": stored["at"] - seconds}))
    metadata.forget_memory()
