"""Files and links attached to records, and records related to them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.conftest import Caller
from zoho_crm.simulator import Simulator

BINARY = bytes(range(256)) + b"\r\n--\r\n\n\r" * 3
FIELDS = "File_Name,Size,$type,$link_url"


def upload(caller: Caller, record_id: str, name: str, content: bytes) -> Any:
    path = f"/crm/v8/Leads/{record_id}/Attachments"
    return caller.call("POST", path, files={"file": (name, content)})


def download(caller: Caller, record_id: str, attachment_id: str) -> Any:
    return caller.get(f"/Leads/{record_id}/Attachments/{attachment_id}")


@pytest.mark.parametrize("name", ["offer.pdf", "Größe €.txt", "a;b c.txt"])
def test_a_file_is_uploaded_listed_and_downloaded(any_caller: Caller, name: str) -> None:
    lead = any_caller.simulator.add_lead()
    assert any_caller.get(f"/Leads/{lead.id}/Attachments", fields="id").status_code == 204

    answer = upload(any_caller, lead.id, name, BINARY)

    (item,) = answer.json()["data"]
    assert (answer.status_code, item["message"]) == (200, "attachment uploaded successfully")
    attachment_id = item["details"]["id"]
    listed = any_caller.get(f"/Leads/{lead.id}/Attachments", fields=FIELDS).json()
    assert listed["data"] == [
        {
            "File_Name": name,
            "Size": str(len(BINARY)),
            "$type": "File",
            "$link_url": None,
            "id": attachment_id,
        }
    ]
    loaded = download(any_caller, lead.id, attachment_id)
    assert (loaded.status_code, loaded.content) == (200, BINARY)
    assert loaded.headers["Content-Type"] == "application/octet-stream"
    assert download(any_caller, lead.id, "77").status_code == 204


def test_a_link_is_attached_but_not_downloaded(any_caller: Caller) -> None:
    lead = any_caller.simulator.add_lead()
    path = f"/crm/v8/Leads/{lead.id}/Attachments"
    form = {"attachmentUrl": (None, "https://nordwind.example/a"), "title": (None, "Offer")}

    answer = any_caller.call("POST", path, files=form)
    by_query = any_caller.call("POST", f"{path}?attachmentUrl=https://nordwind.example/b")

    assert (answer.status_code, by_query.status_code) == (200, 200)
    listed = any_caller.get(f"/Leads/{lead.id}/Attachments", fields=FIELDS).json()["data"]
    assert [each["$link_url"] for each in listed] == [
        "https://nordwind.example/b",
        "https://nordwind.example/a",
    ]
    assert (listed[1]["File_Name"], listed[1]["Size"], listed[1]["$type"]) == (
        "Offer",
        "0",
        "Link URL",
    )
    refused = download(any_caller, lead.id, listed[0]["id"])
    assert (refused.status_code, refused.json()["code"]) == (400, "DOWNLOAD_NOT_ALLOWED")


def test_attachments_are_deleted(any_caller: Caller) -> None:
    lead = any_caller.simulator.add_lead()
    first, second = (
        upload(any_caller, lead.id, name, b"x").json()["data"][0]["details"]["id"] for name in "ab"
    )
    path = f"/crm/v8/Leads/{lead.id}/Attachments"

    one = any_caller.call("DELETE", f"{path}/{first}")
    again = any_caller.call("DELETE", f"{path}/{first}")
    many = any_caller.call("DELETE", f"{path}?ids={second},{first}")

    assert one.json()["data"][0]["details"] == {"id": first}
    assert (again.status_code, again.json()["details"]) == (400, {"resource_path_index": 3})
    assert many.status_code == 207
    assert any_caller.simulator.organisation.attachments[lead.id] == []


def test_a_name_that_a_test_has_put_there_is_a_file_without_content(
    caller: Caller, sim: Simulator
) -> None:
    lead = sim.add_lead()
    sim.organisation.attachments[lead.id] = ["offer.pdf"]

    first, again = (
        caller.get(f"/Leads/{lead.id}/Attachments", fields="File_Name").json()["data"]
        for _ in range(2)
    )

    assert first == again
    assert first[0]["File_Name"] == "offer.pdf"
    assert sim.organisation.attachments[lead.id] == ["offer.pdf"]


def test_attachments_move_with_a_conversion(caller: Caller, sim: Simulator) -> None:
    lead = sim.records["Leads"][sim.story("no_match")]
    upload(caller, lead.id, "offer.pdf", b"content")

    caller.convert(lead.id)

    (contact,) = sim.records["Contacts"].values()
    (moved,) = caller.get(f"/Contacts/{contact.id}/Attachments", fields="id").json()["data"]
    loaded = caller.get(f"/Contacts/{contact.id}/Attachments/{moved['id']}")
    assert loaded.content == b"content"


def test_uploads_that_are_refused(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()
    sim.organisation.max_attachment_bytes = 10
    path = f"/crm/v8/Leads/{lead.id}/Attachments"

    answers = [
        upload(caller, lead.id, "big.txt", b"x" * 11),
        upload(caller, lead.id, "run.EXE", b"x"),
        upload(caller, "77", "a.txt", b"x"),
        caller.call("POST", path, json={}),
        caller.call("POST", path, files={"other": ("a.txt", b"x")}),
        caller.call("POST", path, files={"attachmentUrl": (None, "nowhere")}),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (413, "FILE_SIZE_MORE_THAN_ALLOWED_SIZE"),
        (400, "INVALID_DATA"),
        (400, "INVALID_DATA"),
        (400, "MANDATORY_NOT_FOUND"),
        (400, "MANDATORY_NOT_FOUND"),
        (400, "INVALID_URL_PATTERN"),
    ]
    assert sim.organisation.attachments[lead.id] == []


def test_half_a_body_is_no_file(caller: Caller, sim: Simulator) -> None:
    path = f"/crm/v8/Leads/{sim.add_lead().id}/Attachments"
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf'

    answer = caller.call(
        "POST", path, data=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )

    assert answer.json()["code"] == "MANDATORY_NOT_FOUND"


def test_a_body_may_be_sent_in_pieces(any_caller: Caller) -> None:
    lead = any_caller.simulator.add_lead()
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'

    class Body:
        """A body of known length, like a streamed file."""

        pieces = [head, b"piece", b"\r\n--b--\r\n"]

        def __len__(self) -> int:
            return sum(map(len, self.pieces))

        def __iter__(self) -> Any:
            return iter(self.pieces)

    answer = any_caller.call(
        "POST",
        f"/crm/v8/Leads/{lead.id}/Attachments",
        data=Body(),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )

    assert answer.status_code == 200
    (attached,) = any_caller.simulator.organisation.attachments[lead.id]
    assert getattr(attached, "content", None) == b"piece"


@pytest.mark.parametrize("on", ["upload", "download", "attachments"])
def test_faults_of_attachments(caller: Caller, sim: Simulator, on: str) -> None:
    lead = sim.add_lead()
    attachment_id = upload(caller, lead.id, "a", b"x").json()["data"][0]["details"]["id"]
    sim.fail(on, "error_after", status=503)

    answers = {
        "upload": lambda: upload(caller, lead.id, "b", b"y"),
        "download": lambda: download(caller, lead.id, attachment_id),
        "attachments": lambda: caller.get(f"/Leads/{lead.id}/Attachments", fields="id"),
    }

    assert answers[on]().status_code == 503
    assert len(sim.organisation.attachments[lead.id]) == (2 if on == "upload" else 1)


def test_related_records_are_listed(any_caller: Caller) -> None:
    sim = any_caller.simulator
    account = sim.add("Accounts", Account_Name="Nordwind")
    contact, other = (
        sim.add("Contacts", Last_Name=name, Account_Name=account.lookup()) for name in "AB"
    )
    deal = sim.add("Deals", Deal_Name="Roll-out", Contact_Name=contact.lookup())
    sim.add("Contacts", Last_Name="Stranger")

    people = any_caller.get(f"/Accounts/{account.id}/Contacts", fields="Last_Name").json()
    deals = any_caller.get(f"/Contacts/{contact.id}/Deals", fields="Deal_Name").json()

    assert people["data"] == [
        {"Last_Name": "B", "id": other.id},
        {"Last_Name": "A", "id": contact.id},
    ]
    assert people["info"]["count"] == 2
    assert "sort_by" not in people["info"]
    assert deals["data"] == [{"Deal_Name": "Roll-out", "id": deal.id}]
    assert any_caller.get(f"/Accounts/{account.id}/Deals", fields="id").status_code == 204
    path = f"/Accounts/{account.id}/Contacts"
    assert any_caller.get(f"{path}/{other.id}", fields="id").status_code == 200
    assert any_caller.get(f"{path}/77", fields="id").status_code == 204
    assert any_caller.get(path, fields="id", ids=other.id).json()["info"]["count"] == 1


@pytest.mark.parametrize(
    ("path", "status", "index"),
    [
        ("/Accounts/77/Contacts", 400, 1),
        ("/Accounts/{id}/Dragons", 400, 2),
        ("/Dragons/{id}/Contacts", 400, 0),
        ("/Accounts/{id}/Tasks", 501, None),
    ],
)
def test_what_is_not_related(
    caller: Caller, sim: Simulator, path: str, status: int, index: int | None
) -> None:
    account = sim.add("Accounts", Account_Name="Nordwind")

    answer = caller.get(path.format(id=account.id), fields="id")

    assert answer.status_code == status
    assert answer.json()["details"].get("resource_path_index") == index
    assert caller.get(f"/Accounts/{account.id}/Deals").json()["code"] == "REQUIRED_PARAM_MISSING"
    linked = caller.put(f"/Accounts/{account.id}/Products", {"data": [{"id": "1"}]})
    assert linked.status_code == 501


def test_a_fault_of_related_records(caller: Caller, sim: Simulator) -> None:
    account = sim.add("Accounts", Account_Name="Nordwind")
    sim.fail("related", "html")

    assert caller.get(f"/Accounts/{account.id}/Contacts", fields="id").status_code == 502
