"""Percentiles out of a store are within 1.1 % of numpy's on the durations themselves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pitstop.analyze import overview, route_detail, routes
from pitstop.model import Batch, Match, Window
from pitstop.model.record import Record
from pitstop.rollup.fold import Fold
from pitstop.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from pitstop.model import Store

ALLOWED = 0.011
SIZES = (1, 2, 10, 1_000, 20_000)
RNG = np.random.default_rng(20_261_121)

DISTRIBUTIONS = {
    "constant": lambda n: np.full(n, 0.123456789),
    "uniform": lambda n: RNG.uniform(0.001, 2.0, n),
    "exponential": lambda n: RNG.exponential(0.05, n),
    "lognormal": lambda n: RNG.lognormal(-3, 1.5, n),
    "pareto": lambda n: 0.01 * (1 + RNG.pareto(1.1, n)),
    "two modes": lambda n: np.where(RNG.random(n) < 0.94, RNG.normal(0.02, 0.002, n), RNG.normal(1.5, 0.1, n)),
    "microseconds": lambda n: RNG.uniform(1.1e-6, 9e-6, n),
    "minutes": lambda n: RNG.uniform(30, 3000, n),
}


def done(name: str, duration_ns: int) -> Record:
    """A finished request, as the fold reads it."""
    return Record("", "http", name, "", "200", 0, duration_ns, 0, 1, None, None)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = f"memory://{request.node.nodeid}" if request.param == "memory" else f"sqlite:///{tmp_path}/a.db"
    opened = open_store(url)
    yield opened
    opened.close()


def exact_s(durations_ns: NDArray[np.int64], q: float) -> float:
    return float(np.percentile(durations_ns, q * 100, method="inverted_cdf")) / 1e9


@pytest.mark.parametrize("shape", DISTRIBUTIONS)
def test_percentiles_are_within_the_guarantee_of_the_durations_themselves(store: Store, shape: str) -> None:
    now = int(time.time()) // 100 * 100
    window = Window(now - 100, now)
    raw: dict[str, NDArray[np.int64]] = {}
    for worker in range(3):  # percentiles must merge over workers and seconds
        for part in range(4):
            fold = Fold("shop")
            for size in SIZES:
                name = f"GET /{size}"
                share = np.maximum(DISTRIBUTIONS[shape](size), 1e-6)
                whole_ns = np.round(share * 1e9).astype(np.int64)
                raw[name] = np.append(raw.get(name, np.array([], dtype=np.int64)), whole_ns)
                fold.add([done(name, int(ns)) for ns in whole_ns], window.start_s + part * 7)
            store.append(Batch(f"w:{worker}", part, fold.take()))
    rows = {row.route: row.stats for row in routes(store, window, "shop")}
    assert set(rows) == set(raw)
    for name, durations_ns in raw.items():
        got = rows[name]
        assert got.requests == len(durations_ns)
        assert got.min_s == durations_ns.min() / 1e9
        assert got.max_s == durations_ns.max() / 1e9
        assert got.mean_s == pytest.approx(durations_ns.sum() / len(durations_ns) / 1e9, rel=1e-12)
        for q, value in ((0.5, got.p50_s), (0.9, got.p90_s), (0.95, got.p95_s), (0.99, got.p99_s)):
            assert value == pytest.approx(exact_s(durations_ns, q), rel=ALLOWED)
        alone = route_detail(store, window, "shop", name).stats
        assert (alone.requests, alone.p50_s, alone.p99_s) == (got.requests, got.p50_s, got.p99_s)
    everything = np.concatenate(list(raw.values()))
    whole = overview(store, window, "shop").stats
    assert whole.requests == len(everything) == sum(store.rollups(window, Match(), hist=False).count)
    assert whole.p95_s == pytest.approx(exact_s(everything, 0.95), rel=ALLOWED)
    assert whole.p99_s == pytest.approx(exact_s(everything, 0.99), rel=ALLOWED)
