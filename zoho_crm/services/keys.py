"""The encryption keys: which key encrypts which stored secret, key rotation, and fingerprints."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import chain

from django.core.exceptions import ImproperlyConfigured

from zoho_crm import crypto
from zoho_crm.exceptions import SecretUnreadableError
from zoho_crm.models import (
    AuthorizationRequest,
    EncryptedModel,
    EnteredClient,
    SdkToken,
    Token,
    batches,
)
from zoho_crm.types import Secret, ValueObject

FINGERPRINT_DIGITS = 8


class Ciphertext(ValueObject):
    """One encrypted secret: its row, and which of the row's secrets it is."""

    row: EncryptedModel | AuthorizationRequest
    #: The name of the secret, which is that of its column without ``_cipher``.
    secret: str

    @property
    def column(self) -> str:
        """The name of the column."""
        return f"{self.secret}_cipher"

    @property
    def text(self) -> str:
        """The ciphertext, as it was when the row was read."""
        return str(getattr(self.row, self.column))

    @property
    def key_id(self) -> str:
        """The id of the key that encrypted it."""
        return crypto.key_id_of(self.text)

    @property
    def name(self) -> str:
        """A name for messages: the model, the row's primary key and the secret."""
        return f"{self.row._meta.verbose_name} {self.row.pk} {self.secret}"

    def reveal(self) -> Secret:
        """
        Decrypt the secret.

        :raises SecretUnreadableError: if its key is missing or it is damaged
        """
        if isinstance(self.row, EncryptedModel):
            return self.row.reveal(self.secret)
        return crypto.decrypt(self.text, place=self.row.state_hash)

    def encrypt_again(self) -> bool:
        """
        Encrypt the secret with the first key; return ``False`` if it was changed since it was read.

        :raises SecretUnreadableError: if it cannot be decrypted; then it is not changed
        """
        unchanged = type(self.row)._default_manager.filter(
            **{"pk": self.row.pk, self.column: self.text}
        )
        return bool(unchanged.update(**self._encrypted(self.reveal())))

    def _encrypted(self, secret: Secret) -> dict[str, str]:
        if isinstance(self.row, EncryptedModel):
            return self.row.encrypted_columns(**{self.secret: secret})
        return {self.column: crypto.encrypt(secret, place=self.row.state_hash)}


class Rotation(ValueObject):
    """The result of a key rotation: ciphertexts by key id, before and after."""

    before: Mapping[str, int]
    after: Mapping[str, int]
    #: Names of the secrets that could not be decrypted and were not changed, by the reason.
    unreadable: Mapping[str, list[str]]


class Fingerprint(ValueObject):
    """What may be shown of a stored secret; all empty where there is none."""

    #: The first hex digits of its SHA-256; empty if it cannot be decrypted.
    digits: str = ""
    #: The id of the key that encrypted it.
    key_id: str = ""
    #: Why it cannot be decrypted.
    problem: str = ""


def ciphertexts() -> Iterator[Ciphertext]:
    """Yield every place where an encrypted secret can be stored; its text may be empty."""
    for model in (Token, SdkToken, EnteredClient):
        for row in chain.from_iterable(batches(model._default_manager.all())):
            yield from (Ciphertext(row=row, secret=name) for name in model.SECRETS)
    for request in chain.from_iterable(batches(AuthorizationRequest.objects.all())):
        yield Ciphertext(row=request, secret="verifier")


def count_by_key() -> Mapping[str, int]:
    """Return the number of ciphertexts by key id: the keys of the settings first, then others."""
    found = Counter(each.key_id for each in ciphertexts() if each.text)
    known = crypto.key_ids()
    return {key_id: found[key_id] for key_id in dict.fromkeys([*known, *sorted(found)])}


def unreadable() -> Mapping[str, list[str]]:
    """Return the names of the secrets that cannot be decrypted, by the reason."""
    problems: dict[str, list[str]] = defaultdict(list)
    for each in ciphertexts():
        problem = _problem(each) if each.text else ""
        if problem:
            problems[problem].append(each.name)
    return problems


def rotate() -> Rotation:
    """
    Encrypt with the first key every secret that another key encrypted; it may be repeated.

    :raises ImproperlyConfigured: if there is no key, or the first is not a Fernet key
    """
    # Fails before any secret is changed.
    first = crypto.key_id_of(crypto.encrypt(Secret("trial"), place="trial"))
    before = count_by_key()
    for each in ciphertexts():
        if each.text and each.key_id != first and not _problem(each):
            each.encrypt_again()
    return Rotation(before=before, after=count_by_key(), unreadable=unreadable())


def fingerprint(token: Token, secret: str) -> Fingerprint:
    """Return the fingerprint of one of ``Token.SECRETS``."""
    key_id = crypto.key_id_of(getattr(token, f"{secret}_cipher"))
    if not key_id:
        return Fingerprint()
    try:
        value = token.reveal(secret)
    except (SecretUnreadableError, ImproperlyConfigured) as error:
        return Fingerprint(key_id=key_id, problem=str(error))
    digest = hashlib.sha256(value.reveal().encode()).hexdigest()
    return Fingerprint(digits=digest[:FINGERPRINT_DIGITS], key_id=key_id)


def _problem(each: Ciphertext) -> str:
    """Return why a secret cannot be decrypted; empty if it can."""
    try:
        each.reveal()
    except (SecretUnreadableError, ImproperlyConfigured) as error:
        return str(error)
    return ""
