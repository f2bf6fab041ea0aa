"""A model of the host: what people write in its contact form, some of which are leads at Zoho."""

from __future__ import annotations

from django.db import models

from zoho_crm.models import Connection
from zoho_crm.shortcuts import push_record


class Enquiry(models.Model):
    """A message from the contact form."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=100)
    company = models.CharField(max_length=100, blank=True)
    email = models.EmailField(blank=True)
    message = models.TextField(blank=True)
    zoho_lead_id = models.CharField("lead at Zoho", max_length=19, blank=True)

    class Meta:
        verbose_name_plural = "enquiries"

    def __str__(self) -> str:
        return self.name

    @property
    def zoho_key(self) -> str:
        """The key of what is pushed for this enquiry; the admin uses the same one."""
        return f"{self._meta.label_lower}:{self.pk}"

    def as_lead(self) -> dict[str, str]:
        """Return what was entered, by the names of Zoho's fields."""
        first_name, _space, last_name = self.name.strip().rpartition(" ")
        values = {
            "First_Name": first_name,
            "Last_Name": last_name,
            "Company": self.company,
            "Email": self.email,
        }
        return {name: value for name, value in values.items() if value}

    def push(self) -> None:
        """
        Record, in the caller's transaction, that a worker is to send this to Zoho.

        Who sends several enquiries is one lead. A site that is not connected yet keeps the enquiry,
        and a person pushes it later from the list.
        """
        if not Connection.objects.exists():
            return
        key = self.zoho_key
        push_record("upsert", "Leads", self.as_lead(), key=key)
        push_record("tag", "Leads", {"Tag": ["Website"]}, key=key)
        if self.message:
            note = {"Note_Title": "Enquiry", "Note_Content": self.message}
            push_record("note", "Leads", note, key=key)
