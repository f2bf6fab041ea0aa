"""For the templates of our admin pages."""

from __future__ import annotations

from typing import Any

import django
from django import template
from django.template import RequestContext
from django.urls import reverse
from django.utils.text import capfirst

register = template.Library()

#: Django 6.1 made a list of its breadcrumbs, and shows the old mark-up without style.
AS_LIST = django.VERSION >= (6, 1)


@register.inclusion_tag("admin/zoho_crm/breadcrumbs.html", takes_context=True)
def breadcrumbs(context: RequestContext) -> dict[str, Any]:
    """
    Show the way from the front page here, in the mark-up of the Django that runs.

    Reads ``opts``, ``here``, ``has_view_permission`` and, if there is one, ``original``.
    """
    opts, original = context["opts"], context.get("original")
    name = f"admin:{opts.app_label}_{opts.model_name}"
    places = [("", capfirst(opts.verbose_name_plural))]
    if context["has_view_permission"]:
        places = [(reverse(f"{name}_changelist"), places[0][1])]
    if original is not None:
        allowed = context["has_view_permission"]
        address = reverse(f"{name}_change", args=[original.pk]) if allowed else ""
        places.append((address, str(original)))
    return {
        "as_list": AS_LIST,
        "app": opts.app_config.verbose_name,
        "app_label": opts.app_label,
        "places": places,
        "here": context["here"],
    }
