"""How pages show a time, a status, and which Zoho a page is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from zoho_crm.datacenters import LOCAL
from zoho_crm.models import Connection
from zoho_crm.types import CountedText, Environment, ValueObject, ngettext_lazy

#: Days after which a date says more than how long ago it was.
MAX_RELATIVE_DAYS = 30
#: Seconds that are no time ago.
NOW_SECONDS = 3
#: Seconds of a unit, and the words for several of them, the longest unit first.
PAST: Sequence[tuple[int, CountedText]] = (
    (86_400, ngettext_lazy("%(count)s day ago", "%(count)s days ago", "count")),
    (3_600, ngettext_lazy("%(count)s hour ago", "%(count)s hours ago", "count")),
    (60, ngettext_lazy("%(count)s minute ago", "%(count)s minutes ago", "count")),
    (1, ngettext_lazy("%(count)s second ago", "%(count)s seconds ago", "count")),
)
FUTURE: Sequence[tuple[int, CountedText]] = (
    (86_400, ngettext_lazy("in %(count)s day", "in %(count)s days", "count")),
    (3_600, ngettext_lazy("in %(count)s hour", "in %(count)s hours", "count")),
    (60, ngettext_lazy("in %(count)s minute", "in %(count)s minutes", "count")),
    (1, ngettext_lazy("in %(count)s second", "in %(count)s seconds", "count")),
)

#: Symbol and tone, by the status of a connection, token, conversion, job or outgoing record, or a
#: run's stage.
BADGES: Mapping[str, tuple[str, str]] = {
    "ACTIVE": ("●", "good"),
    "NEEDS_RECONNECT": ("▲", "bad"),
    "DISABLED": ("○", "neutral"),
    "REVOKED": ("○", "neutral"),
    "NEW": ("○", "neutral"),
    "PREVIEWED": ("◇", "neutral"),
    "READY": ("→", "neutral"),
    "RUNNING": ("↻", "neutral"),
    "SCHEDULED": ("↻", "neutral"),
    "UNKNOWN": ("?", "warn"),
    "CONVERTED": ("✓", "good"),
    "FAILED": ("✗", "bad"),
    "SKIPPED": ("–", "neutral"),
    "NEEDS_REVIEW": ("▲", "warn"),
    "STAGING": ("…", "neutral"),
    "PREVIEWING": ("○", "neutral"),
    "REVIEW": ("◇", "warn"),
    "CONVERTING": ("↻", "neutral"),
    "FINISHED": ("✓", "good"),
    "CANCELLED": ("–", "neutral"),
    "POSTING": ("→", "neutral"),
    "ACCEPTED": ("↻", "neutral"),
    "REFUSED": ("✗", "bad"),
    "LOST": ("?", "warn"),
    "GIVEN_UP": ("▲", "warn"),
    "PENDING": ("○", "neutral"),
    "SENT": ("✓", "good"),
}


def relative_time(instant: datetime) -> str:
    """Return how long ago an instant was, or when it will be; a date if that is far away."""
    now = timezone.now()
    distance = abs(now - instant)
    if distance > timedelta(days=MAX_RELATIVE_DAYS):
        return date_format(timezone.localtime(instant), "DATE_FORMAT")
    seconds = int(distance.total_seconds())
    if seconds <= NOW_SECONDS:
        return _("just now")
    units = PAST if instant <= now else FUTURE
    length, words = next(unit for unit in units if unit[0] <= seconds)
    return words % {"count": seconds // length}


def grouped(number: int) -> str:
    """Return a number with the separators of the reader's language between its thousands."""
    return number_format(number, force_grouping=True)


def seconds_text(seconds: int) -> str:
    """Return a duration that was measured, in minutes and seconds, or hours and minutes."""
    minutes, rest = divmod(seconds, 60)
    if not minutes:
        return ngettext("%(count)s second", "%(count)s seconds", rest) % {"count": rest}
    if minutes < 60:
        return _("%(minutes)s min %(seconds)s s") % {"minutes": minutes, "seconds": rest}
    return _("%(hours)s h %(minutes)s min") % {"hours": minutes // 60, "minutes": minutes % 60}


def instant_html(instant: datetime, text: str = "") -> SafeString:
    """Return a text, by default how long ago an instant was, with the exact moment as a tooltip."""
    exact = timezone.localtime(instant).isoformat(timespec="seconds")
    shown = text or relative_time(instant)
    return format_html('<time datetime="{0}" title="{0}">{1}</time>', exact, shown)


def status_badge(status: str, label: str) -> SafeString:
    """Return the badge of a status, with its label."""
    symbol, tone = BADGES[status]
    return format_html(
        '<span class="zoho-badge zoho-{}"><span aria-hidden="true">{}</span>&nbsp;{}</span>',
        tone,
        symbol,
        label,
    )


class Place(ValueObject):
    """Which Zoho a page is about, for the bar at its top."""

    #: ``production``, ``sandbox`` or ``simulator``.
    kind: str
    text: str


def places_of(connections: Sequence[Connection]) -> list[Place]:
    """Return to which Zohos connections are, each once; a simulator has a name beside others."""
    if connections and all(each.data_center == LOCAL for each in connections):
        return [Place(kind="simulator", text=_("Simulator: nothing here touches Zoho"))]
    return list(dict.fromkeys(map(_place_of, connections)))


def _place_of(connection: Connection) -> Place:
    name = connection.org_name or connection.name
    if connection.data_center == LOCAL:
        return Place(kind="simulator", text=_("Simulator: %s") % name)
    if connection.environment == Environment.PRODUCTION:
        return Place(kind="production", text=_("Production: %s") % name)
    if connection.environment == Environment.SANDBOX:
        return Place(kind="sandbox", text=_("Sandbox: %s") % name)
    return Place(kind="sandbox", text=_("Developer environment: %s") % name)
