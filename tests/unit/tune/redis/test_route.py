"""Where commands go: driven by hand, without a server."""

from __future__ import annotations

from typing import Any

import hiredis
import pytest
import redis.crc
from hypothesis import given
from hypothesis import strategies as st

from pitstop.tune.cache.redis.address import Node, parse
from pitstop.tune.cache.redis.route import LOOK_EVERY_S, Cluster, Sentinels, route, slot
from pitstop.tune.cache.redis.wire import Ask, WireError

A, B, C = (Node("10.0.0.1", port) for port in (1, 2, 3))


def decoded(asked: Ask) -> list[list[bytes]]:
    """The commands of a piece."""
    reader = hiredis.Reader()
    reader.feed(asked.packed)
    return [reader.gets() for _ in range(reader_count(asked))]


def reader_count(asked: Ask) -> int:
    return asked.replies


class Servers:
    """Answers pieces as told; notes who was asked what."""

    def __init__(self) -> None:
        self.asked: list[tuple[Node, list[list[bytes]]]] = []
        self.map = [[0, 8191, [b"10.0.0.1", 1]], [8192, 16383, [b"10.0.0.1", 2]]]
        self.down: set[Node] = set()
        self.errors: dict[tuple[Node, bytes], list[str]] = {}
        self.primary: list[bytes] | None = [b"10.0.0.1", b"1"]

    def drive(self, talk: Any) -> Any:
        try:
            asks = next(talk)
            while True:
                asks = talk.send([self._answer(each) for each in asks])
        except StopIteration as stop:
            return stop.value

    def _answer(self, asked: Ask) -> Any:
        commands = decoded(asked)
        self.asked.append((asked.node, commands))
        if asked.node in self.down:
            return WireError("down")
        return [self._reply(asked.node, command) for command in commands]

    def _reply(self, node: Node, command: list[bytes]) -> Any:
        if command[:2] == [b"CLUSTER", b"SLOTS"]:
            return self.map
        if command[0] == b"SENTINEL":
            return self.primary
        if command[0] == b"ASKING":
            return b"OK"
        planned = self.errors.get((node, command[1]), [])
        return hiredis.ReplyError(planned.pop(0)) if planned else b"%d:%s" % (node.port, command[1])


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def servers() -> Servers:
    return Servers()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def cluster(clock: Clock) -> Cluster:
    return Cluster(parse("redis+cluster://10.0.0.1:1,10.0.0.1:2"), clock)


LOW, HIGH = "b", "a"  # slots 3300 and 15495


@given(st.binary(max_size=40))
def test_slots_are_those_of_redis(key: bytes) -> None:
    assert slot(key) == redis.crc.key_slot(key)


def test_a_cluster_gets_a_piece_for_each_server_and_replies_in_order(servers: Servers, clock: Clock) -> None:
    replies = servers.drive(cluster(clock).talk([("GET", HIGH), ("GET", LOW), ("GET", HIGH)]))
    assert replies == [b"2:a", b"1:b", b"2:a"]
    assert [node for node, _ in servers.asked] == [A, B, A]


def test_a_moved_slot_is_followed_and_remembered(servers: Servers, clock: Clock) -> None:
    one = cluster(clock)
    servers.drive(one.talk([("GET", LOW)]))
    servers.errors[A, b"b"] = ["MOVED 3300 10.0.0.1:3"]
    servers.map = [[0, 3299, [b"10.0.0.1", 1]], [3300, 16383, [b"10.0.0.1", 3]]]
    clock.now_s = 1
    assert servers.drive(one.talk([("GET", LOW)])) == [b"3:b"]
    assert servers.drive(one.talk([("GET", HIGH)])) == [b"3:a"]
    assert one.writers() == {A, C}


def test_a_slot_that_is_being_moved_is_asked_for_where_it_goes(servers: Servers, clock: Clock) -> None:
    one = cluster(clock)
    servers.errors[A, b"b"] = ["ASK 3300 10.0.0.1:3"]
    assert servers.drive(one.talk([("GET", LOW), ("GET", HIGH)])) == [b"3:b", b"2:a"]
    assert servers.asked[-1] == (C, [[b"ASKING"], [b"GET", b"b"]])


def test_a_lost_server_fails_only_until_its_heir_is_known(servers: Servers, clock: Clock) -> None:
    one = cluster(clock)
    servers.drive(one.talk([("GET", LOW)]))
    servers.down.add(A)
    with pytest.raises(WireError):
        servers.drive(one.talk([("GET", LOW)]))
    assert servers.drive(one.talk([("GET", HIGH)])) == [b"2:a"]
    servers.map = [[0, 8191, [b"10.0.0.1", 3]], [8192, 16383, [b"10.0.0.1", 2]]]
    clock.now_s += LOOK_EVERY_S
    assert servers.drive(one.talk([("GET", LOW)])) == [b"3:b"]


def test_servers_that_send_one_to_the_other_are_not_followed_for_ever(servers: Servers, clock: Clock) -> None:
    one = cluster(clock)
    servers.errors[A, b"b"] = ["MOVED 3300 10.0.0.1:2"] * 10
    servers.errors[B, b"b"] = ["MOVED 3300 10.0.0.1:1"] * 10
    with pytest.raises(WireError, match="from one to the other"):
        servers.drive(one.talk([("GET", LOW)]))


@pytest.mark.parametrize("said", ["CLUSTERDOWN x", "TRYAGAIN x", "LOADING x", "READONLY x"])
def test_what_cannot_be_done_now_is_no_reply(servers: Servers, clock: Clock, said: str) -> None:
    servers.errors[A, b"b"] = [said] * 10
    with pytest.raises(WireError, match="cannot do it now"):
        servers.drive(cluster(clock).talk([("GET", LOW)]))
    servers.errors[A, b"k"] = [said]
    with pytest.raises(WireError, match="cannot do it now"):
        servers.drive(route(parse("redis://10.0.0.1:1")).talk([("GET", "k")]))


def test_a_cluster_that_is_not_whole_is_told_as_such(servers: Servers, clock: Clock) -> None:
    servers.map = [[0, 100, [b"10.0.0.1", 1]]]
    with pytest.raises(WireError, match="not whole"):
        servers.drive(cluster(clock).talk([("GET", LOW)]))


def test_sentinels_are_asked_again_when_their_primary_fails(servers: Servers, clock: Clock) -> None:
    one = Sentinels(parse("redis+sentinel://10.0.0.1:7,10.0.0.1:8/shop"), clock)
    servers.down.add(Node("10.0.0.1", 7))
    assert servers.drive(one.talk([("GET", "k")])) == [b"1:k"]
    servers.errors[A, b"k"] = ["READONLY You can't write against a read only replica."]
    servers.primary = [b"10.0.0.1", b"2"]
    clock.now_s = 1
    servers.asked.clear()
    assert servers.drive(one.talk([("SET", "k", "v")])) == [b"2:k"]
    assert [node.port for node, _ in servers.asked] == [1, 8, 2], "the sentinel that knew is asked first"
    assert one.writers() == {B}


def test_without_a_primary_there_is_an_error(servers: Servers, clock: Clock) -> None:
    servers.primary = None
    one = Sentinels(parse("redis+sentinel://10.0.0.1:7/shop"), clock)
    with pytest.raises(WireError, match="no sentinel names a primary of 'shop'"):
        servers.drive(one.talk([("GET", "k")]))
    assert one.writers() == frozenset()
