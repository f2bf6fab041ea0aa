"""Values as HTML: times, statuses, ids of records, sentences with values in them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from zoho_crm.models import Connection
from zoho_crm.services.display import instant_html
from zoho_crm.services.record_links import record_url
from zoho_crm.services.states import ShellCommand, StateText, Text

#: Shown in place of an empty value.
EMPTY_TEXT = "–"
#: Digits of an id that a list shows; those before are the same for all records of an organisation.
SHOWN_DIGITS = 8


def time_html(instant: datetime | None) -> SafeString | str:
    """Return how long ago an instant was, with the exact moment as a tooltip."""
    return EMPTY_TEXT if instant is None else instant_html(instant)


def moment_html(instant: datetime | None) -> SafeString | str:
    """Return a time by the clock, in the user's time zone, with the exact moment as a tooltip."""
    if instant is None:
        return EMPTY_TEXT
    text = date_format(timezone.localtime(instant), "SHORT_DATETIME_FORMAT")
    return instant_html(instant, text)


def record_html(
    connection: Connection, module: str, record_id: str, *, is_short: bool = False
) -> SafeString | str:
    """
    Return the id of a record, small, to be copied, with a link to its page at Zoho if known.

    :param is_short: whether to show its last digits only, in a list
    """
    if not record_id:
        return EMPTY_TEXT
    text: SafeString | str = f"…{record_id[-SHOWN_DIGITS:]}" if is_short else record_id
    if url := record_url(connection, module, record_id):
        text = format_html(
            '<a href="{}" target="_blank" rel="noopener noreferrer" title="{}">{} '
            '<span aria-hidden="true">↗</span></a>',
            url,
            _("Open in Zoho CRM"),
            text,
        )
    return id_html(record_id, text)


def one_above_the_other(first: SafeString | str, second: SafeString | str) -> SafeString:
    """Return the values of a cell that has two, the second one small."""
    return format_html('<div>{}<div class="help">{}</div></div>', first, second)


def id_html(record_id: str, text: SafeString | str = "") -> SafeString | str:
    """Return an id, small; a script adds a button that copies it."""
    if not record_id:
        return EMPTY_TEXT
    return format_html(
        '<span class="zoho-id" title="{0}" data-copy="{0}" data-copy-label="{1}" data-done="{2}">'
        "{3}</span>",
        record_id,
        _("Copy %s") % record_id,
        _("Copied"),
        text or record_id,
    )


def person_html(text: str) -> SafeString:
    """Return a name or text of Zoho's, which may be of any script and direction."""
    return format_html("<bdi>{}</bdi>", text)


def state_html(state: StateText) -> StateText:
    """Return the description of a state with HTML for the values of its sentences."""
    return replace(state, sentences=[_sentence_html(sentence) for sentence in state.sentences])


def _sentence_html(sentence: Text) -> str:
    if isinstance(sentence, str):
        return sentence
    return format_html(sentence.text, *map(_value_html, sentence.values))


def _value_html(value: str | datetime | None) -> str:
    if isinstance(value, ShellCommand):
        return format_html("<code>{}</code>", value)
    return value if isinstance(value, str) else moment_html(value)
