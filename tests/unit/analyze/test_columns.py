"""A column decoded at once is what decoding one by one gives."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.analyze import columns
from pitstop.analyze.columns import GroupCounts, merged_by_group, quantiles_ns
from pitstop.analyze.stats import distinct, numbered, numbered_by
from pitstop.model import Series, StoreCorruptError
from pitstop.rollup.codec import decode, encode
from pitstop.rollup.histogram import POSITIONS, merged, quantile_ns

MOST = 1 << 40  # far beyond what a year of one series counts

counts = st.dictionaries(
    st.integers(0, POSITIONS - 1),
    st.one_of(st.integers(1, 3), st.integers(1, 127), st.integers(120, 20_000), st.integers(1, MOST)),
    max_size=40,
)
rows = st.lists(st.tuples(counts, st.integers(0, 4), st.booleans()), max_size=30)
qs = (0.001, 0.5, 0.9, 0.95, 0.99, 1.0)


def together(found: list[tuple[dict[int, int], int]]) -> GroupCounts:
    return merged_by_group([encode(c) for c, _ in found], np.array([g for _, g in found], dtype=np.int64), 5)


@given(rows)
def test_merging_a_column_by_group_equals_decoding_and_merging_one_by_one(
    found: list[tuple[dict[int, int], int, bool]],
) -> None:
    hists = [b"" if empty else encode(c) for c, _, empty in found]
    got = merged_by_group(hists, np.array([g for _, g, _ in found], dtype=np.int64), 5)
    for group in range(5):
        wanted = merged(decode(h) for h, (_, g, _) in zip(hists, found, strict=True) if g == group and h)
        assert got.group(group) == wanted
        assert got.totals()[group] == sum(wanted.values())


@given(rows)
def test_blocks_of_any_size_give_the_same_counts(found: list[tuple[dict[int, int], int, bool]]) -> None:
    whole = together([(c, g) for c, g, _ in found])
    before = columns._BLOCK_BYTES
    try:
        columns._BLOCK_BYTES = 7
        small = together([(c, g) for c, g, _ in found])
    finally:
        columns._BLOCK_BYTES = before
    assert [small.group(g) for g in range(5)] == [whole.group(g) for g in range(5)]


@given(rows)
def test_quantiles_of_all_groups_equal_the_histogram_s_own(found: list[tuple[dict[int, int], int, bool]]) -> None:
    got = together([(c, g) for c, g, _ in found])
    wide = np.zeros(5, dtype=np.int64), np.full(5, 1 << 62)
    values = quantiles_ns(got, qs, *wide)
    for group in range(5):
        for k, q in enumerate(qs):
            wanted = quantile_ns(got.group(group), q)
            if wanted is None:
                assert np.isnan(values[group, k])
            else:
                assert values[group, k] == pytest.approx(wanted, rel=1e-12)


def test_quantiles_never_leave_the_exact_extremes() -> None:
    got = merged_by_group([encode({700: 3})], np.array([0]), 1)
    inside = quantiles_ns(got, (0.5,), np.array([10]), np.array([20]))
    assert inside[0, 0] == 20


def test_no_histograms_at_all_count_nothing() -> None:
    got = merged_by_group([], np.array([], dtype=np.int64), 3)
    assert got.totals().tolist() == [0, 0, 0]
    assert np.isnan(quantiles_ns(got, (0.5,), np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64))).all()


@pytest.mark.parametrize(
    "damaged",
    [
        b"\x16",
        b"\x16\x05\x01",
        b"\x15\x05",
        b"\x15\x05\x81",
        b"\x15\x05\x01\x02",
        b"\x15" + b"\xff" * 9 + b"\x01\x01",
        b"\x15\xff\x7f\x01",
    ],
)
def test_bytes_that_the_codec_cannot_have_written_are_refused(damaged: bytes) -> None:
    good = encode({5: 1, 900: 300})
    with pytest.raises(StoreCorruptError):
        merged_by_group([good, damaged, good], np.array([0, 0, 0]), 1)


def test_a_column_is_much_faster_than_one_by_one() -> None:
    hists = [encode({p: 1 + p % 3 for p in range(300 + i % 50, 500)}) for i in range(600)]
    groups = np.arange(600) % 10
    best_column = best_single = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        merged_by_group(hists, groups, 10)
        best_column = min(best_column, time.perf_counter() - start)
        start = time.perf_counter()
        for g in range(10):
            merged(decode(h) for h, i in zip(hists, groups, strict=True) if i == g)
        best_single = min(best_single, time.perf_counter() - start)
    assert best_column * 5 < best_single


def test_keys_are_numbered_in_order_of_appearance_and_equal_objects_share_a_number() -> None:
    one, same = Series("a", "", "http", "x", "", "200"), Series("a", "", "http", "x", "", "200")
    other = Series("a", "", "http", "y", "", "200")
    names, rows = numbered_by([one, other, same, one], lambda series: series.name)
    assert (names, rows.tolist()) == (["x", "y"], [0, 1, 0, 0])
    assert numbered(["b", "a", "b"])[1].tolist() == [0, 1, 0]
    different, at = distinct([one, other, one])
    assert (different, at.tolist()) == ([one, other], [0, 1, 0])
