"""Sealed values, derived keys and the secrets kept in the data folder."""

from pathlib import Path

import pytest

from backend.settings import UnsafeSettings, kept_secret
from backend.store.secrets import Keys, SealBroken, hashed

KEYS = Keys("a secret of the deployment")
PLACE = "channel_routes.secret"


def test_what_was_sealed_opens_in_its_place() -> None:
    assert KEYS.unseal(KEYS.seal(b"token", PLACE), PLACE) == b"token"


def test_the_same_value_is_never_sealed_the_same_way_twice() -> None:
    sealed = {KEYS.seal(b"token", PLACE) for _ in range(50)}
    assert len(sealed) == 50 and not any(b"token" in s for s in sealed)


@pytest.mark.parametrize("place", ["channel_accounts.token", "", "channel_routes.secret "])
def test_in_another_place_it_does_not_open(place: str) -> None:
    with pytest.raises(SealBroken):
        KEYS.unseal(KEYS.seal(b"token", PLACE), place)


def test_with_another_key_it_does_not_open() -> None:
    with pytest.raises(SealBroken):
        Keys("another secret").unseal(KEYS.seal(b"token", PLACE), PLACE)


@pytest.mark.parametrize("at", [0, 1, 12, 13, -16, -1])
def test_with_a_bit_altered_anywhere_it_does_not_open(at: int) -> None:
    sealed = bytearray(KEYS.seal(b"token", PLACE))
    sealed[at] ^= 1
    with pytest.raises(SealBroken):
        KEYS.unseal(bytes(sealed), PLACE)


@pytest.mark.parametrize("length", [0, 1, 12, 13, 20])
def test_cut_short_it_does_not_open(length: int) -> None:
    with pytest.raises(SealBroken):
        KEYS.unseal(KEYS.seal(b"token", PLACE)[:length], PLACE)


def test_each_purpose_has_a_key_of_its_own() -> None:
    keys = {KEYS.derived(purpose) for purpose in ("seal", "tokens", "meta-app-secret")}
    assert len(keys) == 3 and all(len(k) == 32 for k in keys)
    assert Keys("a secret of the deployment").derived("seal") in keys


def test_a_token_is_kept_as_its_hash_alone() -> None:
    assert len(hashed("token")) == 32 and b"token" not in hashed("token") and hashed("token") != hashed("Token")


def test_a_kept_secret_is_made_once_and_read_by_its_owner_only(tmp_path: Path) -> None:
    made = kept_secret(tmp_path / "data", "secret_key")
    assert len(made) >= 43 and kept_secret(tmp_path / "data", "secret_key") == made
    assert (tmp_path / "data" / "secret_key").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["secret_key"]
    assert kept_secret(tmp_path / "other", "secret_key") != made


def test_an_empty_secret_is_refused_rather_than_used(tmp_path: Path) -> None:
    (tmp_path / "secret_key").touch()
    with pytest.raises(UnsafeSettings, match="empty"):
        kept_secret(tmp_path, "secret_key")


def test_a_start_killed_while_the_secret_was_written_leaves_none_behind(tmp_path: Path) -> None:
    (tmp_path / "secret_key.unfinished").write_text("hal")
    assert len(kept_secret(tmp_path, "secret_key")) >= 43
