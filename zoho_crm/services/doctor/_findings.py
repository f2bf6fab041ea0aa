"""The findings of checks."""

from __future__ import annotations

from datetime import datetime

from django.db.models import TextChoices
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from zoho_crm.types import ValueObject


class Check(TextChoices):
    """What is checked: its name for programs, and its label for people."""

    SETTINGS = "settings", _("settings")
    ALL_OTHERS = "all others", _("all others")
    REDIRECT_ADDRESS = "redirect address", _("redirect address")
    BROKER = "broker", _("broker")
    BROKER_OPTIONS = "broker options", _("broker options")
    DATABASE = "database", _("database")
    DATABASE_OPTIONS = "database options", _("database options")
    CLOCK = "clock", _("clock")
    ENCRYPTION_KEYS = "encryption keys", _("encryption keys")
    CLIENT = "client", _("client")
    PROXY = "proxy", _("proxy")
    DATA_CENTER = "data center", _("data center")
    CONNECTIONS = "connections", _("connections")
    CONNECTION = "connection", _("connection")
    SCOPES = "scopes of", _("scopes of")
    SDK_TOKENS = "tokens of the SDK", _("tokens of the SDK")
    SDK_FAILURES = "saving tokens of the SDK", _("saving tokens of the SDK")
    WORKER = "worker", _("worker")
    SWEEP = "sweep", _("sweep")


class Result(TextChoices):
    """The result of a check."""

    OK = "ok", _("ok")
    WARN = "warn", _("warn")
    FAIL = "fail", _("fail")


class Finding(ValueObject):
    """A result of a check, in words, and how to fix it."""

    check: Check
    result: Result
    message: str
    fix: str = ""
    #: What of several is checked, such as the name of a connection.
    subject: str = ""
    #: Whether it is a connection that a person has to fix: the command's exit code tells.
    is_connection: bool = False

    @property
    def name(self) -> str:
        """Return the check and its subject, for programs."""
        return f"{self.check} {self.subject}".strip()

    @property
    def label(self) -> str:
        """Return the check and its subject, for people."""
        return f"{self.check.label} {self.subject}".strip()


def local_time(time: datetime | None) -> str:
    """Return a time as findings show it; empty if there is none."""
    return timezone.localtime(time).isoformat(sep=" ", timespec="seconds") if time else ""


def ok(check: Check, message: str, *, subject: str = "") -> Finding:
    """Return a finding without a problem."""
    return Finding(check=check, result=Result.OK, message=message, subject=subject)


def warn(check: Check, message: str, fix: str, *, subject: str = "") -> Finding:
    """Return a problem that does not stop the app from working."""
    return Finding(check=check, result=Result.WARN, message=message, fix=fix, subject=subject)


def fail(
    check: Check, message: str, fix: str, *, subject: str = "", is_connection: bool = False
) -> Finding:
    """Return a problem because of which something does not work."""
    return Finding(
        check=check,
        result=Result.FAIL,
        message=message,
        fix=fix,
        subject=subject,
        is_connection=is_connection,
    )
