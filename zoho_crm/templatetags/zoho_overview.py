"""Template tags of the app's own page in the admin: the state of everything, and charts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django import template
from django.template import RequestContext
from django.urls import reverse

from zoho_crm.services import overview
from zoho_crm.services.access import Permissions, access_of
from zoho_crm.services.display import grouped, instant_html, status_badge

register = template.Library()
register.filter("ago", instant_html)
register.filter("badge", status_badge)
register.filter("grouped", grouped)

#: Size of a chart in its own units, and the room of a bar.
CHART_HEIGHT = 60
BAR_WIDTH = 8
BAR_STEP = 10


@register.simple_tag(takes_context=True)
def overview_of(context: RequestContext) -> dict[str, Any]:
    """Return what the user may see of the state of everything, by section."""
    access = access_of(context["request"].user)
    found: dict[str, Any] = {"may": Permissions(access)}
    waiting: list[overview.Waiting] = []
    may_view_leads = access.somewhere(overview.VIEW_LEADS)
    may_view_runs = access.somewhere(overview.VIEW_RUNS)
    may_view_records = access.somewhere(overview.VIEW_RECORDS)
    if access.somewhere(overview.VIEW_CONNECTIONS):
        states = overview.connection_states(access)
        found |= {"connections": states, "heartbeats": overview.heartbeats(states, access)}
        found["hours"] = overview.credits_by_hour(access)
    if may_view_leads:
        waiting += overview.leads_that_wait(access)
        found["days"] = overview.conversions_by_day(access)
        found["causes"] = overview.failure_causes(access)
        found["totals"] = [sum(values) for values in zip(*_values(found["days"]), strict=True)]
    if may_view_runs:
        waiting += overview.runs_that_wait(access)
        found["runs"] = overview.latest_runs(access)
    if may_view_records:
        waiting += overview.records_that_wait(access)
    if may_view_leads or may_view_runs or may_view_records:
        found["waiting"] = waiting
    return found


def _values(bars: Sequence[overview.Bar]) -> list[list[int]]:
    return [bar.values for bar in bars]


@register.simple_tag
def list_url(model: str, **query: str) -> str:
    """Return the URL of a model's list, filtered by these parameters."""
    return _list_url(model, query)


@register.filter
def url_of(waiting: overview.Waiting) -> str:
    """Return the URL of the list of what waits."""
    return _list_url(waiting.model, waiting.query)


def _list_url(model: str, query: dict[str, str]) -> str:
    url = reverse(f"admin:zoho_crm_{model}_changelist")
    return f"{url}?{urlencode(query)}" if query else url


@register.inclusion_tag("admin/zoho_crm/chart.html")
def bar_chart(bars: Sequence[overview.Bar], label: str) -> dict[str, Any]:
    """
    Render a chart of stacked bars, drawn by the server; a table beside it has its numbers.

    :param label: what screen readers say of it
    """
    highest = max([sum(bar.values) for bar in bars], default=0) or 1
    return {
        "label": label,
        "first": bars[0].label if bars else "",
        "last": bars[-1].label if bars else "",
        "width": BAR_STEP * len(bars),
        "height": CHART_HEIGHT,
        "bar_width": BAR_WIDTH,
        "bars": [
            {"title": f"{bar.label}: {' / '.join(map(str, bar.values))}", "parts": parts}
            for bar, parts in zip(bars, _stacks(bars, highest), strict=True)
        ],
    }


def _stacks(bars: Sequence[overview.Bar], highest: int) -> list[list[dict[str, int]]]:
    """Return the rectangles of each bar; a value that is not zero is at least a line."""
    stacks = []
    for number, bar in enumerate(bars):
        bottom, parts = CHART_HEIGHT, []
        for series, value in enumerate(bar.values):
            height = max(1, CHART_HEIGHT * value // highest) if value else 0
            bottom = max(0, bottom - height)
            parts.append({"series": series, "x": BAR_STEP * number, "y": bottom, "height": height})
        stacks.append([part for part in parts if part["height"]])
    return stacks
