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
  + AlreadyConvertedError .......... the app: read what it became
  + UnknownOutcomeError ............ the app: settle before acting again

Every TransientError can safely be tried again: the request was certainly not processed, or may be
repeated. Wrong settings are Django's ``ImproperlyConfigured``, outside this tree, so that ``except
ZohoError`` never hides them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.utils.translation import gettext

from zoho_crm.types import JsonObject, Reference


class ZohoError(Exception):
    """Zoho CRM could not do what was asked."""

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        http_status: int | None = None,
        details: JsonObject | None = None,
    ) -> None:
        super().__init__(message or gettext((type(self).__doc__ or "").strip()))
        self.code = code
        self.http_status = http_status
        self.details = details or {}

    def __reduce__(self) -> tuple[Any, ...]:
        known: dict[str, Any] = {
            "code": self.code,
            "http_status": self.http_status,
            "details": self.details,
        }
        return partial(type(self), **known), self.args


class TransientError(ZohoError):
    """Zoho CRM cannot do this now; it will be tried again."""


class TransportError(TransientError):
    """Zoho CRM did not answer."""


class ServerError(TransientError):
    """Zoho CRM is out of order."""


class RateLimitError(TransientError):
    """Zoho CRM asks us to send fewer calls at a time."""


class CreditsExhaustedError(TransientError):
    """Zoho CRM allows no more calls today: the credits of the organisation are used up."""


class TokenThrottledError(TransientError):
    """Zoho gives out no more access tokens for this connection at the moment."""


class AccessTokenRejectedError(TransientError):
    """Zoho CRM no longer accepts this access token; it has to be renewed."""


class AuthorizationError(ZohoError):
    """Zoho CRM does not accept this connection; an administrator has to look at it."""


class ConnectionLostError(AuthorizationError):
    """Zoho CRM no longer accepts this connection; connect it again."""


class GrantRefusedError(AuthorizationError):
    """Zoho did not accept the code: it has expired, was used before or is not of this client."""


class ClientRejectedError(AuthorizationError):
    """Zoho does not know this client: check the client id, its secret and the data center."""


class PermissionDeniedError(AuthorizationError):
    """The user of this connection lacks a scope or a permission."""


class SecretUnreadableError(AuthorizationError):
    """A stored token cannot be read with the encryption keys of this site."""


class RequestRefusedError(ZohoError):
    """Zoho CRM refused this: correct the lead or the choice."""

    @property
    def field(self) -> str:
        """API name of the field that Zoho refuses; empty if it names none."""
        return str(self.details.get("api_name", ""))

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


class StaleDecisionError(RequestRefusedError):
    """This has changed since it was shown; please look again."""


class PlanError(RequestRefusedError):
    """This plan does not fit what the preview shows."""


class AlreadyConvertedError(ZohoError):
    """Zoho CRM says that this lead was converted before."""


class UnknownOutcomeError(ZohoError):
    """The conversion was sent and no clear answer came back; it has to be settled first."""
