# ruff: noqa: ANN001, ANN201, PLC0415  fixtures are known by name; libraries are imported when they are hooked
"""What is recorded of redis-py is what the server counted, command by command."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

CANARY = "canary-9f31"


@pytest.fixture
def redis(hooked):
    hooked("redis")
    import redis

    return redis


def server_counts(client: Any) -> Counter[str]:
    """INFO commandstats: calls by name, as Redis has executed them or refused to."""
    return Counter(
        {
            name.removeprefix("cmdstat_").replace("|", " ").upper(): row["calls"] + row.get("rejected_calls", 0)
            for name, row in client.info("commandstats").items()
        }
    )


@pytest.fixture
def clean(redis, redis_url):
    """A client with its connection made, and an empty database whose statistics begin now."""
    client = redis.Redis.from_url(redis_url)
    client.flushall()
    client.config_resetstat()
    yield client
    client.close()


def without(counts: Counter[str], names: Iterable[str] = ("INFO", "CONFIG RESETSTAT")) -> Counter[str]:
    return Counter({name: n for name, n in counts.items() if name not in names})


def test_commands_are_counted_as_the_server_counts_them(clean, in_request):
    with in_request() as seen:
        for i in range(7):
            clean.set(f"{CANARY}{i}", CANARY)
        for i in range(10):
            clean.get(f"{CANARY}{i}")
        clean.hset("h", mapping={"a": 1})
        clean.hget("h", "a")
        clean.hget("h", "b")
        clean.mget(f"{CANARY}0", "none")
        clean.mget(f"{CANARY}0", f"{CANARY}1")
        clean.hgetall("none")
        clean.config_get("maxmemory")
        clean.execute_command("config", "get", "save")
        clean.client_id()
        clean.lpush("list", 1)
        clean.blpop("list", 1)
        clean.publish("channel", CANARY)
    assert seen.counts("cache", "queue") == without(server_counts(clean))
    assert seen.outcomes("cache")["GET", "hit"] == 7
    assert seen.outcomes("cache")["GET", "miss"] == 3
    assert seen.outcomes("cache")["HGET", "hit"] == seen.outcomes("cache")["HGET", "miss"] == 1
    assert seen.outcomes("cache")["MGET", "hit"] == seen.outcomes("cache")["MGET", "miss"] == 1
    assert seen.outcomes("cache")["HGETALL", "miss"] == 1
    assert seen.outcomes("cache")["CONFIG GET", "ok"] == 2
    assert seen.outcomes("queue") == {("BLPOP", "ok"): 1, ("PUBLISH", "ok"): 1}
    assert CANARY not in repr(seen.root)


def test_what_the_server_refuses_is_an_error_and_passes_through(redis, clean, in_request):
    with in_request() as seen:
        clean.lpush("list", CANARY)
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            clean.get("list")
        with pytest.raises(redis.ResponseError, match="wrong number"):
            clean.execute_command("GET")
        with pytest.raises(redis.ResponseError, match="unknown command"):
            clean.execute_command(f"{CANARY} x")
    assert seen.outcomes("cache") == {("LPUSH", "ok"): 1, ("GET", "error"): 2, ("(unknown)", "error"): 1}
    assert without(seen.counts("cache"), ["(unknown)"]) == without(server_counts(clean))
    assert CANARY not in repr(seen.root)


@pytest.mark.parametrize("transaction", [True, False])
def test_a_pipeline_counts_each_command_and_shares_its_time_among_them(clean, in_request, transaction):
    with in_request() as seen, clean.pipeline(transaction=transaction) as pipe:
        pipe.set("a", CANARY).get("a").get("none").hgetall("none").incr("n")
        pipe.execute()
    assert seen.counts("cache") == without(server_counts(clean))
    assert (seen.counts("cache")["MULTI"], seen.counts("cache")["EXEC"]) == (transaction, transaction)
    assert seen.outcomes("cache")["GET", "hit"] == seen.outcomes("cache")["GET", "miss"] == 1
    children = sorted(seen.children, key=lambda child: child.start_ns)
    assert all(one.end_ns == other.start_ns for one, other in pairwise(children))


@pytest.mark.parametrize("transaction", [True, False])
@pytest.mark.parametrize("raises", [True, False])
def test_a_failed_command_in_a_pipeline_is_the_only_error(redis, clean, in_request, transaction, raises):
    clean.lpush("list", 1)
    clean.config_resetstat()
    with in_request() as seen:
        pipe = clean.pipeline(transaction=transaction).set("a", 1).get("list").get("a")
        if raises:
            with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
                pipe.execute()
        else:
            assert isinstance(pipe.execute(raise_on_error=False)[1], redis.ResponseError)
    assert seen.counts("cache") == without(server_counts(clean))
    assert {name: n for name, n in seen.outcomes("cache").items() if name[1] == "error"} == {("GET", "error"): 1}


def test_a_transaction_that_is_called_off_ran_none_of_its_commands(redis, clean, redis_url, in_request):
    other = redis.Redis.from_url(redis_url)
    with in_request() as seen:
        with clean.pipeline() as pipe:
            pipe.watch("a")
            pipe.get("a")
            other.set("a", 2)
            pipe.multi()
            pipe.set("a", 3)
            with pytest.raises(redis.WatchError):
                pipe.execute()
        with clean.pipeline() as pipe, pytest.raises(redis.ResponseError, match="wrong number"):
            pipe.execute_command("GET").set("a", 4).execute()
    handshake = {"INFO", "CONFIG RESETSTAT", "HELLO", "CLIENT SETINFO", "CLIENT MAINT_NOTIFICATIONS", "SELECT"}
    expected = without(server_counts(clean), handshake)
    expected["GET"] -= 1  # refused while the transaction was written down: nothing of that one was run
    assert without(seen.counts("cache"), handshake) == +expected
    assert seen.outcomes("cache")["EXEC", "error"] == 2
    other.close()


def test_asyncio_counts_the_same(redis, clean, redis_url, in_request):
    import redis.asyncio as aredis

    async def work() -> None:
        client = aredis.Redis.from_url(redis_url)
        await client.ping()
        clean.config_resetstat()
        with in_request() as seen:
            await asyncio.gather(*(client.set(f"k{i}", i) for i in range(20)))
            await client.mget("k1", "none")
            async with client.pipeline(transaction=True) as pipe:
                await pipe.get("k1").get("none").incr("k2").execute()
            async with client.pipeline(transaction=False) as pipe:
                await pipe.get("k1").lpush("k1", 1).execute(raise_on_error=False)
            with pytest.raises(redis.ResponseError):
                await client.hget("k1", "x")
        handshake = {"INFO", "CONFIG RESETSTAT", "HELLO", "CLIENT SETINFO", "CLIENT MAINT_NOTIFICATIONS", "SELECT"}
        assert seen.counts("cache") == without(server_counts(clean), handshake)
        assert seen.outcomes("cache")["GET", "hit"] == 2
        assert seen.outcomes("cache")["LPUSH", "error"] == 1
        assert seen.outcomes("pool_wait")["redis connection", "ok"] > 0
        await client.aclose()

    asyncio.run(work())


@pytest.mark.parametrize("transaction", [True, False])
def test_a_failed_command_in_an_async_pipeline_is_the_only_error(redis, clean, redis_url, in_request, transaction):
    import redis.asyncio as aredis

    async def work() -> None:
        client = aredis.Redis.from_url(redis_url)
        await client.lpush("list", 1)
        clean.config_resetstat()
        with in_request() as seen:
            pipe = client.pipeline(transaction=transaction).set("a", 1).get("list").get("a")
            with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
                await pipe.execute()
        assert seen.counts("cache") == without(server_counts(clean))
        assert seen.outcomes("cache")["GET", "error"] == 1
        await client.aclose()

    asyncio.run(work())


def test_nothing_is_recorded_while_recording_is_off(clean, redis_url):
    import redis.asyncio as aredis

    from pitstop.record import RECORDER

    async def ask() -> None:
        async with aredis.Redis.from_url(redis_url) as client:
            await client.get("a")

    RECORDER.drain()
    RECORDER.on = False
    clean.get("a")
    clean.pipeline().get("a").execute()
    asyncio.run(ask())
    assert not RECORDER.drain().records


def test_a_fault_of_ours_is_noted_and_the_command_answered(redis, clean, in_request, monkeypatch):
    from pitstop.instrument import live
    from pitstop.instrument import redis as integration

    clean.set("a", 1)
    monkeypatch.setattr(integration, "line_attrs", lambda _: 1 / 0)
    with in_request() as seen:
        assert clean.get("a") == b"1"
        assert clean.pipeline().get("a").execute() == [b"1"]
        with pytest.raises(redis.ResponseError):
            clean.lpush("a", 1)
    assert not seen.children
    assert {"redis.file", "redis.pipeline"} <= set(live.faults())


def test_subscribing_is_recorded_and_waiting_for_messages_is_not(clean, in_request):
    with in_request() as seen, clean.pubsub() as listener:
        listener.subscribe("news")
        listener.get_message(timeout=1)
        clean.publish("news", CANARY)
        assert listener.get_message(timeout=1)["data"] == CANARY.encode()
    assert seen.counts("queue") == {"SUBSCRIBE": 1, "PUBLISH": 1}
    assert not seen.counts("cache")


def test_a_cluster_counts_its_commands_and_not_its_topology(redis, redis_cluster_port, in_request):
    with in_request() as seen:
        client = redis.RedisCluster(host="127.0.0.1", port=redis_cluster_port)
    assert not seen.counts("cache")
    plain = redis.Redis(port=redis_cluster_port)
    client.ping()
    plain.flushall()
    plain.config_resetstat()
    with in_request() as seen:
        client.set("a", 1)
        client.get("a")
        client.get("none")
        with pytest.raises(redis.ResponseError):
            client.lpush("a", 1)
        client.pipeline().set("b", 1).get("b").get("none").execute()
        with client.pipeline(transaction=True) as pipe:
            pipe.set("{b}1", 1).get("{b}1").execute()
    topology = {"INFO", "CONFIG RESETSTAT", "CLUSTER SLOTS", "COMMAND", "HELLO", "CLIENT SETINFO"}
    topology |= {"CLIENT MAINT_NOTIFICATIONS"}
    assert seen.counts("cache") == without(server_counts(plain), topology)
    assert seen.outcomes("cache")["GET", "miss"] == 2
    client.close()
    plain.close()


def test_an_async_cluster_counts_the_same(redis, redis_cluster_port, in_request):
    from redis.asyncio.cluster import RedisCluster

    async def work() -> None:
        plain = redis.Redis(port=redis_cluster_port)
        plain.flushall()
        client = RedisCluster(host="127.0.0.1", port=redis_cluster_port)
        await client.initialize()
        plain.config_resetstat()
        with in_request() as seen:
            await client.set("a", 1)
            await client.get("a")
            await client.pipeline().set("b", 1).get("b").get("none").execute()
            async with client.pipeline(transaction=True) as pipe:
                await pipe.set("{b}1", 1).get("{b}1").execute()
        topology = {"INFO", "CONFIG RESETSTAT", "CLUSTER SLOTS", "COMMAND", "HELLO", "CLIENT SETINFO"}
        topology |= {"CLIENT MAINT_NOTIFICATIONS"}
        assert seen.counts("cache") == without(server_counts(plain), topology)
        await client.aclose()
        plain.close()

    asyncio.run(work())


def test_a_server_that_is_gone_is_an_error_for_each_command(redis, in_request):
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    client = redis.Redis(port=1, retry=Retry(NoBackoff(), 0))
    with in_request() as seen, pytest.raises(redis.ConnectionError):
        client.get("a")
    assert not seen.counts("cache")  # no command was sent


def test_threads_share_a_client_and_nothing_is_lost(clean, in_request):
    import contextvars

    with in_request() as seen:
        threads = [
            threading.Thread(target=contextvars.copy_context().run, args=(lambda: [clean.get("x") for _ in range(50)],))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen.counts("cache") == {"GET": 200}


def test_everything_can_be_put_back(redis):
    import redis.asyncio.client
    import redis.client
    import redis.connection

    from pitstop.instrument import redis as integration

    for module in (redis.client, redis.asyncio.client, redis.connection):
        integration.detach(module)
    methods = (redis.Redis._send_command_parse_response, redis.client.Pipeline._execute_pipeline)
    assert not any(hasattr(method, "__wrapped__") for method in methods)
    for module in (redis.client, redis.asyncio.client, redis.connection):
        integration.attach(module)
    assert hasattr(redis.Redis._send_command_parse_response, "__wrapped__")
