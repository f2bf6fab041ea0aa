"""
Encryption of stored secrets: ``zk1:<key id>:<Fernet token>``, bound to a row and column.

The key id is the first 8 hex digits of the key's SHA-256: it says which key decrypts the text, and
which one is missing. The plaintext is JSON with the secret and its place (row and column), so that
a ciphertext copied to another place is refused.
"""

from __future__ import annotations

import hashlib
import json

from cryptography.fernet import Fernet, InvalidToken

from zoho_crm.conf import conf
from zoho_crm.exceptions import SecretUnreadableError, WrongSettingsError
from zoho_crm.types import Secret

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
    text = secret.reveal().encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest() if text else ""


def encrypt(secret: Secret, *, place: str) -> str:
    """
    Encrypt a secret with the first of ``ENCRYPTION_KEYS``.

    :param place: the row and column where it is stored; needed to decrypt it

    :raises WrongSettingsError: if there is no key, or the first is not a Fernet key
    """
    keys = _keys()
    if not keys:
        raise WrongSettingsError(code="no_key")
    name, fernet = key_id(keys[0].reveal()), _fernet(keys[0])
    plain = json.dumps({"place": place, "secret": secret.reveal()})
    return f"{SCHEME}:{name}:{fernet.encrypt(plain.encode()).decode()}"


def decrypt(stored: str, *, place: str) -> Secret:
    """
    Decrypt a text that ``encrypt`` returned for this place.

    :raises SecretUnreadableError: if its key is missing, or it is damaged or of another place
    """
    name = key_id_of(stored)
    if not name:
        raise SecretUnreadableError(code="damaged")
    key = {key_id(key.reveal()): key for key in _keys()}.get(name)
    if key is None:
        raise SecretUnreadableError(code="key_missing", details={"key_id": name})
    try:
        found, secret = _decrypted(_fernet(key), stored.rpartition(":")[2])
    except (InvalidToken, ValueError, LookupError, TypeError):
        # Without the cause, whose traceback would show the decrypted text.
        raise SecretUnreadableError(code="damaged", details={"key_id": name}) from None
    if found != place:
        raise SecretUnreadableError(code="misplaced", details={"key_id": name})
    return secret


def _decrypted(fernet: Fernet, token: str) -> tuple[str, Secret]:
    """Return the place and the secret in a Fernet token."""
    plain = json.loads(fernet.decrypt(token))
    return plain["place"], Secret(plain["secret"])


def _keys() -> list[Secret]:
    # As Secret, because error reporters show variables.
    return [Secret(key) for key in conf().ENCRYPTION_KEYS]


def _fernet(key: Secret) -> Fernet:
    if is_key(key.reveal()):
        return Fernet(key.reveal())
    raise WrongSettingsError(code="bad_key", details={"key_id": key_id(key.reveal())})
