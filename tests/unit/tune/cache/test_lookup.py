"""The life of a lookup: one recomputation, early and stale answers, failures, what is remembered as nothing."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.record import CURRENT, Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.tune.cache import Cache

    MakeCache = Callable[..., Cache]


class Source:
    """Something slow that is asked: it waits at a gate, counts, and fails when it is told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.gate = threading.Event()
        self.began = threading.Event()
        self.gate.set()
        self.value: Any = "v"
        self.error: BaseException | None = None

    def __call__(self) -> Any:
        self.calls += 1
        self.began.set()
        assert self.gate.wait(10)
        if self.error is not None:
            raise self.error
        return self.value


def waits(cache: Cache) -> int:
    return cache.default.stats.waits.total


async def auntil(came_true: Callable[[], bool]) -> None:
    """Let other tasks get there; fails when they do not."""
    for _ in range(100_000):
        if came_true():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to be")


def until(came_true: Callable[[], bool]) -> None:
    """Wait for another thread to get there; fails after 10 s."""
    turns = threading.Event()
    for _ in range(10_000):
        if came_true():
            return
        turns.wait(0.001)
    raise AssertionError("it never came to be")


def test_fifty_threads_on_one_cold_key_call_once(cache: Cache) -> None:
    source, found = Source(), []
    source.gate.clear()
    threads = [threading.Thread(target=lambda: found.append(cache.get_or_set("k", source))) for _ in range(50)]
    for thread in threads:
        thread.start()
    until(lambda: waits(cache) == 49)
    source.gate.set()
    for thread in threads:
        thread.join()
    assert (source.calls, found) == (1, ["v"] * 50)
    assert len(cache.core.flights) == len(cache.core.loading) == 0


def test_fifty_tasks_on_one_cold_key_call_once(cache: Cache) -> None:
    calls = []

    async def source() -> int:
        calls.append(1)
        await asyncio.sleep(0)
        return 7

    async def run() -> list[Any]:
        return await asyncio.gather(*(cache.aget_or_set("k", source) for _ in range(50)))

    assert asyncio.run(run()) == [7] * 50
    assert len(calls) == 1


def test_threads_and_tasks_wait_for_one_another(cache: Cache) -> None:
    source, found = Source(), []
    source.gate.clear()
    leader = threading.Thread(target=lambda: found.append(cache.get_or_set("k", source)))
    leader.start()
    assert source.began.wait(10)

    async def run() -> list[Any]:
        tasks = [asyncio.create_task(cache.aget_or_set("k", source)) for _ in range(5)]
        await auntil(lambda: waits(cache) == 5)
        source.gate.set()
        return await asyncio.gather(*tasks)

    assert asyncio.run(run()) == ["v"] * 5
    leader.join()
    assert source.calls == 1


def test_a_cancelled_leader_hands_over(cache: Cache) -> None:
    calls = []

    async def run() -> list[Any]:
        gate = asyncio.Event()

        async def source() -> str:
            calls.append(1)
            await gate.wait()
            return "v"

        tasks = [asyncio.create_task(cache.aget_or_set("k", source)) for _ in range(10)]
        await auntil(lambda: waits(cache) == 9)
        tasks[0].cancel()
        await auntil(lambda: len(calls) == 2)
        gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, *others = asyncio.run(run())
    assert isinstance(first, asyncio.CancelledError)
    assert others == ["v"] * 9
    assert len(calls) == 2
    assert len(cache.core.flights) == len(cache.core.loading) == 0


def test_a_cancelled_follower_costs_the_others_nothing(cache: Cache) -> None:
    async def run() -> list[Any]:
        gate = asyncio.Event()

        async def source() -> str:
            await gate.wait()
            return "v"

        tasks = [asyncio.create_task(cache.aget_or_set("k", source)) for _ in range(4)]
        await auntil(lambda: waits(cache) == 3)
        tasks[2].cancel()
        await asyncio.sleep(0)
        gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(run())
    assert isinstance(found.pop(2), asyncio.CancelledError)
    assert found == ["v"] * 3


def test_a_storm_of_cancellations_mixes_no_answers_and_leaves_nothing_behind(cache: Cache) -> None:
    rng = random.Random(11)

    async def run() -> None:
        async def source(key: int) -> str:
            for _ in range(rng.randrange(4)):
                await asyncio.sleep(0)
            if rng.random() < 0.2:
                raise LookupError(key)
            return f"value of {key}"

        async def ask(key: int) -> None:
            try:
                assert await cache.aget_or_set(key, lambda: source(key), tags=["t"]) == f"value of {key}"
            except LookupError as error:
                assert error.args == (key,)  # noqa: PT017  either is right

        for _ in range(30):
            tasks = [asyncio.create_task(ask(rng.randrange(10))) for _ in range(60)]
            for _ in range(20):
                await asyncio.sleep(0)
                rng.choice(tasks).cancel()
                if rng.random() < 0.1:
                    cache.invalidate("t")
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(each) for each in done} <= {type(None), asyncio.CancelledError}
            cache.invalidate("t")

    asyncio.run(run())
    assert len(cache.core.flights) == len(cache.core.loading) == 0


def test_all_who_wait_get_the_leaders_exception(cache: Cache) -> None:
    source, found = Source(), []
    source.gate.clear()
    source.error = LookupError("no such user")

    def ask() -> None:
        try:
            cache.get_or_set("k", source)
        except LookupError as error:
            found.append(error)

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    until(lambda: waits(cache) == 4)
    source.gate.set()
    for thread in threads:
        thread.join()
    assert found == [source.error] * 5
    assert source.calls == 1


def test_who_waits_too_long_helps_itself(make_cache: MakeCache) -> None:
    cache, source = make_cache(wait_s=0.01), Source()
    source.gate.clear()
    leader = threading.Thread(target=cache.get_or_set, args=("k", source))
    leader.start()
    assert source.began.wait(10)
    assert cache.get_or_set("k", lambda: "own") == "own"
    source.gate.set()
    leader.join()
    assert cache.get("k") == "v"


def test_a_function_that_asks_for_its_own_key_does_not_wait_for_itself(cache: Cache) -> None:
    assert cache.get_or_set("k", lambda: cache.get_or_set("k", lambda: 1) + 1) == 2

    async def run() -> Any:
        async def outer() -> Any:
            return cache.get_or_set("j", lambda: 1) + 1  # the loop's thread cannot wait for the loop

        return await cache.aget_or_set("j", outer)

    assert asyncio.run(run()) == 2


def test_what_was_set_meanwhile_is_not_overwritten_by_older_data(cache: Cache) -> None:
    def source() -> str:
        cache.set("k", "newer")
        return "older"

    assert cache.get_or_set("k", source) == "older"
    assert cache.get("k") == "newer"


@pytest.mark.parametrize("change", ["delete", "tag", "everything"])
def test_what_was_voided_meanwhile_is_not_kept(cache: Cache, change: str) -> None:
    def source() -> str:
        if change == "delete":
            cache.delete("k")
        elif change == "tag":
            cache.invalidate("t")
        else:
            cache.invalidate(everything=True)
        return "older"

    assert cache.get_or_set("k", source, tags=["t"]) == "older"
    assert cache.get("k") is None


def test_a_value_is_refreshed_early_by_few_callers_in_proportion_to_its_cost(make_cache: MakeCache, clock: Any) -> None:
    cache, source = make_cache(ttl_s=100), Source()

    def slow() -> Any:
        clock.move(1)
        return source()

    cache.get_or_set("k", slow)
    clock.move(83)
    for _ in range(1000):
        cache.get_or_set("k", slow)
    assert source.calls == 1  # 16 s before the end one of e^16 would
    clock.move(13)  # 3 s before the end one of e^3 does
    asked = 0
    while source.calls == 1:
        cache.get_or_set("k", slow)
        asked += 1
    assert 2 < asked < 150
    assert cache.get_metrics()["regions"]["default"]["refreshes"] == 1
    assert cache.get_metrics()["misses"] == 2


def test_without_early_refresh_the_end_is_the_end(make_cache: MakeCache, clock: Any) -> None:
    cache, source = make_cache(ttl_s=100, early=0), Source()
    cache.get_or_set("k", lambda: (clock.move(5), source()))
    clock.move(99)
    for _ in range(1000):
        cache.get_or_set("k", source)
    assert source.calls == 1


def test_an_early_refresh_that_fails_costs_nobody_a_thing(make_cache: MakeCache, clock: Any) -> None:
    cache, source = make_cache(ttl_s=100), Source()
    cache.get_or_set("k", lambda: (clock.move(10), source())[1])
    clock.move(99.9)
    source.error = OSError("down")
    assert [cache.get_or_set("k", source) for _ in range(20)] == ["v"] * 20
    assert source.calls > 1
    assert "down" in cache.default.stats.last_error


def test_a_stale_value_is_served_while_it_is_refreshed_aside(make_cache: MakeCache, clock: Any) -> None:
    cache, source = make_cache(ttl_s=10, stale_s=60), Source()
    request = Operation("http", 1)
    cache.get_or_set("k", source)
    clock.move(11)
    source.value, seen = "newer", []
    source.gate.clear()
    source.began.clear()
    CURRENT.set(request)
    try:
        assert [cache.get_or_set("k", lambda: (seen.append(CURRENT.get()), source())[1]) for _ in range(20)] == [
            "v"
        ] * 20
    finally:
        CURRENT.set(None)
    assert source.began.wait(10)
    source.gate.set()
    assert cache.core.background.drain(10)
    assert source.calls == 2
    assert all(operation is None or operation.root is not request for operation in seen)  # it is not the request's
    assert cache.get("k") == "newer"
    region = cache.get_metrics()["regions"]["default"]
    assert (region["stale"], region["refreshes"], region["misses"]) == (20, 1, 1)
    clock.move(71)
    assert cache.get_or_set("k", lambda: "anew") == "anew"


def test_a_stale_value_is_refreshed_in_a_task_of_the_loop(make_cache: MakeCache, clock: Any) -> None:
    cache, calls = make_cache(ttl_s=10, stale_s=60), []

    async def source() -> int:
        calls.append(threading.get_ident())
        await asyncio.sleep(0)
        return len(calls)

    async def run() -> None:
        assert await cache.aget_or_set("k", source) == 1
        clock.move(11)
        assert await asyncio.gather(*(cache.aget_or_set("k", source) for _ in range(10))) == [1] * 10
        await cache.core.background.adrain()
        assert await cache.aget_or_set("k", source) == 2

    asyncio.run(run())
    assert set(calls) == {threading.get_ident()}


def test_a_refresh_aside_that_fails_is_tried_again_by_the_next_caller(make_cache: MakeCache, clock: Any) -> None:
    cache, source = make_cache(ttl_s=10, stale_s=60), Source()
    cache.get_or_set("k", source)
    clock.move(11)
    source.error = OSError("down")
    for calls in (2, 3):
        assert cache.get_or_set("k", source) == "v"
        assert cache.core.background.drain(10)
        assert source.calls == calls


def test_no_more_than_a_few_refreshes_run_aside(make_cache: MakeCache, clock: Any) -> None:
    cache, source = make_cache(ttl_s=10, stale_s=60), Source()
    for number in range(20):
        cache.get_or_set(number, source)
    clock.move(11)
    source.gate.clear()
    for number in range(20):
        assert cache.get_or_set(number, source) == "v"
    until(lambda: source.calls == 28)
    source.gate.set()
    assert cache.core.background.drain(10)
    assert source.calls == 28
    assert len(cache.core.flights) == 0


def test_a_stale_value_is_served_where_making_it_fails(make_cache: MakeCache, clock: Any) -> None:
    cache, source = make_cache(ttl_s=10, stale_if_error_s=60), Source()
    cache.get_or_set("k", source)
    clock.move(11)
    source.error = OSError("down")
    assert cache.get_or_set("k", source) == "v"
    assert source.calls == 2
    clock.move(60)
    with pytest.raises(OSError, match="down"):
        cache.get_or_set("k", source)


def test_nothing_is_remembered_for_a_shorter_time(make_cache: MakeCache, clock: Any) -> None:
    cache, source = make_cache(ttl_s=300, negative_ttl_s=30), Source()
    source.value = None
    assert cache.get_or_set("k", source) is cache.get_or_set("k", source) is cache.get("k", "default") is None
    assert source.calls == 1
    assert cache.get_metrics()["regions"]["default"]["negative"] == 2
    clock.move(31)
    assert cache.get("k", "default") == "default"


def test_named_exceptions_are_remembered_and_others_are_not(make_cache: MakeCache, clock: Any) -> None:
    cache, source = make_cache(negative_errors=(LookupError,), negative_ttl_s=30), Source()
    source.error = KeyError("no such user")
    for _ in range(3):
        with pytest.raises(KeyError, match="no such user"):
            cache.get_or_set("k", source)
    with pytest.raises(KeyError):
        cache.get("k")
    assert source.calls == 1
    clock.move(31)
    source.error = OSError()
    for _ in range(2):
        with pytest.raises(OSError):  # noqa: PT011  the type is all it has
            cache.get_or_set("k", source)
    assert source.calls == 3


def test_an_adaptive_ttl_follows_changes_and_says_why(make_cache: MakeCache, clock: Any) -> None:
    cache, source = make_cache(ttl_s="adaptive", early=0), Source()
    region = cache.default

    def slow() -> Any:
        clock.move(0.2)
        return source()

    cache.get_or_set("steady", slow)
    assert 30 < region.ttl_s < 3600
    chosen = []
    for _ in range(8):
        clock.move(region.ttl_s + 1)
        cache.get_or_set("steady", slow)
        chosen.append(region.ttl_s)
    assert chosen == sorted(chosen)
    assert chosen[-1] == 3600
    assert "no change seen" in region.why
    for number in range(16):
        source.value = number
        clock.move(region.ttl_s + 1)
        for _ in range(20):
            cache.get_or_set("steady", slow)
    assert 30 <= region.ttl_s < 300
    assert "changes every" in region.why


def test_a_child_begins_with_locks_of_its_own(cache: Cache) -> None:
    held, released = threading.Event(), threading.Event()

    def hold() -> None:
        with cache.core.memory._lock, cache.core.versions._lock, cache.core.loading._lock:
            held.set()
            released.wait(10)

    thread = threading.Thread(target=hold)
    cache.core.flights.board("test:default::k")  # somebody of the parent is making it
    thread.start()
    held.wait(10)
    pid = os.fork()
    if pid == 0:
        try:
            cache.set("a", 1)
            cache.invalidate("t")
            fine = cache.get("a") == 1 and cache.get_or_set("k", lambda: 2) == 2
        finally:
            os._exit(0 if fine else 1)
    released.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_who_asks_after_an_invalidation_does_not_get_what_was_begun_before_it(cache: Cache) -> None:
    for void in (lambda: cache.ainvalidate("t"), lambda: cache.adelete("k")):
        asyncio.run(_ask_after(cache, void))
    assert len(cache.core.flights) == len(cache.core.loading) == 0


async def _ask_after(cache: Cache, void: Callable[[], Any]) -> None:
    row, seen, gate = ["v1"], [], asyncio.Event()

    async def read() -> str:
        seen.append(row[0])
        if len(seen) == 1:
            await gate.wait()
            return "v1"
        return row[0]

    before = asyncio.create_task(cache.aget_or_set("k", read, tags=["t"]))
    await auntil(lambda: bool(seen))
    at_first = waits(cache)
    along = asyncio.create_task(cache.aget_or_set("k", read, tags=["t"]))
    await auntil(lambda: waits(cache) == at_first + 1)
    row[0] = "v2"
    await void()
    after = asyncio.create_task(cache.aget_or_set("k", read, tags=["t"]))
    await auntil(lambda: after.done() or waits(cache) == at_first + 2)
    gate.set()
    assert await after == "v2"
    assert await before == await along == "v1"  # they asked before it
    assert await cache.aget("k") == "v2"
    await cache.adelete("k")


def test_a_flight_that_is_given_up_or_lands_late_leaves_anothers_alone(cache: Cache) -> None:
    flights = cache.core.flights
    first, _ = flights.board("k")
    flights.give_up("k", first)
    second, leads = flights.board("k")
    assert leads
    flights.give_up("k", first)
    flights.land("k", first, 1)
    assert flights.board("k") == (second, False)


def test_a_value_that_was_voided_while_its_successor_failed_is_not_served_instead(
    make_cache: MakeCache, clock: Any
) -> None:
    cache = make_cache(ttl_s=10, stale_if_error_s=1000)

    def fails(void: Callable[[], Any]) -> None:
        void()
        raise LookupError("down")

    for void in (lambda: cache.invalidate("t"), lambda: cache.delete("k")):
        cache.set("k", "old", tags=["t"])
        clock.move(20)
        with pytest.raises(LookupError):
            cache.get_or_set("k", lambda void=void: fails(void), tags=["t"])
    cache.set("k", "old", tags=["t"])
    clock.move(20)
    assert cache.get_or_set("k", lambda: fails(lambda: None), tags=["t"]) == "old"


@pytest.mark.parametrize("negative", [(), (StopIteration,), (Exception,)])
def test_a_function_that_raises_stopiteration_does_so_through_the_cache(
    make_cache: MakeCache, negative: tuple[type[Exception], ...]
) -> None:
    cache, calls = make_cache(negative_errors=negative), []

    @cache.cached
    def first(name: str) -> str:
        calls.append(1)
        return next(iter([name] if name else []))

    assert first("a") == "a"
    for _ in range(2):
        with pytest.raises(StopIteration) as raised:
            first("")
        assert raised.value.__context__ is None
    assert len(calls) == (2 if negative else 3)


def test_a_runtimeerror_of_the_hosts_own_generator_stays_one(cache: Cache) -> None:
    def broken() -> Any:
        yield next(iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        cache.get_or_set("k", lambda: list(broken()))


def test_a_stopiteration_of_a_thread_that_leads_reaches_threads_and_tasks(cache: Cache) -> None:
    source, found = Source(), []
    source.gate.clear()
    source.error = StopIteration("end")

    def ask() -> None:
        try:
            cache.get_or_set("k", source)
        except StopIteration as error:
            found.append(error.value)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: waits(cache) == 2)

    async def run() -> None:
        task = asyncio.create_task(cache.aget_or_set("k", source))
        await auntil(lambda: waits(cache) == 3)
        source.gate.set()
        with pytest.raises(RuntimeError, match="StopIteration"):
            await task

    asyncio.run(run())
    for thread in threads:
        thread.join()
    assert found == ["end"] * 3


class NoSuchUserError(Exception):
    def __init__(self, user: str) -> None:
        super().__init__(f"no user {user}")
        self.user = user


class TwoWordsError(Exception):
    def __init__(self, one: str, other: str) -> None:
        super().__init__(one)
        self.other = other


def test_an_exception_that_is_remembered_is_raised_as_a_copy_without_anybodys_frames(make_cache: MakeCache) -> None:
    cache = make_cache(negative_errors=(NoSuchUserError,))
    original = NoSuchUserError("ada")

    def fails() -> None:
        raise original

    caught = []
    for _ in range(3):
        with pytest.raises(NoSuchUserError, match=r"^no user ada$") as raised:
            cache.get_or_set("k", fails)
        caught.append(raised.value)
        raised.value.add_note("seen")
    assert caught[0] is original
    assert raised_in(original) == "fails"  # who had it made sees where it came from
    assert len({id(each) for each in caught}) == 3
    assert [each.user for each in caught] == ["ada"] * 3
    assert all(each.__notes__ == ["seen"] for each in caught)
    entry = cache.default.in_memory("test:default::k")
    assert entry is not None
    assert entry.value.error.__traceback__ is None
    assert entry.value.error not in caught


def test_an_exception_that_cannot_be_copied_is_raised_itself_without_frames_of_others(make_cache: MakeCache) -> None:
    cache = make_cache(negative_errors=(TwoWordsError,))

    def fails() -> None:
        raise TwoWordsError("a", "b")

    depths = set()
    for _ in range(3):
        with pytest.raises(TwoWordsError) as raised:
            cache.get_or_set("k", fails)
        depths.add(len(raised.traceback))
        assert raised.value.other == "b"
    assert len(depths) <= 2


def test_who_waits_for_an_exception_that_is_remembered_gets_a_copy(make_cache: MakeCache) -> None:
    cache = make_cache(negative_errors=(LookupError,))
    source, found = Source(), []
    source.gate.clear()
    source.error = LookupError("none")

    def ask() -> None:
        try:
            cache.get_or_set("k", source)
        except LookupError as error:
            found.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: waits(cache) == 2)
    source.gate.set()
    for thread in threads:
        thread.join()
    assert len({id(each) for each in found}) == 3
    assert {each.args for each in found} == {("none",)}


def raised_in(error: BaseException) -> str:
    """The function that it was raised in."""
    trace = error.__traceback__
    assert trace is not None
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_name
