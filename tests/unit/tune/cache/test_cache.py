"""The cache as a host sees it: get, set, regions, tenants, tags, the decorator."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.model.errors import CacheKeyError, SettingError
from pitstop.record import RECORDER, Operation
from pitstop.record.operation import set_current
from pitstop.tune.cache import Adaptive, Cache

if TYPE_CHECKING:
    from collections.abc import Callable

    MakeCache = Callable[..., Cache]


def test_a_value_is_there_until_its_end(cache: Cache, clock: Any) -> None:
    cache.set("a", [1], ttl_s=10)
    clock.move(9.9)
    assert cache.get("a") == [1]
    clock.move(0.2)
    assert cache.get("a", "gone") == "gone"


def test_the_default_ttl_is_300_s(cache: Cache, clock: Any) -> None:
    cache.set("a", 1)
    clock.move(299)
    assert cache.get("a") == 1
    clock.move(2)
    assert cache.get("a") is None


@pytest.mark.parametrize("key", ["a", "ä" * 300, 7, ("user", 7), b"x"])
def test_any_value_that_has_a_text_is_a_key(cache: Cache, key: object) -> None:
    cache.set(key, "v")
    assert cache.get(key) == "v"
    assert cache.get_or_set(key, lambda: "other") == "v"
    assert cache.delete(key)
    assert not cache.delete(key)
    assert cache.get(key) is None


@pytest.mark.parametrize("key", [["unhashable"], object()])
def test_a_key_without_a_text_is_refused(cache: Cache, key: object) -> None:
    if isinstance(key, list):
        assert cache.get(key) is None
        return
    with pytest.raises(CacheKeyError, match="cannot be part of a cache key"):
        cache.get(key)


def test_async_methods_see_the_same_values(cache: Cache) -> None:
    async def run() -> None:
        await cache.aset("a", 1, tags=["t"])
        assert await cache.aget("a") == cache.get("a") == 1
        assert await cache.adelete("a")
        assert await cache.aget("a", 5) == 5
        assert await cache.aget_or_set("b", lambda: 3) == 3

        async def slow() -> int:
            return 4

        assert await cache.aget_or_set("c", slow) == cache.get("c") == 4
        await cache.aset("a", 1, tags=["t"])
        await cache.ainvalidate("t")
        assert await cache.aget("a") is None

    asyncio.run(run())


def test_regions_do_not_share_keys(cache: Cache) -> None:
    cache.region("one").set("a", 1)
    cache.region("two").set("a", 2)
    assert [cache.region(name).get("a") for name in ("one", "two", "three")] == [1, 2, None]
    cache.invalidate(region="one")
    assert [cache.region(name).get("a") for name in ("one", "two")] == [None, 2]


def test_the_rules_of_a_region_are_named_once(cache: Cache) -> None:
    cache.region("r", ttl_s=5)
    assert cache.region("r") is cache.region("r", ttl_s=5)
    with pytest.raises(SettingError, match="region 'r' exists with"):
        cache.region("r", ttl_s=6)
    with pytest.raises(SettingError, match=r"\['tll_s'\] are no rules"):
        cache.region("s", tll_s=5)


@pytest.mark.parametrize(
    "rules", [{"ttl_s": 0}, {"ttl_s": -1}, {"ttl_s": float("nan")}, {"ttl_s": "soon"}, {"stale_s": -1}, {"wait_s": 0}]
)
def test_rules_that_cannot_be_are_refused(make_cache: MakeCache, rules: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(rules))):
        make_cache(**rules)
    for wrong in (
        {"max_entries": -1},
        {"max_bytes": 0},
        {"secret": "short", "file": "/x"},
        {"file": "/no/such/folder/x"},
    ):
        with pytest.raises(SettingError):
            Cache(**wrong)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(SettingError, match="least_s"):
        Adaptive(least_s=5, most_s=1)


Step = tuple[str, int, int, int]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["set", "get", "delete", "tag", "tenant", "everything"]),
            st.integers(0, 2), st.integers(0, 2), st.integers(0, 2),
        ),
        max_size=60,
    )
)  # fmt: skip
def test_tenants_and_tags_never_touch_one_another(steps: list[Step]) -> None:
    cache = Cache(max_entries=100)
    tenants, tags = ["a", "a:b", "a%3a~b"], ["t", "t:", "T"]
    truth: dict[tuple[int, int], tuple[int, int]] = {}
    for number, (what, tenant, key, tag) in enumerate(steps):
        if what == "set":
            cache.set(f"k{key}", number, tenant=tenants[tenant], tags=[tags[tag]])
            truth[tenant, key] = (number, tag)
        elif what == "delete":
            assert cache.delete(f"k{key}", tenant=tenants[tenant]) == (truth.pop((tenant, key), None) is not None)
        elif what == "tag":
            cache.invalidate(tags[tag])
            truth = {where: (value, own) for where, (value, own) in truth.items() if own != tag}
        elif what == "tenant":
            cache.invalidate(tenant=tenants[tenant])
            truth = {where: kept for where, kept in truth.items() if where[0] != tenant}
        elif what == "everything":
            cache.invalidate(everything=True)
            truth = {}
        for each in range(3):
            for other in range(3):
                expected = truth.get((each, other), (None, 0))[0]
                assert cache.get(f"k{other}", tenant=tenants[each]) == expected
                assert cache.get(f"k{other}") is None


def test_a_region_of_tenants_refuses_calls_of_nobody(cache: Cache) -> None:
    whose: list[str | None] = ["a"]
    region = cache.region("r", tenant=lambda: whose[0])

    @cache.cached(region="r")
    def balance(number: int) -> str:
        return f"{whose[0]} {number}"

    region.set("k", 1)
    assert balance(1) == "a 1"
    whose[0] = "b"
    assert region.get("k") is None
    assert balance(1) == "b 1"
    assert region.get("k", tenant="a") == 1
    for nobody in (None, ""):
        whose[0] = nobody
        with pytest.raises(SettingError, match="without a tenant"):
            balance(1)
        with pytest.raises(SettingError, match="without a tenant"):
            region.get("k")
    with pytest.raises(SettingError, match="without a tenant"):
        cache.get("k", tenant="")


def test_a_decorated_function_runs_once_for_equal_calls(cache: Cache) -> None:
    calls = []

    @cache.cached(ttl_s=60)
    def area(width: int, height: int = 2) -> int:
        """Width times height."""
        calls.append((width, height))
        return width * height

    assert area(3) == area(3, 2) == area(height=2, width=3) == 6
    assert calls == [(3, 2)]
    assert area.__doc__ == "Width times height."
    assert area.cache.delete(3)
    assert area(3) == 6
    assert len(calls) == 2


def test_a_decorated_coroutine_function_is_one_still(cache: Cache) -> None:
    calls = []

    @cache.cached
    async def double(number: int) -> int:
        calls.append(number)
        return number * 2

    async def run() -> None:
        assert await double(2) == await double(2) == 4
        assert await double.cache.adelete(2)
        await double(2)

    asyncio.run(run())
    assert len(calls) == 2


def test_tags_of_a_call_name_its_arguments(cache: Cache) -> None:
    calls = []

    @cache.cached(tags=["user:{user}", "users"])
    def profile(user: int, *, full: bool = False) -> int:
        calls.append(user)
        return user + full

    @cache.cached(tags=lambda user: [f"user:{user}"])
    def name(user: int) -> int:
        calls.append(-user)
        return user

    for _ in range(2):
        profile(1), profile(2), name(1)
    assert calls == [1, 2, -1]
    cache.invalidate("user:1")
    profile(1), profile(2), name(1)
    assert calls == [1, 2, -1, 1, -1]
    cache.invalidate("users")
    profile(1), profile(2), name(1)
    assert calls == [1, 2, -1, 1, -1, 1, 2]

    @cache.cached(tags=["user:{usr}"])
    def wrong(user: int) -> int:
        return user

    with pytest.raises(SettingError, match="'usr', which is no parameter"):
        wrong(1)


def test_generators_and_texts_as_tags_are_refused(cache: Cache) -> None:
    def numbers() -> Any:
        yield 1

    with pytest.raises(SettingError, match="return a list instead"):
        cache.cached(numbers)
    with pytest.raises(SettingError, match=r'tags=\["users"\]'):
        cache.cached(tags="users")(len)
    with pytest.raises(SettingError, match="a sequence is needed"):
        cache.set("a", 1, tags="users")
    with pytest.raises(SettingError, match="told nothing"):
        cache.invalidate()
    with pytest.raises(SettingError, match="above 0"):
        cache.set("a", 1, ttl_s=0)


def test_two_functions_of_one_region_share_its_rules_and_no_keys(cache: Cache) -> None:
    cache.region("prices", ttl_s=50)

    @cache.cached(region="prices", ttl_s=10)
    def gross(number: int) -> str:
        return f"gross {number}"

    @cache.cached(region="prices", key=lambda number: number % 10)
    def net(number: int) -> str:
        return f"net {number}"

    assert (gross(1), net(1), net(11)) == ("gross 1", "net 1", "net 1")
    with pytest.raises(SettingError, match="needs a region of its own"):
        cache.cached(region="prices", ttl_s="adaptive")(len)


def test_lookups_are_recorded_below_the_request(cache: Cache) -> None:
    request = Operation("http", 1)
    RECORDER.on = True
    set_current(request)
    try:
        cache.get("a")
        cache.set("a", 1)
        cache.get("a")
        cache.get_or_set("b", lambda: 1)
        with pytest.raises(ZeroDivisionError):
            cache.get_or_set("c", lambda: 1 // 0)
    finally:
        RECORDER.on = False
        set_current(None)
    assert [child[:3] for child in request.children or []] == [
        ("region", "default", outcome) for outcome in ("miss", "hit", "miss", "error")
    ]


def test_metrics_add_up(make_cache: MakeCache) -> None:
    cache = make_cache(max_entries=10)
    for turn in range(2):
        for number in range(8):
            assert cache.get_or_set(f"k{number}", lambda: "v", tenant="t" if number < 4 else None) == "v", turn
    cache.invalidate("x", tenant="t")
    cache.delete("k5")
    figures = cache.get_metrics()
    assert (figures["hits"], figures["misses"], figures["hit_ratio"], figures["entries"]) == (8, 8, 0.5, 7)
    assert figures["tenants"] == {"t": [4, 4]}
    region = figures["regions"]["default"]
    assert region["hits"] == {"memory": 8}
    assert region["invalidations"] == {"key": 1, "tag": 1, "tenant": 1, "event": 0, "everything": 0}
    assert region["levels"] == ["memory"]
    assert (region["breaker"], region["ttl_s"], region["max_entries"]) == ("closed", 300.0, 10)
    assert all("k1" not in hot["key"] and hot["hits"] for hot in region["hottest"])
    for number in range(50):
        cache.set(f"n{number}", number)
    assert cache.get_metrics()["evictions"] == cache.get_metrics()["regions"]["default"]["evictions"] > 40
    assert cache.get_metrics()["entries"] == 10


def test_a_large_value_counts_by_its_bytes(make_cache: MakeCache) -> None:
    cache = make_cache(max_bytes=100_000)
    for number in range(30):
        cache.set(str(number), {"text": "x" * 10_000, "more": list(range(100))})
    assert cache.get_metrics()["nbytes"] <= 100_000
    assert 5 <= cache.get_metrics()["entries"] <= 9
    assert cache.get("29") is not None
    cache.set("huge", "x" * 200_000)
    assert cache.get("huge") is None
    before = cache.get_metrics()["entries"]
    assert cache.shrink(0.5) > 0
    assert cache.get_metrics()["entries"] == before // 2


def test_a_cache_without_memory_makes_values_every_time(make_cache: MakeCache) -> None:
    cache, calls = make_cache(max_entries=0), []
    for _ in range(2):
        cache.get_or_set("a", lambda: calls.append(1))
    assert len(calls) == 2


def test_random_refresh_does_not_depend_on_the_global_generator(make_cache: MakeCache) -> None:
    before = random.getstate()
    cache = make_cache()
    cache.get_or_set("a", lambda: 1)
    assert random.getstate() == before
