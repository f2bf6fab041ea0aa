"""
Secrets at rest: ``zk1:<key id>:<Fernet token>``, bound to the place where they are stored.

The key id is the first 8 hex digits of the key's SHA-256, so that a text is decrypted with the key
that encrypted it and with no other, and a lost key can be named. The plaintext is JSON that names
its place (row and column), so that a ciphertext moved elsewhere is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from zoho_crm.conf import conf
from zoho_crm.exceptions import SecretUnreadableError
from zoho_crm.types import Secret

SCHEME = "zk1"


def new_key() -> str:
    """Return a new key for ``ENCRYPTION_KEYS``."""
    return Fernet.generate_key().decode()


def key_id(key: str) -> str:
    """Return the name of a key: safe to show and to log."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def key_id_of(stored: str) -> str:
    """Return the id of the key that encrypted a stored text; empty if we did not encrypt it."""
    scheme, _colon, rest = stored.partition(":")
    return rest.partition(":")[0] if scheme == SCHEME else ""


def encrypt(secret: Secret, *, place: str, keys: Sequence[str] | None = None) -> str:
    """
    Encrypt a secret for one place with the first of the keys, by default ``ENCRYPTION_KEYS``.

    :raises ImproperlyConfigured: if there is no key, or the first is not a Fernet key
    """
    keys = conf().ENCRYPTION_KEYS if keys is None else keys
    if not keys:
        raise ImproperlyConfigured(
            _("ZOHO_CRM['ENCRYPTION_KEYS'] is empty; make a key with: manage.py zoho_new_key")
        )
    text = json.dumps({"place": place, "secret": secret.reveal()})
    return f"{SCHEME}:{key_id(keys[0])}:{_fernet(keys[0]).encrypt(text.encode()).decode()}"


def decrypt(stored: str, *, place: str) -> Secret:
    """
    Decrypt what ``encrypt`` made for this place.

    :raises SecretUnreadableError: if its key is missing, or it is damaged or of another place
    """
    name = key_id_of(stored)
    key = {key_id(key): key for key in conf().ENCRYPTION_KEYS}.get(name)
    if key is None:
        raise SecretUnreadableError(
            _("The encryption key %(key)s is missing from ZOHO_CRM['ENCRYPTION_KEYS'].")
            % {"key": name or "?"},
            code="key_missing",
            details={"key_id": name},
        )
    try:
        plain = json.loads(_fernet(key).decrypt(stored.split(":", 2)[2]))
    except InvalidToken as error:
        raise SecretUnreadableError(code="damaged", details={"key_id": name}) from error
    if plain["place"] != place:
        raise SecretUnreadableError(code="misplaced", details={"key_id": name})
    return Secret(plain["secret"])


def _fernet(key: str) -> Fernet:
    try:
        return Fernet(key)
    except ValueError as error:
        raise ImproperlyConfigured(
            _("The encryption key %(key)s is no Fernet key; make one with: manage.py zoho_new_key")
            % {"key": key_id(key)}
        ) from error
