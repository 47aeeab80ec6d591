"""Commands within a deadline: cut connections, hung servers, cancelled callers."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from pitstop.tune.cache.redis.client import Client
from pitstop.tune.cache.redis.wire import WireError

if TYPE_CHECKING:
    from conftest import Proxy, Server

Runner = Callable[[Coroutine[Any, Any, Any]], Any]
KEYS = [f"key{number}" for number in range(50)]
SLACK_S = 0.3  # for a machine that is busy with other tests


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Any:
    """Runs a coroutine on one of the two event loops that services use."""
    return request.param


def fill(server: Server) -> None:
    for key in KEYS:
        server.say("SET", key, f"value of {key}" * 3)


def right(key: str, reply: object) -> bool:
    return reply == f"value of {key}".encode() * 3


def test_threads_and_tasks_get_their_own_answers(run: Runner, server: Server) -> None:
    """And a pool that many threads share."""
    fill(server)
    client = Client(server.url, deadline_s=5)
    wrong: list[str] = []

    def ask(seed: int) -> None:
        chosen = random.Random(seed)
        for _ in range(100):
            several = chosen.choices(KEYS, k=3)
            replies = client.ask([("GET", key) for key in several])
            wrong.extend(key for key, reply in zip(several, replies, strict=True) if not right(key, reply))

    async def one(key: str) -> None:
        if not right(key, (await client.aask([("GET", key)]))[0]):
            wrong.append(key)

    async def tasks() -> None:
        await asyncio.gather(*(one(random.choice(KEYS)) for _ in range(500)))
        client.close()

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    run(tasks())
    for thread in threads:
        thread.join()
    assert wrong == []
    assert client.errors == 0
    client.close()


@pytest.mark.parametrize("stalls", [False, True], ids=["cut", "stalled"])
def test_an_answer_that_ends_at_any_byte_is_an_error_or_whole(server: Server, proxy: Proxy, stalls: bool) -> None:
    """Each byte of three answers in turn is the last that comes; later calls on new connections are right."""
    fill(server)
    proxy.stalls = stalls
    size = len(b"+OK\r\n") + sum(len(f"$33\r\n{f'value of {key}' * 3}\r\n") for key in KEYS[:3])
    outcomes = set()
    for cut_at in range(0, size + 2, 3 if stalls else 1):
        proxy.cut_at = cut_at
        client = Client(proxy.url, deadline_s=0.03 if stalls else 1)
        began_s = time.monotonic()
        try:
            replies = client.ask([("GET", key) for key in KEYS[:3]])
            outcomes.add("right")
            assert all(map(right, KEYS, replies))
            client.ask([("GET", KEYS[7])])
        except WireError:
            outcomes.add("error")
        assert time.monotonic() - began_s < client.deadline_s * 2 + SLACK_S
        proxy.cut_at = None
        assert right(KEYS[9], client.ask([("GET", KEYS[9])], 2)[0])
        client.close()
    assert outcomes == {"right", "error"}


@pytest.mark.parametrize("stalls", [False, True], ids=["cut", "stalled"])
def test_tasks_see_an_error_or_the_whole_answer(run: Runner, server: Server, proxy: Proxy, stalls: bool) -> None:
    """The same for tasks that share a connection: each of ten has its own answer or an error."""
    fill(server)
    proxy.stalls = stalls

    async def all_bytes() -> set[str]:
        outcomes = set()
        for cut_at in range(0, 400, 9):
            proxy.cut_at = cut_at
            client = Client(proxy.url, deadline_s=0.04 if stalls else 1)
            got = await asyncio.gather(*(client.aask([("GET", key)]) for key in KEYS[:10]), return_exceptions=True)
            for key, reply in zip(KEYS, got, strict=False):
                if isinstance(reply, BaseException):
                    assert isinstance(reply, WireError)
                    outcomes.add("error")
                else:
                    assert right(key, reply[0])
                    outcomes.add("right")
            proxy.cut_at = None
            client.close()
        return outcomes

    assert run(all_bytes()) == {"right", "error"}


def test_a_storm_of_cancelled_callers_mixes_no_answers(run: Runner, server: Server) -> None:
    """Each of 3,000 callers is cancelled at a random moment, or gets the value of its own key."""
    fill(server)
    chosen = random.Random(1)

    async def storm() -> tuple[int, int]:
        client = Client(server.url, deadline_s=5)
        right_, cancelled = 0, 0

        async def call(key: str) -> None:
            nonlocal right_
            replies = await client.aask([("GET", key), ("GET", key)])
            assert all(right(key, reply) for reply in replies)
            right_ += 1

        for _ in range(30):
            tasks = [asyncio.create_task(call(chosen.choice(KEYS))) for _ in range(100)]
            for task in tasks:
                if chosen.random() < 0.5:
                    asyncio.get_running_loop().call_later(chosen.random() * 0.005, task.cancel)
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, asyncio.CancelledError):
                    cancelled += 1
                else:
                    assert outcome is None
        await call(KEYS[3])
        assert client.errors == 0
        connections = server.info("clients")["connected_clients"]
        assert int(connections) <= 2  # ours and the one that asks
        client.close()
        return right_, cancelled

    right_, cancelled = run(storm())
    assert right_ + cancelled == 3001
    assert cancelled > 100


def test_a_hung_server_costs_one_deadline_then_nothing(server: Server) -> None:
    """Until it answers again, callers are told at once; then it is used again."""
    fill(server)
    client = Client(server.url, deadline_s=0.1)
    assert right("key1", client.ask([("GET", "key1")])[0])
    server.freeze()
    took_s = []
    for _ in range(20):
        began_s = time.monotonic()
        with pytest.raises(WireError):
            client.ask([("GET", "key1")])
        took_s.append(time.monotonic() - began_s)
    assert max(took_s) < 0.1 + SLACK_S
    assert sorted(took_s)[10] < 0.01
    assert client.state == "open"
    server.thaw()
    end_s = time.monotonic() + 10
    while client.state != "closed" and time.monotonic() < end_s:
        try:
            assert right("key2", client.ask([("GET", "key2")])[0])
        except WireError:
            time.sleep(0.02)
    assert client.state == "closed"
    client.close()


def test_a_hung_server_holds_up_no_event_loop(run: Runner, server: Server) -> None:
    """All who wait are told by the deadline, and the loop turns all the while."""
    fill(server)

    async def hang() -> None:
        client = Client(server.url, deadline_s=0.15)
        await client.aask([("GET", "key1")])
        server.freeze()
        began_s = time.monotonic()
        got = await asyncio.gather(*(client.aask([("GET", "key1")]) for _ in range(50)), return_exceptions=True)
        assert all(isinstance(each, WireError) for each in got)
        assert time.monotonic() - began_s < 0.15 + SLACK_S
        server.thaw()
        async with asyncio.timeout(10):
            while True:
                try:
                    assert right("key2", (await client.aask([("GET", "key2")]))[0])
                    break
                except WireError:
                    await asyncio.sleep(0.02)
        client.close()

    run(hang())


def test_a_restarted_server_is_noticed_without_an_error(server: Server) -> None:
    """Idle connections went with it; the call that finds one gone opens another."""
    client = Client(server.url, deadline_s=2)
    client.ask([("SET", "a", "1")])
    server.kill()
    server.start()
    assert client.ask([("GET", "a")]) == [None]
    server.kill()
    with pytest.raises(WireError):
        client.ask([("GET", "a")])
    client.close()


def test_a_forked_child_uses_connections_of_its_own(server: Server) -> None:
    """Parent and child ask at the same time and get their own answers."""
    fill(server)
    client = Client(server.url, deadline_s=5)
    client.ask([("GET", "key1")])
    child = os.fork()
    key = KEYS[5] if child else KEYS[6]
    wrong = 300
    try:
        for _ in range(300):
            wrong -= right(key, client.ask([("GET", key)])[0])
    finally:
        if not child:
            os._exit(min(wrong, 255))
    assert wrong == 0
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    client.close()


def test_a_server_that_wants_a_password_gets_it(server: Server) -> None:
    """A wrong one is told as such, without showing it."""
    server.say("CONFIG", "SET", "requirepass", "let-me-in")
    good = Client(f"redis://:let-me-in@127.0.0.1:{server.port}/3", deadline_s=2)
    assert good.ask([("SET", "a", "1"), ("GET", "a")]) == [b"OK", b"1"]
    bad = Client(f"redis://:wrong-secret@127.0.0.1:{server.port}", deadline_s=2)
    with pytest.raises(WireError, match="refused to let us in") as caught:
        bad.ask([("GET", "a")])
    assert "wrong-secret" not in str(caught.value) + repr(bad.address)
    good.close()
