"""The policies that people choose from."""

from __future__ import annotations

from zoho_crm import matching
from zoho_crm.models import Policy


def policies() -> dict[str, matching.Policy]:
    """Return the presets and what people saved, by name; a preset's name stays the preset's."""
    saved = {policy.name: policy.as_value() for policy in Policy.objects.order_by("name")}
    return {**matching.POLICIES, **saved, **matching.POLICIES}
