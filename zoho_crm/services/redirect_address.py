"""
Whether the address to which Zoho sends browsers back answers.

Only the address in the settings is asked, never one that a request names. Nobody but browsers has
to reach it: this server may be behind a router that does not let it reach its own public name.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from zoho_crm import client as zoho
from zoho_crm.conf import conf
from zoho_crm.exceptions import WrongSettingsError, ZohoError
from zoho_crm.services._zoho import existing_file
from zoho_crm.types import ValueObject

#: Seconds after which an address that does not answer is given up. A server for development that
#: does one thing at a time, and asks itself, waits as long.
MAX_SECONDS = 3.0


class Reach(ValueObject):
    """What asking the redirect address has shown."""

    #: What is wrong, as far as that is known.
    problem: str = ""
    #: Why nothing is known: it does not answer here, and may answer browsers.
    unknown: str = ""


def ask_redirect_address() -> Reach:
    """Ask the redirect address of the settings for the head of its page, without any parameter."""
    settings = conf()
    parts = urlsplit(settings.REDIRECT_URI)
    try:
        ca_bundle = existing_file(settings.CA_BUNDLE)
        asked = zoho.Api(
            origin=f"{parts.scheme}://{parts.netloc}",
            session=zoho.open_session(proxy=settings.proxy, ca_bundle=ca_bundle),
            limits=zoho.Limits(connect=MAX_SECONDS, deadline=MAX_SECONDS),
        )
        asked.call("HEAD", parts.path)
    except WrongSettingsError as error:
        return Reach(unknown=str(error))
    except ZohoError as error:
        return _what_it_shows(error)
    return Reach()


def _what_it_shows(error: ZohoError) -> Reach:
    if error.http_status == 404:
        return Reach(problem=_("There is no page at this address (404): it is of another site."))
    if error.http_status and error.http_status >= 500:
        text = _("The server at this address is out of order (%s).")
        return Reach(problem=text % error.http_status)
    if error.http_status:
        return Reach()
    if zoho.is_tls_error(error.__cause__):
        text = _("TLS fails here: the certificate is not accepted, or the server has none. %s")
        return Reach(problem=text % error)
    return Reach(unknown=str(error))
