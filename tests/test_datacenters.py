"""The table of data centers: hosts in it are found, and no others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoho_crm.datacenters import (
    DATA_CENTERS,
    api_domain_of_token,
    data_center_of_callback,
    data_centers,
    origin_of,
    place_of,
    with_extra,
)
from zoho_crm.exceptions import GrantRefusedError
from zoho_crm.types import Environment

HERE = "http://127.0.0.1:8765"

EXTRA = {"uk": ("accounts.zoho.example", "www.zohoapis.example", "content.zohoapis.example")}

#: Zoho's page: code, accounts server, API of production, sandbox and developer.
DOCUMENTED = {
    "us": ("accounts.zoho.com", "zohoapis.com"),
    "eu": ("accounts.zoho.eu", "zohoapis.eu"),
    "in": ("accounts.zoho.in", "zohoapis.in"),
    "au": ("accounts.zoho.com.au", "zohoapis.com.au"),
    "cn": ("accounts.zoho.com.cn", "zohoapis.com.cn"),
    "jp": ("accounts.zoho.jp", "zohoapis.jp"),
    "ca": ("accounts.zohocloud.ca", "zohoapis.ca"),
    "sa": ("accounts.zoho.sa", "zohoapis.sa"),
}


def test_the_documented_data_centers_are_known_and_no_others() -> None:
    assert DATA_CENTERS.keys() == DOCUMENTED.keys()
    assert data_centers() == DATA_CENTERS


@pytest.mark.parametrize("code", DOCUMENTED)
@pytest.mark.parametrize(
    ("environment", "subdomain"),
    [("production", "www"), ("sandbox", "sandbox"), ("developer", "developer")],
)
def test_a_data_center_answers_at_the_documented_hosts(
    code: str, environment: str, subdomain: str
) -> None:
    accounts, api = DOCUMENTED[code]
    center = DATA_CENTERS[code]

    assert center.accounts == f"https://{accounts}"
    assert center.api(environment) == f"https://{subdomain}.{api}"
    assert center.content == f"https://content.{api}"
    assert center.owns_api_domain(f"https://{subdomain}.{api}")
    assert center.console.startswith("https://api-console.zoho")


def test_an_environment_that_does_not_exist_has_no_host() -> None:
    with pytest.raises(ValueError, match="staging"):
        DATA_CENTERS["eu"].api("staging")


@pytest.mark.parametrize(
    "url", ["https://zohoapis.eu", "https://api.zoho.eu", "HTTPS://WWW.ZOHOAPIS.EU/"]
)
def test_an_api_domain_is_known_in_the_spellings_of_zohos_pages(url: str) -> None:
    assert DATA_CENTERS["eu"].owns_api_domain(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "www.zohoapis.eu",
        "http://www.zohoapis.eu",
        "https://www.zohoapis.com",
        "https://www.zohoapis.eu.evil.example",
        "https://www.zohoapis.eu@evil.example",
        "https://www.zohoapis.eu:8443",
        "https://www.zohoapis.eu/crm",
        "https://evil.example/https://www.zohoapis.eu",
    ],
)
def test_another_api_domain_is_not(url: str) -> None:
    assert not DATA_CENTERS["eu"].owns_api_domain(url)


@pytest.mark.parametrize("code", DOCUMENTED)
def test_a_callback_is_looked_up_by_server_location_or_both(code: str) -> None:
    server = f"https://{DOCUMENTED[code][0]}"

    assert data_center_of_callback(server, code) is DATA_CENTERS[code]
    assert data_center_of_callback(server, "") is DATA_CENTERS[code]
    assert data_center_of_callback("", code) is DATA_CENTERS[code]


def test_a_callback_that_names_nothing_changes_nothing() -> None:
    assert data_center_of_callback("", "") is None


@pytest.mark.parametrize(
    "server", ["https://accounts.zoho.eu/", "HTTPS://ACCOUNTS.ZOHO.EU", "https://Accounts.Zoho.Eu/"]
)
def test_case_and_a_slash_at_the_end_do_not_matter(server: str) -> None:
    assert data_center_of_callback(server, "eu") is DATA_CENTERS["eu"]


@pytest.mark.parametrize(
    ("server", "location"),
    [
        ("https://evil.example", "eu"),
        ("https://evil.example", ""),
        ("https://accounts.zoho.com@evil.example", "us"),
        ("https://accounts.zoho.com:x@evil.example", "us"),
        ("https://evil.example@accounts.zoho.com", "us"),
        ("https://@accounts.zoho.com", "us"),
        ("https://accounts.zoho.com\\@evil.example", "us"),
        ("https://accounts.zoho.com\\.evil.example", "us"),
        ("https://accounts.zoho.com#@evil.example", "us"),
        ("https://accounts.zoho.com?@evil.example", "us"),
        ("https://accounts.zoho.com.evil.example", "us"),
        ("https://accounts.zoho.com.", "us"),
        ("https://accounts.zoho.com:443", "us"),
        ("https://accounts.zoho.com:8443", "us"),
        ("https://accounts.zoho.com:port", "us"),
        ("https://accounts.zoho.com:99999", "us"),
        ("https://accounts.zoho.com/path", "us"),
        ("https://accounts.zoho.com/?next=1", "us"),
        ("http://accounts.zoho.com", "us"),
        ("//accounts.zoho.com", "us"),
        ("accounts.zoho.com", "us"),
        ("javascript:alert(1)", "us"),
        ("https://аccounts.zoho.com", "us"),
        ("https://accounts.zoho.com／", "us"),
        ("https://[::1", "us"),
        ("https://[accounts.zoho.com]", "us"),
        ("https://", "us"),
        ("https:///accounts.zoho.com", "us"),
        (" ", ""),
        ("https://accounts.zoho.eu", "us"),
        ("https://accounts.zoho.com", "eu"),
        ("https://accounts.zoho.com", "local"),
        ("https://accounts.zoho.uk", "uk"),
        ("", "uk"),
        ("", "US"),
        ("", "evil"),
        ("", "local"),
        (HERE, "local"),
    ],
)
def test_a_callback_that_names_anybody_else_is_refused(server: str, location: str) -> None:
    with pytest.raises(GrantRefusedError) as caught:
        data_center_of_callback(server, location)

    assert caught.value.code == "unknown_server"
    assert "nothing was sent" in str(caught.value)
    assert "EXTRA_DATA_CENTERS" in str(caught.value)


@given(server=st.text(min_size=1), location=st.text())
def test_no_text_leads_anywhere_but_into_the_table(server: str, location: str) -> None:
    try:
        found = data_center_of_callback(server, location, data_centers(HERE))
    except GrantRefusedError:
        return

    assert found in data_centers(HERE).values()


@given(
    host=st.sampled_from([accounts for accounts, _api in DOCUMENTED.values()]),
    before=st.text(max_size=5),
    after=st.text(max_size=5),
)
def test_a_known_name_with_something_around_it_is_not_dereferenced(
    host: str, before: str, after: str
) -> None:
    try:
        found = data_center_of_callback(f"https://{before}{host}{after}", "")
    except GrantRefusedError:
        return

    assert found
    assert found.accounts in {center.accounts for center in DATA_CENTERS.values()}


@pytest.mark.parametrize("url", [HERE, f"{HERE}/", "http://localhost:1", "http://[::1]:8765"])
def test_a_local_zoho_has_a_row_of_its_own(url: str) -> None:
    center = data_centers(url)["local"]

    assert center.accounts == center.api("sandbox") == url.rstrip("/")
    assert data_center_of_callback(url, "local", data_centers(url)) == center
    assert center.owns_api_domain(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://zoho.example",
        "https://192.0.2.1",
        "http://127.0.0.1@evil.example",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1:8765/crm",
        "127.0.0.1:8765",
        "ftp://127.0.0.1",
        "http://[::1",
    ],
)
def test_a_local_zoho_elsewhere_has_none(url: str) -> None:
    assert "local" not in data_centers(url)
    with pytest.raises(GrantRefusedError):
        data_center_of_callback("nonsense", "", data_centers(url))


def test_a_plain_origin_keeps_its_port() -> None:
    assert origin_of("HTTP://LocalHost:8765/") == "http://localhost:8765"
    assert origin_of("https://accounts.zoho.eu:0") == ""


@pytest.mark.parametrize("scheme", ["", "https://", "HTTPS://"])
def test_a_newer_data_center_gets_a_row_of_its_own(scheme: str) -> None:
    hosts = [scheme + host for host in EXTRA["uk"]]

    table = data_centers("", {"uk": hosts})

    center = table["uk"]
    assert {*table} == {*DATA_CENTERS, "uk"}
    assert center.accounts == "https://accounts.zoho.example"
    assert center.api("production") == "https://www.zohoapis.example"
    assert center.api("sandbox") == "https://sandbox.zohoapis.example"
    assert center.api("developer") == "https://developer.zohoapis.example"
    assert center.content == "https://content.zohoapis.example"
    assert center.owns_api_domain("https://www.zohoapis.example")
    assert data_center_of_callback(center.accounts, "uk", table) is center
    with pytest.raises(GrantRefusedError):
        data_center_of_callback(center.accounts, "eu", table)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        *((name, {}) for name in ("us", "local", "UK", "u", "u-k", "united kingdom", "a" * 11, "")),
        ("uk", {0: "accounts.zoho.eu"}),
        ("uk", {0: "https://ACCOUNTS.zoho.eu:8443"}),
        ("uk", {1: "www.zohoapis.com"}),
        ("uk", {1: "zohoapis.com"}),
        ("uk", {2: "content.zohoapis.in"}),
        ("uk", {0: "http://accounts.zoho.example"}),
        ("uk", {1: "ftp://www.zohoapis.example"}),
        ("uk", {0: "https://accounts.zoho.example/path"}),
        ("uk", {0: "somebody@accounts.zoho.example"}),
        ("uk", {0: "accounts.zoho.example."}),
        ("uk", {0: "аccounts.zoho.example"}),
        ("uk", {0: "https://[::1"}),
        ("uk", {2: ""}),
        ("uk", {2: None}),
    ],
)
def test_what_cannot_be_a_newer_data_center_is_left_out_with_its_reason(
    name: str, changes: dict[int, str | None]
) -> None:
    given = [changes.get(place, host) for place, host in enumerate(EXTRA["uk"])]
    hosts = [host for host in given if host is not None]

    table, problems = with_extra({name: hosts})

    assert table == data_centers("", {name: hosts}) == DATA_CENTERS
    assert problems[name]


def test_two_newer_data_centers_share_no_host() -> None:
    table, problems = with_extra({"uk": EXTRA["uk"], "ae": EXTRA["uk"]})

    assert "uk" in table
    assert [*problems] == ["ae"]


# Environments


@pytest.mark.parametrize(
    ("answered", "chosen", "found"),
    [
        ("https://www.zohoapis.eu", "https://sandbox.zohoapis.eu", "https://sandbox.zohoapis.eu"),
        ("https://api.zoho.eu", "https://sandbox.zohoapis.com", "https://sandbox.zohoapis.eu"),
        ("https://www.zohoapis.eu", "https://www.zohoapis.com", "https://www.zohoapis.eu"),
        ("https://sandbox.zohoapis.eu", "https://www.zohoapis.eu", "https://sandbox.zohoapis.eu"),
        ("", "https://sandbox.zohoapis.eu", "https://sandbox.zohoapis.eu"),
        ("https://www.zohoapis.eu", "", "https://www.zohoapis.eu"),
        ("https://moon.example", "https://sandbox.zohoapis.eu", "https://moon.example"),
        ("https://api.zoho.eu", "https://moon.example", "https://api.zoho.eu"),
        ("", "", ""),
    ],
)
def test_the_origin_of_production_does_not_tell_the_environment(
    answered: str, chosen: str, found: str
) -> None:
    assert api_domain_of_token(answered, chosen) == found


@pytest.mark.parametrize(
    ("api_domain", "place"),
    [
        ("https://SANDBOX.zohoapis.eu/", ("eu", Environment.SANDBOX)),
        ("https://www.zohoapis.com.au", ("au", Environment.PRODUCTION)),
        ("https://zohoapis.in", ("in", None)),
        ("https://sandbox.zohoapis.eu.example", ("", None)),
        ("", ("", None)),
    ],
)
def test_an_origin_tells_its_place(api_domain: str, place: tuple[str, Environment | None]) -> None:
    assert place_of(api_domain) == place


def test_a_local_zoho_does_not_tell_its_environment() -> None:
    origin = "http://127.0.0.1:8001"

    assert place_of(origin, data_centers(origin)) == ("local", None)
