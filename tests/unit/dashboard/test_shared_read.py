"""Rows added up once give what the rows themselves give."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop import analyze
from pitstop.analyze.columns import GroupCounts
from pitstop.dashboard import shared_read
from pitstop.dashboard.shared_read import SharedRead, encoded
from pitstop.model import Batch, Rollups, Series, Window
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of
from pitstop.store.memory import MemoryStore

if TYPE_CHECKING:
    import pytest

WINDOW = Window(1_800_000_000, 1_800_003_600)


@given(
    st.integers(0, 500),
    st.lists(st.lists(st.integers(0, 2**50) | st.integers(0, 200) | st.just(0), min_size=9, max_size=9), min_size=1),
)
@settings(max_examples=200, deadline=None)
def test_groups_are_written_as_the_codec_writes_each(first: int, counts: list[list[int]]) -> None:
    merged = GroupCounts(first, np.array(counts, dtype=np.int64))
    assert encoded(merged) == [encode(merged.group(i)) for i in range(len(counts))]


def filled() -> MemoryStore:
    rng = random.Random(7)
    rows = Rollups()
    for ts in range(*WINDOW, 10):
        for name, outcome in (("GET /a", "200"), ("GET /a", "500"), ("GET /b", "200"), ("GET /b", "404")):
            durations = [int(rng.lognormvariate(16, 1)) for _ in range(rng.randint(1, 5))]
            counts: dict[int, int] = {}
            for duration in durations:
                counts[position_of(duration)] = counts.get(position_of(duration), 0) + 1
            rows.ts.append(ts)
            rows.series.append(Series("shop", "", "http", name, "", outcome))
            rows.count.append(len(durations))
            rows.sum_ns.append(sum(durations))
            rows.min_ns.append(min(durations))
            rows.max_ns.append(max(durations))
            rows.nbytes.append(100)
            rows.hist.append(encode(counts))
    store = MemoryStore("shared")
    store.append(Batch("w", 1, rows))
    return store


def test_every_answer_is_the_one_the_store_gives_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_read, "WORTH_FOLDING", 0)
    store = filled()
    step_s = analyze.automatic_step_s(WINDOW)
    read = SharedRead(store, WINDOW, "shop", step_s)
    assert analyze.overview(read.totals(), WINDOW, "shop") == analyze.overview(store, WINDOW, "shop")
    assert analyze.routes(read.totals(), WINDOW, "shop") == analyze.routes(store, WINDOW, "shop")
    course = read.course()
    assert analyze.overview(read.totals(), WINDOW, "shop") == analyze.overview(store, WINDOW, "shop"), "decoded at once"
    assert read.route_rows(parts=True) == analyze.routes(store, WINDOW, "shop")
    assert analyze.trend(course, WINDOW, "shop", step_s=step_s) == analyze.trend(store, WINDOW, "shop", step_s=step_s)
    assert analyze.heatmap(course, WINDOW, "shop", step_s=step_s) == analyze.heatmap(
        store, WINDOW, "shop", step_s=step_s
    )
    lines = analyze.sparklines(store, WINDOW, "shop", 40)
    assert analyze.sparklines(read.routes(), WINDOW, "shop", 40) == lines
    assert analyze.sparklines(read.routes({"GET /b"}), WINDOW, "shop", 40) == {"GET /b": lines["GET /b"]}
