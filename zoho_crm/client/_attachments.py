"""
Files and links that are attached to a record: list, upload, add, download, delete.

https://www.zoho.com/crm/developer/docs/api/v8/get-attachments.html
https://www.zoho.com/crm/developer/docs/api/v8/upload-attachment.html
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from zoho_crm.client._answers import (
    check_answer,
    count_of,
    id_of,
    parse_answer,
    text_of,
    time_of,
    unknown_form,
    user_of,
)
from zoho_crm.client._api import Api
from zoho_crm.client._files import File, MultipartFile, created, opened, save_body, too_large
from zoho_crm.client._names import record_id
from zoho_crm.client._pages import read_pages
from zoho_crm.client._transport import Pace
from zoho_crm.exceptions import (
    RequestRefusedError,
    ServerError,
    TransportError,
    UnknownOutcomeError,
)
from zoho_crm.types import Attachment, JsonObject, Record, ValueObject

#: Zoho's limit of a file, in bytes.
MAX_FILE_BYTES = 100 * 1024 * 1024
MAX_NAME_LENGTH = 255
FIELDS = ("File_Name", "Size", "Created_Time", "Created_By", "$link_url")


class AttachmentsClient(ValueObject):
    """The attachments of one record."""

    api: Api
    #: Path of the list.
    path: str

    def list(self) -> Iterator[Attachment]:
        """Return an iterator over the attachments, files and links, in Zoho's order."""
        return map(_attachment, read_pages(self.api, self.path, {"fields": ",".join(FIELDS)}))

    def upload(self, file: File, *, name: str = "") -> str:
        """
        Attach a file, and return the id of the attachment.

        It is read while it is sent. The call may last as long as the file needs at 100 KB in a
        second, beside the usual deadline, and ends when nothing moves for as long as a call lasts.

        :param file: its path, or a file that is open in binary mode, from where it stands
        :param name: what Zoho calls it; by default the last part of its path
        :raises RequestRefusedError: if it is too large, its size changes meanwhile, or Zoho refuses
            it
        :raises UnknownOutcomeError: if it may have been attached; do not repeat it
        :raises OSError: if the path cannot be opened
        """
        with opened(file) as source:
            shown = _file_name(name or _name_of(file) or _name_of(source))
            pace = Pace(idle=self.api.limits.deadline)
            body = MultipartFile(source, shown, pace)
            limit = min(self.api.limits.file, MAX_FILE_BYTES)
            if body.size > limit:
                raise too_large(limit)
            pace.give_time_for(len(body))
            return _uploaded_id(self._send(body, pace))

    def add_link(self, url: str, *, title: str = "") -> str:
        """
        Attach a link to a page or a file elsewhere, and return the id of the attachment.

        Zoho keeps the address only: what is there can be no ``download``.

        :param title: what Zoho shows instead of the address
        :raises RequestRefusedError: if Zoho refuses the address
        :raises UnknownOutcomeError: if it may have been attached; do not repeat it
        """
        form = {"attachmentUrl": url, "title": title}
        parts = {name: (None, text) for name, text in form.items() if text}
        return _uploaded_id(self.api.call("POST", self.path, repeatable=False, files=parts))

    def download(self, attachment_id: str, to: File) -> int:
        """
        Write an attached file to a file, and return its size in bytes.

        A file that is named by its path has a temporary name in the same folder until it is
        complete, and only its owner may read it. Zoho's name of the attachment is not used. Time is
        limited as by ``upload``.

        :param to: path of the file, or a file that is open in binary mode, which may have got a
            part of the content if an error is raised
        :raises RequestRefusedError: if there is no such file, it is a link, or it is too large
        :raises OSError: if it cannot be written
        """
        path = f"{self.path}/{record_id(attachment_id)}"
        pace = Pace(idle=self.api.limits.deadline)
        limit = self.api.limits.file
        sizes: list[int] = []
        with created(to) as target:
            response, body = self.api.transfer(
                "GET",
                path,
                repeatable=True,
                pace=pace,
                save=lambda answer: sizes.append(save_body(answer, target, limit=limit, pace=pace)),
            )
            if not sizes:
                check_answer(response, body, repeatable=True)
                raise RequestRefusedError(code="no_attachment", details={"id": attachment_id})
        return sizes[0]

    def delete(self, attachment_id: str) -> None:
        """
        Delete an attachment. A lost answer may be repeated: it is then refused as unknown.

        https://www.zoho.com/crm/developer/docs/api/v8/delete-attachments.html

        :raises RequestRefusedError: if there is none of that id
        """
        self.api.call("DELETE", f"{self.path}/{record_id(attachment_id)}")

    def _send(self, body: MultipartFile, pace: Pace) -> JsonObject:
        try:
            response, answer = self.api.transfer(
                "POST",
                self.path,
                repeatable=False,
                pace=pace,
                data=body,
                headers={"Content-Type": body.content_type},
            )
            return check_answer(response, answer, repeatable=False)
        except UnknownOutcomeError as error:
            if body.is_read:
                raise
            # Without its end the body is no form, and nothing can have been attached.
            raise TransportError(error.message, http_status=error.http_status) from error


def _uploaded_id(answer: JsonObject) -> str:
    """
    Return the id of the attachment.

    :raises UnknownOutcomeError: if the answer does not have the documented form
    """
    try:
        return parse_answer(lambda body: id_of(body["data"][0]["details"]["id"]), answer)
    except ServerError as error:
        raise unknown_form(repeatable=False) from error


def _attachment(record: Record) -> Attachment:
    author = record.get("Created_By")
    return Attachment(
        id=record.id,
        name=text_of(record.get("File_Name")),
        size=count_of(record.get("Size")),
        url=text_of(record.get("$link_url")),
        author=user_of(author) if isinstance(author, dict) else None,
        created_at=time_of(record.get("Created_Time")),
    )


def _name_of(file: str | os.PathLike[str] | BinaryIO) -> str:
    """Return the name of a path or of an open file; empty if it has none."""
    path: Any = file if isinstance(file, str | os.PathLike) else getattr(file, "name", "")
    return os.path.basename(path) if isinstance(path, str | os.PathLike) else ""


def _file_name(name: str) -> str:
    """
    Return the name of a file without folders.

    :raises ValueError: if there is none
    """
    shown = os.path.basename(name.replace("\\", "/")).strip()
    if not shown:
        raise ValueError("Name the file.")
    return shown[-MAX_NAME_LENGTH:]
