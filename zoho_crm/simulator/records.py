"""Records and tables: mappings that tests may read and write, with indexes kept up to date."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Mapping
from copy import copy
from typing import Any

from zoho_crm.simulator import schema


def normalized(value: Any) -> str:
    """
    Return the text that matching compares: case-folded, white space stripped and collapsed.

    Accents count. Zoho does not document how it compares.
    """
    return " ".join(str(value).split()).casefold() if value is not None else ""


class Record(UserDict[str, Any]):
    """The values of one record by API name; an unset field has its module's default."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.table: Table | None = None
        super().__init__(values)

    @property
    def id(self) -> str:
        return str(self.data["id"])

    @property
    def name(self) -> str:
        """Return the name that a look-up to this record shows."""
        module = self.table.module if self.table else "Leads"
        return str(self.get(schema.NAME_FIELDS[module]) or "")

    def lookup(self) -> dict[str, str]:
        return {"name": self.name, "id": self.id}

    def all_values(self) -> dict[str, Any]:
        """Return every field of the module, unset ones with their default."""
        return {**(self.table.defaults if self.table else {}), **self.data}

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def __missing__(self, name: str) -> Any:
        if self.table is None:
            raise KeyError(name)
        return copy(self.table.defaults[name])

    def __setitem__(self, name: str, value: Any) -> None:
        if self.table is not None:
            self.table.reindex(self, name, value)
        self.data[name] = value


class Table(UserDict[str, Record]):
    """The records of one module by id, oldest first."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.defaults = schema.defaults(module)
        self._indexes: dict[str, dict[str, dict[str, Record]]] = {}
        super().__init__()

    def __setitem__(self, record_id: str, record: Record) -> None:
        record.table = self
        self.data[record_id] = record
        for field in self._indexes:
            self._index(record, field, record.get(field))

    def __delitem__(self, record_id: str) -> None:
        record = self.data.pop(record_id)
        for field in self._indexes:
            self._unindex(record, field)

    def find(self, field: str, value: Any) -> list[Record]:
        """Return the records whose normalized field equals the normalized value, oldest first."""
        key = normalized(value)
        if not key:
            return []
        if field not in self._indexes:
            self._indexes[field] = {}
            for record in self.data.values():
                self._index(record, field, record.get(field))
        found = self._indexes[field].get(key, {}).values()
        return sorted(found, key=lambda record: record.id)

    def reindex(self, record: Record, field: str, value: Any) -> None:
        """Update the index of a field before a record's value changes."""
        if field in self._indexes:
            self._unindex(record, field)
            self._index(record, field, value)

    def _index(self, record: Record, field: str, value: Any) -> None:
        if key := normalized(value):
            self._indexes[field].setdefault(key, {})[record.id] = record

    def _unindex(self, record: Record, field: str) -> None:
        self._indexes[field].get(normalized(record.get(field)), {}).pop(record.id, None)
