"""A cache under a clock of the test's own."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.tune.cache import Cache
from pitstop.tune.cache.codec import Codec
from pitstop.tune.cache.core import Core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class HandClock:
    """Goes where it is moved to."""

    def __init__(self) -> None:
        self.at_s = 1_000.0

    def now_ns(self) -> int:
        return int(self.at_s * 1e9)

    def now_s(self) -> float:
        return 1_700_000_000.0 + self.at_s

    def move(self, seconds: float) -> None:
        self.at_s += seconds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def make_cache(clock: HandClock) -> Iterator[Callable[..., Cache]]:
    made: list[Cache] = []

    def make(*levels: Any, max_entries: int = 1000, max_bytes: int | None = None, **rules: Any) -> Cache:
        core = Core(
            namespace=rules.pop("namespace", "test"), max_entries=max_entries, max_bytes=max_bytes, levels=levels,
            sealer=rules.pop("sealer", Codec()), now_ns=clock.now_ns, now_s=clock.now_s, rng=random.Random(1),
        )  # fmt: skip
        made.append(Cache(core=core, **rules))
        return made[-1]

    yield make
    for cache in made:
        cache.close()


@pytest.fixture
def cache(make_cache: Callable[..., Cache]) -> Cache:
    return make_cache()
