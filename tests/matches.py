"""An answer that names more matches than Zoho's pages say that there can be."""

from __future__ import annotations

from typing import Any


def many_matches(contacts: int, accounts: int = 0, *, name: str = "Okafor") -> dict[str, Any]:
    """Return the body of conversion options with so many matches."""
    return {
        "__conversion_options": {
            "Contacts": [
                {"id": str(number), "Full_Name": name, "Email": f"{number}@mail.example"}
                for number in range(1, contacts + 1)
            ],
            "Accounts": [
                {"id": str(number), "Account_Name": name} for number in range(1, accounts + 1)
            ],
        }
    }
