"""The memory level: bounds, what stays, and hit ratios."""

from __future__ import annotations

import random
import threading
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.tune.cache.memory import Entry, Memory

Action = tuple[str, int, int]


@given(
    st.lists(st.tuples(st.sampled_from(["put", "get", "drop"]), st.integers(0, 30), st.integers(1, 50)), max_size=300),
    st.integers(1, 12),
    st.one_of(st.none(), st.integers(20, 200)),
)
def test_never_holds_more_than_it_may_and_what_it_finds_is_what_was_last_put(
    actions: list[Action], most: int, most_bytes: int | None
) -> None:
    came: list[Entry] = []
    gone: list[Entry] = []
    memory = Memory(most, most_bytes, came=came.append, gone=lambda entry, _: gone.append(entry))
    newest: dict[str, int] = {}
    for what, number, value in actions:
        key = str(number)
        if what == "put":
            memory.put(Entry(key, value, nbytes=value))
            newest[key] = value
            assert (memory.find(key) is not None) == (most_bytes is None or value <= most_bytes)
        elif what == "drop":
            there = memory.find(key) is not None
            assert memory.drop(key) == there
            assert memory.find(key) is None
            newest.pop(key, None)
        entry = memory.find(key)
        if entry is not None:
            entry.hits += 1
            assert entry.value == newest[key]
        assert len(memory) <= most
        assert memory.nbytes == sum(each.nbytes for each in memory)
        assert most_bytes is None or memory.nbytes <= most_bytes
        assert sorted(id(e) for e in memory) == sorted({id(e) for e in came} - {id(e) for e in gone})
    memory.clear()
    assert len(memory) == memory.nbytes == 0


def test_queues_do_not_grow_where_keys_are_deleted_and_set_again() -> None:
    memory = Memory(10)
    for turn in range(5000):
        memory.put(Entry(str(turn % 7), turn))
        memory.drop(str(turn % 7))
    assert len(memory._small) + len(memory._main) <= 2 * 10 + 2


def test_a_scan_costs_what_is_used_nothing() -> None:
    memory = Memory(100)
    for _ in range(3):
        for key in range(50):
            entry = memory.find(f"hot{key}")
            if entry is None:
                memory.put(Entry(f"hot{key}", key))
            else:
                entry.hits += 1
    for key in range(10_000):
        memory.put(Entry(f"scan{key}", key))
    assert sum(memory.find(f"hot{key}") is not None for key in range(50)) == 50


def ratio(memory: Memory, keys: list[int]) -> float:
    hits = 0
    for key in keys:
        entry = memory.find(str(key))
        if entry is None:
            memory.put(Entry(str(key), key))
        else:
            entry.hits += 1
            hits += 1
    return hits / len(keys)


def lru_ratio(most: int, keys: list[int]) -> float:
    kept: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for key in keys:
        if key in kept:
            hits += 1
            kept.move_to_end(key)
        else:
            kept[key] = None
            if len(kept) > most:
                kept.popitem(last=False)
    return hits / len(keys)


@pytest.mark.parametrize(("shuffled_every", "least_gain"), [(0, 0.03), (5_000, -0.01)])
def test_beats_lru_on_steady_popularity_and_keeps_up_with_it_when_popularity_shifts(
    shuffled_every: int, least_gain: float
) -> None:
    rng = random.Random(3)
    ranks = rng.choices(range(5000), weights=[1 / rank for rank in range(1, 5001)], k=50_000)
    names = list(range(5000))
    keys = []
    for at, rank in enumerate(ranks):
        if shuffled_every and at % shuffled_every == 0:
            rng.shuffle(names)
        keys.append(names[rank])
    assert ratio(Memory(500), keys) - lru_ratio(500, keys) > least_gain


def test_shrinking_lets_go_of_what_is_not_used_first() -> None:
    memory = Memory(100)
    for key in range(100):
        memory.put(Entry(str(key), key, nbytes=10))
    for key in range(20):
        memory.find(str(key)).hits += 3  # type: ignore[union-attr]  # it was just put there
    assert memory.shrink(0.5) == 500
    assert len(memory) == 50
    assert all(memory.find(str(key)) for key in range(20))


def test_threads_that_put_find_and_drop_at_once_leave_it_whole() -> None:
    memory = Memory(50, 2000)
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        try:
            for _ in range(3000):
                key = str(rng.randrange(200))
                entry = memory.find(key)
                if entry is None:
                    memory.put(Entry(key, key, nbytes=rng.randrange(100)))
                elif rng.random() < 0.1:
                    memory.drop(key)
                else:
                    assert entry.value == key
                    entry.hits += 1
        except BaseException as error:  # noqa: BLE001  told by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(memory) <= 50
    assert memory.nbytes == sum(entry.nbytes for entry in memory) <= 2000


def test_memory_without_room_keeps_nothing() -> None:
    memory = Memory(0)
    memory.put(Entry("a", 1))
    assert len(memory) == 0
