# ruff: noqa: ANN001, ANN201, PLC0415  fixtures are known by name; libraries are imported when they are hooked
"""What is recorded of pymemcache is what memcached counted."""

from __future__ import annotations

import pytest

CANARY = "canary-42fd"


@pytest.fixture
def client(hooked, memcached_address):
    hooked("pymemcache")
    from pymemcache.client.base import Client

    client = Client(memcached_address, timeout=5)
    client.flush_all()
    yield client
    client.close()


def server_counts(client) -> dict[str, int]:
    stats = client.stats()
    names = {"cmd_get", "cmd_set", "get_hits", "get_misses", "delete_hits", "delete_misses", "incr_hits", "cmd_touch"}
    return {name.decode(): int(value) for name, value in stats.items() if name.decode() in names}


def test_commands_are_counted_as_the_server_counts_them(client, in_request):
    before = server_counts(client)
    with in_request() as seen:
        for i in range(6):
            client.set(f"{CANARY}{i}", CANARY)
        client.set("silent", CANARY, noreply=True)
        client.set_many({"a": 1, "b": 2, "c": 3}, noreply=False)
        for i in range(8):
            client.get(f"{CANARY}{i}")
        client.set("n", "1", noreply=False)
        client.incr("n", 1)
        client.delete("n", noreply=False)
        client.delete("none", noreply=False)
        client.touch("a", 10, noreply=False)
    after = server_counts(client)
    difference = {name: after[name] - before[name] for name in after}
    counts, outcomes = seen.counts("cache"), seen.outcomes("cache")
    assert (counts["SET"], counts["GET"], counts["INCR"], counts["TOUCH"]) == (11, 8, 1, 1)
    assert (difference["cmd_set"], difference["incr_hits"]) == (counts["SET"], counts["INCR"])
    assert (difference["get_hits"], difference["get_misses"]) == (outcomes["GET", "hit"], outcomes["GET", "miss"])
    assert difference["delete_hits"] + difference["delete_misses"] == counts["DELETE"] == 2
    assert CANARY not in repr(seen.children)


def test_fetching_many_is_one_command_and_a_miss_when_one_is_missing(client, in_request):
    client.set_many({"a": 1, "b": 2}, noreply=False)
    with in_request() as seen:
        assert len(client.get_many(["a", "b"])) == 2
        assert len(client.get_many(["a", CANARY])) == 1
    assert seen.outcomes("cache") == {("GET", "hit"): 1, ("GET", "miss"): 1}


def test_what_is_no_command_of_memcached_is_an_error_without_a_name(client, in_request):
    with in_request() as seen, pytest.raises(Exception, match=CANARY):
        client.raw_command(f"{CANARY} x")
    assert seen.outcomes("cache") in ({("(unknown)", "error"): 1}, {("(unknown)", "ok"): 1})
    assert CANARY not in repr(seen.children)


def test_a_hashing_client_over_pools_is_recorded_once(hooked, memcached_address, in_request):
    hooked("pymemcache")
    from pymemcache.client.hash import HashClient

    client = HashClient([memcached_address], use_pooling=True)
    with in_request() as seen:
        client.set("a", 1)
        client.get("a")
    assert seen.counts("cache") == {"SET": 1, "GET": 1}
    client.close()


def test_everything_can_be_put_back(client, in_request):
    import pymemcache.client.base

    from pitstop.instrument import pymemcache as integration

    integration.detach(pymemcache.client.base)
    with in_request() as seen:
        client.get("a")
    integration.attach(pymemcache.client.base)
    assert not seen.children
