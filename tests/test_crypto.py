"""Encrypted secrets: readable with their own key, at their own place, and in no other way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from tests.reporter import shown_by
from zoho_crm import crypto
from zoho_crm.contrib.pytest import ENCRYPTION_KEY
from zoho_crm.exceptions import SecretUnreadableError
from zoho_crm.types import Secret

OLD, NEW = crypto.new_key(), crypto.new_key()
PLACE = "zoho_crm_token.refresh_token:7"
TOKEN = Secret("1000.nobody-sees-this")


@pytest.fixture
def use(settings: Any) -> Any:
    """Set the encryption keys."""

    def use(*keys: str) -> None:
        settings.ZOHO_CRM = {"ENCRYPTION_KEYS": list(keys)}

    return use


@pytest.fixture(autouse=True, scope="module")
def _a_key() -> Iterator[None]:
    with override_settings(ZOHO_CRM={"ENCRYPTION_KEYS": [OLD]}):
        yield


def unreadable(stored: str, place: str = PLACE) -> SecretUnreadableError:
    with pytest.raises(SecretUnreadableError) as caught:
        crypto.decrypt(stored, place=place)
    return caught.value


def test_a_secret_comes_back_from_its_place(use: Any) -> None:
    stored = crypto.encrypt(TOKEN, place=PLACE)

    assert crypto.decrypt(stored, place=PLACE) == TOKEN
    assert TOKEN.reveal() not in stored


def test_what_is_stored_names_its_key_and_not_its_place(use: Any) -> None:
    scheme, key_id, token = crypto.encrypt(TOKEN, place=PLACE).split(":")

    assert (scheme, key_id) == ("zk1", crypto.key_id(OLD))
    assert json.loads(Fernet(OLD).decrypt(token)) == {"place": PLACE, "secret": TOKEN.reveal()}


def test_the_name_of_a_key_is_the_start_of_its_hash() -> None:
    assert crypto.key_id(ENCRYPTION_KEY) == "5b50bf44"
    assert crypto.key_id_of("zk1:d5ac7a1f:token") == "d5ac7a1f"


@pytest.mark.parametrize("text", ["", "1000.token", "zk2:d5ac7a1f:token", "zk1", "zk1:", ":a:b"])
def test_a_text_that_is_not_ours_has_no_key(text: str) -> None:
    assert crypto.key_id_of(text) == ""


@pytest.mark.slow
@given(text=st.text(), place=st.text())
def test_any_text_survives_at_any_place(text: str, place: str) -> None:
    stored = crypto.encrypt(Secret(text), place=place)

    assert crypto.decrypt(stored, place=place).reveal() == text


@given(place=st.text(), other=st.text())
def test_no_text_is_readable_at_another_place(place: str, other: str) -> None:
    stored = crypto.encrypt(TOKEN, place=place)

    if place != other:
        assert unreadable(stored, other).code == "misplaced"


@given(position=st.integers(min_value=0), replacement=st.characters(codec="utf-8"))
def test_a_changed_letter_never_makes_another_secret(position: int, replacement: str) -> None:
    stored = crypto.encrypt(TOKEN, place=PLACE)
    at = position % len(stored)
    changed = stored[:at] + replacement + stored[at + 1 :]

    # Base64 has two ways to write some letters.
    with suppress(SecretUnreadableError):
        assert crypto.decrypt(changed, place=PLACE) == TOKEN


@pytest.mark.slow
@given(text=st.text(max_size=200))
def test_nothing_but_what_was_encrypted_is_readable(text: str) -> None:
    known = f"zk1:{crypto.key_id(OLD)}"

    for stored in (text, f"zk1:{text}", known, f"{known}:{text}"):
        assert unreadable(stored).code in {"damaged", "key_missing"}


@pytest.mark.parametrize(
    "plain", [b"", b"text", b"[]", b'"text"', b"null", b"{}", b'{"place": "x"}', b"\xff"]
)
def test_what_another_program_encrypted_with_our_key_is_damaged(use: Any, plain: bytes) -> None:
    stored = f"zk1:{crypto.key_id(OLD)}:{Fernet(OLD).encrypt(plain).decode()}"

    assert unreadable(stored).code == "damaged"


# Keys


def test_the_first_key_encrypts_and_older_ones_still_read(use: Any) -> None:
    before = crypto.encrypt(TOKEN, place=PLACE)
    use(NEW, OLD)
    after = crypto.encrypt(TOKEN, place=PLACE)

    assert crypto.key_id_of(after) == crypto.key_id(NEW)
    assert crypto.decrypt(before, place=PLACE) == crypto.decrypt(after, place=PLACE) == TOKEN
    use(OLD, NEW)
    assert crypto.key_id_of(crypto.encrypt(TOKEN, place=PLACE)) == crypto.key_id(OLD)


def test_a_missing_key_is_named(use: Any) -> None:
    stored = crypto.encrypt(TOKEN, place=PLACE)
    use(NEW)

    error = unreadable(stored)

    assert (error.code, error.details) == ("key_missing", {"key_id": crypto.key_id(OLD)})
    assert crypto.key_id(OLD) in str(error)


def test_a_text_is_decrypted_with_its_own_key_only(use: Any) -> None:
    stored = crypto.encrypt(TOKEN, place=PLACE).replace(crypto.key_id(OLD), crypto.key_id(NEW))
    use(OLD, NEW)

    assert unreadable(stored).code == "damaged"


def test_a_damaged_text_names_its_key(use: Any) -> None:
    error = unreadable(f"zk1:{crypto.key_id(OLD)}:damaged")

    assert (error.code, error.details) == ("damaged", {"key_id": crypto.key_id(OLD)})


def test_without_a_key_nothing_is_encrypted_and_nothing_read(use: Any) -> None:
    stored = crypto.encrypt(TOKEN, place=PLACE)
    use()

    with pytest.raises(ImproperlyConfigured, match="zoho_new_key"):
        crypto.encrypt(TOKEN, place=PLACE)
    with pytest.raises(ImproperlyConfigured, match="zoho_new_key"):
        crypto.require_key()
    assert unreadable(stored).code == "key_missing"


@pytest.mark.parametrize("key", ["hunter2", "", "ü" * 44, "A" * 43])
def test_a_key_that_is_none_is_named_and_not_shown(use: Any, key: str) -> None:
    use(key, OLD)

    with pytest.raises(ImproperlyConfigured) as caught:
        crypto.encrypt(TOKEN, place=PLACE)

    assert crypto.key_id(key) in str(caught.value)
    assert not key or key not in str(caught.value)
    assert not crypto.is_key(key)


def test_a_key_that_is_none_does_not_keep_the_others_from_reading(use: Any) -> None:
    stored = crypto.encrypt(TOKEN, place=PLACE)
    use("hunter2", OLD)

    assert crypto.decrypt(stored, place=PLACE) == TOKEN


def test_new_keys_are_keys_and_differ() -> None:
    keys = {crypto.new_key() for _ in range(5)}

    assert len(keys) == 5
    assert all(map(crypto.is_key, keys))


def test_with_a_key_all_is_well(use: Any) -> None:
    crypto.require_key()


# What an error reporter would show


@pytest.mark.parametrize(
    ("place", "token", "keys"),
    [
        (PLACE, "", [NEW]),
        ("elsewhere", "", [OLD]),
        (PLACE, "damaged", [OLD]),
        (PLACE, Fernet(OLD).encrypt(TOKEN.reveal().encode()).decode(), [OLD]),
    ],
    ids=["key missing", "misplaced", "damaged", "no JSON"],
)
def test_no_variable_of_a_failed_reading_holds_a_key_or_what_was_read(
    use: Any, place: str, token: str, keys: list[str]
) -> None:
    stored = crypto.encrypt(TOKEN, place=PLACE)
    use(*keys)
    stored = f"zk1:{crypto.key_id(OLD)}:{token}" if token else stored

    shown = shown_by(unreadable(stored, place))

    assert not [secret for secret in (OLD, NEW, TOKEN.reveal()) if secret in shown]


def test_no_variable_of_a_failed_encryption_holds_a_key_or_the_secret(use: Any) -> None:
    use("hunter2")

    with pytest.raises(ImproperlyConfigured) as caught:
        crypto.encrypt(TOKEN, place=PLACE)

    assert "hunter2" not in shown_by(caught.value)
    assert TOKEN.reveal() not in shown_by(caught.value)
