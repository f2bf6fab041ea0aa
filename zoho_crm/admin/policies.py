"""Admin pages of saved policies."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy

from zoho_crm.admin._base import BaseAdmin
from zoho_crm.forms import PolicyForm
from zoho_crm.models import Policy
from zoho_crm.services.presentation import describe_policy


class PolicyAdmin(BaseAdmin):
    """Saved policies. Runs keep a copy, so changing or deleting a policy does not affect them."""

    form = PolicyForm
    list_display = ("name", "summary", "changed_at")
    search_fields = ("name",)
    ordering = ("name",)
    fieldsets = (
        (None, {"fields": ("name",)}),
        (gettext_lazy("Verdicts"), {"fields": PolicyForm.RULE_FIELDS}),
        (gettext_lazy("Deal"), {"fields": ("deal", *PolicyForm.DEAL_FIELDS)}),
        (gettext_lazy("Also"), {"fields": PolicyForm.OTHER_FIELDS}),
    )

    @admin.display(description=gettext_lazy("what it says"))
    def summary(self, policy: Policy) -> str:
        return " ".join(describe_policy(policy.as_value())[: len(PolicyForm.RULE_FIELDS)])
