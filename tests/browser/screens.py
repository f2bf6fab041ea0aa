"""Every screen: its address on the seeded site, and what is done there before one looks at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.urls import reverse
from playwright.sync_api import Page, expect

from tests.browser.pages import step_button, submit
from tests.browser.seeded import Site, action_page
from zoho_crm.models import Connection

Act = Callable[[Page], None]


@dataclass(frozen=True)
class Screen:
    """A page in the state that is to be looked at."""

    path: Callable[[Site], str]
    act: Act | None = None
    #: The name of the URL, if it is in the admin.
    url_name: str = ""
    is_signed_in: bool = True
    expected_status: int = 200


def _admin(name: str, *of: str, query: str = "", act: Act | None = None) -> Screen:
    """Return the screen of an admin page; ``of`` leads from the site to its record."""

    def path(site: Site) -> str:
        args = [_record(site, of)] if of else []
        return reverse(f"admin:{url_name}", args=args) + query

    url_name = f"zoho_crm_{name}"
    return Screen(path, act, url_name)


def _record(site: Site, of: tuple[str, ...]) -> int:
    found = getattr(site, of[0])
    if len(of) > 1:
        found = found[of[1]]
    return int(found.pk)


def _lead(page: str, name: str, **more: Act) -> Screen:
    return _admin(f"leadconversion_{page}", "leads", name, **more)


def _run(page: str, name: str, **more: Any) -> Screen:
    return _admin(f"massconversion_{page}", "runs", name, **more)


def _wizard(step: str, how: str, *, found: str = "", **more: Act) -> Screen:
    """Return the screen of a step of the wizard that connects."""
    answers = {"how": how, "data_center": "local", "environment": "production"}
    query = urlencode({"step": step, **answers, **({"found": found} if found else {})})
    return _admin("connection_connect", query=f"?{query}", **more)


def _enter_half_a_client(page: Page) -> None:
    page.locator("[name=client_id]").fill("1000.X")
    _submit_wrongly(page)


def _look(page: Page) -> None:
    for name in ("contact", "account"):
        page.locator(f"input[name={name}]:enabled").first.check()
    step_button(page, "look").click()
    expect(step_button(page, "convert")).to_be_visible()


def _submit_wrongly(page: Page) -> None:
    submit(page)
    expect(page.locator(".errorlist").first).to_be_visible()


def _decide_wrongly(page: Page) -> None:
    page.locator("[name=deal]").check()
    step_button(page, "look").click()
    expect(page.locator(".errorlist").first).to_be_visible()


#: The cause for which a lead of the finished run was refused, as a parameter.
NO_STAGE = {"cause": "status=FAILED&code=MANDATORY_NOT_FOUND&detail=Stage"}


def _estimate(page: Page) -> None:
    page.locator("[name=ids]").fill("5000000000001")
    step_button(page, "estimate").click()
    expect(page.locator("#estimate[role=status]")).to_be_visible()


def _prepare_wrongly(page: Page) -> None:
    step_button(page, "prepare").click()
    expect(page.locator(".errorlist").first).to_be_visible()


def _count_wrongly(page: Page) -> None:
    page.locator("[name=count]").fill("1")
    _submit_wrongly(page)


def _open_the_several(page: Page) -> None:
    lead = page.locator("tbody[data-lead]", has=page.locator("button[value*=':contact:']")).last
    lead.locator("summary").click()
    lead.locator("input[name=row]").check()
    expect(lead.locator("button[name=one]").first).to_be_visible()


def _decide_all(page: Page) -> None:
    page.locator("[name=action]").select_option("attach")
    page.locator("[name=scope]").select_option("matching")
    page.locator("form#zoho-review .zoho-decide-bar button:not([name])").click()
    expect(page.locator(".submit-row input[type=submit]")).to_be_visible()


def _go_to_zoho(page: Page) -> None:
    page.locator(f"form[action='{reverse('zoho_crm:connect')}'] [type=submit]").click()
    expect(page.get_by_role("button", name="Accept")).to_be_visible()


BROWSER = "admin:zoho_crm_zoholead_changelist"


def _browser(query: str = "", act: Act | None = None) -> Screen:
    """Return the screen of the lead browser with a filter."""
    return _admin("zoholead_changelist", query=query, act=act)


def _open_columns(page: Page) -> None:
    page.locator("summary").click()


def _prepare_ticked(page: Page) -> None:
    page.locator("[data-tick-all] input").check()
    page.locator("[name=action][value=prepare]").click()
    expect(page.locator("[name=policy]")).to_be_visible()


def _check_matches(page: Page) -> None:
    page.locator("[name=action][value=check_matches]").click()
    expect(page.locator(".submit-row input[type=submit]")).to_be_visible()


def _other_connection(site: Site) -> int:
    return int(Connection.objects.exclude(pk=site.connection.pk).get().pk)


SCREENS: dict[str, Screen] = {
    "overview": Screen(lambda site: reverse("admin:app_list", args=["zoho_crm"])),
    "connections": _admin("connection_changelist"),
    "connection": _admin("connection_change", "connection"),
    "connection-history": _admin("connection_history", "connection"),
    "connect": _admin("connection_connect"),
    "connect-client": _wizard("client", "web"),
    "connect-client-wrong": _wizard("client", "self", act=_enter_half_a_client),
    "connect-consent": _wizard("consent", "web"),
    "connect-switch": _wizard("consent", "web", found="eu"),
    "connect-code": _wizard("consent", "self"),
    "connect-code-wrong": _wizard("consent", "self", act=_submit_wrongly),
    "connect-result": _admin("connection_result", "connection"),
    "connect-result-bad": _admin("connection_result", "other"),
    "simulator": _admin("connection_simulator", "connection"),
    "consent": _wizard("consent", "web", act=_go_to_zoho),
    "disconnect": _admin("connection_disconnect", "connection"),
    "forget": _admin("connection_forget", "connection"),
    "tokens": _admin("token_changelist"),
    "token": _admin("token_change", "token"),
    "token-default": _admin("token_default", "token"),
    "token-disconnect": _admin("token_disconnect", "token"),
    "token-history": _admin("token_history", "token"),
    "connection-events": _admin("connectionevent_changelist"),
    "connection-event": _admin("connectionevent_change", "event"),
    "connection-event-history": _admin("connectionevent_history", "event"),
    "usage": _admin("apiusage_changelist"),
    "usage-of-an-hour": _admin("apiusage_change", "usage"),
    "usage-history": _admin("apiusage_history", "usage"),
    "policies": _admin("policy_changelist"),
    "policy": _admin("policy_change", "policy"),
    "policy-new": _admin("policy_add"),
    "policy-delete": _admin("policy_delete", "policy"),
    "policy-history": _admin("policy_history", "policy"),
    "leads": _admin("leadconversion_changelist"),
    "leads-none": _admin("leadconversion_changelist", query="?q=none"),
    "lead-history": _lead("history", "done"),
    "lead-look-up": _admin("leadconversion_preview"),
    "lead-look-up-wrong": _admin("leadconversion_preview", act=_submit_wrongly),
    **{
        f"lead-{name.replace(' ', '-').replace('_', '-')}": _lead("change", name)
        for name in ("several", "done", "refused", "in doubt", "needs a person", "hostile")
    },
    **{
        f"decide-{name.replace('_', '-')}": _lead("decide", name)
        for name in ("no_match", "one_match", "several", "unapproved", "hostile", "done", "locked")
    },
    "decide-wrong": _lead("decide", "several", act=_decide_wrongly),
    "confirm": _lead("decide", "several", act=_look),
    "close": _lead("close", "needs a person"),
    "lead-browser": _browser(),
    "lead-browser-filter": _browser("?status=Contacted&text=none", act=_open_columns),
    "lead-browser-converted": _browser("?view=converted"),
    "lead-browser-wrong": _browser("?created_from=2026-02-01&created_until=2026-01-01"),
    "lead-browser-lost": Screen(
        lambda site: f"{reverse(BROWSER)}?connection={_other_connection(site)}"
    ),
    "lead-browser-check": _browser(act=_check_matches),
    "lead-browser-run": _browser(act=_prepare_ticked),
    "runs": _admin("massconversion_changelist"),
    "run-prepare": _admin("massconversion_prepare"),
    "run-prepare-wrong": _admin("massconversion_prepare", act=_prepare_wrongly),
    **{
        f"run-{name.replace(' ', '-')}": _run("change", name)
        for name in ("to be decided", "under way", "finished", "paused", "cancelled")
    },
    "run-review": _run("decide", "to be decided"),
    "run-review-open": _run("decide", "to be decided", act=_open_the_several),
    "run-review-errors": _run("decide", "to be decided", query="?decision=error"),
    "run-review-sample": _run("decide", "to be decided", query="?verdict=ONE_MATCH&sample=7"),
    "run-review-none": _run("decide", "to be decided", query="?q=nobody"),
    "run-decide-all": replace(
        _run("decide", "to be decided", act=_decide_all),
        url_name="zoho_crm_massconversion_decide_all",
    ),
    "run-start": _run("start", "to be started"),
    "run-start-wrong": _run("start", "to be started", act=_count_wrongly),
    "run-set-in-policy": _run("set_in_policy", "finished", query=f"?{urlencode(NO_STAGE)}"),
    "run-finished-of-a-cause": _run("change", "finished", query=f"?{urlencode(NO_STAGE)}#leads"),
    "run-estimate": _admin("massconversion_prepare", act=_estimate),
    "run-cancel": _run("cancel", "to be started"),
    "run-history": _run("history", "to be started"),
    "outbox": _admin("outboxrecord_changelist"),
    **{
        f"outbox-{name}": _admin("outboxrecord_change", "pushes", name)
        for name in ("sent", "refused", "known")
    },
    "outbox-decide-refused": _admin("outboxrecord_decide", "pushes", "refused"),
    "outbox-decide-known": _admin("outboxrecord_decide", "pushes", "known"),
    "outbox-history": _admin("outboxrecord_history", "pushes", "refused"),
    "connected": Screen(
        lambda site: reverse("zoho_crm:connected", args=[site.connection.pk]),
    ),
    "signed-out": Screen(
        lambda site: reverse("zoho_crm:callback"), is_signed_in=False, expected_status=403
    ),
}


def _actions() -> dict[str, Screen]:
    """Return the pages of the actions of all lists, for all rows of the list."""
    found = {}
    for model, pages in admin.site._registry.items():
        of = f"{model._meta.app_label}_{model._meta.model_name}"
        for action in getattr(pages, "list_actions", ()):
            path = partial(_action_path, list_name=f"{of}_changelist", action=action.name)
            screen = Screen(path, url_name=f"{of}_action_{action.name}")
            found[f"action-{model._meta.model_name}-{action.name.replace('_', '-')}"] = screen
    return found


def _action_path(site: Site, *, list_name: str, action: str) -> str:
    return action_page(site, reverse(f"admin:{list_name}"), action)


SCREENS |= _actions()

#: Addresses of the admin that only take a POST, or are a file or a part of a page.
NO_SCREENS = {
    "zoho_crm_connection_test",
    "zoho_crm_connection_add_simulator",
    "zoho_crm_connection_refresh",
    "zoho_crm_leadconversion_settle",
    "zoho_crm_massconversion_pause",
    "zoho_crm_massconversion_resume",
    "zoho_crm_massconversion_retry",
    "zoho_crm_massconversion_leave_out",
    "zoho_crm_massconversion_check",
    "zoho_crm_massconversion_export",
    "zoho_crm_massconversion_export_json",
    "zoho_crm_massconversion_export_review",
    "zoho_crm_massconversion_export_changes",
    "zoho_crm_massconversion_export_before",
    "zoho_crm_massconversion_progress",
}
