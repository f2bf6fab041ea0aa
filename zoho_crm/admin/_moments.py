"""Moments as people read them."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

#: Stands where there is nothing to show.
NOTHING = "–"


def when(moment: datetime | None) -> SafeString | str:
    """Show a moment in the reader's time zone, with the exact one behind it."""
    if moment is None:
        return NOTHING
    text = date_format(timezone.localtime(moment), "SHORT_DATETIME_FORMAT")
    return format_html('<time datetime="{0}" title="{0}">{1}</time>', moment.isoformat(), text)
