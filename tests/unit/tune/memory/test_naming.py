"""What is named when something grows, in this very process."""

from __future__ import annotations

import functools
import gc
import sys
import types
import zlib
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.tune.memory.holders import holders
from pitstop.tune.memory.naming import OUTSIDE, Growth, look, name_growth
from pitstop.tune.memory.sizes import size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Order:
    def __init__(self, n: int) -> None:
        self.text = f"order {n}" * 100


class Bounded:
    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self.entries: OrderedDict[int, bytes] = OrderedDict()


class Chained:
    __slots__ = ("before",)

    def __init__(self, before: Chained | None) -> None:
        self.before = before


@pytest.fixture
def alone() -> Iterator[Any]:
    """A module of an application that holds things."""
    module = types.ModuleType("shop_app")
    sys.modules["shop_app"] = module
    yield module
    del sys.modules["shop_app"]


@pytest.fixture
def app(alone: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The same, and no other module is walked: those of the tests are many."""
    monkeypatch.setattr("pitstop.tune.memory.holders._modules", lambda: [("shop_app", alone)])
    return alone


def named(grow: Callable[[int], object], *, times: int = 2, bytes_per_min: float = 100_000) -> Growth:
    """Some growth before each of several looks, a minute apart."""
    looks = []
    for minute in range(times):
        for n in range(400):
            grow(400 * minute + n)
        looks.append(look(60.0 * minute))
    return name_growth(looks, bytes_per_min)


def test_a_module_is_found_among_all_others(alone: Any) -> None:
    alone.SEEN = []
    assert named(lambda n: alone.SEEN.append(Order(n))).what == f"shop_app.SEEN: list of {__name__}.Order"


def test_a_list_of_a_module_is_named_with_what_is_in_it(app: Any) -> None:
    app.SEEN = []
    growth = named(lambda n: app.SEEN.append(Order(n)))
    assert growth.what == f"shop_app.SEEN: list of {__name__}.Order"
    assert growth.count_per_min == pytest.approx(400)
    assert growth.bytes_per_min > 400 * 700


def test_a_dict_of_strings_is_named_though_the_collector_does_not_track_it(app: Any) -> None:
    app.cache = Bounded(10**9)
    app.cache.maxsize = None
    app.cache.entries = {}
    growth = named(lambda n: app.cache.entries.__setitem__(f"key {n}", "value" * 100))
    assert growth.what == "shop_app.cache.entries: dict of str"


def test_a_functools_cache_without_bound_is_named_by_its_function(app: Any) -> None:
    app.price = functools.cache(lambda n: "x" * 1000 + str(n))
    assert named(app.price).what == "shop_app.price (functools cache): dict of str"


def test_a_cache_that_knows_its_bound_and_is_below_it_is_filling(app: Any) -> None:
    app.cache = Bounded(10_000)
    assert named(lambda n: app.cache.entries.__setitem__(n, bytes(1000))).filling
    app.price = functools.lru_cache(maxsize=10_000)(lambda n: "x" * 1000 + str(n))
    assert named(app.price).filling


def test_a_closure_and_a_deque_are_found(app: Any) -> None:
    def make() -> Callable[[int], None]:
        kept: deque[Order] = deque()
        return lambda n: kept.append(Order(n))

    app.keep = make()
    assert named(app.keep).what == f"shop_app.keep.<kept>: collections.deque of {__name__}.Order"


def test_a_buffer_that_is_added_to_is_named(app: Any) -> None:
    app.LOG = bytearray()
    growth = named(lambda _n: app.LOG.extend(bytes(1000)))
    assert growth.what == "shop_app.LOG: bytearray"
    assert growth.bytes_per_min == pytest.approx(400_000)


def test_kept_exceptions_are_named_with_the_line_that_raised(app: Any) -> None:
    app.FAILED = []

    def fail(n: int) -> None:
        try:
            int(f"{n} orders")
        except ValueError as error:
            app.FAILED.append(error)

    try:  # one of another line, which was there before and stays
        raise ValueError("old")  # noqa: TRY301  its line is what counts
    except ValueError as error:
        old = error
    growth = named(fail)
    assert old.__traceback__ is not None
    assert growth.what == "ValueError"
    line = fail.__code__.co_firstlineno + 2
    assert growth.line == f"{__file__}:{line}"
    assert "shop_app.FAILED" in growth.why


def test_a_chain_that_no_container_holds_is_named_by_its_type() -> None:
    last: list[Chained | None] = [None]

    def grow(_n: int) -> None:
        last[0] = Chained(last[0])

    assert named(grow, bytes_per_min=400 * 40).what == f"{__name__}.Chained"


def test_what_was_frozen_in_between_does_not_hide_a_growing_type() -> None:
    last: list[Chained | None] = [None]

    def grow(n: int) -> None:
        last[0] = Chained(last[0])
        if n == 500:
            gc.freeze()

    try:
        assert named(grow, times=4, bytes_per_min=400 * 40).what == f"{__name__}.Chained"
    finally:
        gc.unfreeze()


def test_objects_of_a_c_library_are_named_though_their_size_says_nothing(app: Any) -> None:
    app.STREAMS = []
    growth = named(lambda _n: app.STREAMS.append(zlib.compressobj()), bytes_per_min=100e6)
    assert growth.what == "shop_app.STREAMS: list of zlib.Compress"


def test_what_comes_and_goes_is_not_named(app: Any) -> None:
    app.ROWS = []

    def grow(n: int) -> None:
        app.ROWS.append(Order(n))
        if n == 700:
            app.ROWS.clear()

    assert named(grow, times=3).what == OUTSIDE


def test_nothing_of_ours_is_named_without_growth() -> None:
    assert not named(lambda _n: None).found


def test_keys_are_not_told(app: Any) -> None:
    app.SHELVES = {"alice@example.org": list(range(1000))}
    held, _ = holders()
    [path] = [each.path for each in held.values() if each.path.startswith("shop_app.SHELVES")]
    assert path == "shop_app.SHELVES[…]"


def test_an_object_that_fails_when_looked_at_is_passed_by(app: Any) -> None:
    class Proxy:
        @property
        def __class__(self) -> type:  # type: ignore[override]  # as werkzeug's outside of a request
            raise RuntimeError("no request")

        def __len__(self) -> int:
            raise RuntimeError("no request")

    app.request = Proxy()
    app.SEEN = []
    assert named(lambda n: app.SEEN.append(Order(n))).what.startswith("shop_app.SEEN")


def test_a_size_has_what_an_object_holds_alone() -> None:
    shared = "y" * 100_000
    keep = [shared] * 20
    order = Order(1)
    order.more = [bytes(5000), shared]  # type: ignore[attr-defined]  # made here
    assert 5000 < size_of(order) < 10_000
    assert len(keep) == 20
