"""Users, sessions and tokens."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from pitstop.dashboard.auth import Keyring, keyring_path
from pitstop.dashboard.auth.keyring import IDLE_S, SESSION_S
from pitstop.dashboard.auth.passwords import generate_password, hash_password, verify_password
from pitstop.model import SettingError, StoreUnavailableError


class Clock:
    def __init__(self) -> None:
        self.at_s = 1_800_000_000.0

    def now_s(self) -> float:
        return self.at_s

    def monotonic_ns(self) -> int:
        return int(self.at_s * 1e9)


def test_a_password_verifies_against_its_own_hash_only() -> None:
    hashed = hash_password("correct horse battery")
    assert verify_password("correct horse battery", hashed)
    assert not verify_password("correct horse batterz", hashed)
    assert not verify_password("x" * 2000, hashed)


def test_equal_passwords_have_different_hashes() -> None:
    assert hash_password("correct horse battery") != hash_password("correct horse battery")


@pytest.mark.parametrize("broken", ["", "scrypt$1$2", "md5$1$8$1$00$00", "scrypt$x$8$1$00$00", "scrypt$3$8$1$00$00"])
def test_a_broken_hash_lets_nobody_in(broken: str) -> None:
    assert not verify_password("anything at all", broken)


def test_generated_passwords_are_long_and_never_the_same() -> None:
    made = {generate_password() for _ in range(50)}
    assert len(made) == 50
    assert all(len(one.replace("-", "")) == 20 for one in made)


def test_the_file_is_for_its_owner_alone_and_holds_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "pitstop.auth.db"
    keyring = Keyring(path)
    password = keyring.make_first_password()
    assert password
    cookie, session = keyring.open_session("admin")
    token = keyring.add_token("ci")
    keyring.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    data = path.read_bytes()
    assert not any(secret.encode() in data for secret in (password, cookie, token))
    assert session.id.encode() in data


def test_the_first_password_is_made_once_also_by_workers_that_start_together(tmp_path: Path) -> None:
    made: list[str | None] = []

    def start() -> None:
        made.append(Keyring(tmp_path / "k.db").make_first_password())

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [password] = [one for one in made if one]
    assert Keyring(tmp_path / "k.db").verify("admin", password)


def test_unknown_users_and_wrong_passwords_are_refused() -> None:
    keyring = Keyring()
    keyring.set_password("a long enough one")
    assert keyring.verify("admin", "a long enough one")
    assert not keyring.verify("admin", "a long enough two")
    assert not keyring.verify("nobody", "a long enough one")


def test_a_given_password_counts_instead_of_the_stored_one_and_short_ones_are_refused() -> None:
    keyring = Keyring()
    keyring.set_password("the stored password")
    keyring.give_password("the given password")
    assert keyring.verify("admin", "the given password")
    assert not keyring.verify("admin", "the stored password")
    with pytest.raises(SettingError, match="at least 12"):
        keyring.give_password("short")


def test_a_session_counts_in_every_process_that_opens_the_file_and_ends_in_all(tmp_path: Path) -> None:
    one, two = Keyring(tmp_path / "k.db"), Keyring(tmp_path / "k.db")
    cookie, session = one.open_session("admin")
    assert two.session(cookie) == session
    assert session.id in two.live_ids()
    two.close_session(session.id)
    assert one.session(cookie) is None
    assert session.id not in one.live_ids()


def test_a_session_ends_a_week_after_sign_in_or_a_day_after_its_last_use() -> None:
    clock = Clock()
    keyring = Keyring(clock=clock)
    cookie, session = keyring.open_session("admin")
    clock.at_s += IDLE_S - 1
    assert keyring.session(cookie)
    clock.at_s += IDLE_S - 1
    assert keyring.session(cookie), "used within a day"
    clock.at_s += IDLE_S + 1
    assert keyring.session(cookie) is None, "idle for a day"
    assert session.id not in keyring.live_ids()
    cookie, _ = keyring.open_session("admin")
    for _ in range(SESSION_S // (IDLE_S // 2)):
        clock.at_s += IDLE_S // 2
        keyring.session(cookie)
    clock.at_s += 2
    assert keyring.session(cookie) is None, "a week old"


def test_a_new_password_ends_the_sessions_of_its_user() -> None:
    keyring = Keyring()
    cookie, _ = keyring.open_session("admin")
    keyring.make_new_password()
    assert keyring.session(cookie) is None


def test_tokens_are_listed_by_name_and_revoked() -> None:
    keyring = Keyring()
    token = keyring.add_token("ci")
    assert keyring.tokens() == ["ci"]
    found = keyring.token(token)
    assert found
    assert found.by_token
    assert found.user == "ci"
    assert keyring.token("pst_wrong") is None
    assert keyring.drop_token("ci") == 1
    assert keyring.token(token) is None


def test_a_folder_that_cannot_be_written_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="writable"):
        Keyring(tmp_path / "missing" / "k.db")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///pitstop.db", Path("pitstop.auth.db")),
        ("sqlite:////var/lib/p.db", Path("/var/lib/p.auth.db")),
        ("memory://x", None),
    ],
)
def test_the_keyring_lies_beside_its_store(url: str, path: Path | None) -> None:
    assert keyring_path(url) == path
