"""What went wrong while a person connects, and what they can do about it, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from zoho_crm.conf import conf
from zoho_crm.exceptions import CodedError, insert_values

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

#: Texts of this flow, by the code of Zoho's error.
TEXTS: Mapping[str, StrPromise] = {
    "access_denied": _(
        "Zoho reports that the consent was not given. Continue at Zoho again and press “Accept” "
        "there; if Zoho does not let you, an administrator of Zoho CRM has to do it."
    ),
    "invalid_client": _(
        "Zoho does not know this client in the data center %(center)s: check the client id, its "
        "secret and the data center. A client of another data center has to be enabled for this "
        "one in the console, in its tab Settings."
    ),
    "invalid_client_secret": _(
        "The client secret is wrong. Copy it again from the console, from the tab Client Secret; "
        "there may be one for each data center, and yours is %(center)s."
    ),
    "invalid_redirect_uri": _(
        "Zoho does not accept the redirect address. This site sent %(sent)s, and the browser came "
        "back to %(came_to)s. Register with the client exactly the address that was sent, or set "
        "ZOHO_CRM['REDIRECT_URI'] to the one that is registered."
    ),
}


def explain(error: Exception, *, center: str, sent: str = "", came_to: str = "") -> str:
    """
    Return what an error of connecting means, and what to do about it.

    :param center: code of the data center that was chosen
    :param sent: the redirect address of the request
    :param came_to: the address to which the browser came back
    """
    code = error.code if isinstance(error, CodedError) else ""
    if code not in TEXTS:
        return str(error)
    known = conf().data_centers.get(center)
    values = {"center": str(known.name) if known else center, "sent": sent, "came_to": came_to}
    return insert_values(TEXTS[code], values)


def other_data_center(error: Exception, *, chosen: str, location: str = "") -> str:
    """
    Return the code of the data center that the account lives in instead; empty if none is named.

    :param location: the data center that Zoho's redirect names
    """
    details = error.details if isinstance(error, CodedError) else {}
    named = str(details.get("data_center") or location)
    return named if named != chosen and named in conf().data_centers else ""
