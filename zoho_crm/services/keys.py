"""Move every ciphertext to the first of the encryption keys, and say which key holds how many."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured

from zoho_crm import crypto
from zoho_crm.conf import conf
from zoho_crm.exceptions import SecretUnreadableError
from zoho_crm.models import AuthorizationRequest, Token
from zoho_crm.types import Secret


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """One ciphertext, and the column that it stands in."""

    row: Token | AuthorizationRequest
    word: str

    @property
    def column(self) -> str:
        """The name of the column."""
        return f"{self.word}_cipher"

    @property
    def text(self) -> str:
        """The ciphertext, as it was read."""
        return str(getattr(self.row, self.column))

    @property
    def key_id(self) -> str:
        """The key that encrypted it."""
        return crypto.key_id_of(self.text)

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{self.row._meta.verbose_name} {self.row.pk} {self.word}"

    def reveal(self) -> Secret:
        """
        Decrypt it.

        :raises SecretUnreadableError: if its key is missing or it is damaged
        """
        if isinstance(self.row, Token):
            return self.row.reveal(self.word)
        return crypto.decrypt(self.text, place=self.row.state_hash)

    def reseal(self) -> bool:
        """
        Encrypt it with the first key, unless somebody wrote another one meanwhile.

        :raises SecretUnreadableError: if it cannot be read; then it stays as it is
        """
        unchanged = type(self.row)._default_manager.filter(
            **{"pk": self.row.pk, self.column: self.text}
        )
        return bool(unchanged.update(**self._sealed(self.reveal())))

    def _sealed(self, secret: Secret) -> dict[str, str]:
        if isinstance(self.row, Token):
            return self.row.encrypted_columns(**{self.word: secret})
        return {self.column: crypto.encrypt(secret, place=self.row.state_hash)}


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """How many ciphertexts each key held, and holds now."""

    before: Mapping[str, int]
    after: Mapping[str, int]
    #: What stayed as it was because it could not be read, by the reason.
    unreadable: Mapping[str, list[str]]


def sealed() -> Iterator[Sealed]:
    """Yield every ciphertext that is stored."""
    for token in Token.objects.order_by("pk").iterator():
        yield from (Sealed(row=token, word=word) for word in Token.SECRETS)
    for request in AuthorizationRequest.objects.order_by("pk").iterator():
        yield Sealed(row=request, word="verifier")


def census() -> Mapping[str, int]:
    """Return how many ciphertexts each key holds, by key id, the newest key first."""
    found = Counter(each.key_id for each in sealed() if each.text)
    known = [crypto.key_id(key) for key in conf().ENCRYPTION_KEYS]
    return {key_id: found[key_id] for key_id in dict.fromkeys([*known, *sorted(found)])}


def unreadable() -> Mapping[str, list[str]]:
    """Return what cannot be read with the keys of the settings, by the reason."""
    problems: dict[str, list[str]] = defaultdict(list)
    for each in sealed():
        problem = _problem(each) if each.text else ""
        if problem:
            problems[problem].append(each.name)
    return problems


def rotate() -> Rotation:
    """
    Encrypt with the first key whatever another one encrypted; it may be repeated at any time.

    :raises ImproperlyConfigured: if there is no key, or the first is not a Fernet key
    """
    # Without a good key nothing is touched.
    first = crypto.key_id_of(crypto.encrypt(Secret("trial"), place="trial"))
    before = census()
    for each in sealed():
        if each.text and each.key_id != first and not _problem(each):
            each.reseal()
    return Rotation(before=before, after=census(), unreadable=unreadable())


def _problem(each: Sealed) -> str:
    try:
        each.reveal()
    except (SecretUnreadableError, ImproperlyConfigured) as error:
        return str(error)
    return ""
