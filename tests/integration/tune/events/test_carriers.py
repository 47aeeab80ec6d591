"""Events between processes, by real servers: what one bus publishes, the others deliver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pitstop.tune.cache import Cache
from pitstop.tune.cache.events import Bus, Event, invalidate_on
from pitstop.tune.cache.events.postgres import PostgresNotify
from pitstop.tune.cache.events.redis import RedisChannel, RedisStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START_S = 10


def until(true: Callable[[], Any], what: str, timeout_s: float = 10) -> None:
    end_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end_s, f"not within {timeout_s} s: {what}"
        time.sleep(0.01)


class Redis:
    """A server that can be killed and started again on its port."""

    def __init__(self, folder: str, port: int) -> None:
        self.command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        self.url = f"redis://127.0.0.1:{port}"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        stream = RedisStream(self.url)

        def listens() -> bool:
            try:
                return bool(stream.client.ask([("TIME", "")]))
            except ConnectionError:
                return False

        until(listens, "redis listens")
        stream.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def redis(tmp_path: Any, unused_port: int) -> Iterator[Redis]:
    server = Redis(str(tmp_path), unused_port)
    yield server
    server.kill()


@pytest.fixture
def unused_port() -> int:
    import socket  # noqa: PLC0415  only here

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(params=["channel", "stream", "postgres"])
def carrier(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """Makes one carrier after the other of the same kind, to the same place."""
    if request.param == "postgres":
        database = request.getfixturevalue("postgres")
        return lambda: PostgresNotify(database.dsn)
    server = request.getfixturevalue("redis")
    return lambda: (RedisChannel if request.param == "channel" else RedisStream)(server.url)


def heard(bus: Bus, topic: str = "*") -> list[Event]:
    events: list[Event] = []
    bus.subscribe(topic, events.append)
    assert bus.wait_until_heard(START_S)
    return events


def test_what_one_bus_publishes_all_others_deliver_in_order(carrier: Callable[[], Any]) -> None:
    """And it delivers its own events itself, once."""
    one, two, three = buses = [Bus(carrier()) for _ in range(3)]
    events = [heard(bus) for bus in buses]
    for number in range(200):
        one.publish("table.orders", {"number": number, "word": "ä"})
    assert one.flush(10)
    for at, got in enumerate(events):
        until(lambda got=got: len(got) >= 200, f"bus {at} has them all")
        assert [event.body["number"] for event in got] == list(range(200))
    two.publish("bye")
    until(lambda: [event.topic for event in events[2]][-1] == "bye", "the answer comes")
    assert len(events[1]) == 201
    for bus in (one, two, three):
        bus.close()


def test_an_event_voids_the_tag_of_its_name_in_other_processes(carrier: Callable[[], Any]) -> None:
    """A cache in memory only, of a process that publishes nothing itself."""
    bus, other = Bus(carrier()), Bus(carrier())
    cache = Cache()
    invalidate_on(bus, cache, "table.*")
    made = []

    @cache.cached(tags=["table.orders"])
    def orders() -> int:
        made.append(1)
        return len(made)

    assert bus.wait_until_heard(START_S)
    assert [orders(), orders()] == [1, 1]
    other.publish("table.users")
    other.publish("table.orders")
    until(lambda: orders() == 2, "the value is void")
    bus.close()
    other.close()


def test_another_process_hears_what_is_published(carrier: Callable[[], Any], tmp_path: Any) -> None:
    """A program of its own publishes, and a forked child as well."""
    bus = Bus(carrier())
    got = heard(bus)
    made = bus.carrier
    name, address = (
        type(made).__name__,
        made.dsn if isinstance(made, PostgresNotify) else f"redis://{made.client.address.nodes[0]}",
    )
    module = "postgres" if name == "PostgresNotify" else "redis"
    program = (
        f"from pitstop.tune.cache.events import Bus; from pitstop.tune.cache.events.{module} import {name}; "
        f"bus = Bus({name}({address!r})); bus.publish('from.afar'); assert bus.flush(10); bus.close()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
    until(lambda: got and got[-1].topic == "from.afar", "it is heard")
    child = os.fork()
    if not child:
        code = 1
        try:
            bus.publish("from.child", {"pid": os.getpid()})
            code = 0 if bus.flush(10) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    until(lambda: got[-1] == Event("from.child", {"pid": child}, got[-1].origin), "the child is heard")
    bus.close()


def test_events_wait_while_redis_is_away_and_streams_miss_none(redis: Redis) -> None:
    """Publishing never waits; what was published meanwhile comes when it is back."""
    for kind in (RedisChannel, RedisStream):
        _stays_away(redis, kind)


def _stays_away(redis: Redis, kind: type[RedisChannel | RedisStream]) -> None:
    one, two = Bus(kind(redis.url)), Bus(kind(redis.url))
    got = heard(two)
    heard(one)
    one.publish("before")
    until(lambda: len(got) == 1, "the first comes")
    redis.kill()
    began_s = time.monotonic()
    for number in range(20):
        one.publish("meanwhile", {"number": number})
    assert time.monotonic() - began_s < 0.5
    assert not one.flush(0.1)
    redis.start()
    assert one.flush(20)
    if kind is RedisStream:
        until(lambda: [e.body["number"] for e in got if e.topic == "meanwhile"] == list(range(20)), "all come")
    until(lambda: two.gaps >= 1, "that some may have been missed is told")
    one.close()
    two.close()


def test_a_stream_is_read_on_where_it_was_left(redis: Redis) -> None:
    """Connections are cut while events come: none is missed, none comes twice, and no gap is told of."""
    one, two = Bus(RedisStream(redis.url)), Bus(RedisStream(redis.url))
    got = heard(two)
    for number in range(300):
        one.publish("n", {"number": number})
        if number % 100 == 50:
            two.carrier.client.ask([("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")])
    assert one.flush(20)
    until(lambda: len({event.body["number"] for event in got}) == 300, "all come")
    assert sorted({event.body["number"] for event in got}) == list(range(300))
    assert two.gaps == 0
    one.close()
    two.close()


def test_a_gap_voids_everything_that_depends_on_events(postgres: Any) -> None:
    """The session that listens is ended by the server: what was published since is unknown."""
    bus, cache = Bus(PostgresNotify(postgres.dsn)), Cache()
    invalidate_on(bus, cache, "table.*")
    assert bus.wait_until_heard(START_S)
    cache.set("kept", 1)
    assert cache.get("kept") == 1
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        ended = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'pitstop-events'"
        )
        row = connection.execute(ended).fetchone()
        assert row is not None
        assert row[0] >= 1
        until(lambda: cache.get("kept") is None, "everything is void")
        assert bus.wait_until_heard(START_S)
        connection.execute("SELECT pg_notify('pitstop', 'table.orders')")  # as a trigger does
        connection.execute("SELECT pg_notify('pitstop', %s)", (json.dumps({"topic": 7}),))  # no event
    bus.close()
    assert bus.gaps == 1


def test_a_trigger_publishes_with_its_transaction(postgres: Any) -> None:
    """A bare topic; what is rolled back is not told."""
    bus = Bus(PostgresNotify(postgres.dsn))
    got = heard(bus)
    with psycopg.connect(postgres.dsn) as connection:
        connection.execute("SELECT pg_notify('pitstop', 'table.lost')")
        connection.rollback()
        connection.execute("SELECT pg_notify('pitstop', 'table.kept')")
        assert got == []
        connection.commit()
    until(lambda: got == [Event("table.kept", {})], "it comes with the commit")
    bus.close()
