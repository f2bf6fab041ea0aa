"""Admin pages of saved policies."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from zoho_crm import forms
from zoho_crm.admin._base import BaseAdmin
from zoho_crm.models import Policy
from zoho_crm.services.presentation import describe_policy


class PolicyAdmin(BaseAdmin):
    """Saved policies. Runs keep a copy, so changing or deleting a policy does not affect them."""

    empty_list_text = gettext_lazy(
        "No policy is saved. “careful” and “attach” are there without; add one with your own rules."
    )
    list_display = ("name", "summary", "changed_at")
    search_fields = ("name",)
    ordering = ("name",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        form = forms.PolicyForm
        return (
            (None, {"fields": ("name",)}),
            (gettext_lazy("Verdicts"), {"fields": form.RULE_FIELDS}),
            (gettext_lazy("Deal"), {"fields": ("deal", *form.DEAL_FIELDS)}),
            (gettext_lazy("Also"), {"fields": form.OTHER_FIELDS}),
        )

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any
    ) -> Any:
        return super().get_form(request, obj, change, **{**options, "form": forms.PolicyForm})

    @admin.display(description=gettext_lazy("what it says"))
    def summary(self, policy: Policy) -> str:
        return " ".join(describe_policy(policy.as_value())[: len(forms.PolicyForm.RULE_FIELDS)])
