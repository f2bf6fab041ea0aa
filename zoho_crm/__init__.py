"""Connect a Django project to Zoho CRM and convert its leads."""

from __future__ import annotations

__version__ = "0.1.0"
