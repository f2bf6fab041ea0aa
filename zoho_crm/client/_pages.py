"""
Pages of records, which a token continues.

https://www.zoho.com/crm/developer/docs/api/v8/get-records.html
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Protocol, TypeVar

from zoho_crm.client._answers import id_of
from zoho_crm.client._api import Api
from zoho_crm.exceptions import ServerError
from zoho_crm.types import JsonObject, Record, ValueObject

#: Zoho's limit of a page.
RECORDS_PER_PAGE = 200
#: Zoho's limits of ids in a read, and of records in a write.
MAX_IDS_PER_CALL = 100
MAX_RECORDS_PER_CALL = 100
#: Pages after which a list counts as endless; Zoho's own limit is half of it.
MAX_PAGES = 1_000
#: Characters that are kept of a page's token.
MAX_PAGE_TOKEN_LENGTH = 2_000


class HasToken(Protocol):
    """A page of any list."""

    @property
    def next_page_token(self) -> str:
        """The token of the next page; empty if this is the last one."""


AnyPage = TypeVar("AnyPage", bound=HasToken)


class Page(ValueObject):
    """One page of records; the token of the last page is empty."""

    records: tuple[Record, ...]
    next_page_token: str = ""
    has_more: bool = False

    @property
    def is_full(self) -> bool:
        """Whether it has as many records as a page can have."""
        return len(self.records) >= RECORDS_PER_PAGE


def read_pages(api: Api, path: str, query: Mapping[str, str]) -> Iterator[Record]:
    """
    Yield the records of all pages, each read when it is needed.

    :raises ServerError: if Zoho repeats a page, or the list does not end
    """
    fixed = {**query, "per_page": str(RECORDS_PER_PAGE)}
    for page in pages(lambda token: api.read(path, page_of, **fixed, **token)):
        yield from page.records


def pages(read: Callable[[dict[str, str]], AnyPage]) -> Iterator[AnyPage]:
    """
    Yield all pages of a list.

    :param read: reads a page, given the parameter with its token; the first one without
    :raises ServerError: if Zoho repeats a page, or the list does not end
    """
    page, seen = read({}), {""}
    yield page
    while token := page.next_page_token:
        if is_endless(token, seen):
            raise ServerError(code="endless_list")
        seen.add(token)
        page = read({"page_token": token})
        yield page


def is_endless(token: str, seen: Collection[str]) -> bool:
    """
    Return whether a list does not end: Zoho repeats a page, or there are too many.

    :param token: the token of the next page, or its digest
    :param seen: the tokens of the pages that were read, or their digests
    """
    return token in seen or len(seen) >= MAX_PAGES


def token_in(info: Any) -> str:
    """Return the token of the next page from the ``info`` of an answer; empty if there is none."""
    return str((info or {}).get("next_page_token") or "")[:MAX_PAGE_TOKEN_LENGTH]


def page_of(body: JsonObject) -> Page:
    """Return the page in the body of an answer."""
    info: Any = body.get("info") or {}
    return Page(
        records=tuple(map(_record, body.get("data") or [])),
        next_page_token=token_in(info),
        has_more=bool(info.get("more_records")),
    )


def _record(values: JsonObject) -> Record:
    values["id"] = id_of(values["id"])
    return Record(values["id"], values)
