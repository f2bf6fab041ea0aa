"""
Encryption of stored secrets: ``zk1:<key id>:<Fernet token>``, bound to a row and column.

The key id is the first 8 hex digits of the key's SHA-256: it says which key decrypts the text, and
which one is missing. The plaintext is JSON with the secret and its place (row and column), so that
a ciphertext copied to another place is refused.
"""

from __future__ import annotations

import hashlib
import json
from itertools import filterfalse

from cryptography.fernet import Fernet, InvalidToken

from zoho_crm.conf import conf
from zoho_crm.exceptions import SecretUnreadableError, WrongSettingsError
from zoho_crm.types import HiddenVariables, Secret

SCHEME = "zk1"


def new_key() -> str:
    """Return a new key for ``ENCRYPTION_KEYS``."""
    return Fernet.generate_key().decode()


def is_key(text: str) -> bool:
    """Return whether this is a Fernet key."""
    try:
        Fernet(text)
    except ValueError:
        return False
    return True


def key_id(key: str) -> str:
    """Return the id of a key, which may be shown and logged."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def key_ids() -> list[str]:
    """Return the ids of ``ENCRYPTION_KEYS``: the one that encrypts first."""
    with HiddenVariables():
        return list(map(key_id, conf().ENCRYPTION_KEYS))


def wrong_key_ids() -> list[str]:
    """Return the ids of those of ``ENCRYPTION_KEYS`` that are no Fernet keys."""
    with HiddenVariables():
        return list(map(key_id, filterfalse(is_key, conf().ENCRYPTION_KEYS)))


def key_id_of(stored: str) -> str:
    """Return the id of the key that encrypted a stored text; empty if the text is not ours."""
    scheme, _colon, rest = stored.partition(":")
    return rest.partition(":")[0] if scheme == SCHEME else ""


def require_key() -> None:
    """
    Check that a secret can be encrypted, before a code that can be used only once is exchanged.

    :raises WrongSettingsError: as ``encrypt``
    """
    encrypt(Secret("trial"), place="trial")


def digest(secret: Secret) -> str:
    """Return the SHA-256 of a secret, in hex digits, by which it is looked up; of none: empty."""
    if not secret:
        return ""
    return hashlib.sha256(secret.reveal().encode("utf-8", "surrogatepass")).hexdigest()


def encrypt(secret: Secret, *, place: str) -> str:
    """
    Encrypt a secret with the first of ``ENCRYPTION_KEYS``.

    :param place: the row and column where it is stored; needed to decrypt it

    :raises WrongSettingsError: if there is no key, or the first is not a Fernet key
    """
    with HiddenVariables():
        return _encrypted(secret, place)


def decrypt(stored: str, *, place: str) -> Secret:
    """
    Decrypt a text that ``encrypt`` returned for this place.

    :raises SecretUnreadableError: if its key is missing, or it is damaged or of another place
    """
    with HiddenVariables():
        found, secret = _decrypted(stored)
    if found != place:
        raise SecretUnreadableError(code="misplaced", details={"key_id": key_id_of(stored)})
    return secret


# Functions that have secrets and keys in plain


def _encrypted(secret: Secret, place: str) -> str:
    keys = conf().ENCRYPTION_KEYS
    if not keys:
        raise WrongSettingsError(code="no_key")
    plain = json.dumps({"place": place, "secret": secret.reveal()})
    return f"{SCHEME}:{key_id(keys[0])}:{_fernet(keys[0]).encrypt(plain.encode()).decode()}"


def _decrypted(stored: str) -> tuple[str, Secret]:
    """Return the place and the secret in a stored text."""
    name = key_id_of(stored)
    if not name:
        raise SecretUnreadableError(code="damaged")
    key = {key_id(key): key for key in conf().ENCRYPTION_KEYS}.get(name)
    if key is None:
        raise SecretUnreadableError(code="key_missing", details={"key_id": name})
    try:
        plain = json.loads(_fernet(key).decrypt(stored.rpartition(":")[2]))
        return plain["place"], Secret(plain["secret"])
    except (InvalidToken, ValueError, LookupError, TypeError):
        # Without the cause, whose message may quote the decrypted text.
        raise SecretUnreadableError(code="damaged", details={"key_id": name}) from None


def _fernet(key: str) -> Fernet:
    if is_key(key):
        return Fernet(key)
    raise WrongSettingsError(code="bad_key", details={"key_id": key_id(key)})
