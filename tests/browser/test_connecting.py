"""An administrator connects the site to Zoho in four steps: by consent, by a code, simulated."""

from __future__ import annotations

from django.urls import reverse
from playwright.sync_api import Page, Route, expect

from tests.browser.pages import button_to, submit, success, warning
from zoho_crm.models import AuthorizationRequest, Connection
from zoho_crm.simulator import Simulator

CONNECT = reverse("admin:zoho_crm_connection_connect")
HOME = reverse("admin:zoho_crm_connection_changelist")
CALLBACK = reverse("zoho_crm:callback")
GOOD_CHECKS = ".zoho-blocks .zoho-good"


def to_third_step(page: Page, how: str) -> None:
    """From the list of connections do the first two steps."""
    page.goto(HOME)
    page.locator(f"#content a[href*='{CONNECT}']").first.click()
    page.locator(f"[name=how][value={how}]").check()
    submit(page)
    expect(page.locator("[name=client_secret]")).to_be_visible()
    submit(page)


def go_to_zoho(page: Page) -> None:
    """Do the first three steps by web sign-in; Zoho's question is open then."""
    to_third_step(page, "web")
    submit(page)
    expect(page.get_by_role("button", name="Accept")).to_be_visible()


def exchanged_codes(zoho: Simulator) -> int:
    return int(zoho.stats()["tokens"]["exchanged"])


def test_a_consent_connects_the_site(page: Page, zoho: Simulator) -> None:
    go_to_zoho(page)
    page.get_by_role("button", name="Accept").click()
    expect(success(page)).to_contain_text(zoho.organisation.name)
    expect(page.locator(GOOD_CHECKS)).to_have_count(7)

    page.locator("[name=name]").fill("Main office")
    submit(page)

    expect(success(page)).to_contain_text("Main office")
    connection = Connection.objects.get()
    assert (connection.status, connection.is_default) == (Connection.Status.ACTIVE, True)
    page.goto(HOME)
    expect(page.locator("#result_list")).to_contain_text("Main office")


def test_a_consent_that_is_rejected_connects_nothing_and_can_be_asked_for_again(
    page: Page, zoho: Simulator
) -> None:
    go_to_zoho(page)
    page.get_by_role("button", name="Reject").click()
    expect(warning(page)).to_be_visible()
    assert not Connection.objects.exists()
    assert exchanged_codes(zoho) == 0

    submit(page)
    page.get_by_role("button", name="Accept").click()

    expect(success(page)).to_contain_text(zoho.organisation.name)


def test_an_answer_from_another_data_center_connects_nothing_and_offers_to_switch(
    page: Page, zoho: Simulator
) -> None:
    def answer_from_europe(route: Route) -> None:
        answer = route.fetch(max_redirects=0)
        location = answer.headers["location"].replace("location=local", "location=eu")
        assert location != answer.headers["location"]
        route.fulfill(response=answer, headers={**answer.headers, "location": location})

    go_to_zoho(page)
    page.route("**/oauth/v2/consent", answer_from_europe)
    page.get_by_role("button", name="Accept").click()
    expect(warning(page)).to_be_visible()
    assert not Connection.objects.exists()
    assert exchanged_codes(zoho) == 0

    page.locator("[role=alert] a.button").click()

    expect(page.locator("[name=data_center]")).to_have_value("eu")


def test_an_answer_counts_once(page: Page, zoho: Simulator) -> None:
    go_to_zoho(page)
    with page.expect_request(f"**{CALLBACK}?*") as callback:
        page.get_by_role("button", name="Accept").click()
    expect(success(page)).to_be_visible()

    page.goto(callback.value.url)

    expect(warning(page)).to_be_visible()
    assert exchanged_codes(zoho) == 1
    assert Connection.objects.get().status == Connection.Status.ACTIVE
    assert AuthorizationRequest.objects.filter(used_at=None).count() == 0


def test_a_code_of_a_self_client_connects_the_site(page: Page, zoho: Simulator) -> None:
    to_third_step(page, "self")
    page.locator("[name=code]").fill("1000.mistyped")
    submit(page)
    expect(page.locator(".errorlist").first).to_be_visible()
    expect(page.locator("[name=code]")).to_have_value("")

    page.locator("[name=code]").fill(zoho.grant_code())
    submit(page)

    expect(success(page)).to_contain_text(zoho.organisation.name)
    expect(page.locator(GOOD_CHECKS)).to_have_count(7)
    assert Connection.objects.get().status == Connection.Status.ACTIVE


def test_the_simulator_is_connected_with_one_click(page: Page, zoho: Simulator) -> None:
    page.goto(HOME)

    button_to(page, "add_simulator").click()

    expect(success(page)).to_contain_text(zoho.organisation.name)
    expect(page.locator(GOOD_CHECKS)).to_have_count(7)


def test_what_is_to_be_registered_is_copied_with_a_button(page: Page, zoho: Simulator) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{CONNECT}?step=client&how=web&data_center=us&environment=production")

    page.get_by_role("button", name="Copy the redirect URI").click()

    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.endswith(CALLBACK)


def test_a_connection_whose_token_was_revoked_is_connected_again(
    page: Page, connection: Connection, zoho: Simulator
) -> None:
    for token in list(zoho.world.grants.refresh_tokens):
        zoho.world.grants.revoke(token)
    page.goto(reverse("admin:zoho_crm_connection_change", args=[connection.pk]))
    button_to(page, "test").click()
    expect(warning(page)).to_be_visible()
    connection.refresh_from_db()
    assert connection.status == Connection.Status.NEEDS_RECONNECT

    page.locator("form[action='/zoho/oauth/connect/'] button").first.click()
    page.get_by_role("button", name="Accept").click()

    expect(success(page)).to_contain_text(connection.name)
    button_to(page, "test").click()
    expect(success(page)).to_be_visible()
    connection.refresh_from_db()
    assert connection.status == Connection.Status.ACTIVE
