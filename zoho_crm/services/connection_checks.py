"""What a new connection can do, tried out at Zoho: the last step of connecting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.exceptions import PermissionDeniedError, RequestRefusedError, ZohoError
from zoho_crm.models import Connection, Token
from zoho_crm.services import clients
from zoho_crm.services.connect import missing_scopes
from zoho_crm.services.organisations import difference
from zoho_crm.services.presentation import describe_error
from zoho_crm.services.scope_texts import purpose_of
from zoho_crm.types import ValueObject

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

#: The modules of which one record is read, by API name, with the name of the check.
MODULES: Mapping[str, StrPromise] = {
    "Leads": gettext_lazy("Read leads"),
    "Contacts": gettext_lazy("Read contacts"),
    "Accounts": gettext_lazy("Read accounts"),
    "Deals": gettext_lazy("Read deals"),
}


class Check(ValueObject):
    """One thing that a connection needs; ``is_ok`` is ``None`` where it could not be tried."""

    name: str
    is_ok: bool | None
    #: What was found, or why it does not work.
    text: str
    #: What to do about it, as sentences.
    ways_out: tuple[str, ...] = ()


def check(connection: Connection) -> list[Check]:
    """Return what a connection can do, by a call to Zoho for the organisation and each module."""
    token = connection.tokens.filter(is_default=True).first()
    if token is None or token.status != Token.Status.ACTIVE:
        text = _("There is no token that works.")
        return [Check(name=_("Token"), is_ok=False, text=text, ways_out=(_("Connect again."),))]
    organisation = _organisation(connection)
    found = [_token(token), organisation, _scopes(token)]
    if not organisation.is_ok:
        text = _("Not tried, because the organisation cannot be read.")
        return found + [Check(name=str(name), is_ok=None, text=text) for name in MODULES.values()]
    return [*found, *_modules(connection, token)]


def _token(token: Token) -> Check:
    text = _("%s has given consent; the access token renews itself.") % token.user_label
    return Check(name=_("Token"), is_ok=True, text=text)


def _organisation(connection: Connection) -> Check:
    def read() -> str:
        found = clients.client_for(connection).organisation()
        return difference(connection, found)

    problem, ways_out = _tried(read)
    found = {"name": connection.org_name, "id": connection.org_id}
    text = problem or _("%(name)s (%(id)s)") % found
    return Check(name=_("Organisation"), is_ok=not problem, text=text, ways_out=ways_out)


def _scopes(token: Token) -> Check:
    missing = missing_scopes(token.scopes)
    if not missing:
        return Check(name=_("Scopes"), is_ok=True, text=_("All that were asked for are granted."))
    purposes = (
        _("Without %(scope)s nobody can: %(purpose)s.")
        % {"scope": scope, "purpose": purpose_of(scope) or _("use what needs it")}
        for scope in missing
    )
    ways_out = (*purposes, _("Connect again with all scopes to use these."))
    text = _("Some were not granted.")
    return Check(name=_("Scopes"), is_ok=False, text=text, ways_out=ways_out)


def _modules(connection: Connection, token: Token) -> Iterator[Check]:
    client = clients.client_for(connection)
    for module, name in MODULES.items():

        def read(module: str = module) -> str:
            next(client.records(module).list(fields=["id"]), None)
            return ""

        problem, ways_out = _tried(read, user=token.user_label)
        text = problem or _("Works.")
        yield Check(name=str(name), is_ok=not problem, text=text, ways_out=ways_out)


def _tried(read: Callable[[], str], *, user: str = "") -> tuple[str, tuple[str, ...]]:
    """Return why a read does not work, and what to do about it; both empty if it works."""
    try:
        problem = read()
    except (PermissionDeniedError, RequestRefusedError) as error:
        return describe_error(error), (_permission_way_out(error, user),)
    except (ZohoError, ImproperlyConfigured) as error:
        return describe_error(error), (_("Load this page again to try it once more."),)
    return problem, ()


def _permission_way_out(error: ZohoError, user: str) -> str:
    if error.code == "OAUTH_SCOPE_MISMATCH":
        return _("Connect again with all scopes.")
    text = _(
        "In Zoho CRM, an administrator gives the profile of %s the permission to view this module "
        "and to use the API, under Setup, Users and Control, Security Control. Then load this page "
        "again."
    )
    return text % (user or _("the user"))
