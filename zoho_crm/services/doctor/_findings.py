"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """What a check found."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check has to say, and what to do about it."""

    check: str
    result: Result
    message: str
    fix: str = ""
    #: Whether a connection needs a person.
    is_connection: bool = False


def ok(check: str, message: str) -> Finding:
    """Return that all is well."""
    return Finding(check=check, result=Result.OK, message=message)


def warn(check: str, message: str, fix: str) -> Finding:
    """Return something that should be better."""
    return Finding(check=check, result=Result.WARN, message=message, fix=fix)


def fail(check: str, message: str, fix: str, *, is_connection: bool = False) -> Finding:
    """Return something that does not work."""
    return Finding(
        check=check, result=Result.FAIL, message=message, fix=fix, is_connection=is_connection
    )
