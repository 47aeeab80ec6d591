"""Leases that a process holds, gates at which it waits for others', and the names of both."""

from __future__ import annotations

import asyncio
import threading

from hypothesis import given
from hypothesis import strategies as st

from pitstop.tune.cache.redis.leases import Gates, Leases
from pitstop.tune.cache.redis.names import Names


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_leases_are_prolonged_until_their_time_is_over() -> None:
    clock = Clock()
    leases = Leases(clock)
    leases.add("short", "s", b"wire short", 1)
    leases.add("long", "l", b"wire long", 30)
    assert [command[3] for command in leases.prolonging()] == [b"wire short", b"wire long"]
    clock.now_s = 2
    assert [command[3] for command in leases.prolonging()] == [b"wire long"]
    assert leases.of("short") is None
    assert leases.drop("long") is not None
    assert leases.prolonging() == []


def test_a_change_between_asking_and_waiting_is_not_missed() -> None:
    gates = Gates()
    gates.put_up("k")
    gates.open("k")
    gates.wait("k", 60)  # returns at once


def test_all_who_wait_are_let_go_threads_and_tasks_alike() -> None:
    gates = Gates()
    gates.put_up("k")
    gates.put_up("other")
    gone: list[str] = []
    threads = [threading.Thread(target=lambda: (gates.wait("k", 60), gone.append("thread"))) for _ in range(3)]

    async def tasks() -> None:
        async def one() -> None:
            await gates.await_("k", 60)
            gone.append("task")

        waiting = [asyncio.create_task(one()) for _ in range(3)]
        cancelled = asyncio.create_task(one())
        await asyncio.sleep(0)
        cancelled.cancel()
        for thread in threads:
            thread.start()
        threading.Thread(target=gates.open_all).start()
        await asyncio.gather(*waiting)

    asyncio.run(tasks())
    for thread in threads:
        thread.join()
    assert sorted(gone) == ["task"] * 3 + ["thread"] * 3


def test_waiting_ends_by_itself() -> None:
    gates = Gates()
    gates.put_up("k")
    gates.wait("k", 0.01)

    async def task() -> None:
        await gates.await_("k", 0.01)

    asyncio.run(task())
    gates.take_down("k")
    gates.wait("k", 60)  # nobody would open it


@given(st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable()), st.text(max_size=10))
def test_names_tell_keys_leases_and_tags_apart(name: str, prefix: str) -> None:
    names = Names(prefix)
    assert names.parse(names.value(name)) == ("value", name)
    assert names.parse(names.lease(name)) == ("lease", name)
    assert names.parse(names.tag(name)) == ("tag", name)
    assert names.parse(b"\xffsomebody else's") == ("", "")
