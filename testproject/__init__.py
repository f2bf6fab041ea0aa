"""A small host project that uses ``zoho_crm``."""

from __future__ import annotations

from testproject.celery import app

__all__ = ["app"]
