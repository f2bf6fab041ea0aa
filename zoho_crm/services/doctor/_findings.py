"""The findings of checks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.utils import timezone


class Result(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A result of a check, in words, and how to fix it."""

    check: str
    result: Result
    message: str
    fix: str = ""
    #: Whether it is a connection that a person has to fix: the command's exit code tells.
    is_connection: bool = False


def local_time(time: datetime | None) -> str:
    """Return a time as findings show it; empty if there is none."""
    return timezone.localtime(time).isoformat(sep=" ", timespec="seconds") if time else ""


def ok(check: str, message: str) -> Finding:
    """Return a finding without a problem."""
    return Finding(check=check, result=Result.OK, message=message)


def warn(check: str, message: str, fix: str) -> Finding:
    """Return a problem that does not stop the app from working."""
    return Finding(check=check, result=Result.WARN, message=message, fix=fix)


def fail(check: str, message: str, fix: str, *, is_connection: bool = False) -> Finding:
    """Return a problem because of which something does not work."""
    return Finding(
        check=check, result=Result.FAIL, message=message, fix=fix, is_connection=is_connection
    )
