"""
The table of Zoho's hosts: a host that an answer names is looked up here, and never called itself.

https://www.zoho.com/crm/developer/docs/api/v8/multi-dc.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from zoho_crm.exceptions import GrantRefusedError
from zoho_crm.types import Environment

LOCAL = "local"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, kw_only=True)
class DataCenter:
    """One of Zoho's data centers with its origins."""

    code: str
    name: str
    accounts: str
    production: str
    sandbox: str
    developer: str
    #: Other origins of the API that Zoho's documentation has in token answers.
    also: tuple[str, ...] = ()
    #: URL of the API console, where clients are registered.
    console: str = ""

    def api(self, environment: str) -> str:
        """Return the origin of the API of one environment."""
        origins = {
            Environment.PRODUCTION: self.production,
            Environment.SANDBOX: self.sandbox,
            Environment.DEVELOPER: self.developer,
        }
        return origins[Environment(environment)]

    def owns_api_domain(self, url: str) -> bool:
        """Return whether the ``api_domain`` of a token answer belongs to this data center."""
        return origin_of(url) in {self.production, self.sandbox, self.developer, *self.also}


def _zoho(code: str, name: str, tld: str, *, home: str = "zoho") -> DataCenter:
    return DataCenter(
        code=code,
        name=name,
        accounts=f"https://accounts.{home}.{tld}",
        production=f"https://www.zohoapis.{tld}",
        sandbox=f"https://sandbox.zohoapis.{tld}",
        developer=f"https://developer.zohoapis.{tld}",
        also=(f"https://zohoapis.{tld}", f"https://api.{home}.{tld}"),
        console=f"https://api-console.{home}.{tld}",
    )


DATA_CENTERS: Mapping[str, DataCenter] = {
    center.code: center
    for center in (
        _zoho("us", "United States", "com"),
        _zoho("eu", "Europe", "eu"),
        _zoho("in", "India", "in"),
        _zoho("au", "Australia", "com.au"),
        _zoho("cn", "China", "com.cn"),
        _zoho("jp", "Japan", "jp"),
        _zoho("ca", "Canada", "ca", home="zohocloud"),
        _zoho("sa", "Saudi Arabia", "sa"),
    )
}


def data_centers(local_url: str = "") -> Mapping[str, DataCenter]:
    """
    Return the data centers by code, with ``local`` if a URL on this machine is given.

    :param local_url: origin of a simulator
    """
    origin = origin_of(local_url)
    if not is_local(origin):
        return DATA_CENTERS
    local = DataCenter(
        code=LOCAL,
        name="Local",
        accounts=origin,
        production=origin,
        sandbox=origin,
        developer=origin,
    )
    return {**DATA_CENTERS, LOCAL: local}


def data_center_of_callback(
    accounts_server: str, location: str, local_url: str = ""
) -> DataCenter | None:
    """
    Return the data center that the parameters of a callback name; ``None`` if they name none.

    :raises GrantRefusedError: if the server or the location is not Zoho's, or they name two
        different data centers
    """
    table = data_centers(local_url)
    by_server = {center.accounts: center for center in table.values()}
    named = {by_server.get(origin_of(accounts_server))} if accounts_server else set()
    named |= {table.get(location)} if location else set()
    if None in named or len(named) > 1:
        message = _("The answer names a server that is not one of Zoho's; nothing was sent to it.")
        raise GrantRefusedError(message, code="unknown_server")
    return next(iter(named), None)


def is_local(origin: str) -> bool:
    """Return whether an origin is on this machine."""
    return bool(origin) and urlsplit(origin).hostname in LOOPBACK


def origin_of(url: str) -> str:
    """Return ``scheme://host[:port]`` in lower case; empty if the URL has more than an origin."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc or port == 0:
        return ""
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower()
