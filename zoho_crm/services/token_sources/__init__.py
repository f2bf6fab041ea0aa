"""
Read the tokens that Zoho's SDKs have stored: in files, in SQLite databases and in tables.

A source is only read. Nothing in it is executed, imported or instantiated, and no file or host that
it names is opened.
"""

from __future__ import annotations

from zoho_crm.services.token_sources._files import MAX_SOURCE_BYTES, read_file
from zoho_crm.services.token_sources._found import MAX_SOURCE_TOKENS, FoundToken, Problem
from zoho_crm.services.token_sources._tables import read_sqlite, read_table

__all__ = [
    "MAX_SOURCE_BYTES",
    "MAX_SOURCE_TOKENS",
    "FoundToken",
    "Problem",
    "read_file",
    "read_sqlite",
    "read_table",
]
