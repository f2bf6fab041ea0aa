"""What belongs to an organisation: its users, pipelines and fields of deals, and its calls."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Self

from zoho_crm.types._conversions import JsonObject
from zoho_crm.types._values import ValueObject


class Environment(StrEnum):
    """Zoho's environments, each with its own data; a token belongs to one of them."""

    PRODUCTION = "production"
    SANDBOX = "sandbox"
    DEVELOPER = "developer"


class ApiCall(NamedTuple):
    """A call to Zoho that was answered, as its use is counted."""

    #: A key of the setting ``CREDIT_COSTS``.
    kind: str
    #: Whether Zoho refused it as one too many.
    was_refused: bool = False
    #: How often it costs the credits of its kind: a write once for each 10 records.
    units: int = 1


class User(ValueObject):
    """A user of the organisation."""

    id: str
    name: str
    email: str = ""
    active: bool = True


class Organisation(ValueObject):
    """The organisation that a token belongs to."""

    id: str
    name: str
    #: ``None`` if Zoho names none that is known.
    environment: Environment | None
    #: Its id in Zoho's accounts; empty if the answer has none.
    zgid: str = ""
    #: What names it in the addresses of Zoho CRM's pages; empty if the answer has none.
    domain_name: str = ""
    #: ``free``, ``standard``, ``professional``, ``enterprise``, ``ultimate`` … as Zoho says it.
    edition: str = ""
    licences: int = 0
    time_zone: str = ""


class Stage(ValueObject):
    """A stage of a pipeline: the value that is sent and the label that is shown."""

    value: str
    label: str


class Pipeline(ValueObject):
    """A sales pipeline with its stages in order."""

    value: str
    label: str
    stages: tuple[Stage, ...]
    is_default: bool = False

    @classmethod
    def from_json(cls, stored: JsonObject) -> Self:
        """Return the pipeline that ``as_json`` stored."""
        return cls(**{**stored, "stages": tuple(Stage(**values) for values in stored["stages"])})


class DealField(ValueObject):
    """A field of deals that a conversion can fill."""

    api_name: str
    label: str
    required: bool = False
    #: Zoho's type; empty if it could not be read.
    data_type: str = ""
    #: The values of a picklist.
    choices: tuple[Stage, ...] = ()

    @classmethod
    def from_json(cls, stored: JsonObject) -> Self:
        """Return the field that ``as_json`` stored."""
        return cls(**{**stored, "choices": tuple(Stage(**value) for value in stored["choices"])})
