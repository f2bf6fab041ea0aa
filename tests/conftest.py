from __future__ import annotations

pytest_plugins = ["zoho_crm.contrib.pytest"]
