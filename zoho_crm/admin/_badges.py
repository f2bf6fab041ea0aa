"""States as people see them: a symbol and a word, and a colour that says nothing new."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from django.utils.html import format_html
from django.utils.safestring import SafeString

from zoho_crm.models import Connection, LeadConversion, MassConversion, MassConversionJob, Token

#: Symbol and tone, by status.
Known: TypeAlias = Mapping[str, tuple[str, str]]

_CONNECTION: Known = {
    Connection.Status.ACTIVE: ("●", "good"),
    Connection.Status.NEEDS_RECONNECT: ("▲", "bad"),
    Connection.Status.DISABLED: ("○", "quiet"),
}
_TOKEN: Known = {
    Token.Status.ACTIVE: ("●", "good"),
    Token.Status.NEEDS_RECONNECT: ("▲", "bad"),
    Token.Status.REVOKED: ("○", "quiet"),
}
_S = LeadConversion.Status
_CONVERSION: Known = {
    _S.NEW: ("○", "quiet"),
    _S.PREVIEWED: ("◇", "quiet"),
    _S.READY: ("→", "quiet"),
    _S.RUNNING: ("↻", "quiet"),
    _S.SCHEDULED: ("↻", "quiet"),
    _S.UNKNOWN: ("?", "warn"),
    _S.CONVERTED: ("✓", "good"),
    _S.FAILED: ("✗", "bad"),
    _S.SKIPPED: ("–", "quiet"),
    _S.NEEDS_REVIEW: ("▲", "warn"),
}
_R = MassConversion.Stage
_RUN: Known = {
    _R.STAGING: ("…", "quiet"),
    _R.PREVIEWING: ("○", "quiet"),
    _R.REVIEW: ("◇", "warn"),
    _R.CONVERTING: ("↻", "quiet"),
    _R.FINISHED: ("✓", "good"),
    _R.CANCELLED: ("–", "quiet"),
}
_J = MassConversionJob.Status
_JOB: Known = {
    _J.POSTING: ("→", "quiet"),
    _J.ACCEPTED: ("↻", "quiet"),
    _J.FINISHED: ("✓", "good"),
    _J.REFUSED: ("✗", "bad"),
    _J.LOST: ("?", "warn"),
    _J.GIVEN_UP: ("▲", "warn"),
}


def of_connection(connection: Connection) -> SafeString:
    """Whether a connection works."""
    return _badge(_CONNECTION, connection.status, connection.get_status_display())


def of_token(token: Token) -> SafeString:
    """Whether a token works."""
    return _badge(_TOKEN, token.status, token.get_status_display())


def of_conversion(row: LeadConversion) -> SafeString:
    """Where a lead is on its way."""
    return _badge(_CONVERSION, row.status, row.get_status_display())


def of_run(run: MassConversion) -> SafeString:
    """How far a mass conversion is."""
    return _badge(_RUN, run.stage, run.get_stage_display())


def of_job(job: MassConversionJob) -> SafeString:
    """How one of Zoho's jobs stands."""
    return _badge(_JOB, job.status, job.get_status_display())


def _badge(known: Known, status: str, word: str) -> SafeString:
    symbol, tone = known[status]
    return format_html(
        '<span class="zoho-badge zoho-{}"><span aria-hidden="true">{}</span> {}</span>',
        tone,
        symbol,
        word,
    )
