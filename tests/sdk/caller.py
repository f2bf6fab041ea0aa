"""A process of its own that calls Zoho with the SDK, as the default user, and prints who it is."""

from __future__ import annotations

import django

if __name__ == "__main__":
    django.setup()

from tests.sdk.program import current_user  # noqa: E402 - its models need the settings
from zoho_crm.contrib.sdk import sdk_session  # noqa: E402

if __name__ == "__main__":
    with sdk_session():
        print(current_user().get_email())
