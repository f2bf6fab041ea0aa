"""The filters of lists that have to do with mass conversions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from zoho_crm.models import LeadConversion, MassConversion

#: Mass conversions that are offered; others are reached from their own page.
MOST = 10
SINGLY = "none"


class PausedFilter(admin.SimpleListFilter):
    """Mass conversions that stand still, or go on."""

    title = gettext_lazy("paused")
    parameter_name = "paused"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", gettext_lazy("yes")), ("no", gettext_lazy("no"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "yes":
            return queryset.exclude(paused_reason="")
        return queryset.filter(paused_reason="") if self.value() == "no" else queryset


class RunFilter(admin.SimpleListFilter):
    """The leads of one mass conversion, or those of none."""

    title = gettext_lazy("mass conversion")
    parameter_name = "run"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        latest = MassConversion.objects.only("name").order_by("-pk")[:MOST]
        offered = {str(run.pk): str(run) for run in latest}
        chosen = self.value()
        if chosen and chosen.isdecimal() and chosen not in offered:
            offered[chosen] = f"#{chosen}"
        return [*offered.items(), (SINGLY, gettext_lazy("in none"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if not chosen:
            return queryset
        if chosen == SINGLY:
            return queryset.filter(mass_conversion=None)
        known = chosen.isascii() and chosen.isdecimal() and len(chosen) < 19
        return queryset.filter(mass_conversion_id=int(chosen)) if known else queryset.none()


class CauseFilter(admin.SimpleListFilter):
    """The leads of a mass conversion that were refused for the same cause."""

    title = gettext_lazy("cause")
    parameter_name = "error_code__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        run_id = request.GET.get(RunFilter.parameter_name, "")
        if not (run_id.isascii() and run_id.isdecimal() and len(run_id) < 19):
            return []
        refused = LeadConversion.objects.filter(
            mass_conversion_id=int(run_id), status=LeadConversion.Status.FAILED
        )
        codes = refused.order_by("error_code").values_list("error_code", flat=True).distinct()
        return [(code, code) for code in codes[:MOST]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        return queryset if chosen is None else queryset.filter(error_code=chosen)
