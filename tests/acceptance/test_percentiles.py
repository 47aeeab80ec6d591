"""Percentiles are those of the durations that the service itself has written down."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np

from pitstop.rollup.codec import decode
from pitstop.rollup.histogram import merged, quantile_ns

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.acceptance.conftest import Service

HISTOGRAM_RATIO = 0.011
BETWEEN_CLOCKS_NS = 0.3e6  # our clock is read outside of the service's own, on a busy machine


def test_percentiles_are_within_1_1_percent_of_numpy(serve: Callable[..., Service], tmp_path: Path) -> None:
    ledger = tmp_path / "durations"
    service = serve("uvicorn", "sleeper:app", "--port", "{port}", "--workers", "2", LEDGER=str(ledger))
    made_up = random.Random(3)
    sleeps_ms = [made_up.lognormvariate(3.4, 0.8) for _ in range(600)]

    service.ask([("GET", f"/sleep/{sleep_ms:.3f}", "") for sleep_ms in sleeps_ms], threads=24)
    assert service.child.stop()

    rollups = service.rollups()
    durations_ns = np.loadtxt(ledger)
    assert sum(rollups.count) == len(durations_ns) == len(sleeps_ms)
    histogram = merged(map(decode, rollups.hist))
    for q in (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0):
        exact_ns = float(np.percentile(durations_ns, q * 100, method="inverted_cdf"))
        ours_ns = quantile_ns(histogram, q)
        assert ours_ns is not None
        assert abs(ours_ns - exact_ns) <= HISTOGRAM_RATIO * exact_ns + BETWEEN_CLOCKS_NS, f"P{q * 100:g}"
