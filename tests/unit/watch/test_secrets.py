"""What is sealed stays so."""

from __future__ import annotations

import pickle
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from pitstop.model import SettingError, StoreUnavailableError
from pitstop.watch.secrets import Secret, Vault

if TYPE_CHECKING:
    from pathlib import Path


def test_a_secret_shows_itself_to_nobody_who_does_not_ask() -> None:
    secret = Secret("canary")

    assert "canary" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "canary"
    assert secret == Secret("canary")
    assert secret != Secret("other")
    assert (bool(secret), bool(Secret()), str(Secret())) == (True, False, "none")
    assert len({secret, Secret("canary")}) == 1
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_what_is_sealed_opens_with_the_same_key_and_owner_only() -> None:
    vault = Vault("a key of sixteen or more")
    sealed = vault.seal("slack://token", "ops")

    assert b"token" not in sealed
    assert sealed != vault.seal("slack://token", "ops")
    assert Vault("a key of sixteen or more").unseal(sealed, "ops") == "slack://token"
    for other, owner in ((vault, "dev"), (Vault("another key of sixteen"), "ops"), (Vault(), "ops")):
        with pytest.raises(SettingError, match="another key"):
            other.unseal(sealed, owner)


@pytest.mark.parametrize(
    "change", [lambda s: s[:-1], lambda s: b"\x02" + s[1:], lambda s: s[:20] + b"x" + s[21:], lambda _: b""]
)
def test_what_was_changed_does_not_open(change: object) -> None:
    vault = Vault()
    sealed = vault.seal("text", "ops")

    with pytest.raises(SettingError):
        vault.unseal(change(sealed), "ops")  # type: ignore[operator]


def test_the_key_file_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "pitstop.key"
    made: list[Vault] = []
    threads = [threading.Thread(target=lambda: made.append(Vault(path=path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    sealed = made[0].seal("text", "ops")
    assert [vault.unseal(sealed, "ops") for vault in made] == ["text"] * 8
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["pitstop.key"]
    assert path.stat().st_size == 32


def test_a_key_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="at least 16"):
        Vault("short")
    (tmp_path / "cut").write_bytes(b"x")
    with pytest.raises(StoreUnavailableError, match="1 bytes instead of 32"):
        Vault(path=tmp_path / "cut")
    with pytest.raises(StoreUnavailableError, match="cannot be used"):
        Vault(path=tmp_path / "no" / "folder")
