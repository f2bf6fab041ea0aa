"""The outbox in the admin: its list, the page of a record, and the decisions of a person."""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from tests import messages
from tests.admin.actions import action_names, choose, choose_all
from tests.admin.pages import Browser, check_mark_up, check_tables
from tests.clock import pass_time
from tests.services.outbox import Push, records, run_until_nothing_is_due
from zoho_crm.models import Connection, OutboxRecord
from zoho_crm.services import outbox, work
from zoho_crm.services.outbox import many
from zoho_crm.shortcuts import push_record
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)

ADMIN = "/admin/zoho_crm/"
LIST = f"{ADMIN}outboxrecord/"
VIEW, RESOLVE, PAYLOAD = (
    *("view_outboxrecord", "resolve_outboxrecord", "view_payload_outboxrecord"),
)
EMAIL = "f@nordwind.example"
FROST = {"Last_Name": "Frost", "Company": "Quenby Works", "Email": EMAIL}
BUTTONS = ("Update this contact", "Create anyway", "Send again", "It is at Zoho", "Leave out")
WORD = "W" * 30_000


@pytest.fixture
def push(connection: Connection) -> Push:
    return partial(push_record, connection=connection, wake=False)


@pytest.fixture
def contact(zoho: Simulator) -> str:
    """A contact with the address, by id."""
    values = {"Last_Name": "Frost", "First_Name": "Ada", "Email": EMAIL}
    return zoho.organisation.add("Contacts", values).id


@pytest.fixture
def held(push: Push, connection: Connection, contact: str) -> OutboxRecord:
    """A lead whose person Zoho knows, so that somebody has to decide."""
    return worked(push("upsert", "Leads", FROST, key="enquiry:17"))


@pytest.fixture
def refused(push: Push, zoho: Simulator) -> OutboxRecord:
    """A contact that Zoho refuses, as another one has its telephone number."""
    zoho.organisation.unique["Contacts"] = ["Phone"]
    zoho.organisation.add("Contacts", {"Last_Name": "Old", "Phone": "7"})
    return worked(push("create", "Contacts", {"Last_Name": "B", "Phone": "7"}, key="person:1"))


@pytest.fixture
def doubtful(push: Push, zoho: Simulator, connection: Connection) -> OutboxRecord:
    """A contact that was created at Zoho, but no answer came, and nothing can prove it."""
    zoho.fail("insert", "close_after")
    row = push("create", "Contacts", {"Last_Name": "Doubt"}, key="person:2")
    run_until_nothing_is_due(connection, partial(pass_time, zoho))
    row.refresh_from_db()
    assert (row.status, row.in_doubt) == ("NEEDS_REVIEW", True)
    return row


def worked(row: OutboxRecord) -> OutboxRecord:
    """Work the connection of a row for one slice, and read the row again."""
    work.work(connection_id=row.connection_id)
    row.refresh_from_db()
    return row


def page_of(row: OutboxRecord, name: str = "change") -> str:
    return f"{LIST}{row.pk}/{name}/"


def store(connection: Connection, count: int, **columns: Any) -> list[OutboxRecord]:
    """Store rows without pushing them."""
    first = OutboxRecord.objects.count()
    given = {"action": "update", "module": "Leads", "values": {"Phone": "1"}, **columns}
    OutboxRecord.objects.bulk_create(
        OutboxRecord(connection=connection, key=f"k:{first + number}", **given)
        for number in range(count)
    )
    return list(OutboxRecord.objects.order_by("pk")[first:])


# The list and the page of a record


def test_the_list_says_what_which_record_and_why(browser: Browser, refused: OutboxRecord) -> None:
    page = browser.get(LIST)

    check_mark_up(page)
    assert page.links["Contacts (create)"] == page_of(refused)
    assert "person:1" in page.text
    assert "✗ refused" in page.text
    assert refused.error_message in page.text
    assert "field Phone" in page.text
    assert "just now" in page.text or "ago" in page.text


def test_the_list_says_which_rows_wait_for_another(
    browser: Browser, held: OutboxRecord, push: Push
) -> None:
    waits = "It waits for an earlier one of its key."
    assert waits not in browser.get(LIST).text

    push("upsert", "Leads", {"Last_Name": "Frost"}, key=held.key)

    assert browser.get(LIST).text.count(waits) == 1


def test_the_list_is_filtered_and_searched(
    browser: Browser, refused: OutboxRecord, push: Push, connection: Connection
) -> None:
    sent = worked(push("create", "Leads", {"Last_Name": "A", "Company": "B"}, key="enquiry:3"))
    branch = Connection.objects.create(name="Branch", data_center="local", org_id="2")
    (elsewhere,) = store(branch, 1, module="Deals")
    rows = {refused.key: refused, sent.key: sent, elsewhere.key: elsewhere}

    for query, shown in {
        "status__exact=REFUSED": [refused],
        "module=Leads": [sent],
        f"connection__id__exact={branch.pk}": [elsewhere],
        "q=enquiry": [sent],
        "q=son:1": [refused],
        f"q={sent.record_id}": [sent],
        "q=nothing": [],
    }.items():
        page = browser.get(f"{LIST}?{query}")
        assert browser.url == f"{LIST}?{query}"
        found = [row for key, row in rows.items() if f">{key}<" in page.html]
        assert found == shown, query


def test_the_list_takes_as_many_queries_for_many_rows(
    browser: Browser, refused: OutboxRecord
) -> None:
    browser.get(LIST)
    with CaptureQueriesContext(database) as for_one:
        browser.get(LIST)
    store(refused.connection, 45, status="REFUSED", error_code="X", record_id="1" * 18)

    with CaptureQueriesContext(database) as for_many:
        page = browser.get(LIST)

    assert len(for_many) == len(for_one)
    assert len(page.html) < 300_000
    assert not any("known_people" in query["sql"] for query in for_many.captured_queries)


def test_the_page_of_a_record_has_its_reason_and_its_journal(
    browser: Browser, refused: OutboxRecord
) -> None:
    page = browser.get(page_of(refused))

    check_mark_up(page)
    assert "Outgoing record: Contacts person:1 (create)" in page.text
    assert refused.error_message in page.text
    assert "field Phone" in page.text
    assert "DUPLICATE_DATA" in page.text
    assert page.text.count("being sent") >= 2  # from, and to
    assert page.links["Decide…"] == page_of(refused, "decide")


def test_values_are_for_those_who_may_see_them(
    browser_as: Callable[..., Browser], held: OutboxRecord
) -> None:
    without = browser_as(VIEW).get(page_of(held))
    assert not any(word in without.html for word in (EMAIL, "Quenby Works", "Ada Frost"))
    assert "Known at Zoho" not in without.text
    assert "Zoho knows this person already" in without.text

    having = browser_as(VIEW, PAYLOAD).get(page_of(held))
    assert all(word in having.text for word in (EMAIL, "Quenby Works", "Known at Zoho"))
    assert not any(having.has_button(button) for button in BUTTONS)

    listed = browser_as(VIEW, PAYLOAD).get(LIST)
    assert EMAIL not in listed.html


def test_a_value_that_does_not_fit_is_shown_to_those_who_may_see_values(
    browser_as: Callable[..., Browser], push: Push
) -> None:
    row = worked(push("create", "Contacts", {"Last_Name": "Frost", "Phone": "5" * 40}))

    for granted, shown in {(VIEW,): False, (VIEW, PAYLOAD): True}.items():
        page = browser_as(*granted).get(page_of(row))
        check_mark_up(page)
        assert "The value is too long: field Phone" in page.text
        assert "at most 30 characters" in page.text
        assert (f"value “{'5' * 40}”" in page.text) is shown
        assert ("5" * 40 in page.html) is shown
        assert "5" * 40 not in browser_as(*granted).get(LIST).html


def test_the_page_of_a_link_has_its_id_and_its_address(
    browser: Browser, push: Push, contact: str
) -> None:
    url = "https://files.example/offer.pdf"
    values = {"id": contact, "attachmentUrl": url, "title": "Offer"}
    row = worked(push("link", "Contacts", values))

    page = browser.get(page_of(row))

    check_mark_up(page)
    assert "(attach a link)" in page.text
    assert "Note or link" in page.text
    assert row.added_id in page.text
    for said in ("Address of the link", url, "Offer"):
        assert said in page.text
    assert "Contacts (attach a link)" in browser.get(LIST).text


def test_purged_values_are_said_to_be(browser: Browser, held: OutboxRecord) -> None:
    outbox.leave_out(record_id=held.pk, version=held.version, note="Called them.")
    assert "Note: Called them." in browser.get(page_of(held)).text
    OutboxRecord.objects.update(values=None, known_people=None, error_details=None)

    page = browser.get(page_of(held))

    assert browser.status == 200
    assert "The values were deleted after the retention period." in page.text
    assert "There is nothing to decide about it now." in browser.get(page_of(held, "decide")).text


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"Amount": {"decimal": "1.10"}, "Open": True}, ["1.10", "yes"]),
        ({"Tag": ["A", "B"], "Owner": {"id": "7"}}, ["A, B", "id: 7"]),
        ({"Last_Name": "<b>é\u202e</b>", "Phone": None}, ["<b>é\u202e</b>", "–"]),
        ({"Rows": [{"x": {"decimal": "odd"}}], "": {}}, ["x: odd"]),
        (["no", "mapping"], ["no, mapping"]),
        ({}, ["There are no values."]),
        ("text", ["text"]),
    ],
)
def test_odd_values_are_shown(
    browser: Browser, connection: Connection, values: Any, shown: list[str]
) -> None:
    (row,) = store(connection, 1, values=values, status="REFUSED", trigger=[], module="Own__c")
    OutboxRecord.objects.update(record_id="1" * 19)
    Connection.objects.update(data_center="eu", domain_name="acme")  # where records are linked

    for url in (LIST, page_of(row), page_of(row, "decide")):
        page = browser.get(url)
        assert browser.status == 200
        if url != LIST and values:
            assert all(text in page.text for text in shown)
            assert "<b>é" not in page.html


def test_long_words_fit(browser: Browser, held: OutboxRecord) -> None:
    OutboxRecord.objects.update(
        key="k" * 200, module="M" * 100, error_message=WORD, values={WORD: WORD}
    )
    OutboxRecord.objects.update(
        known_people=[{**each, "name": WORD, "company": WORD} for each in held.known_people or ()]
    )

    for url in (page_of(held), page_of(held, "decide"), LIST):
        page = browser.get(url)
        assert browser.status == 200
        assert len(page.html) < 300_000


# Who may decide


def test_without_the_permission_there_is_no_button_and_no_page(
    browser_as: Callable[..., Browser], held: OutboxRecord
) -> None:
    others = ("view_outboxrecord", "view_payload_outboxrecord", "resolve_leadconversion")
    viewer = browser_as(*others)
    assert "Decide…" not in viewer.get(page_of(held)).links
    viewer.get(page_of(held, "decide"))
    assert viewer.status == 403
    for step in ("send", "update", "create", "found", "leave_out"):
        values = {"version": held.version, "step": step, "contact_id": "1", "zoho_id": "1"}
        viewer.post(page_of(held, "decide"), [(name, str(each)) for name, each in values.items()])
        assert viewer.status == 403
    held.refresh_from_db()
    assert held.status == "NEEDS_REVIEW"


def test_who_may_decide_sees_who_is_known_and_no_values(
    browser_as: Callable[..., Browser], held: OutboxRecord, contact: str
) -> None:
    resolver = browser_as(RESOLVE)
    Connection.objects.update(data_center="eu", domain_name="acme")
    page = resolver.get(page_of(held, "decide"))

    check_mark_up(page)
    check_tables(page.html)
    assert all(page.has_button(button) for button in BUTTONS)
    assert "Ada Frost" in page.text
    assert f"https://crm.zoho.eu/crm/acme/tab/Contacts/{contact}" in page.links.values()
    assert EMAIL not in page.html
    assert "Full history" not in page.links

    assert EMAIL in browser_as(RESOLVE, PAYLOAD, VIEW).get(page_of(held, "decide")).text
    resolver = browser_as(RESOLVE)
    resolver.get(page_of(held, "decide"))
    resolver.press("Leave out")
    assert resolver.status == 200
    assert "It is left out and is not sent." in resolver.page.text


def test_what_is_offered_depends_on_the_reason(
    browser: Browser, refused: OutboxRecord, doubtful: OutboxRecord, push: Push
) -> None:
    page = browser.get(page_of(refused, "decide"))
    assert [page.has_button(each) for each in BUTTONS] == [False, False, True, False, True]
    assert "Put the cause right first" in page.text

    page = browser.get(page_of(doubtful, "decide"))
    assert [page.has_button(each) for each in BUTTONS] == [False, False, True, True, True]
    assert "It may be at Zoho already: look for it there first" in page.text

    pending = push("update", "Leads", {"Phone": "1"}, key="enquiry:9")
    page = browser.get(page_of(pending, "decide"))
    assert [page.has_button(each) for each in BUTTONS] == [False] * 4 + [True]


# The decisions


def press(browser: Browser, row: OutboxRecord, button: str, **values: str) -> OutboxRecord:
    """Press a button of the person's page of a row, and read the row again."""
    browser.get(page_of(row, "decide"))
    messages.take_all()
    browser.press(button, **values)
    row.refresh_from_db()
    return row


def test_a_contact_is_updated_instead(
    browser: Browser, held: OutboxRecord, zoho: Simulator, contact: str
) -> None:
    row = press(browser, held, "Update this contact")

    assert (row.status, row.record_module, row.record_id) == ("PENDING", "Contacts", contact)
    assert "The contact is updated instead" in browser.page.text
    assert [message.kwargs for message in messages.take_all()] == [
        {"connection_id": row.connection_id}
    ]
    assert (worked(row).status, records(zoho, "Leads")) == ("SENT", [])
    entry = LogEntry.objects.get()
    assert (entry.object_id, EMAIL in str(vars(entry))) == (str(row.pk), False)


def test_a_lead_is_created_anyway(browser: Browser, held: OutboxRecord, zoho: Simulator) -> None:
    row = press(browser, held, "Create anyway")

    assert (row.status, row.when_known, len(messages.take_all())) == ("PENDING", "create", 1)
    assert (worked(row).status, len(records(zoho, "Leads"))) == ("SENT", 1)


def test_a_refused_one_is_sent_again(
    browser: Browser, refused: OutboxRecord, zoho: Simulator
) -> None:
    zoho.organisation.unique["Contacts"] = []

    row = press(browser, refused, "Send again")

    assert (row.status, len(messages.take_all())) == ("PENDING", 1)
    assert row.events.latest("version").by == "boss"
    assert worked(row).status == "SENT"


def test_what_was_found_is_noted(browser: Browser, doubtful: OutboxRecord, zoho: Simulator) -> None:
    (found,) = records(zoho)
    for text, said in (
        ("x7", "is not the id of a record"),
        ("", "This field is required"),
        ("9" * 20, "at most 19 characters"),
    ):
        row = press(browser, doubtful, "It is at Zoho", zoho_id=text)
        assert (row.status, said in browser.page.text) == ("NEEDS_REVIEW", True), text
        check_mark_up(browser.page)

    row = press(browser, doubtful, "It is at Zoho", zoho_id=f" {found['id']} ")

    assert (row.status, row.record_id, len(records(zoho))) == ("SENT", found["id"], 1)


def test_a_note_of_who_leaves_it_out_is_kept(browser: Browser, held: OutboxRecord) -> None:
    row = press(browser, held, "Leave out", note="Wrong \x07 address")

    assert row.status == "SKIPPED"
    assert "Note: Wrong" in browser.page.text
    assert "address" in row.events.latest("version").details["note"]
    assert row.known_people is None


@pytest.mark.parametrize("button", BUTTONS)
def test_a_decision_about_what_has_changed_is_not_taken(
    browser: Browser, held: OutboxRecord, button: str
) -> None:
    browser.get(page_of(held, "decide"))
    outbox.send_again(record_id=held.pk, version=held.version)
    again = worked(held)
    assert (again.status, again.version > 1) == ("NEEDS_REVIEW", True)

    browser.press(button, zoho_id="1")

    assert "This has changed since it was shown; please look again." in browser.page.text
    held.refresh_from_db()
    assert held.version == again.version


@pytest.mark.parametrize(
    "values",
    [
        {"step": "send"},
        {"step": "send", "version": "x"},
        {"step": "nonsense", "version": "1"},
        {"version": "1"},
        {"step": "update", "version": "1", "contact_id": "1"},
        {"step": "update", "version": "1"},
        {"step": "found", "version": "1", "zoho_id": "\0"},
    ],
)
def test_an_odd_request_changes_nothing(
    browser: Browser, held: OutboxRecord, values: dict[str, str]
) -> None:
    assert held.version == 1

    browser.post(page_of(held, "decide"), list(values.items()))

    assert browser.status == 200
    held.refresh_from_db()
    assert held.version == 1


def test_each_contact_has_one_button(browser: Browser, held: OutboxRecord, contact: str) -> None:
    (person,) = held.known_people or ()
    became = {"contact_id": contact, "account_id": "", "deal_id": ""}
    lead = {**person, "kind": "converted_lead", "id": "77", "converted": became}
    other = {**lead, "id": "78", "converted": {**became, "contact_id": "99"}}
    opened = {**person, "kind": "lead", "id": "79"}
    OutboxRecord.objects.update(known_people=[opened, lead, other, person])

    page = browser.get(page_of(held, "decide"))

    offered = [value for form in page.forms for name, value in form.values if name == "contact_id"]
    assert offered == [contact, "99"]
    assert "open lead" in page.text
    check_mark_up(page)


# The actions of the list


@pytest.mark.parametrize(
    ("action", "permission"),
    [
        ("send_again", RESOLVE),
        ("leave_out", RESOLVE),
        ("export", "export_leadconversion"),
    ],
)
def test_an_action_is_there_with_its_permission_only(
    browser_as: Callable[..., Browser], connection: Connection, action: str, permission: str
) -> None:
    rows = store(connection, 2, status="REFUSED")
    others = {RESOLVE, "export_leadconversion", PAYLOAD} - {permission}
    without = browser_as(VIEW, *others)
    assert action not in action_names(without.get(LIST))
    choose(without, LIST, action, *rows)
    assert without.status == 403

    having = browser_as(VIEW, permission)
    assert action in action_names(having.get(LIST))
    choose(having, LIST, action, *rows)
    assert (having.status, f"/action/{action}/" in having.url) == (200, True)
    browser_as(VIEW, *others)
    having.post(having.url, [("count", "2")])
    assert having.status == 403


def test_refused_ones_are_sent_again_together(
    browser: Browser,
    held: OutboxRecord,
    refused: OutboxRecord,
    doubtful: OutboxRecord,
    push: Push,
) -> None:
    pending = push("update", "Leads", {"Phone": "1"}, key="enquiry:9")
    page = choose_all(browser, LIST, "send_again")
    check_mark_up(page)
    assert "Contacts person:1 (create)" in page.text
    assert "1 record may be at Zoho already" in page.text
    assert "1 record is sent by itself." in page.text
    messages.take_all()

    page = browser.press("Send 2 records again")

    assert "2 records are sent again; the worker does it by itself." in page.text
    found = OutboxRecord.objects.in_bulk()
    changed = [found[row.pk].status for row in (held, refused, doubtful, pending)]
    assert changed == ["PENDING", "PENDING", "NEEDS_REVIEW", "PENDING"]
    assert [message.kwargs for message in messages.take_all()] == [
        {"connection_id": held.connection_id}
    ]


def test_what_waits_with_a_row_goes_along_and_nothing_in_doubt(
    connection: Connection, boss: Any
) -> None:
    rows = store(connection, 6, status="NEEDS_REVIEW")
    first, second, doubtful, tag, refused, other = (row.pk for row in rows)
    OutboxRecord.objects.exclude(pk=other).update(key="enquiry:1")
    OutboxRecord.objects.filter(pk=doubtful).update(in_doubt=True)
    OutboxRecord.objects.filter(pk=tag).update(action="tag")
    OutboxRecord.objects.filter(pk=refused).update(status="REFUSED")

    assert many.send_again(ids=[first, doubtful], by=boss) == 1
    sent = OutboxRecord.objects.filter(status="PENDING").order_by("pk")
    assert [row.pk for row in sent] == [first, second]
    assert many.leave_out(ids=[doubtful, other, first], by=boss) == 3
    left_out = OutboxRecord.objects.filter(status="SKIPPED").order_by("pk")
    assert [row.pk for row in left_out] == [first, doubtful, other]


def test_rows_without_a_key_are_decided_alone(connection: Connection, boss: Any) -> None:
    store(connection, 3, status="REFUSED")
    OutboxRecord.objects.update(key="")
    first = OutboxRecord.objects.order_by("pk")[0]

    assert many.send_again(ids=[first.pk], by=boss) == 1

    assert OutboxRecord.objects.filter(status="PENDING").get() == first


def test_many_are_left_out_with_few_queries(browser: Browser, connection: Connection) -> None:
    store(connection, 300, status="REFUSED")
    store(connection, 1, status="SENT")
    page = choose_all(browser, LIST, "leave_out")
    assert "1 record is at Zoho already." in page.text

    with CaptureQueriesContext(database) as queries:
        page = browser.press("Leave 300 records out")

    assert "300 records are left out." in page.text
    assert OutboxRecord.objects.filter(status="SKIPPED").count() == 300
    assert len(queries) < 60


def test_records_are_exported_without_their_values(
    browser: Browser, held: OutboxRecord, refused: OutboxRecord
) -> None:
    OutboxRecord.objects.filter(pk=held.pk).update(key="=1+1")
    choose_all(browser, LIST, "export")
    values = dict(browser.page.form_with("Export 2 records").values)

    response: Any = browser.client.post(browser.url, values)

    text = b"".join(response.streaming_content).decode()
    first, second = csv.DictReader(StringIO(text))
    assert (first["key"], first["status"], first["error_code"]) == (
        *("'=1+1", "NEEDS_REVIEW", "known_person"),
    )
    assert (second["module"], second["error_code"]) == ("Contacts", "DUPLICATE_DATA")
    assert "field Phone" in second["error_message"]
    assert not any(word in text for word in (EMAIL, "Quenby Works", "Frost"))


# The app's page


def test_what_waits_for_a_person_is_on_the_app_s_page(
    browser_as: Callable[..., Browser], held: OutboxRecord, refused: OutboxRecord
) -> None:
    browser = browser_as(VIEW)
    page = browser.get(ADMIN)

    for text in ("1 outgoing record needs a person", "1 outgoing record was refused"):
        listed = browser.get(page.links[text])
        assert "1 outgoing record" in listed.text
    assert "outgoing record needs" not in browser_as("view_leadconversion").get(ADMIN).text
