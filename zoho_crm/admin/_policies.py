"""Policies that people save under a name, and what our calls cost."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from zoho_crm.admin._base import RecordAdmin, when
from zoho_crm.admin._policy_words import in_words
from zoho_crm.forms import PolicyForm
from zoho_crm.models import ApiUsage, Policy


class PolicyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # no class to subscript at run time
    """Runs keep a copy of their own: changing or deleting a policy changes none of them."""

    form = PolicyForm
    list_display = ("name", "says", "changed_at")
    search_fields = ("name",)
    ordering = ("name",)
    fieldsets = (
        (None, {"fields": ("name",)}),
        (gettext_lazy("Verdicts"), {"fields": PolicyForm.RULES}),
        (gettext_lazy("Deal"), {"fields": ("deal", *PolicyForm.DEAL)}),
        (gettext_lazy("Also"), {"fields": PolicyForm.ALSO}),
    )

    class Media:
        css: ClassVar = {"all": ["zoho_crm/admin.css"]}

    @admin.display(description=gettext_lazy("what it says"))
    def says(self, policy: Policy) -> str:
        return " ".join(in_words(policy.as_value())[: len(PolicyForm.RULES)])


class ApiUsageAdmin(RecordAdmin):
    list_display = ("begins", "connection", "kind", "calls", "credits", "refusals")
    list_filter = ("connection", "kind")
    list_select_related = ("connection",)
    ordering = ("-hour", "connection", "kind")
    fields = ("connection", "begins", "kind", "calls", "credits", "refusals")
    readonly_fields: ClassVar = fields

    @admin.display(description=gettext_lazy("hour"), ordering="hour")
    def begins(self, usage: ApiUsage) -> SafeString | str:
        return when(usage.hour)
