"""Template tags of our admin pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import django
from django import template
from django.template import RequestContext
from django.urls import reverse
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst

from zoho_crm.models import Connection
from zoho_crm.services.access import Access, access_of
from zoho_crm.services.display import places_of

register = template.Library()

#: Since Django 6.1 the admin's breadcrumbs are an ordered list; its styles fit no other mark-up.
BREADCRUMBS_AS_LIST = django.VERSION >= (6, 1)

#: Connections that the bar at the top of a page names.
MAX_PLACES = 4
#: With one of these permissions a user sees which connection it is that something belongs to.
KNOWN_BY = (
    *("view_connection", "view_leadconversion", "view_massconversion", "view_outboxrecord"),
    *("view_token", "view_connectionevent", "view_apiusage"),
    *("preview_leadconversion", "prepare_massconversion", "connect_connection"),
)
#: The parameter of a list that is filtered by its connection.
CONNECTION_FILTER = "connection__id__exact"


@register.inclusion_tag("admin/zoho_crm/breadcrumbs.html", takes_context=True)
def breadcrumbs(context: RequestContext) -> dict[str, Any]:
    """
    Render the breadcrumbs of a page, in the mark-up of the installed Django.

    Reads ``opts``, ``page_name``, ``has_view_permission`` and, if there is one, ``original``, which
    is the page itself if that has no name.
    """
    opts, original, page_name = context["opts"], context.get("original"), context.get("page_name")
    url_name = f"admin:{opts.app_label}_{opts.model_name}"
    may_view = context["has_view_permission"]
    list_url = reverse(f"{url_name}_changelist") if may_view else ""
    links = [(list_url, capfirst(opts.verbose_name_plural))]
    if original is not None:
        record_name = context.get("record_name") or str(original)
        record_url = reverse(f"{url_name}_change", args=[original.pk]) if may_view else ""
        if page_name:
            links.append((record_url, record_name))
        page_name = page_name or record_name
    return {
        "as_list": BREADCRUMBS_AS_LIST,
        "app": opts.app_config.verbose_name,
        "app_label": opts.app_label,
        "links": links,
        "page_name": page_name or context["title"],
    }


@register.inclusion_tag("admin/zoho_crm/bar.html", takes_context=True)
def zoho_bar(context: RequestContext) -> dict[str, Any]:
    """
    Render the bar that tells production, sandbox and simulator apart; none in a pop-up.

    Reads ``about``, or else ``original``: the connection, or the record of one, of the page. A list
    that is filtered by a connection is about that one.
    """
    if context.get("is_popup"):
        return {"places": []}
    record = context.get("about") or context.get("original")
    connections = _connections_of(record, access_of(context["request"].user))
    chosen = context["request"].GET.get(CONNECTION_FILTER) if "cl" in context else None
    connections = [each for each in connections if str(each.pk) == chosen] or connections
    places = places_of(connections)
    return {"places": places[:MAX_PLACES], "further": len(places[MAX_PLACES:])}


def _connections_of(record: Any, access: Access) -> list[Connection]:
    """Return the connection of a record; for a page about none, those that the user knows of."""
    if isinstance(record, Connection):
        return [record]
    if hasattr(record, "connection"):
        return [record.connection]
    names = ("name", "org_name", "data_center", "environment")
    known = access.limit(Connection.objects.only(*names), *KNOWN_BY)
    return list(known.order_by("-is_default", "name"))


@register.filter
def labelled_cells(cells: Iterable[str], headers: Iterable[dict[str, Any]]) -> Iterator[SafeString]:
    """Yield the cells of a row of a change list, each with the heading of its column."""
    for cell, header in zip(cells, headers, strict=False):
        label = format_html(' data-label="{}"', capfirst(str(header["text"])))
        tag = cell[:3]
        is_plain = tag in ("<td", "<th") and "checkbox" not in str(header["text"])
        yield mark_safe(tag + label + cell[3:]) if is_plain else conditional_escape(cell)  # noqa: S308
