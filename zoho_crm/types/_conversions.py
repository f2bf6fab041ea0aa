"""What a conversion is made of: ids and texts, secrets, leads, matches, plans; and all as JSON."""

from __future__ import annotations

import dataclasses
import hmac
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from traceback import clear_frames
from types import TracebackType
from typing import Any, NoReturn, Self, TypeAlias

from zoho_crm.types._values import ValueObject

JsonObject: TypeAlias = dict[str, Any]
#: A value of a deal's field as Zoho expects it: a number with its digits, a look-up as ``{"id"}``.
FieldValue: TypeAlias = str | bool | int | Decimal | list[str] | dict[str, str]
RECORD_ID = re.compile(r"[0-9]{1,19}", re.ASCII)
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
#: Stands for a character that cannot be stored.
REPLACEMENT = "\ufffd"


def is_record_id(text: str) -> bool:
    """Return whether this can be the id of a Zoho record: a string of 1 to 19 digits."""
    return RECORD_ID.fullmatch(text) is not None


def storable(text: str, length: int | None = None) -> str:
    """
    Return a text from outside as every database stores it.

    NUL and lone surrogates, which PostgreSQL refuses, become U+FFFD: if they were left out, an odd
    id could become another one.

    :param length: number of characters after which it is cut, as of a column; ``None``: not cut
    """
    # Most texts are printable, which is found out faster than that they have no such character.
    return (text if text.isprintable() else UNSTORABLE.sub(REPLACEMENT, text))[:length]


class Secret:
    """A secret text: only ``reveal`` returns it; ``repr`` hides it, pickle and JSON refuse it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text  # a variable in plain: callers use ``HiddenVariables``

    def reveal(self) -> str:
        """Return the text; to be called only where it is sent or encrypted."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is never pickled.")


NO_SECRET = Secret("")


class HiddenVariables:
    """
    Clears the variables of the functions called in a ``with`` block when an error leaves it.

    For calls of functions that have secrets in plain: error reporters show the variables of every
    function in a traceback. The function that has the block keeps its own.
    """

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        for each in () if error is None else _chained(error):
            clear_frames(each.__traceback__)


def _chained(error: BaseException) -> list[BaseException]:
    """Return an error with its causes and contexts, and theirs."""
    found = [error]
    for each in found:
        links = [link for link in (each.__cause__, each.__context__) if link is not None]
        found += [link for link in links if link not in found]
    return found


class CodedText(ValueObject):
    """A text of ours as it is stored; the words are made when it is shown."""

    code: str
    #: The values of the code's sentence, by name.
    details: JsonObject = field(default_factory=dict)


class Verdict(StrEnum):
    """What the conversion options of a lead mean; ``matching.assess`` gives it."""

    NOT_FOUND = "NOT_FOUND"
    ALREADY_CONVERTED = "ALREADY_CONVERTED"
    NOT_CONVERTIBLE = "NOT_CONVERTIBLE"
    NO_MATCH = "NO_MATCH"
    ONE_MATCH = "ONE_MATCH"
    ACCOUNT_ONLY = "ACCOUNT_ONLY"
    SEVERAL_MATCHES = "SEVERAL_MATCHES"


class Reference(ValueObject):
    """A record or user that another record points to."""

    id: str
    name: str = ""
    #: API name of the record's module, if it is known; a user has none.
    module: str = ""


class Converted(ValueObject):
    """The records that a converted lead became; an id is empty where there is no record."""

    contact_id: str = ""
    account_id: str = ""
    deal_id: str = ""


class Scheduled(ValueObject):
    """Zoho's answer that it accepted a single conversion and will do it later."""

    job_id: str = ""


class Lead(ValueObject):
    """A lead as it was read; ``fields`` holds those that are shown or carried over."""

    id: str
    name: str = ""
    company: str = ""
    email: str = ""
    owner: Reference | None = None
    tags: tuple[str, ...] = ()
    converted: Converted | None = None
    #: Why it cannot be converted now: ``locked``, ``in_merge``, ``approval`` or ``review``.
    obstacle: str = ""
    #: Values by API name, as texts.
    fields: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, stored: JsonObject) -> Self:
        """Return the lead that ``as_json`` stored."""
        owner, converted = stored["owner"], stored["converted"]
        parts = {"owner": owner and Reference(**owner), "tags": tuple(stored["tags"])}
        return cls(**{**stored, **parts, "converted": converted and Converted(**converted)})


class Match(ValueObject):
    """An existing contact or account that a lead can be attached to."""

    id: str
    name: str
    account: Reference | None = None
    locked: bool = False
    editable: bool = True
    approved: bool = True
    #: API names of the fields whose values equal the lead's.
    matched_on: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether Zoho allows to attach a lead to it; an odd id could not be sent."""
        return self.editable and self.approved and not self.locked and is_record_id(self.id)

    @classmethod
    def from_json(cls, stored: JsonObject) -> Self:
        """Return the match that ``as_json`` stored."""
        account, fields = stored["account"], tuple(stored["matched_on"])
        parts = {"account": account and Reference(**account), "matched_on": fields}
        return cls(**{**stored, **parts})


class ConversionOptions(ValueObject):
    """The existing contacts and accounts that Zoho says a lead can be attached to."""

    contacts: tuple[Match, ...] = ()
    accounts: tuple[Match, ...] = ()
    #: Numbers of those that match, too, but are not kept.
    further_contacts: int = 0
    further_accounts: int = 0

    @classmethod
    def from_json(cls, stored: JsonObject) -> Self:
        """Return the options that ``as_json`` stored."""
        return cls(
            contacts=tuple(map(Match.from_json, stored["contacts"])),
            accounts=tuple(map(Match.from_json, stored["accounts"])),
            further_contacts=stored.get("further_contacts", 0),
            further_accounts=stored.get("further_accounts", 0),
        )

    def matched_fields(self) -> set[str]:
        """Return the API names of the fields in which a match has the same value as the lead."""
        return {name for match in self.contacts + self.accounts for name in match.matched_on}


class Deal(ValueObject):
    """The deal that a conversion creates."""

    name: str
    stage: str
    closing_date: date
    #: Zoho's ``actual_value`` of the pipeline; empty if the organisation has no pipelines.
    pipeline: str = ""
    amount: Decimal | None = None
    #: Id of a contact role.
    contact_role: str = ""
    #: Other fields of the deal, by API name: ``services.deal_fields.deal_value`` makes the values.
    other: Mapping[str, FieldValue] = field(default_factory=dict)

    @classmethod
    def from_json(cls, stored: JsonObject) -> Self:
        """Return the deal that ``as_json`` stored."""
        amount = stored["amount"]
        parts = {
            "closing_date": date.fromisoformat(stored["closing_date"]),
            "amount": None if amount is None else Decimal(amount),
            "other": {name: _field_value(value) for name, value in stored["other"].items()},
        }
        return cls(**{**stored, **parts})


class ConversionPlan(ValueObject):
    """What a conversion does: the records to attach to, or to create where an id is empty."""

    contact_id: str = ""
    account_id: str = ""
    deal: Deal | None = None
    #: Id of the user who will own the records; empty keeps the lead's owner.
    owner_id: str = ""
    #: Whether the lead's company replaces the *name* of the existing account.
    overwrite: bool = False
    #: ``Contacts``, ``Accounts`` or ``Deals``; empty: Zoho moves them to the contact.
    move_attachments_to: str = ""
    #: Tag names to carry over, by module.
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notify_lead_owner: bool = False
    notify_new_owner: bool = False

    @classmethod
    def from_json(cls, stored: JsonObject) -> Self:
        """Return the plan that ``as_json`` stored."""
        deal, tags = stored["deal"], stored["tags"]
        parts = {
            "deal": deal and Deal.from_json(deal),
            "tags": {module: tuple(names) for module, names in tags.items()},
        }
        return cls(**{**stored, **parts})


class Effect(ValueObject):
    """What a mass-convert job does to all of its leads: it creates all records, for one owner."""

    #: Id of the user who will own the records.
    owner_id: str
    deal: Deal | None = None
    #: Modules whose records get all tags of the lead.
    tags_to: tuple[str, ...] = ()
    attachments_to: str = ""

    @classmethod
    def from_json(cls, stored: JsonObject) -> Self:
        """Return the effect that ``as_json`` stored."""
        deal = stored["deal"] and Deal.from_json(stored["deal"])
        return cls(**{**stored, "deal": deal, "tags_to": tuple(stored["tags_to"])})


class JobStage(StrEnum):
    """The status of a mass-convert job at Zoho."""

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in progress"
    COMPLETED = "completed"
    FAILED = "failed"


class JobState(ValueObject):
    """Zoho's answer to a poll of a job: numbers of leads only, which need not add up."""

    stage: JobStage
    total: int = 0
    converted: int = 0
    waiting: int = 0
    failed: int = 0

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self.stage in {JobStage.COMPLETED, JobStage.FAILED}


class TokenGrant(ValueObject):
    """The answer of Zoho's token endpoint."""

    #: Empty if an exchange gave none.
    access_token: Secret
    #: Empty if an exchange gave none, and after a refresh, which keeps the refresh token.
    refresh_token: Secret
    #: Empty if the answer has none.
    api_domain: str = ""
    #: Seconds from the answer.
    expires_in: float
    #: Empty if the answer has none.
    scopes: tuple[str, ...] = ()


def as_json(value: Any) -> Any:
    """Return one of these values as JSON values for a column; ``from_json`` is the inverse."""
    if value is None or isinstance(value, str | int | float):
        return value
    if dataclasses.is_dataclass(value):
        parts = {f.name: as_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
        if isinstance(value, Deal):
            parts["other"] = {name: _stored_field(item) for name, item in value.other.items()}
        return parts
    if isinstance(value, Mapping):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [as_json(item) for item in value]
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def without_decimals(value: Any) -> Any:
    """Return JSON values for a column, in which a decimal can be told from a text."""
    if isinstance(value, Mapping):
        return {name: without_decimals(item) for name, item in value.items()}
    if isinstance(value, list):
        return [without_decimals(item) for item in value]
    return {"decimal": str(value)} if isinstance(value, Decimal) else value


def with_decimals(stored: Any) -> Any:
    """Return the values that ``without_decimals`` returned, a decimal as ``Decimal``."""
    if isinstance(stored, list):
        return [with_decimals(item) for item in stored]
    if not isinstance(stored, dict):
        return stored
    if stored.keys() == {"decimal"}:
        return Decimal(stored["decimal"])
    return {name: with_decimals(item) for name, item in stored.items()}


def _stored_field(value: FieldValue) -> Any:
    """Return the value of a deal's field as JSON, in which a decimal can be told from a text."""
    return {"decimal": str(value)} if isinstance(value, Decimal) else as_json(value)


def _field_value(stored: Any) -> FieldValue:
    """Return the value of a deal's field that ``_stored_field`` returned."""
    is_decimal = isinstance(stored, dict) and "decimal" in stored
    value: FieldValue = Decimal(stored["decimal"]) if is_decimal else stored
    return value


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_SORTING_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False, sort_keys=True)


def json_text(value: Any, *, sort_keys: bool = False, line: str = "") -> str:
    """
    Return a value as JSON, with each decimal as a number with all of its digits.

    :param line: a line break, if each item is to be on a line of its own
    :raises ValueError: if a number is not finite
    """
    if not line:
        with suppress(TypeError):  # for a decimal, which the library does not know
            return (_SORTING_ENCODER if sort_keys else _ENCODER).encode(value)
    return _text_with_decimals(value, sort_keys, line)


def _text_with_decimals(value: Any, sort_keys: bool, line: str) -> str:
    inner = line and f"{line}  "
    if isinstance(value, Mapping):
        items = sorted(value.items()) if sort_keys else value.items()
        colon = ": " if line else ":"
        pairs = [
            f"{json.dumps(key)}{colon}{_text_with_decimals(item, sort_keys, inner)}"
            for key, item in items
        ]
        return _joined("{}", pairs, line)
    if isinstance(value, list | tuple):
        texts = [_text_with_decimals(item, sort_keys, inner) for item in value]
        return _joined("[]", texts, line)
    if isinstance(value, Decimal) and value.is_finite():
        return format(value, "f")
    return _ENCODER.encode(float(value) if isinstance(value, Decimal) else value)


def _joined(brackets: str, items: list[str], line: str) -> str:
    if not items:
        return brackets
    inner = line and f"{line}  "
    return f"{brackets[0]}{inner}{f',{inner}'.join(items)}{line}{brackets[1]}"
