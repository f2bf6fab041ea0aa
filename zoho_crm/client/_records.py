"""
Records of any module, with their fields as texts.

https://www.zoho.com/crm/developer/docs/api/v8/get-records.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from zoho_crm.client._api import Api
from zoho_crm.client._leads import text_of
from zoho_crm.types import JsonObject


@dataclass(frozen=True, kw_only=True)
class RecordsClient:
    """The records of one module."""

    api: Api
    module: str

    def get_many(
        self, record_ids: Iterable[str], *, fields: Iterable[str]
    ) -> dict[str, Mapping[str, str]]:
        """Read fields of at most 100 records by id; a record that was not found is left out."""
        wanted = list(record_ids)
        if not wanted:
            return {}  # without ids Zoho would return the newest records
        query = {"ids": ",".join(wanted), "fields": ",".join(fields)}
        return self.api.read(f"/crm/v8/{self.module}", _records, **query)


def _records(body: JsonObject) -> dict[str, Mapping[str, str]]:
    return {
        str(record["id"]): {name: text_of(value) for name, value in record.items()}
        for record in body.get("data") or []
    }
