"""A level that fails: counted, said once, never the host's trouble, and nothing that is owed to it is forgotten."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.tune.cache.file import FileLevel
from pitstop.tune.cache.link import MOST_OWED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pitstop.tune.cache import Cache

    MakeCache = Callable[..., Cache]


class Faulty:
    """A real level whose calls fail while it is `down`; `tells` as long as it is up."""

    def __init__(self, level: FileLevel) -> None:
        self.level = level
        self.down = False
        self.deaf = False
        self.calls: list[str] = []
        self.name = level.name

    @property
    def tells(self) -> bool:
        return not self.deaf

    @property
    def breaker(self) -> str:
        return "open" if self.down else "closed"

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.level, name)
        if name in {"listen", "close", "reset_after_fork"}:
            return method
        if name.startswith("a") and asyncio.iscoroutinefunction(method):

            async def acall(*args: Any) -> Any:
                self._called(name)
                return await method(*args)

            return acall

        def call(*args: Any) -> Any:
            self._called(name)
            return method(*args)

        return call

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.down:
            raise ConnectionError("nobody there")


@pytest.fixture
def level(tmp_path: Path, clock: Any) -> Faulty:
    return Faulty(FileLevel(tmp_path / "cache.db", now_s=clock.now_s, follow=False))


def test_while_a_level_is_down_memory_serves_and_functions_are_called(
    make_cache: MakeCache, level: Faulty, caplog: pytest.LogCaptureFixture
) -> None:
    cache, calls = make_cache(level), []
    level.down = True
    for _ in range(3):
        assert cache.get_or_set("k", lambda: calls.append(1) or "v") == "v"
        assert cache.get("missing") is None
        cache.set("s", 1)
        assert cache.get("s") == 1
    assert calls == [1]
    region = cache.get_metrics()["regions"]["default"]
    assert region["errors"] >= 3
    assert region["breaker"] == "open"
    assert region["levels"] == ["memory", "file"]
    assert sum("does not answer" in record.message for record in caplog.records) == 1


class Waiting(Faulty):
    """Its async calls of `held` wait for `go` after they were noted; they never come to an end when cancelled."""

    def __init__(self, level: FileLevel, held: str) -> None:
        super().__init__(level)
        self.held = held
        self.began, self.go = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        method = super().__getattr__(name)
        if name != self.held:
            return method

        async def hold(*args: Any) -> Any:
            self.began.set()
            await self.go.wait()
            return await method(*args)

        return hold


@pytest.mark.parametrize("held", ["araise_versions", "aremove"])
def test_what_a_cancelled_caller_voids_is_owed_to_all_levels(
    make_cache: MakeCache, tmp_path: Path, clock: Any, held: str
) -> None:
    files = [FileLevel(tmp_path / name, now_s=clock.now_s, follow=False) for name in ("upper.db", "lower.db")]
    upper, lower = Waiting(files[0], held), Faulty(files[1])
    cache = make_cache(upper, lower, max_entries=0)

    async def run() -> None:
        await cache.aset("k", "v", tags=["t"])
        void = cache.ainvalidate("t") if held == "araise_versions" else cache.adelete("k")
        task = asyncio.create_task(void)
        await upper.began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        upper.go.set()
        assert await cache.aget("k") is None
        upper.down = True
        assert await cache.aget("k") is None

    asyncio.run(run())


@pytest.mark.parametrize("held", ["araise_versions", "aremove"])
@pytest.mark.parametrize("cancelled", [False, True])
def test_what_was_loaded_while_a_level_was_told_to_forget_it_does_not_stay_in_memory(
    make_cache: MakeCache, level: Faulty, held: str, cancelled: bool
) -> None:
    cache = make_cache(waiting := Waiting(level.level, held))

    async def run() -> None:
        await cache.aset("k", "v", tags=["t"])
        void = cache.ainvalidate("t") if held == "araise_versions" else cache.adelete("k")
        task = asyncio.create_task(void)
        await waiting.began.wait()
        assert await cache.aget("k") == "v"
        assert await cache.aget_or_set("k", lambda: "no", tags=["t"]) == "v"
        if cancelled:
            task.cancel()
        waiting.go.set()
        await asyncio.gather(task, return_exceptions=True)
        assert await cache.aget("k") is None

    asyncio.run(run())


def test_a_level_that_failed_is_not_asked_again_for_the_same_lookup(make_cache: MakeCache, level: Faulty) -> None:
    cache = make_cache(level)
    level.down = True
    cache.get_or_set("k", lambda: 1)
    assert level.calls == ["load"]
    level.down = False
    level.calls.clear()

    def source() -> int:
        level.down = True
        return 2

    assert cache.get_or_set("j", source) == 2
    assert level.calls == ["load", "lease", "load", "save"]


def test_what_could_not_be_voided_is_before_the_level_is_believed_again(make_cache: MakeCache, level: Faulty) -> None:
    cache = make_cache(level)
    cache.set("k", 1, tags=["t"])
    cache.set("d", 1)
    level.down = True
    cache.invalidate("t")
    assert cache.delete("d")
    level.down = False
    assert cache.get("k") is None
    assert cache.get("d") is None
    assert not cache.core.links[0]._owed_tags
    level.down = True
    for number in range(MOST_OWED + 1):
        cache.core.links[0]._owe(cache.core.links[0]._owed_keys, [str(number)])
    level.down = False
    cache.set("k", 2)
    assert cache.get("k") == 2
    assert "owed" not in cache.default.stats.last_error


def test_more_owed_than_can_be_remembered_voids_everything(make_cache: MakeCache, level: Faulty) -> None:
    cache = make_cache(level, max_entries=0)
    cache.set("k", 1)
    link = cache.core.links[0]
    link._owe(link._owed_keys, [str(number) for number in range(MOST_OWED + 1)])
    assert cache.get("k") is None


def test_memory_asks_again_after_a_while_where_nobody_tells_it_of_changes(
    make_cache: MakeCache, level: Faulty, clock: Any
) -> None:
    cache = make_cache(level)
    level.deaf = True
    cache.set("k", 1, ttl_s=100)
    level.calls.clear()
    assert cache.get("k") == cache.get_or_set("k", lambda: 2) == 1
    assert level.calls == []
    clock.move(6)
    assert cache.get("k") == 1
    assert level.calls == ["load"]
    clock.move(6)
    assert cache.get_or_set("k", lambda: 2) == 1
    clock.move(6)
    level.down = True
    assert cache.get_or_set("k", lambda: 2) == 1  # nobody can say better: it is good until its end
    clock.move(100)
    assert cache.get_or_set("k", lambda: 2) == 2


def test_a_value_of_the_level_below_keeps_its_age_tags_and_cost(
    make_cache: MakeCache, level: Faulty, clock: Any
) -> None:
    one, other = make_cache(level), make_cache(level)
    one.get_or_set("k", lambda: (clock.move(2), "v")[1], tags=["t"], ttl_s=100)
    clock.move(90)
    assert other.get("k") == "v"
    entry = other.default.in_memory("test:default::k")
    assert entry is not None
    assert entry.cost_s == pytest.approx(2)
    assert (entry.fresh_ns - clock.now_ns()) / 1e9 == pytest.approx(10, abs=0.01)
    other.core.forget_tag("test:g:t")
    assert other.default.in_memory("test:default::k") is None
    assert other.get("k") == "v"  # the level itself was not told
    other.core.forget_all()
    assert len(other.core.memory) == 0
    clock.move(10.5)
    assert other.get("k") is None


def test_a_stale_value_of_the_level_below_is_served_while_it_is_made_anew(
    make_cache: MakeCache, level: Faulty, clock: Any
) -> None:
    one, other = make_cache(level, ttl_s=10, stale_s=60), make_cache(level, ttl_s=10, stale_s=60)
    one.get_or_set("k", lambda: "old")
    clock.move(20)
    assert other.get_or_set("k", lambda: "new") == "old"
    assert other.core.background.drain(10)
    assert other.get("k") == "new"
    assert one.get("k") is None or one.get("k") == "new"


def test_a_cancelled_task_gives_its_lease_back(make_cache: MakeCache, level: Faulty) -> None:
    cache = make_cache(level)

    async def run() -> None:
        began = asyncio.Event()

        async def source() -> str:
            began.set()
            await asyncio.sleep(3600)
            return "never"

        task = asyncio.create_task(cache.aget_or_set("k", source))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await cache.aget_or_set("k", lambda: "v") == "v"

    asyncio.run(run())
    assert level.level.lease("test:default::k", 5)
    assert len(cache.core.flights) == len(cache.core.loading) == 0


def test_who_waits_for_another_process_takes_what_it_made(make_cache: MakeCache, level: Faulty) -> None:
    one, other = make_cache(level), make_cache(level)

    def source() -> str:
        token = level.level.lease("test:default::k", 5)
        assert token is None  # we hold it
        return "v"

    assert one.get_or_set("k", source) == "v"
    held = level.level.lease("test:default::k", 5)
    one.core.memory.clear()
    assert held is not None
    assert other.get_or_set("k", lambda: "own") == "v"
    level.level.release("test:default::k", held)


@pytest.mark.parametrize(
    "void", [lambda cache: cache.invalidate("t"), lambda cache: cache.delete("k"), lambda cache: cache.set("k", "new")]
)
def test_what_another_machine_changed_does_not_come_back_from_this_machines_file(
    make_cache: MakeCache, tmp_path: Path, clock: Any, void: Callable[[Cache], object]
) -> None:
    shared = Faulty(FileLevel(tmp_path / "shared.db", now_s=clock.now_s, follow=False))
    files = [Faulty(FileLevel(tmp_path / f"{name}.db", now_s=clock.now_s, follow=False)) for name in "ab"]
    here, there = (make_cache(shared, file, max_entries=0) for file in files)
    assert here.get_or_set("k", lambda: "old", tags=["t"]) == "old"
    void(there)
    assert here.get("k") in {None, "new"}
    now = here.get_or_set("k", lambda: "new", tags=["t"])
    assert now == "new"
    shared.down = True  # nobody can say better then
    assert here.get("k") in {"new", "old"}


def test_the_lower_level_is_filled_and_serves_while_the_upper_does_not_answer(
    make_cache: MakeCache, tmp_path: Path, clock: Any
) -> None:
    upper, lower = (
        Faulty(FileLevel(tmp_path / f"{name}.db", now_s=clock.now_s, follow=False)) for name in ("upper", "lower")
    )
    cache = make_cache(upper, lower, max_entries=0)
    assert cache.get_or_set("k", lambda: "v") == "v"
    upper.down = True
    assert cache.get("k") == "v"
    assert cache.get_or_set("j", lambda: "w") == "w"
    assert cache.get("j") == "w"
    upper.down = False
    assert cache.get("j") is None


def test_what_the_lower_level_serves_instead_is_asked_for_again_after_a_while(
    make_cache: MakeCache, tmp_path: Path, clock: Any
) -> None:
    upper, lower = (
        Faulty(FileLevel(tmp_path / f"{name}.db", now_s=clock.now_s, follow=False)) for name in ("upper", "lower")
    )
    cache = make_cache(upper, lower)
    cache.set("k", "v")
    cache.core.memory.clear()
    upper.down = upper.deaf = True
    assert cache.get("k") == "v"
    upper.level.remove(["test:default::k"])  # by another machine
    upper.down = upper.deaf = False
    assert cache.get("k") == "v"
    clock.move(6)
    assert cache.get("k") is None
