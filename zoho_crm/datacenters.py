"""
The table of Zoho's hosts: a host that an answer names is looked up here, and never called itself.

https://www.zoho.com/crm/developer/docs/api/v8/multi-dc.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy

from zoho_crm.exceptions import GrantRefusedError
from zoho_crm.types import Environment, ValueObject

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

LOCAL = "local"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

#: Names of further data centers; ``Connection.data_center`` has ten characters.
_NAME = re.compile(r"[a-z0-9]{2,10}")
_HTTPS_ORIGIN = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]+)?")


class DataCenter(ValueObject):
    """One of Zoho's data centers with its origins."""

    code: str
    name: StrPromise | str
    accounts: str
    production: str
    sandbox: str
    developer: str
    #: Origin for uploads and downloads of files.
    content: str
    #: Other origins of the API that Zoho's documentation has in token answers.
    also: tuple[str, ...] = ()
    #: URL of the API console, where clients are registered.
    console: str = ""
    #: Origins of the pages of Zoho CRM that people use; empty where they are not known.
    crm: str = ""
    crm_sandbox: str = ""

    def api(self, environment: str) -> str:
        """Return the origin of the API of one environment."""
        origins = {
            Environment.PRODUCTION: self.production,
            Environment.SANDBOX: self.sandbox,
            Environment.DEVELOPER: self.developer,
        }
        return origins[Environment(environment)]

    def pages(self, environment: str) -> str:
        """Return the origin of Zoho CRM's own pages for one environment; empty if not known."""
        origins = {Environment.PRODUCTION: self.crm, Environment.SANDBOX: self.crm_sandbox}
        return origins.get(Environment(environment), "")

    def environments_of(self, url: str) -> tuple[Environment, ...]:
        """
        Return the environments whose API this URL may be the origin of, production first.

        It is one of Zoho's own origins; all for those in ``also``, which name the data center only,
        and for that of a local Zoho, which has one for all.
        """
        origin = origin_of(url)
        if origin in self.also:
            return tuple(Environment)
        return tuple(each for each in Environment if self.api(each) == origin)

    def owns_api_domain(self, url: str) -> bool:
        """Return whether the ``api_domain`` of a token answer belongs to this data center."""
        return bool(self.environments_of(url))

    @property
    def origins(self) -> frozenset[str]:
        """All origins that get this data center's tokens or client secrets."""
        apis = {self.production, self.sandbox, self.developer, self.content}
        return frozenset({self.accounts, *apis, *self.also})


def _zoho(code: str, name: StrPromise, tld: str, *, home: str = "zoho") -> DataCenter:
    return DataCenter(
        code=code,
        name=name,
        accounts=f"https://accounts.{home}.{tld}",
        production=f"https://www.zohoapis.{tld}",
        sandbox=f"https://sandbox.zohoapis.{tld}",
        developer=f"https://developer.zohoapis.{tld}",
        content=f"https://content.zohoapis.{tld}",
        also=(f"https://zohoapis.{tld}", f"https://api.{home}.{tld}"),
        console=f"https://api-console.{home}.{tld}",
        crm=f"https://crm.{home}.{tld}",
        crm_sandbox=f"https://crmsandbox.{home}.{tld}",
    )


DATA_CENTERS: Mapping[str, DataCenter] = {
    center.code: center
    for center in (
        _zoho("us", gettext_lazy("United States"), "com"),
        _zoho("eu", gettext_lazy("Europe"), "eu"),
        _zoho("in", gettext_lazy("India"), "in"),
        _zoho("au", gettext_lazy("Australia"), "com.au"),
        _zoho("cn", gettext_lazy("China"), "com.cn"),
        _zoho("jp", gettext_lazy("Japan"), "jp"),
        _zoho("ca", gettext_lazy("Canada"), "ca", home="zohocloud"),
        _zoho("sa", gettext_lazy("Saudi Arabia"), "sa"),
    )
}


def data_centers(
    local_url: str = "", extra: Mapping[str, Sequence[str]] | None = None
) -> Mapping[str, DataCenter]:
    """
    Return the data centers by code, with ``local`` if a URL on this machine is given.

    :param local_url: origin of a simulator
    :param extra: accounts, API and content host of further data centers, by name; one with a
        problem is left out
    """
    table, _problems = with_extra(extra or {})
    origin = origin_of(local_url)
    return {**table, LOCAL: _local(origin)} if is_local(origin) else table


def with_extra(
    extra: Mapping[str, Sequence[str]],
) -> tuple[Mapping[str, DataCenter], Mapping[str, StrPromise]]:
    """
    Return the table with further data centers, and why others cannot be added, by name.

    :param extra: accounts, API and content host by name, each a host name or an ``https`` origin
    """
    table, problems = dict(DATA_CENTERS), {}
    for name, hosts in extra.items():
        if problem := _problem_of_extra(name, hosts, table):
            problems[name] = problem
        else:
            table[name] = _extra(name, hosts)
    return table, problems


def _local(origin: str) -> DataCenter:
    return DataCenter(
        code=LOCAL,
        name=gettext_lazy("Local"),
        accounts=origin,
        production=origin,
        sandbox=origin,
        developer=origin,
        content=origin,
    )


def _problem_of_extra(
    name: str, hosts: Sequence[str], known: Mapping[str, DataCenter]
) -> StrPromise | None:
    if name in known or not _NAME.fullmatch(name) or name == LOCAL:
        return gettext_lazy("its name is taken, or is not 2 to 10 lower-case letters or digits")
    if len(hosts) != 3 or not all(map(_https_origin, hosts)):
        return gettext_lazy(
            "it needs three hosts: accounts, api, content; https only, without a path"
        )
    taken = {host_of(origin) for center in known.values() for origin in center.origins}
    if taken.intersection(map(host_of, _extra(name, hosts).origins)):
        return gettext_lazy("one of its hosts belongs to another data center")
    return None


def _extra(name: str, hosts: Sequence[str]) -> DataCenter:
    accounts, api, content = map(_https_origin, hosts)
    domain = api.removeprefix("https://").removeprefix("www.")
    return DataCenter(
        code=name,
        name=name.upper(),
        accounts=accounts,
        production=api,
        sandbox=f"https://sandbox.{domain}",
        developer=f"https://developer.{domain}",
        content=content,
    )


def _https_origin(host: str) -> str:
    """Return the origin of a host name or URL; empty if it is not one of ``https``."""
    origin = origin_of(host if "://" in host else f"https://{host}")
    return origin if _HTTPS_ORIGIN.fullmatch(origin) else ""


def data_center_of_callback(
    accounts_server: str, location: str, table: Mapping[str, DataCenter] = DATA_CENTERS
) -> DataCenter | None:
    """
    Return the data center that the parameters of a callback name; ``None`` if they name none.

    :param table: the known data centers by code
    :raises GrantRefusedError: if the server or the location is not in the table, or they name two
        different data centers
    """
    by_server = {center.accounts: center for center in table.values()}
    named = {by_server.get(origin_of(accounts_server))} if accounts_server else set()
    named |= {table.get(location)} if location else set()
    if None in named or len(named) > 1:
        raise GrantRefusedError(code="unknown_server")
    return next(iter(named), None)


def places_of(
    api_domain: str, table: Mapping[str, DataCenter] = DATA_CENTERS
) -> list[tuple[DataCenter, Environment]]:
    """
    Return the data center and the environments that an origin of the API may be of.

    :param table: the known data centers by code
    :return: empty if the origin is in no data center
    """
    return [
        (center, environment)
        for center in table.values()
        for environment in center.environments_of(api_domain)
    ]


def place_of(
    api_domain: str, table: Mapping[str, DataCenter] = DATA_CENTERS
) -> tuple[str, Environment | None]:
    """Return the code of an origin's data center, and its environment, if it tells them."""
    places = places_of(api_domain, table)
    environment = places[0][1] if len(places) == 1 else None
    return (places[0][0].code if places else ""), environment


def api_domain_of_token(
    answered: str, chosen: str, table: Mapping[str, DataCenter] = DATA_CENTERS
) -> str:
    """
    Return the origin of the API that a token is for.

    Whether the answer to a token request names the origin of a sandbox is not documented. So the
    origin of production does not tell the environment, only the data center; then the environment
    is the one that the program has chosen.

    :param answered: ``api_domain`` of the answer, or empty
    :param chosen: origin of the API that the program was to call, or empty
    """
    places = places_of(answered, table)
    environments = {environment for _center, environment in places_of(chosen, table)}
    if not places or len(environments) != 1:
        return answered or chosen
    center, environment = places[0]
    return center.api(environments.pop()) if environment is Environment.PRODUCTION else answered


def is_local(origin: str) -> bool:
    """Return whether an origin is on this machine."""
    return bool(origin) and host_of(origin) in LOOPBACK


def host_of(origin: str) -> str:
    """Return the host name of an origin, without its port."""
    return urlsplit(origin).hostname or ""


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
