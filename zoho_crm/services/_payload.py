"""What the journal keeps of what was sent: its hash, so that two sends can be compared."""

from __future__ import annotations

import hashlib
import json

from zoho_crm.client import convert_body
from zoho_crm.models import LeadConversion
from zoho_crm.types import ConversionPlan, JsonObject


def payload_hash(row: LeadConversion) -> str:
    """Return the SHA-256 of what is sent for a row, the same for every send of one plan."""
    return hash_of(convert_body(row.planned() or ConversionPlan()))


def hash_of(body: JsonObject) -> str:
    """Return the SHA-256 of a body as JSON, its keys sorted and without white space."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
