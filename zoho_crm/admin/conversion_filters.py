"""The filters of the list of lead conversions."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy

from zoho_crm.admin._base import access_in
from zoho_crm.models import LeadConversion, MassConversion

#: Choices of a filter; leads of older runs are reached from the page of their run.
MAX_FILTER_CHOICES = 10
NO_RUN = "none"
VIEW_PERMISSIONS = ("view_leadconversion",)
#: Years that a list can be filtered by.
MIN_YEAR, MAX_YEAR = 2000, 2999


class RunFilter(admin.SimpleListFilter):
    """Filter conversions by their mass conversion, or by having none."""

    title = gettext_lazy("run")
    parameter_name = "run"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        runs = access_in(request).limit(MassConversion.objects.only("name"), *VIEW_PERMISSIONS)
        latest = runs.order_by("-pk")[:MAX_FILTER_CHOICES]
        offered = {str(run.pk): str(run) for run in latest}
        chosen = self.value()
        if chosen and chosen.isdecimal() and chosen not in offered:
            offered[chosen] = f"#{chosen}"
        return [*offered.items(), (NO_RUN, gettext_lazy("in none"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if not chosen:
            return queryset
        if chosen == NO_RUN:
            return queryset.filter(mass_conversion=None)
        known = chosen.isascii() and chosen.isdecimal() and len(chosen) < 19
        return queryset.filter(mass_conversion_id=int(chosen)) if known else queryset.none()


class ErrorCodeFilter(admin.SimpleListFilter):
    """Filter by error code: offered for the leads of a run, and by links from other pages."""

    title = gettext_lazy("cause")
    parameter_name = "error_code__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        run_id = request.GET.get(RunFilter.parameter_name, "")
        chosen = self.value()
        if chosen and not run_id:
            return [(chosen, chosen)]
        if not (run_id.isascii() and run_id.isdecimal() and len(run_id) < 19):
            return []
        refused = access_in(request).limit(
            LeadConversion.objects.filter(
                mass_conversion_id=int(run_id), status=LeadConversion.Status.FAILED
            ),
            *VIEW_PERMISSIONS,
        )
        codes = refused.order_by("error_code").values_list("error_code", flat=True).distinct()
        return [(code, code) for code in codes[:MAX_FILTER_CHOICES]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        return queryset if chosen is None else queryset.filter(error_code=chosen)


class FinishedFilter(admin.SimpleListFilter):
    """Filter by when the outcome was known: in the last days, or on one day."""

    title = gettext_lazy("finished")
    parameter_name = "finished"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        offered = [
            ("1", gettext_lazy("today")),
            ("7", gettext_lazy("in the last 7 days")),
            ("30", gettext_lazy("in the last 30 days")),
        ]
        day = _day(self.value())
        return [*offered, (day.isoformat(), date_format(day))] if day else offered

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen, today = self.value(), timezone.localdate()
        day = _day(chosen)
        if day:
            next_day = _midnight(day + timedelta(days=1))
            return queryset.filter(finished_at__gte=_midnight(day), finished_at__lt=next_day)
        if chosen in ("1", "7", "30"):
            first = today - timedelta(days=int(chosen) - 1)
            return queryset.filter(finished_at__gte=_midnight(first))
        return queryset


def _day(text: str | None) -> date | None:
    """Return the day that a text names; ``None`` if it is none, or too far away to reckon with."""
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if MIN_YEAR <= day.year <= MAX_YEAR else None


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
