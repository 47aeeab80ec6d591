"""The file as a level: processes share it, it outlives them, and it is never a reason to fail."""

from __future__ import annotations

import asyncio
import multiprocessing as mp
import os
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.model.errors import SettingError
from pitstop.tune.cache import Cache
from pitstop.tune.cache.file import FileLevel
from pitstop.tune.cache.file.keeping import keep_house

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROCESSES, CALLERS = 8, 100
FORKED = mp.get_context("fork")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


@pytest.fixture
def make(path: Path) -> Iterator[Callable[..., Cache]]:
    made: list[Cache] = []

    def one(**options: Any) -> Cache:
        made.append(Cache(file=path, **options))
        return made[-1]

    yield one
    for cache in made:
        cache.close()


def until(came_true: Callable[[], bool], timeout_s: float = 10.0) -> None:
    turns, end_s = threading.Event(), time.monotonic() + timeout_s
    while not came_true():
        assert time.monotonic() < end_s, "it never came to be"
        turns.wait(0.01)


def ask(path: Path, log: Path, begin: Any, done: Any) -> None:
    """One process with many callers of one cold key."""
    cache, found = Cache(file=path), []

    def slow() -> dict[str, Any]:
        with log.open("a") as out:
            out.write("x")
        threading.Event().wait(0.1)  # long enough for everybody to be there
        return {"value": (1, 2)}

    begin.wait()
    threads = [
        threading.Thread(target=lambda: found.append(cache.get_or_set("k", slow, tags=["t"]))) for _ in range(CALLERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    right = found == [{"value": (1, 2)}] * CALLERS
    done.put("right" if right and not cache.default.stats.errors.total else cache.default.stats.last_error or "wrong")
    cache.close()


def test_eight_processes_of_a_hundred_callers_on_one_cold_key_compute_it_once(path: Path, tmp_path: Path) -> None:
    log, begin, done = tmp_path / "calls", FORKED.Barrier(PROCESSES), FORKED.Queue()
    workers = [FORKED.Process(target=ask, args=(path, log, begin, done)) for _ in range(PROCESSES)]
    for worker in workers:
        worker.start()
    assert [done.get(timeout=30) for _ in workers] == ["right"] * PROCESSES
    for worker in workers:
        worker.join(30)
    assert log.read_text() == "x"
    cache = Cache(file=path)
    assert cache.get("k") == {"value": (1, 2)}  # it outlives them
    assert cache.get_metrics()["regions"]["default"]["hits"] == {"memory": 0, "file": 1}
    cache.close()


def test_what_one_process_changes_the_memory_of_another_forgets(make: Callable[..., Cache]) -> None:
    one, other = make(), make()
    for how in (
        lambda: one.set("k", "newer"), lambda: one.delete("k"), lambda: one.invalidate("t"),
        lambda: one.invalidate(everything=True),
    ):  # fmt: skip
        one.set("k", "v", tags=["t"])
        until(lambda: other.get("k") == "v")
        how()
        until(lambda: other.get("k") != "v")


def test_a_tag_that_was_raised_elsewhere_voids_what_is_in_the_file_at_once(make: Callable[..., Cache]) -> None:
    one, other = make(), make(max_entries=0)
    one.set("k", "v", tags=["t"], tenant="a")
    assert other.get("k", tenant="a") == "v"
    for void in (
        lambda: one.invalidate("t"),
        lambda: one.invalidate(tenant="a"),
        lambda: one.invalidate(region="default"),
    ):
        one.set("k", "v", tags=["t"], tenant="a")
        assert other.get("k", tenant="a") == "v"
        void()
        assert other.get("k", tenant="a") is None


def test_async_callers_use_it_without_holding_up_the_loop(make: Callable[..., Cache]) -> None:
    one, other = make(), make()

    async def run() -> None:
        await one.aset("a", (1,), tags=["t"])
        assert await other.aget("a") == (1,)
        assert await asyncio.gather(*(other.aget_or_set("b", lambda: 2) for _ in range(20))) == [2] * 20
        assert await one.aget("b") == 2
        assert await one.adelete("b")
        await one.ainvalidate("t")
        assert await one.aget("a") is None

    asyncio.run(run())
    assert one.default.stats.errors.total == other.default.stats.errors.total == 0


def test_sealed_values_are_read_only_with_the_secret(make: Callable[..., Cache], path: Path) -> None:
    one, other = make(secret="0123456789abcdef", encrypt=True), make(secret="fedcba9876543210")
    one.set("k", "confidential")
    assert other.get("k") is None
    assert other.default.stats.errors.total == 1
    one.close()
    assert b"confidential" not in b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_value_without_bytes_stays_in_memory(make: Callable[..., Cache], caplog: pytest.LogCaptureFixture) -> None:
    cache = make()
    for number in range(3):
        cache.set(number, object())
        assert cache.get(number) is not None
    assert sum("keeps values in memory only" in record.message for record in caplog.records) == 1


def test_a_planted_blob_is_a_counted_miss(make: Callable[..., Cache], path: Path) -> None:
    cache = make()
    cache.set("k", 1)
    cache.core.memory.clear()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE entry SET blob = ?", (b"cos\nsystem\n(S'false'\ntR.",))
    db.close()
    assert cache.get("k") is None
    assert cache.get_or_set("k", lambda: 2) == 2
    assert cache.default.stats.errors.total >= 1


def test_a_damaged_file_is_put_aside_and_begun_anew(make: Callable[..., Cache], path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)
    cache = make()
    cache.set("k", 1)
    cache.set("k", 2)
    assert cache.get("k") == 2
    assert path.with_name("cache.db.broken").exists()
    other = make()
    assert other.get("k") == 2


def test_a_file_of_another_program_is_left_alone(make: Callable[..., Cache], path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE precious (it TEXT)")
    db.close()
    before = path.read_bytes()
    cache = make()
    assert cache.get_or_set("k", lambda: 1) == 1
    assert "another program" in cache.default.stats.last_error
    assert path.read_bytes() == before
    with pytest.raises(SettingError, match="there is no folder"):
        FileLevel("/no/such/folder/cache.db")


def test_while_the_file_is_locked_memory_serves_and_what_is_owed_is_done_later(
    make: Callable[..., Cache], path: Path
) -> None:
    cache = make()
    cache.set("k", "old", tags=["t"])
    cache.set("d", "old")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    began_s = time.monotonic()
    cache.invalidate("t")
    cache.delete("d")
    assert cache.get_or_set("k", lambda: "new", tags=["t"]) == "new"
    assert time.monotonic() - began_s < 8
    assert cache.default.stats.errors.total
    holder.execute("ROLLBACK")
    holder.close()
    other = make()
    assert other.get("k") == "old"  # nobody could tell the file; the next use of this cache does
    assert cache.get("else") is None
    until(lambda: other.get("k") is None)
    assert other.get("d") is None


def test_an_owner_that_dies_loses_its_lease(path: Path) -> None:
    now = [1000.0]
    one, other = (FileLevel(path, now_s=lambda: now[0], follow=False) for _ in range(2))
    token = one.lease("k", 30)
    assert token
    assert other.lease("k", 30) is None
    now[0] += 31
    later = other.lease("k", 30)
    assert later
    one.release("k", token)  # too late: it is not ours any more
    assert one.lease("k", 30) is None
    other.release("k", later)
    assert one.lease("k", 30)
    one.close(), other.close()


class Ear:
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def forget_key(self, key: str) -> None:
        self.heard.append(f"key {key}")

    def forget_tag(self, tag: str) -> None:
        self.heard.append(f"tag {tag}")

    def forget_all(self) -> None:
        self.heard.append("all")


def test_who_missed_changes_that_were_trimmed_forgets_everything(path: Path) -> None:
    now = [1000.0]
    one, other = (FileLevel(path, now_s=lambda: now[0], follow=False) for _ in range(2))
    ear = Ear()
    other.listen(ear)
    one.save("a", b"1", 10)
    other.look()
    one.save("b", b"1", 10)
    one.raise_versions(["t"])
    other.save("mine", b"1", 10)
    other.look()
    assert ear.heard == ["key b", "tag t"]
    one.save("c", b"1", 10)
    now[0] += 100
    one.save("d", b"1", 10)
    keep_house(one._connection, now[0], 1 << 20)
    other.look()
    assert ear.heard[2:] == ["all", "key d"]
    one.close(), other.close()


def test_housekeeping_deletes_what_ended_and_then_the_oldest(path: Path) -> None:
    now = [1000.0]
    level = FileLevel(path, now_s=lambda: now[0], follow=False)
    for number in range(50):
        level.save(f"short{number}", b"x", 5)
    for number in range(300):
        level.save(f"long{number}", os.urandom(10_000), 5000)
    now[0] += 10
    assert keep_house(level._connection, now[0], 10 << 20) == 50
    assert 180 < keep_house(level._connection, now[0], 1 << 20) < 280
    assert level.load("long0", []).blob is None
    assert level.load("long299", []).blob is not None
    level.close()
    assert path.stat().st_size < 1 << 20


def test_a_child_uses_a_connection_of_its_own(make: Callable[..., Cache]) -> None:
    cache = make()
    cache.set("k", 1)
    pid = os.fork()
    if pid == 0:
        fine = False
        try:
            cache.core.memory.clear()
            fine = cache.get("k") == 1
            cache.set("child", 2)
            fine = fine and cache.default.stats.errors.total == 0
        finally:
            os._exit(0 if fine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert cache.get("child") == 2
    assert cache.default.stats.errors.total == 0


def test_demand_survives_the_process(make: Callable[..., Cache]) -> None:
    def asked(cache: Cache) -> Any:
        @cache.cached(region="doubles", warm=True, version="1", early=0)
        def double(number: int) -> int:
            return number * 2

        return double

    one = make()
    assert asked(one)(21) == 42
    one.warm()
    one.close()
    other = make()
    double = asked(other)
    other.invalidate(region="doubles")
    assert other.warm() == 1
    assert double.cache.region.in_memory(double.cache.key_of("", (21,), {})).value == 42


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_workers_leave_a_file_that_was_removed_or_replaced(
    make: Callable[..., Cache], path: Path, tmp_path: Path, how: str
) -> None:
    old = make()
    old.set("k", "old", tags=["t"])
    assert old.get("k") == "old"
    if how == "replaced":
        fresh = Cache(file=tmp_path / "fresh.db")
        fresh.set("k", "new")
        fresh.close()
        (tmp_path / "fresh.db").replace(path)
    else:
        path.unlink()
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    new = make()
    new.set("k", "new", tags=["t"])
    until(lambda: old.get("k") == "new")  # that worker had "old" in memory
    new.invalidate("t")
    until(lambda: old.get("k") is None)
    old.set("j", 1)
    assert new.get("j") == 1
    for cache in (old, new):
        assert not cache.default.stats.errors.total, cache.default.stats.last_error
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
