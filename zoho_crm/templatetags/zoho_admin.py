"""Template tags of our admin pages."""

from __future__ import annotations

from typing import Any

import django
from django import template
from django.template import RequestContext
from django.urls import reverse
from django.utils.text import capfirst

register = template.Library()

#: Since Django 6.1 the admin's breadcrumbs are an ordered list; its styles fit no other mark-up.
BREADCRUMBS_AS_LIST = django.VERSION >= (6, 1)


@register.inclusion_tag("admin/zoho_crm/breadcrumbs.html", takes_context=True)
def breadcrumbs(context: RequestContext) -> dict[str, Any]:
    """
    Render the breadcrumbs of a page, in the mark-up of the installed Django.

    Reads ``opts``, ``page_name``, ``has_view_permission`` and, if there is one, ``original``.
    """
    opts, original = context["opts"], context.get("original")
    url_name = f"admin:{opts.app_label}_{opts.model_name}"
    may_view = context["has_view_permission"]
    list_url = reverse(f"{url_name}_changelist") if may_view else ""
    links = [(list_url, capfirst(opts.verbose_name_plural))]
    if original is not None:
        record_url = reverse(f"{url_name}_change", args=[original.pk]) if may_view else ""
        links.append((record_url, str(original)))
    return {
        "as_list": BREADCRUMBS_AS_LIST,
        "app": opts.app_config.verbose_name,
        "app_label": opts.app_label,
        "links": links,
        "page_name": context["page_name"],
    }
