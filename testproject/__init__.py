"""A small host project: what a site that uses ``zoho_crm`` has to say, and no more."""

from __future__ import annotations

from testproject.celery import app

__all__ = ["app"]
