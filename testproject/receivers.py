"""What the host does when Zoho has something that it pushed."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from testproject.models import Enquiry
from zoho_crm.models import OutboxRecord
from zoho_crm.signals import record_pushed


@receiver(record_pushed)
def keep_lead_id(record: OutboxRecord, **_more: Any) -> None:
    """Keep the id of the lead that an enquiry has become; a contact that was updated is none."""
    model, _, pk = record.key.partition(":")
    if model == Enquiry._meta.label_lower and record.record_module == "Leads":
        Enquiry.objects.filter(pk=pk).update(zoho_lead_id=record.record_id)
