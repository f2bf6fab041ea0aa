"""Types for arguments of commands, and the arguments that take lead ids."""

from __future__ import annotations

import math
import re
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TextIO, TypeVar

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from zoho_crm.conf import conf
from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.management._exits import wrong_use
from zoho_crm.models import MassConversionLine
from zoho_crm.services import mass_convert
from zoho_crm.services.lead_ids import read_lead_ids
from zoho_crm.types import is_record_id

Number = TypeVar("Number", int, float)

Reason = MassConversionLine.Reason
NEW = "new"
STDIN = "-"
#: The largest number, and the longest times, that an option takes: the database and the system
#: cannot count on for ever.
MAX_NUMBER = 10**9
MAX_DAYS = 36_500
MAX_SECONDS = 40 * 86_400
#: The latest closing date of a deal, as in the form of a policy.
MAX_CLOSING_DAYS = 3_650
#: Malformed ids that one error message names.
MAX_IDS_SHOWN = 5


def record_id(text: str) -> str:
    """Return the text if it is a record id of Zoho."""
    if not is_record_id(text):
        message = _("“%s” is no id of Zoho's: an id is a number of up to 19 digits.")
        raise ArgumentTypeError(message % text[:40])
    return text


def record_id_or_new(text: str) -> str:
    """Return the text if it is a record id or ``new``."""
    return text if text == NEW else record_id(text)


def stdin_only(text: str) -> str:
    """Return ``-``; other values are refused, as every user of the machine can read arguments."""
    if text != STDIN:
        raise ArgumentTypeError(_("give “-”, and the code on stdin: arguments are no secret."))
    return text


def non_empty(text: str) -> str:
    """Return the text without surrounding white space; refuse an empty one."""
    if not text.strip():
        raise ArgumentTypeError(_("it is empty."))
    return text.strip()


def day(text: str) -> date:
    """Return the date for an ISO date."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        message = _("“%s” is no day; write it as 2026-12-31.")
        raise ArgumentTypeError(message % text[:40]) from error


def amount(text: str) -> Decimal:
    """Return the amount of money for a decimal number, with as many digits as forms take."""
    if not re.fullmatch(r"[+-]?[0-9]{1,14}([.][0-9]{1,2})?", text):
        raise ArgumentTypeError(_("“%s” is no amount; write it as 1250.50.") % text[:40])
    return Decimal(text)


def seconds(text: str) -> float:
    """Return a positive number of seconds."""
    try:
        value = float(text)
    except ValueError as error:
        raise ArgumentTypeError(_("“%s” is no number of seconds.") % text) from error
    if not (value > 0 and math.isfinite(value)):
        raise ArgumentTypeError(_("“%s” is no number of seconds.") % text)
    return _at_most(MAX_SECONDS, value, text)


def count(text: str) -> int:
    """Return a whole number of at least 1."""
    if not (text.isascii() and text.isdigit() and text.strip("0")):
        raise ArgumentTypeError(_("“%s” is no number of one or more.") % text)
    return natural(text)


def natural(text: str) -> int:
    """Return a whole number of at least 0."""
    if not (text.isascii() and text.isdigit()):
        raise ArgumentTypeError(_("“%s” is no number.") % text)
    return _at_most(MAX_NUMBER, int(text), text)


def days(text: str) -> int:
    """Return a number of days, written as ``90d`` or ``90``."""
    number = text.removesuffix("d")
    if not (number.isascii() and number.isdigit() and number.strip("0")):
        raise ArgumentTypeError(_("“%s” is no number of days; write it as 90d.") % text)
    return _at_most(MAX_DAYS, int(number), text)


def closing_days(text: str) -> int:
    """Return a number of days from now until a deal closes."""
    return _at_most(MAX_CLOSING_DAYS, natural(text), text)


def _at_most(limit: int, value: Number, text: str) -> Number:
    if value > limit:
        message = _("“%(text)s” is too much: it may be %(limit)s at most.")
        raise ArgumentTypeError(message % {"text": text[:40], "limit": f"{limit:,}"})
    return value


def names(text: str) -> tuple[str, ...]:
    """Return the texts between commas."""
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    if not found:
        raise ArgumentTypeError(_("it is empty; write it as one,two."))
    return found


def assignment(text: str) -> tuple[str, str]:
    """Return name and value of ``name=value``."""
    name, equals, value = text.partition("=")
    if not (name.strip() and equals):
        raise ArgumentTypeError(_("“%s” is not of the form field=value.") % text[:40])
    return name.strip(), value.strip()


def data_center(text: str) -> str:
    """Return the text if it is the code of a known data center."""
    known = conf().data_centers
    if text not in known:
        message = _("there is no data center “%(code)s”; known are %(known)s.")
        raise ArgumentTypeError(message % {"code": text[:40], "known": ", ".join(known)})
    return text


def data_centers(text: str) -> tuple[str, ...]:
    """Return the codes of known data centers between commas."""
    return tuple(map(data_center, dict.fromkeys(names(text))))


def add_lead_arguments(parser: CommandParser) -> None:
    """Add the arguments that take lead ids: themselves, from a file, or from stdin."""
    parser.add_argument("leads", nargs="*", metavar="LEAD", help=_("ids of leads; - reads stdin"))
    parser.add_argument("--ids-file", metavar="PATH", help=_("a file with one id a line"))


def lead_ids(leads: Iterable[str], ids_file: str | None, stdin: TextIO) -> list[str]:
    """
    Return the lead ids that were given, without repetitions, in their order.

    Empty lines and lines that begin with ``#`` are ignored.

    :raises CommandError: if there is no id, one is malformed, or the file cannot be read
    """
    texts = list(_given_texts(leads, ids_file, stdin))
    read = read_lead_ids({number: text for number, (text, _where) in enumerate(texts)})
    bad = [_bad_id(*texts[number], each.reason) for number, each in read.items() if each.reason]
    if bad:
        message = _("No lead has such an id: %s. An id is a number of up to 19 digits.")
        more = ["…"] if len(bad) > MAX_IDS_SHOWN else []
        raise wrong_use(message % ", ".join(bad[:MAX_IDS_SHOWN] + more))
    if not texts:
        raise wrong_use(_("Name a lead by its id, give --ids-file, or - to read ids from stdin."))
    return list(dict.fromkeys(each.lead_id for each in read.values()))


def record_ids(ids: Iterable[str], ids_file: str | None, stdin: TextIO) -> list[str]:
    """
    Return the ids of records that were given, without repetitions, in their order.

    :raises CommandError: if there is no id, one is malformed, or the file cannot be read
    """
    texts = [each for each in _given_texts(ids, ids_file, stdin) if not each[0].startswith("#")]
    bad = [f"“{text[:40]}” ({where})" for text, where in texts if not is_record_id(text)]
    if bad:
        message = _("No record has such an id: %s. An id is a number of up to 19 digits.")
        more = ["…"] if len(bad) > MAX_IDS_SHOWN else []
        raise wrong_use(message % ", ".join(bad[:MAX_IDS_SHOWN] + more))
    if not texts:
        raise wrong_use(_("Name a record by its id, give --ids-file, or - to read ids from stdin."))
    return list(dict.fromkeys(text for text, _where in texts))


def _bad_id(text: str, where: str, reason: str) -> str:
    if reason == Reason.MALFORMED:
        return f"“{text[:40]}” ({where})"
    return f"“{text[:40]}” ({where}; {Reason(reason).label})"


def _given_texts(
    leads: Iterable[str], ids_file: str | None, stdin: TextIO
) -> Iterator[tuple[str, str]]:
    """Yield each text that should be an id, and where it stands."""
    for text in leads:
        if text == STDIN:
            yield from _lines(partial(mass_convert.ids_in_lines, stdin), _("stdin"))
        else:
            yield text.strip(), _("argument")
    if ids_file:
        yield from _lines(partial(_ids_in_path, Path(ids_file)), ids_file)


def _ids_in_path(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        yield from mass_convert.ids_in_file(file)


def _lines(read: Callable[[], Iterable[str]], name: str) -> Iterator[tuple[str, str]]:
    """
    Yield the lines of a source that are not empty, each with its place.

    :raises CommandError: if the source cannot be read
    """
    try:
        for number, text in enumerate(read(), start=1):
            if text:
                yield text, _("%(name)s, line %(number)s") % {"name": name, "number": number}
    except RequestRefusedError as error:
        if error.code != "empty":
            raise wrong_use(f"{name}: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        message = _("%(name)s cannot be read: %(error)s")
        raise wrong_use(message % {"name": name, "error": error}) from error
