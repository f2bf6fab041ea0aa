"""Admin pages of saved policies and of API usage."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from tests.admin.pages import Browser, Page
from zoho_crm.matching import Action, DealTemplate
from zoho_crm.models import ApiUsage, Connection, Policy
from zoho_crm.services import usage
from zoho_crm.types import ApiCall

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/zoho_crm/policy/"
USAGE = "/admin/zoho_crm/apiusage/"
DEAL = {"deal": "yes", "deal_name": "{Company}", "deal_stage": "Qualification"}


def add_policy(browser: Browser, **entered: Any) -> Page:
    browser.get(f"{LIST}add/")
    return browser.press("Save", **{"name": "Fairs", **entered})


def test_a_policy_is_saved_with_all_that_it_says(browser: Browser) -> None:
    add_policy(
        browser,
        on_no_match="skip",
        on_one_match="attach",
        on_several_matches="most_recently_active",
        **DEAL,
        deal_closing_days="7",
        owner="4711",
        tags=["Contacts"],
        attachments="Deals",
        notify_new_owner="yes",
    )

    policy = Policy.objects.get().as_value()
    assert policy.name == "Fairs"
    assert (policy.on_no_match, policy.on_one_match) == (Action.SKIP, Action.ATTACH)
    assert policy.on_several_matches == Action.MOST_RECENTLY_ACTIVE
    assert policy.deal == DealTemplate(name="{Company}", stage="Qualification", closing_days=7)
    assert (policy.owner_id, policy.tags_to) == ("4711", ("Contacts",))
    assert (policy.attachments_to, policy.notify_new_owner) == ("Deals", True)


def test_a_new_policy_is_careful_at_first(browser: Browser) -> None:
    add_policy(browser)

    policy = Policy.objects.get().as_value()
    assert (policy.on_no_match, policy.on_one_match) == (Action.CREATE, Action.REVIEW)
    assert policy.deal is None


@pytest.mark.slow
def test_a_policy_is_changed_field_by_field(browser: Browser) -> None:
    add_policy(browser, **DEAL, deal_amount="5.00", tags=["Deals"], owner="4711")
    policy = Policy.objects.get()
    browser.get(f"{LIST}{policy.pk}/change/")

    browser.press("Save", owner="", name="All fairs")

    changed = Policy.objects.get().as_value()
    before = policy.as_value()
    assert (changed.name, changed.owner_id) == ("All fairs", "")
    assert (changed.deal, changed.tags_to) == (before.deal, before.tags_to)


def test_the_list_tells_what_policies_do(browser: Browser) -> None:
    add_policy(browser, on_no_match="skip")

    page = browser.get(LIST)

    assert "Nothing matches: the lead is left out. One contact matches: a person" in page.text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entered", "message"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "careful"}, "This name belongs to a policy that comes with the app."),
        ({"on_no_match": "attach"}, "Select a valid choice."),
        ({"deal": "yes"}, "A deal needs this."),
        ({"deal_stage": "x"}, "Choose one for each lead, or leave its entries empty."),
        ({"owner": "Pat"}, "This is no id: a number of up to 19 digits."),
        ({"owner_for_inactive": "Pat"}, "This is no id: a number of up to 19 digits."),
        ({**DEAL, "deal_contact_role": "x"}, "This is no id: a number of up to 19 digits."),
        ({"tags": ["Deals"]}, "There will be no deal."),
        ({"attachments": "Deals"}, "There will be no deal."),
        ({**DEAL, "deal_closing_days": "-1"}, "greater than or equal to 0"),
    ],
)
def test_a_policy_that_makes_no_sense_is_not_saved(
    entered: dict[str, Any], message: str, browser: Browser
) -> None:
    page = add_policy(browser, **entered)

    assert message in page.text
    assert not Policy.objects.exists()


def test_two_policies_cannot_have_one_name(browser: Browser) -> None:
    add_policy(browser)

    page = add_policy(browser)

    assert "already exists" in page.text
    assert Policy.objects.count() == 1


def test_use_of_the_api_is_listed_and_changed_by_nobody(
    browser: Browser, connection: Connection
) -> None:
    ApiUsage.objects.all().delete()
    usage.record(
        connection.pk, [ApiCall("convert"), ApiCall("convert", was_refused=True), ApiCall("other")]
    )
    row = ApiUsage.objects.get(kind="convert")

    page = browser.get(USAGE)

    assert "conversion of a lead 2 10 1" in page.text
    assert f"{ApiUsage.objects.count()} uses of the API" in page.text
    assert f"{timezone.now():%Y-%m-%d}" in page.html
    assert not browser.get(f"{USAGE}{row.pk}/change/").has_button("Save")
    browser.get(f"{USAGE}add/")
    assert browser.status == 403
