"""Django's contract for cache backends, after its own tests (tests/cache/tests.py), sync and async."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.utils.functional import lazystr
from django.utils.safestring import SafeString, mark_safe

from pitstop.model.errors import SettingError
from pitstop.tune.cache import Cache
from pitstop.tune.cache.django import DjangoCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CACHE = Cache()


@pytest.fixture(autouse=True)
def _configured() -> None:
    if not settings.configured:
        settings.configure(DATABASES={})


class Blocking:
    """A backend's async methods, called as the sync ones are."""

    def __init__(self, backend: DjangoCache) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        twin = getattr(self._backend, f"a{name}", None)
        if twin is None or name == "invalidate":
            return getattr(self._backend, name)
        return lambda *args, **kwargs: asyncio.run(twin(*args, **kwargs))

    def __contains__(self, key: str) -> bool:
        return self.has_key(key)  # type: ignore[no-any-return]


@pytest.fixture(params=["memory", "file"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., DjangoCache]]:
    made: list[DjangoCache] = []

    def build(**params: Any) -> DjangoCache:
        location = str(tmp_path / "cache.db") if request.param == "file" else f"name {tmp_path}".replace("/", " ")
        backend = DjangoCache(location, params)
        made.append(backend)
        return backend

    yield build
    for backend in made:
        backend.cache.close()


@pytest.fixture(params=["sync", "async"])
def cache(request: pytest.FixtureRequest, make: Any) -> Any:
    backend = make()
    return Blocking(backend) if request.param == "async" else backend


def test_what_is_set_is_there_and_what_is_not_is_the_default(cache: Any) -> None:
    cache.set("key", "value")
    assert cache.get("key") == "value"
    assert cache.get("nothing") is None
    assert cache.get("nothing", "bang") == "bang"
    cache.set("none", None)
    assert cache.get("none", "bang") is None
    assert "key" in cache
    assert "none" in cache
    assert "nothing" not in cache
    assert cache.has_key("key") is True


def test_add_keeps_what_is_there(cache: Any) -> None:
    assert cache.add("key", "value") is True
    assert cache.add("key", "newer") is False
    assert cache.get("key") == "value"
    assert cache.add("key2", "value", timeout=0) is True
    assert cache.get("key2") is None


def test_many_at_once(cache: Any) -> None:
    assert cache.set_many({"a": 1, "b": None, "c": 3}) == []
    assert cache.get_many(["a", "b", "x"]) == {"a": 1, "b": None}
    assert cache.get_many(iter(["c"])) == {"c": 3}
    cache.delete_many(["a", "c"])
    assert cache.get_many(["a", "b", "c"]) == {"b": None}
    cache.set_many({"a": 1}, 0)
    assert "a" not in cache


def test_delete_and_clear(cache: Any) -> None:
    cache.set_many({"a": 1, "b": 2})
    assert cache.delete("a") is True
    assert cache.delete("a") is False
    cache.clear()
    assert cache.get("b") is None


def test_counting(cache: Any) -> None:
    cache.set("answer", 41)
    assert cache.incr("answer") == 42
    assert cache.incr("answer", 10) == 52
    assert cache.decr("answer", 3) == 49
    assert cache.incr("answer", -9) == cache.get("answer") == 40
    for method in (cache.incr, cache.decr):
        with pytest.raises(ValueError, match="nothing"):
            method("nothing")


def test_versions_are_told_apart(cache: Any) -> None:
    cache.set("key", 1)
    cache.set("key", 2, version=2)
    assert (cache.get("key"), cache.get("key", version=2), cache.get("key", version=3)) == (1, 2, None)
    assert cache.delete("key", version=1) is True
    assert cache.get("key", version=2) == 2
    assert cache.incr_version("key", version=2) == 3
    assert (cache.get("key", version=2), cache.get("key", version=3)) == (None, 2)
    assert cache.decr_version("key", version=3) == 2
    assert cache.add("key", 5, version=2) is False
    assert cache.touch("key", version=9) is False
    with pytest.raises(ValueError, match="not found"):
        cache.incr_version("nothing")


def test_get_or_set(cache: Any) -> None:
    assert cache.get_or_set("key", lambda: 7) == 7
    assert cache.get_or_set("key", 8) == 7
    assert cache.get_or_set("none", lambda: None, 60, version=2) is None
    assert cache.get("none", "missing", version=2) is None


@pytest.mark.parametrize(
    "value",
    ["text", "ǽ", 7, 2.5, True, b"\x00\xff", [1, "a"], (1, 2), {"a": {"b": [1, 2]}}, {1, 2}, 2**80, "", 0, [], {}],
)
def test_values_come_back_as_what_they_were(cache: Any, value: Any) -> None:
    cache.set("key", value)
    got = cache.get("key", "missing")
    assert got == value
    assert type(got) is type(value)


def test_who_changes_a_value_changes_it_for_nobody_else(cache: Any) -> None:
    value = {"cart": [1]}
    cache.set("session", value)
    value["cart"].append(2)
    got = cache.get("session")
    assert got == {"cart": [1]}
    got["cart"].append(3)
    assert cache.get("session") == {"cart": [1]}


def test_times_to_live(make: Any) -> None:
    cache = make(TIMEOUT=100)
    clock_ns = cache.cache.core.now_ns()
    cache.cache.core.now_ns = lambda: clock_ns
    start_s = cache.cache.core.now_s()
    now_s = start_s
    cache.cache.core.now_s = lambda: now_s
    cache.set("default", 1)
    cache.set("short", 1, 10)
    cache.set("forever", 1, None)
    cache.set("now", 1, 0)
    cache.set("past", 1, -1)
    cache.set("counted", 1, 10)
    cache.set("touched", 1, 10)
    cache.incr("counted")
    assert cache.touch("touched", 60) is True
    assert cache.touch("touched", 60) is True
    cache.set("gone", 1, 10)
    assert cache.touch("gone", 0) is True
    assert [key for key in ("now", "past", "gone") if key in cache] == []

    def later(after_s: float) -> list[str]:
        nonlocal clock_ns, now_s
        clock_ns += int(after_s * 1e9)
        now_s += after_s
        return [key for key in ("default", "short", "forever", "counted", "touched") if key in cache]

    assert later(9) == ["default", "short", "forever", "counted", "touched"]
    assert later(2) == ["default", "forever", "touched"]
    assert later(60) == ["default", "forever"]
    assert later(60) == ["forever"]
    assert later(86_400 * 1000) == ["forever"]


def test_responses_are_kept_without_pickling_and_as_they_were(cache: Any) -> None:
    response = HttpResponse("<p>Übung", status=201, content_type="text/html; charset=iso-8859-1", headers={"X-A": "1"})
    response.set_cookie("a", "b c", max_age=60, httponly=True, samesite="Lax")
    cache.set("page", response)
    got = cache.get("page")
    assert (got.status_code, got.content, got.charset) == (201, response.content, "iso-8859-1")
    assert dict(got.items()) == dict(response.items())
    assert got.cookies.output() == response.cookies.output()
    got["X-B"] = "2"
    assert "X-B" not in cache.get("page")


def test_safe_and_lazy_texts(cache: Any) -> None:
    cache.set("safe", mark_safe("<b>"))
    assert type(cache.get("safe")) is SafeString
    cache.set("lazy", lazystr("yes"))
    assert type(cache.get("lazy")) is str


def test_other_objects_stay_in_this_process(make: Any) -> None:
    cache = make()

    class Model:
        name = "a"

    cache.set("model", Model)
    assert cache.get("model") is Model
    with pytest.raises(TypeError):
        cache.set("stream", StreamingHttpResponse(iter([b"a"])))


def test_tags_are_ours(make: Any) -> None:
    cache = make()
    cache.set("a", 1, tags=["item:1"])
    cache.set("b", 2)
    cache.incr("a")
    cache.touch("a", 60)
    cache.invalidate("item:1")
    assert cache.get_many(["a", "b"]) == {"b": 2}
    asyncio.run(cache.aset("a", 1, tags=["item:1"]))
    asyncio.run(cache.ainvalidate("item:1"))
    assert cache.get("a") is None


def test_of_many_who_add_or_count_at_once_one_adds_and_none_is_lost(make: Any) -> None:
    backends = [make() for _ in range(8)]
    backends[0].set("count", 0)
    gate, added = threading.Barrier(8), []

    def work(backend: DjangoCache) -> None:
        gate.wait()
        added.append(backend.add("lock", 1, 60))
        for _ in range(10):
            backend.incr("count")

    threads = [threading.Thread(target=work, args=(backend,)) for backend in backends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(added) == [False] * 7 + [True]
    assert backends[0].get("count") == 80


def test_tasks_count_as_threads_do(make: Any) -> None:
    cache = make()

    async def run() -> None:
        await cache.aset("count", 0)
        await asyncio.gather(*(cache.aincr("count") for _ in range(20)))
        assert await cache.aget("count") == 20

    asyncio.run(run())


def test_backends_of_one_location_share_and_others_do_not(make: Any, tmp_path: Path) -> None:
    one, two = make(), make(KEY_PREFIX="x")
    one.set("a", 1)
    assert make().get("a") == 1
    assert two.get("a") is None
    assert DjangoCache("other", {}).get("a") is None
    given = DjangoCache("", {"OPTIONS": {"CACHE": CACHE}})
    assert given.cache is CACHE
    with pytest.raises(SettingError, match="CACHE"):
        DjangoCache("", {"OPTIONS": {"CACHE": "os.path.join"}})
    with pytest.raises(SettingError, match="one is needed"):
        DjangoCache(["a", "b"], {})
    assert DjangoCache([f"{tmp_path}/one.db"], {"OPTIONS": {"MAX_ENTRIES": 5}}).cache.core.memory.max_entries == 5


def test_keys_that_memcached_would_not_take_warn_as_elsewhere(make: Any) -> None:
    cache = make()
    with pytest.warns(Warning, match="memcached"):
        cache.set("a b", 1)
    cache.set("x" * 240, 2)
    assert cache.get("x" * 240) == 2


class Meanwhile:
    """A number that lets `happen` happen, once, when it is added or converted."""

    def __init__(self, happen: Callable[[], object]) -> None:
        self._happen: Callable[[], object] | None = happen

    def __float__(self) -> float:
        happen, self._happen = self._happen, None
        if happen is not None:
            happen()
        return 60.0

    def __radd__(self, other: int) -> int:
        return other + int(float(self))


def test_what_is_voided_or_deleted_while_it_is_changed_stays_so(make: Any) -> None:
    cache = make()
    for void in (lambda: cache.invalidate("item:1"), lambda: cache.delete("a"), cache.clear):
        cache.set("a", 1, tags=["item:1"])
        assert cache.touch("a", Meanwhile(void)) is False
        assert cache.get("a") is None
        cache.set("a", 1, tags=["item:1"])
        with pytest.raises(ValueError, match="not found"):
            cache.incr("a", Meanwhile(void))
        assert cache.get("a") is None
    cache.set("a", 1)
    assert cache.incr("a", Meanwhile(lambda: cache.set("a", 10))) == cache.get("a") == 70
    core = cache.cache.core
    assert len(core.flights) == len(core.loading) == 0


def test_what_another_process_voids_while_it_is_changed_stays_so(tmp_path: Path) -> None:
    here, there = (DjangoCache(str(tmp_path / "cache.db"), {"OPTIONS": {"MAX_ENTRIES": most}}) for most in (10, 0))
    changes: list[Any] = [here.touch, here.incr]
    for change in changes:
        here.set("a", 1, tags=["item:1"])
        assert there.get("a") == 1
        change("a", Meanwhile(lambda: there.invalidate("item:1")))
        assert there.get("a") is None
    for backend in (here, there):
        backend.cache.close()
