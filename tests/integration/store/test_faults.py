"""What can be wrong with a file, each provoked."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pitstop.model import (
    Match,
    StoreCorruptError,
    StoreError,
    StoreNewerError,
    StoreUnavailableError,
    TraceMatch,
    Window,
)
from pitstop.store.sqlite import SqliteStore
from pitstop.store.sqlite.faults import file_system_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import HandClock, Make, Settle

    from pitstop.model import Batch, Store


def raw(path: str) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def one(make: Make) -> Batch:
    return make.batch([(make.NOON, make.series(), [1])])


def counted(store: Store, make: Make) -> int:
    return sum(store.rollups(Window(make.NOON - 10, make.NOON + 10), Match()).count)


def files(path: str) -> dict[str, bytes]:
    return {suffix: Path(path + suffix).read_bytes() for suffix in ("", "-wal") if Path(path + suffix).exists()}


@pytest.mark.parametrize("in_log", [False, True])
@pytest.mark.parametrize("readonly", [False, True])
def test_a_newer_schema_is_refused_and_left_byte_for_byte(
    sqlite_store: SqliteStore, make: Make, path: str, in_log: bool, readonly: bool
) -> None:
    sqlite_store.append(one(make))
    sqlite_store.close()
    newer = raw(path)
    newer.execute("PRAGMA user_version=999")
    if not in_log:
        newer.close()
    before = files(path)
    assert ("-wal" in before) == in_log
    store = SqliteStore(path, readonly=readonly)
    for action in (store.services, lambda: counted(store, make)):
        with pytest.raises(StoreNewerError, match="schema 999"):
            action()
    if not readonly:
        with pytest.raises(StoreNewerError):
            store.append(one(make))
        with pytest.raises(StoreNewerError):
            store.upkeep()
    assert "999" in store.size().state
    store.close()
    assert files(path) == before
    newer.close()


@pytest.mark.parametrize("damage", ["first bytes", "every page", "no database", "cut"])
def test_a_damaged_file_is_set_aside_and_a_fresh_one_begun(
    path: str, make: Make, clock: HandClock, damage: str
) -> None:
    store = SqliteStore(path, clock=clock)
    store.append(make.batch([(make.NOON, make.series(str(i)), [1, 5, 9]) for i in range(3000)]))
    store.checkpoint()
    store.close()
    content = bytearray(Path(path).read_bytes())
    if damage == "first bytes":
        content[:40] = b"x" * 40
    elif damage == "every page":
        for at in range(4096 * 2, len(content), 4096):
            content[at : at + 8] = b"\xff" * 8
    elif damage == "cut":
        del content[4096 * 5 + 100 :]
    else:
        content = bytearray(b"this is a letter, not a database\n" * 200)
    Path(path).write_bytes(content)
    damaged = bytes(content)
    store = SqliteStore(path, clock=clock)
    batch = make.batch([(make.NOON, make.series("after"), [1])])
    store.append(batch)
    store.upkeep()
    aside = [p for p in Path(path).parent.iterdir() if ".damaged-" in p.name and not p.name.endswith("-wal")]
    assert len(aside) == 1
    if damage != "every page":
        assert aside[0].read_bytes() == damaged
        assert sum(store.rollups(Window(0, make.NOON + 1), Match(name="after")).count) == 1
    store.append(make.batch([(make.NOON, make.series("later"), [1])]))
    (text,) = store.events(Window(0, make.NOON + 10)).text
    assert aside[0].name in text
    assert raw(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store.close()


def test_a_reader_never_renames_a_damaged_file(path: str) -> None:
    Path(path).write_bytes(b"this is a letter, not a database\n" * 200)
    before = files(path)
    store = SqliteStore(path, readonly=True)
    with pytest.raises(StoreCorruptError, match="damaged or no database"):
        store.services()
    assert "damaged" in store.size().state
    assert files(path) == before
    assert [p.name for p in Path(path).parent.iterdir()] == [Path(path).name]


def test_a_truncated_log_loses_its_end_and_nothing_else(
    path: str, make: Make, clock: HandClock, tmp_path: Path
) -> None:
    store = SqliteStore(path, clock=clock)
    for _ in range(5):
        store.append(one(make))
    store.checkpoint()
    for _ in range(5):
        store.append(one(make))
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(path + suffix, crashed / f"pitstop.db{suffix}")
    log = crashed / "pitstop.db-wal"
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size // 2 + 7)
    copy = SqliteStore(str(crashed / "pitstop.db"), clock=clock)
    assert 5 <= counted(copy, make) < 10
    copy.append(make.batch([(make.NOON, make.series(), [1])], worker="w2"))
    assert raw(copy.path).execute("PRAGMA integrity_check").fetchone() == ("ok",)
    copy.close()
    store.close()


def test_another_process_that_set_the_file_aside_is_followed(path: str, make: Make, clock: HandClock) -> None:
    first, second = SqliteStore(path, clock=clock), SqliteStore(path, clock=clock)
    first.append(one(make))
    second.append(make.batch([(make.NOON, make.series(), [1])], worker="w2"))
    for suffix in ("-wal", "-shm", ""):
        Path(path + suffix).rename(path + ".gone" + suffix)
    first.append(make.batch([(make.NOON, make.series(), [1])]))
    second.append(make.batch([(make.NOON, make.series(), [1])], worker="w2"))
    assert counted(first, make) == counted(second, make) == 2
    first.close()
    second.close()


def test_another_applications_database_is_refused(path: str, make: Make) -> None:
    other = raw(path)
    other.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY)")
    other.close()
    store = SqliteStore(path)
    with pytest.raises(StoreError, match="another application's database"):
        store.append(one(make))
    assert [name for (name,) in raw(path).execute("SELECT name FROM sqlite_master")] == ["customers"]


def test_a_lock_held_for_longer_than_we_wait_loses_nothing(path: str, make: Make, clock: HandClock) -> None:
    store = SqliteStore(path, clock=clock)
    store._connections.busy_timeout_ms = 100
    store.append(one(make))
    holder = raw(path)
    holder.execute("BEGIN EXCLUSIVE")
    batch = one(make)
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match="locked"):
            store.append(batch)
    assert "locked" in store.size().state
    assert counted(store, make) == 1
    holder.execute("ROLLBACK")
    store.append(batch)
    store.append(batch)
    assert (counted(store, make), store.size().state) == (2, "ok")
    holder.close()
    store.close()


def test_a_full_file_refuses_and_nothing_of_the_batch_is_in(path: str, make: Make, clock: HandClock) -> None:
    store = SqliteStore(path, clock=clock)
    store.append(one(make))
    opened = store._connections._configured
    full = True

    def limited(uri: str) -> sqlite3.Connection:
        connection = opened(uri)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages if full else 1 << 30}")
        return connection

    store._connections._configured = limited
    store._connections.forget()
    big = make.batch(
        [(make.NOON, make.series(f"{i} " + "x" * 300), [1]) for i in range(200)],
        traces=make.traces([{"body": bytes(5000)}]), errors=make.errors([{}]),
        profiles=make.profiles([(make.NOON, "a;b", 7)]),
    )  # fmt: skip
    window = Window(make.NOON, make.NOON + 60)
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match="no room"):
            store.append(big)
    assert counted(store, make) == 1
    assert (len(store.traces(window, TraceMatch())), len(store.errors(window))) == (0, 0)
    full = False
    store._connections.forget()  # the limit belongs to a connection, a real disk's does not
    store.append(big)
    assert (counted(store, make), store.size().state) == (201, "ok")
    assert store.trace(big.traces.trace_id[0]) == big.traces
    assert (store.errors(window), store.profiles(window).samples) == (big.errors, [7])
    store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a file system can be mounted by root only; the full disk is provoked by max_page_count alone")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


def test_a_really_full_disk_refuses_and_recovers_by_itself(small_disk: Path, make: Make, clock: HandClock) -> None:
    store = SqliteStore(str(small_disk / "p.db"), clock=clock)
    acknowledged = 0
    refused = None
    for _ in range(200):
        refused = make.batch([(make.NOON, make.series(str(i)), [1]) for i in range(100)])
        try:
            store.append(refused)
        except StoreUnavailableError:
            break
        acknowledged += 100
    else:
        raise AssertionError("a disk of 1 MB took everything")
    assert counted(store, make) == acknowledged > 0
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    store.append(refused)
    assert counted(store, make) == acknowledged + 100
    assert raw(store.path).execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store.close()


def test_a_read_only_disk_can_be_read_and_not_written(small_disk: Path, make: Make, clock: HandClock) -> None:
    store = SqliteStore(str(small_disk / "p.db"), clock=clock)
    store.append(one(make))
    store.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreUnavailableError):
        SqliteStore(store.path, clock=clock).append(make.batch([(make.NOON, make.series(), [1])], worker="w9"))
    reader = SqliteStore(store.path, readonly=True, clock=clock)
    assert counted(reader, make) == 1
    assert (reader.size().state, reader.size().series) == ("ok", 1)
    with pytest.raises(StoreUnavailableError, match="readonly"):
        reader.append(one(make))
    reader.close()


def test_a_folder_that_does_not_exist_is_unavailable_until_it_does(tmp_path: Path, make: Make) -> None:
    store = SqliteStore(str(tmp_path / "sub" / "p.db"))
    batch = one(make)
    with pytest.raises(StoreUnavailableError, match="folder"):
        store.append(batch)
    (tmp_path / "sub").mkdir()
    store.append(batch)
    assert counted(store, make) == 1
    store.close()


def test_a_reader_waits_for_the_first_flush(path: str, make: Make) -> None:
    reader = SqliteStore(path, readonly=True)
    with pytest.raises(StoreUnavailableError, match="no store"):
        reader.services()
    assert not Path(path).exists()
    writer = SqliteStore(path)
    writer.append(one(make))
    assert reader.services() == ["shop"]
    reader.close()
    writer.close()


def test_a_network_file_system_is_refused_with_a_clear_word(path: str, make: Make) -> None:
    folder = Path(path).resolve().parent
    table = f"/dev/sda / ext4 rw 0 0\nserver:/export {folder} nfs4 rw 0 0\n"
    store = SqliteStore(path, mounts=lambda: table)
    with pytest.raises(StoreUnavailableError, match=r"network file system \(nfs4\)"):
        store.append(one(make))
    assert not Path(path).exists()


def test_the_longest_mount_decides() -> None:
    table = "a / ext4 rw 0 0\nb /srv nfs rw 0 0\nc /srv/my\\040disk xfs rw 0 0\nbroken\n"
    assert file_system_of("/srv/x.db", table) == "nfs"
    assert file_system_of("/srv/my disk/x.db", table) == "xfs"
    assert file_system_of("/srvx/x.db", table) == "ext4"
    assert file_system_of("/x.db", "") == ""


def test_a_clock_that_jumps_ahead_deletes_nothing(path: str, make: Make, clock: HandClock, settle: Settle) -> None:
    store = SqliteStore(path, clock=clock)
    rows = [(make.NOON - hour * 3600, make.series(), [hour + 1]) for hour in range(200)]
    store.append(make.batch(rows))
    settle(store)
    window = Window(make.NOON // 86_400 * 86_400 - 20 * 86_400, make.NOON // 86_400 * 86_400 + 86_400)
    hours = make.totals(store.rollups(window, Match(), step_s=3600))
    ts = sorted(store.rollups(window, Match(), step_s=3600).ts)
    for jump_s in (86_400, 365 * 86_400, -86_400, -400 * 86_400):
        clock.wall_s += jump_s
        for _ in range(5):
            clock.pass_s(1)
            store.upkeep()
        clock.wall_s -= jump_s
        for _ in range(5):
            clock.pass_s(1)
            store.upkeep()
        assert make.totals(store.rollups(window, Match(), step_s=3600)) == hours
        assert sorted(store.rollups(window, Match(), step_s=3600).ts) == ts
    store.append(make.batch([(make.NOON + 30, make.series("new"), [1])]))
    assert sum(store.rollups(Window(make.NOON + 30, make.NOON + 31), Match(name="new")).count) == 1
    store.close()


def test_retention_catches_up_after_a_long_pause(path: str, make: Make, clock: HandClock, settle: Settle) -> None:
    store = SqliteStore(path, clock=clock)
    store.append(make.batch([(make.NOON - 80 * 86_400, make.series(), [1])]))
    settle(store)
    clock.wall_s += 30 * 86_400
    store.upkeep()
    window = Window(make.NOON - 81 * 86_400, make.NOON)
    assert list(store.rollups(window, Match(), step_s=3600).ts) == [make.NOON - 80 * 86_400]
    for _ in range(40):
        clock.pass_s(3600)
        settle(store)
    assert list(store.rollups(window, Match(), step_s=3600).ts) == [(make.NOON - 80 * 86_400) // 86_400 * 86_400]
    store.close()
