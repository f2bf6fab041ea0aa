"""
The errors of this app, sorted by who can put them right.

* ZohoError
  + TransientError ................. nobody: wait and try again
    - TransportError ............... no answer arrived
    - ServerError .................. Zoho is out of order
    - RateLimitError ............... too many calls at a time
    - CreditsExhaustedError ........ too many calls in a day
    - TokenThrottledError .......... too many new access tokens
    - AccessTokenRejectedError ..... the access token has to be renewed
  + AuthorizationError ............. an administrator: connect again, or grant what is missing
    - ConnectionLostError .......... the consent was withdrawn
    - GrantRefusedError ............ the code or the consent is not valid
    - ClientRejectedError .......... the client id or secret is wrong
    - PermissionDeniedError ........ a scope or a permission is missing
    - SecretUnreadableError ........ the key that encrypted a token is missing
  + RequestRefusedError ............ a user: correct the lead or the choice
    - StaleDecisionError ........... look again, it has changed
    - PlanError .................... the plan does not fit the preview
    - InvalidRecordError ........... the record does not fit its module: Zoho was not asked
  + AlreadyConvertedError .......... the app: read what it became
  + UnknownOutcomeError ............ the app: settle before acting again
  + WriteInterruptedError .......... the program: its records ended with an error

Every TransientError can safely be tried again, and ``may_repeat`` says so: the request was
certainly not processed, or may be repeated. Wrong settings are Django's ``ImproperlyConfigured``
(``WrongSettingsError`` where it may be stored), outside this tree, so that ``except ZohoError``
never hides them.

The words of an error are made when it is shown, in the language that is active then. An error that
may be stored has no message of its own, but a code and the values of the code's message.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from zoho_crm.types import JsonObject, Reference, storable

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

#: The messages of our own codes; they name values of an error's ``details``.
MESSAGES_BY_CODE: Mapping[str, StrPromise] = {
    "no_connection": _("There is no connection yet; connect to Zoho first."),
    "no_default": _(
        "The default user of this connection is not connected any more. Make another of its users "
        "the default, or connect again."
    ),
    "no_such_user": _("%(user)s has not given consent for the connection “%(connection)s”."),
    "user_lost": _(
        "The consent of %(user)s for the connection “%(connection)s” has ended; connect again as "
        "this user."
    ),
    "sdk_lost": _(
        "Zoho does not accept the grant of %(user)s any more; give the program that uses the SDK a "
        "new one."
    ),
    "unknown_data_center": _(
        "The data center %(data_center)s is unknown here; are LOCAL_URL and EXTRA_DATA_CENTERS set?"
    ),
    "unknown_server": _(
        "The answer names a server that is not one of Zoho's, or two that do not belong together; "
        "nothing was sent to it. If Zoho has opened a new data center, add it to "
        "ZOHO_CRM['EXTRA_DATA_CENTERS']."
    ),
    "unknown_api_server": _(
        "Zoho named an API server that is not known here; nothing was sent to it. If Zoho has "
        "opened a new data center, add it to ZOHO_CRM['EXTRA_DATA_CENTERS']."
    ),
    "other_data_center": _(
        "The consent is for an organisation in the data center %(found)s, not %(wanted)s. Choose "
        "%(found)s and connect again; or sign in at Zoho as a user of %(wanted)s, then connect."
    ),
    "no_ca_bundle": _("ZOHO_CRM['CA_BUNDLE'] names no file: %(path)s"),
    "being_refreshed": _("Another process is refreshing the access token."),
    "database_locked": _(
        "The access token has to be renewed, and a transaction has locked the database. "
        "Call Zoho outside of the transaction, or before it writes."
    ),
    "reserve": _("Only the credits that are reserved for other programs remain."),
    "no_module": _("Zoho CRM does not say the id of the module %(api_name)s."),
    "unknown_form": _("Zoho CRM gave an answer of an unknown form."),
    "endless_list": _("Zoho CRM repeats pages of a list, so the rest of it cannot be read."),
    "sdk_no_token": _("There is no refresh, access or grant token, so nothing can be stored."),
    "sdk_several": _(
        "Several stored tokens fit %(user)s; name the client and the environment, or the id."
    ),
    "sdk_consent": _(
        "The consent of %(user)s did not come through the SDK; end it with Disconnect in the admin."
    ),
    "no_access_token": _("Zoho gave no access token."),
    "INVALID_ID": _("“%(id)s” is not the id of a lead: an id is a number of up to 19 digits."),
    "bad_record_id": _("“%(id)s” is not the id of a record: an id is a number of up to 19 digits."),
    "bad_module_name": _("“%(name)s” is not the API name of a module."),
    "bad_field_name": _("“%(name)s” is not the API name of a field."),
    "unusable_type": _("%(api_name)s cannot be compared with, or set to, a value of this type."),
    "unusable_empty": _("%(api_name)s cannot be compared with an empty text."),
    "unusable_control": _("The text for %(api_name)s has a control character; remove it."),
    "unusable_backslash": _(
        "The text for %(api_name)s has a backslash, whose meaning Zoho CRM does not say; "
        "look for the part before it."
    ),
    "unusable_number": _("The number for %(api_name)s is not finite."),
    "unusable_zone": _("The time for %(api_name)s has no time zone; use an aware datetime."),
    "unusable_text": _("The text for %(api_name)s has a NUL or half a character; remove it."),
    "bad_cursor": _("This is no cursor of changes; begin anew, without one."),
    "other_cursor": _("This cursor is one of the module %(known)s, not of %(module)s."),
    "unknown_field": _("%(module)s has no field “%(api_name)s”."),
    "unknown_field_near": _("%(module)s has no field “%(api_name)s”; did you mean “%(near)s”?"),
    "read_only_field": _("%(api_name)s of %(module)s cannot be written; leave it out."),
    "missing_value": _("%(api_name)s of %(module)s needs a value."),
    "wrong_type": _(
        "%(api_name)s of %(module)s takes another type of value (%(expected)s), not “%(value)s”."
    ),
    "too_long": _(
        "The value for %(api_name)s of %(module)s has %(number)s characters or digits, and at most "
        "%(maximum_length)s are allowed: “%(value)s”."
    ),
    "not_in_picklist": _(
        "“%(value)s” is no value of %(api_name)s of %(module)s; allowed are: %(allowed)s."
    ),
    "file_changed": _(
        "The file has changed its size while it was sent, so nothing of it was attached; try it "
        "again when it is complete."
    ),
    "file_unreadable": _(
        "The file cannot be read from its beginning to its end, so nothing of it was attached."
    ),
    "file_too_large": _(
        "The file has more than the %(limit)s bytes that Zoho CRM and "
        "ZOHO_CRM['MAX_ATTACHMENT_SIZE'] allow."
    ),
    "no_attachment": _("There is no attachment with the id %(id)s."),
    "field_not_pushed": _("%(api_name)s is no value of what is to be done; leave it out."),
    "no_record_named": _(
        "It is not known which record this is about: give its id, or the key of a record that was "
        "pushed before."
    ),
    "nothing_pushed": _("There are no values to be sent."),
    "bad_archive": _("Zoho CRM gave a file that cannot be unpacked, or not to its end."),
    "bulk_too_large": _("The rows of a job have more than %(limit)s bytes; read fewer fields."),
    "bulk_too_slow": _("The job %(id)s of a bulk read is not done in time."),
    "too_many_conditions": _("A bulk read takes at most %(limit)s conditions."),
    "several_records": _("%(number)s records have this value in %(api_name)s; which is meant?"),
    "converted_lead": _("The lead %(id)s is converted; write to what it has become."),
    "known_contact": _("The contact %(id)s has this address; a lead would be a second record."),
    "bad_row": _("The row has another number of cells than the first one."),
    "no_record": _("A record is a mapping of names of fields to values."),
    "not_sent": _(
        "This was not sent, because an earlier part of the same records failed as a whole."
    ),
    "number_of_values": _(
        "%(api_name)s can be compared with 1 to %(limit)s values at a time, not with %(number)s."
    ),
    "criteria_too_long": _(
        "A search takes at most %(conditions)s conditions and %(characters)s characters."
    ),
    "search_limit": _(
        "A search gives no more than %(limit)s records, so some may be missing; narrow it down."
    ),
    "query_limit": _(
        "A sorted or grouped query gives no more than %(limit)s rows, and there are more."
    ),
    "no_key": _("ZOHO_CRM['ENCRYPTION_KEYS'] is empty; make a key with: manage.py zoho_new_key"),
    "bad_key": _(
        "The encryption key %(key_id)s is no Fernet key; make one with: manage.py zoho_new_key"
    ),
    "key_missing": _("The encryption key %(key_id)s is missing from ZOHO_CRM['ENCRYPTION_KEYS']."),
}


#: What to do about Zoho's refusals of records, by their codes.
WAYS_OUT: Mapping[str, StrPromise] = {
    "unknown_id": _(
        "%(module)s has no record of this id: it was deleted, or the id is one of another module."
    ),
    "INVALID_DATA": _("Correct the value; manage.py zoho_metadata shows what the field takes."),
    "MANDATORY_NOT_FOUND": _("Give the field a value."),
    "MAPPING_MISMATCH": _(
        "Choose one of the values that manage.py zoho_metadata --pipelines shows; one of them may "
        "have a new name."
    ),
    "DUPLICATE_DATA": _(
        "The record %(id)s of %(module)s has this value: update that one, or use upsert."
    ),
    "ALREADY_MODIFIED": _("Somebody has changed the record since: read it again."),
    "RECORD_LOCKED": _("The record is locked in Zoho CRM: unlock it there, or wait."),
    "NOT_APPROVED": _("The record waits for an approval in Zoho CRM."),
    "NOT_REVIEWED": _("The record waits for a review in Zoho CRM."),
    "CONVERTED_RECORD": _("The lead was converted: change the records that it became."),
    "INVALID_MODULE": _(
        "manage.py zoho_metadata shows the modules; an administrator of Zoho CRM may have hidden "
        "this one."
    ),
    "NO_PERMISSION": _(
        "An administrator of Zoho CRM has to give the user of the connection this permission: "
        "%(permissions)s."
    ),
    "OAUTH_SCOPE_MISMATCH": _(
        "Connect again, with the scope that ZOHO_CRM['SCOPES'] lacks; or the module does not exist."
    ),
}

#: What is kept of the details of one of Zoho's errors; none of it is a value of a record.
KEPT_DETAILS = (
    "api_name",
    "json_path",
    "param_name",
    "expected_data_type",
    "maximum_length",
    "minimum_length",
    "supported_values",
    "expected",
    "near",
    "mapped_field",
    "permissions",
    "id",
)
#: Details that name the fields of an error if ``api_name`` does not.
DETAILS_WITH_FIELDS = ("expected_fields", "ambiguity_due_to", "limit_due_to")
#: Errors of one answer, values of a list and characters of a text that are kept.
MAX_PROBLEMS = 20
MAX_KEPT_VALUES = 20
MAX_KEPT_LENGTH = 200


class CodedError(Exception):
    """
    The base class of our errors: a message, or a code with details that it is made from.

    :param message: Zoho's message, or one for the person who caused the error; may be empty
    :param code: Zoho's code, or one of ours
    :param details: Zoho's details, or the values of our code's message
    """

    default_message: ClassVar[StrPromise] = _("Something went wrong.")

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        http_status: int | None = None,
        details: JsonObject | None = None,
    ) -> None:
        super().__init__(*filter(None, [message]))
        self.message = message
        self.code = code
        self.http_status = http_status
        self.details = details or {}

    def __str__(self) -> str:
        if self.message or not self.has_coded_message:
            return self.message or str(self.default_message)
        return insert_values(MESSAGES_BY_CODE[self.code], self.details)

    def __reduce__(self) -> tuple[Any, ...]:
        known: dict[str, Any] = {
            "code": self.code,
            "http_status": self.http_status,
            "details": self.details,
        }
        return partial(type(self), **known), self.args

    @property
    def has_coded_message(self) -> bool:
        """Whether code and details are ours, not from an answer of Zoho's, and make the message."""
        return not self.message and self.http_status is None and self.code in MESSAGES_BY_CODE


def insert_values(message: StrPromise | str, details: JsonObject) -> str:
    """Return a message with the values that it names; one that is missing is empty."""
    return str(message) % defaultdict(str, details)


class WrongSettingsError(CodedError, ImproperlyConfigured):
    """Raised when a setting of this site makes a stored secret unusable."""

    default_message = _("A setting of this site is wrong; manage.py zoho_doctor says which.")


class ZohoError(CodedError):
    """Base class of all errors of this app that Zoho, a user or an administrator can cause."""

    default_message = _("Zoho CRM could not do what was asked.")
    #: Whether the same request may be sent again as it is, and nothing would be done twice.
    may_repeat: ClassVar[bool] = False

    @property
    def explanation(self) -> str:
        """The place of the record, the field, the message and what to do about it, for a person."""
        place = []
        if isinstance(index := self.details.get("index"), int):
            place.append(str(_("record %s")) % (index + 1))
        if not self.has_coded_message and (name := self.details.get("api_name")):
            place.append(str(_("field %s")) % name)
        message = ": ".join(filter(None, [", ".join(place), str(self)]))
        end = "" if message.endswith((".", "?")) else "."
        return " ".join(filter(None, [message + end, self.way_out]))

    @property
    def way_out(self) -> str:
        """What to do about a refusal of Zoho's; empty if that is not known."""
        if self.http_status is None:
            return ""
        duplicate = _object(self.details.get("duplicate_record"))
        module = _object(duplicate.get("module")).get("api_name") or self.details.get("module")
        values = {
            "id": duplicate.get("id") or self.details.get("id") or "",
            "module": module if isinstance(module, str) else _("the module"),
            "permissions": ", ".join(map(str, self.details.get("permissions") or [])),
        }
        is_unknown = self.code == "INVALID_DATA" and (
            self.details.get("api_name") == "id" or self.message == "record not deleted"
        )
        text = WAYS_OUT.get("unknown_id" if is_unknown else self.code, "")
        return insert_values(text, values)

    @property
    def problems(self) -> list[JsonObject]:
        """
        The errors of Zoho's answer, each with ``code``, ``message`` and some of ``KEPT_DETAILS``.

        Of an answer with several errors, ``details["errors"]`` has all of them.
        """
        own = {"code": self.code, "message": self.message, "details": self.details}
        several = _objects(self.details.get("errors"))
        return [_problem(error) for error in (several or [own])[:MAX_PROBLEMS]]


class TransientError(ZohoError):
    """Raised when a request certainly was not processed, or may be repeated."""

    default_message = _("Zoho CRM cannot do this now; it will be tried again.")
    may_repeat = True


class TransportError(TransientError):
    """Raised when no answer arrived in time to a request that may be repeated."""

    default_message = _("Zoho CRM did not answer.")


class ServerError(TransientError):
    """Raised when Zoho answers that it is out of order, or in a form that is not documented."""

    default_message = _("Zoho CRM is out of order.")


class RateLimitError(TransientError):
    """Raised when Zoho refuses a call because too many are in flight."""

    default_message = _("Zoho CRM asks us to send fewer calls at a time.")


class CreditsExhaustedError(TransientError):
    """Raised when no API credits are left, or only those that are reserved."""

    default_message = _(
        "Zoho CRM allows no more calls today: the credits of the organisation are used up."
    )


class TokenThrottledError(TransientError):
    """Raised when Zoho refuses a new access token because it gave out too many."""

    default_message = _("Zoho gives out no more access tokens for this connection at the moment.")


class AccessTokenRejectedError(TransientError):
    """Raised when Zoho rejects the access token of a call."""

    default_message = _("Zoho CRM no longer accepts this access token; it has to be renewed.")


class AuthorizationError(ZohoError):
    """Raised when a connection does not work before an administrator acts."""

    default_message = _(
        "Zoho CRM does not accept this connection; an administrator has to look at it."
    )


class ConnectionLostError(AuthorizationError):
    """Raised when there is no connection, or Zoho rejects its refresh token."""

    default_message = _("Zoho CRM no longer accepts this connection; connect it again.")


class GrantRefusedError(AuthorizationError):
    """Raised when connecting fails because of the code or the consent."""

    default_message = _(
        "Zoho did not accept the code. Most likely it has expired or was used before: make a new "
        "one. Else it is from another data center: choose the one of the console or page that gave "
        "it. Else it is of another client: check the client id."
    )


class ClientRejectedError(AuthorizationError):
    """Raised when Zoho does not accept the client id, its secret or its redirect URI."""

    default_message = _(
        "Zoho does not know this client: check the client id, its secret and the data center."
    )


class PermissionDeniedError(AuthorizationError):
    """Raised when Zoho refuses a call for lack of a scope or of a permission."""

    default_message = _("The user of this connection lacks a scope or a permission.")


class SecretUnreadableError(AuthorizationError):
    """Raised when a stored secret cannot be decrypted, or is of another row."""

    default_message = _("A stored token cannot be read with the encryption keys of this site.")


class RequestRefusedError(ZohoError):
    """Raised when Zoho, or a rule of this app, refuses a request as it is."""

    default_message = _("Zoho CRM refused this: correct the lead or the choice.")

    @property
    def field(self) -> str:
        """API name of the field that Zoho refuses; empty if it names none."""
        return str(self.details.get("api_name", ""))

    @property
    def index(self) -> int | None:
        """Place, from 0, of the record in what a write was given; ``None`` if it is not known."""
        index = self.details.get("index")
        return index if isinstance(index, int) else None

    @property
    def path(self) -> str:
        """JSON path of the value that Zoho refuses; empty if it names none."""
        return str(self.details.get("json_path", ""))

    @property
    def duplicate(self) -> Reference | None:
        """The existing record of which a new one would be a duplicate, if Zoho names it."""
        record = _object(self.details.get("duplicate_record")) or self.details
        if self.code != "DUPLICATE_DATA" or not record.get("id"):
            return None
        module = _object(record.get("module"))
        return Reference(id=str(record["id"]), name=str(module.get("api_name", "")))


def _object(value: object) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _problem(error: JsonObject) -> JsonObject:
    """Return one of Zoho's errors with those of its details that are kept."""
    details = _object(error.get("details"))
    fields = chain.from_iterable(_objects(details.get(name)) for name in DETAILS_WITH_FIELDS)
    named = [field.get("api_name") for field in fields]
    duplicate = _object(details.get("duplicate_record"))
    found = {
        "api_name": ", ".join(name for name in named if isinstance(name, str)),
        "mapped_field": _object(details.get("dependee")).get("api_name"),
        "module": _object(duplicate.get("module")).get("api_name"),
        "id": duplicate.get("id"),
        **{name: details[name] for name in KEPT_DETAILS if details.get(name)},
        "code": error.get("code"),
        "message": error.get("message"),
    }
    kept = {name: _kept(value) for name, value in found.items()}
    return {name: value for name, value in kept.items() if value}


def _kept(value: object) -> Any:
    """Return a text, a number or a list of texts, cut; ``None`` for anything else."""
    if isinstance(value, list):
        return [_kept(item) for item in value[:MAX_KEPT_VALUES] if isinstance(item, str)]
    if isinstance(value, str):
        return storable(value, MAX_KEPT_LENGTH)
    return value if isinstance(value, int) else None


class StaleDecisionError(RequestRefusedError):
    """Raised when a row or a run changed after the person who decides saw it."""

    default_message = _("This has changed since it was shown; please look again.")


class PlanError(RequestRefusedError):
    """Raised when a plan or a policy contradicts itself, the preview or the organisation."""

    default_message = _("This plan does not fit what the preview shows.")

    @property
    def field(self) -> str:
        """The field of the plan, policy or deal (API name) that it is about; empty if of none."""
        return str(self.details.get("field", ""))


class InvalidRecordError(RequestRefusedError):
    """
    Raised when a record does not fit the fields of its module, before it is sent.

    ``details`` has ``module``, ``api_name``, ``value`` and what is allowed of the first problem;
    ``problems`` has all of them.
    """

    default_message = _("The record does not fit the fields of its module.")


class AlreadyConvertedError(ZohoError):
    """Raised when Zoho refuses a lead because it was converted before."""

    default_message = _("Zoho CRM says that this lead was converted before.")


class UnknownOutcomeError(ZohoError):
    """Raised when a request that must not be repeated may have been processed."""

    default_message = _(
        "The request was sent and no clear answer came back, so Zoho CRM may have done it; read "
        "whether it has before sending it again."
    )


class WriteInterruptedError(ZohoError):
    """
    Raised when the iterable that gives the records of a write raises an error, its ``__cause__``.

    What it gave before was sent, and is not to be written again.

    :param results: the ``WriteResult`` of each record that it gave, in their order
    """

    default_message = _(
        "Reading the records to write ended with an error; those read before it were sent, and the "
        "results of this error say what became of each."
    )

    def __init__(self, message: str = "", *, results: tuple[Any, ...] = (), **known: Any) -> None:
        super().__init__(message, **known)
        self.results = results

    def __reduce__(self) -> tuple[Any, ...]:
        make, args = super().__reduce__()
        return partial(make, results=self.results), args
